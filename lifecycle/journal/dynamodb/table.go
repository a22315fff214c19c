package dynamodb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// activeInterval is how often a table that is being made is looked at.
const activeInterval = time.Second

// CreateTable makes the table with on-demand capacity and waits until it can be used.
// One that is there already and has the right keys is left as it is. When ctx is
// cancelled it returns its cause; the table is made nevertheless.
func CreateTable(ctx context.Context, client TableClient, table string) error {
	_, err := client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:   &table,
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: keys(),
	})
	if _, there := errors.AsType[*types.ResourceInUseException](err); err != nil && !there {
		return fmt.Errorf("journal: table %s cannot be made: %w", table, err)
	}
	for {
		out, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
		_, notYet := errors.AsType[*types.ResourceNotFoundException](err)
		switch {
		case err != nil && !notYet:
			return fmt.Errorf("journal: table %s cannot be looked at: %w", table, err)
		case err == nil && !hasKeys(out.Table.KeySchema):
			return fmt.Errorf("journal: there is a table %s with other keys than pk and sk: take another name", table)
		case err == nil && out.Table.TableStatus == types.TableStatusActive:
			return nil
		}
		if !pause(ctx, activeInterval) {
			return context.Cause(ctx)
		}
	}
}

func keys() []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash},
		{AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange},
	}
}

func hasKeys(schema []types.KeySchemaElement) bool {
	want := keys()
	for i, k := range schema {
		if i >= len(want) || aws.ToString(k.AttributeName) != *want[i].AttributeName || k.KeyType != want[i].KeyType {
			return false
		}
	}
	return len(schema) == len(want)
}

// Policy is the IAM policy, as JSON, of a controller: all that a [Journal] does with a
// table that exists, and nothing else. It takes the table's ARN.
func Policy(tableARN string) string {
	return policy(tableARN, "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:ConditionCheckItem")
}

// ReadPolicy is the same for those who only read, by way of [Journal.Reader] and
// [Journal.Holder]: plans and status.
func ReadPolicy(tableARN string) string {
	return policy(tableARN, "dynamodb:GetItem", "dynamodb:Query")
}

func policy(tableARN string, actions ...string) string {
	type statement struct {
		Sid, Effect string
		Action      []string
		Resource    string
	}
	text, _ := json.MarshalIndent(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{{"CutoverJournal", "Allow", actions, tableARN}}}, "", "  ") // strings always marshal
	return string(text) + "\n"
}
