package dynamodb_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle/journal/dynamodb"
)

type item = map[string]types.AttributeValue

// table plays DynamoDB: one table, conditions as far as the journal uses them, and the
// service's limits. It does not remember the tokens of transactions, so that one which
// is repeated meets what it wrote before.
type table struct {
	api   *awsfake.API
	items map[string]map[string]item // by pk and sk. Handlers run one at a time
	most  int                        // bytes of the largest item that was written
	wrote []string                   // "pk sk" of every item written
}

const (
	itemLimit        = 400 << 10
	pageLimit        = 1 << 20
	transactionLimit = 4 << 20
)

func newTable() *table {
	tb := &table{api: &awsfake.API{}, items: map[string]map[string]item{}}
	awsfake.Handle(tb.api, "DynamoDB", "GetItem", tb.get)
	awsfake.Handle(tb.api, "DynamoDB", "PutItem", tb.put)
	awsfake.Handle(tb.api, "DynamoDB", "Query", tb.query)
	awsfake.Handle(tb.api, "DynamoDB", "TransactWriteItems", tb.transact)
	return tb
}

func (tb *table) client() *sdk.Client { return sdk.NewFromConfig(tb.api.Config()) }

// link is one controller's way to the table.
type link struct {
	dynamodb.Client
	down   atomic.Bool
	failAt func(n int64) bool // calls, from 1, that never get through
	n      atomic.Int64
}

func (l *link) through(ctx context.Context) error {
	n := l.n.Add(1)
	if l.down.Load() || l.failAt != nil && l.failAt(n) {
		<-ctx.Done() // nothing comes back
	}
	return ctx.Err()
}

func (l *link) GetItem(ctx context.Context, in *sdk.GetItemInput, o ...func(*sdk.Options)) (*sdk.GetItemOutput, error) {
	if err := l.through(ctx); err != nil {
		return nil, err
	}
	return l.Client.GetItem(ctx, in, o...)
}

func (l *link) PutItem(ctx context.Context, in *sdk.PutItemInput, o ...func(*sdk.Options)) (*sdk.PutItemOutput, error) {
	if err := l.through(ctx); err != nil {
		return nil, err
	}
	return l.Client.PutItem(ctx, in, o...)
}

func (l *link) Query(ctx context.Context, in *sdk.QueryInput, o ...func(*sdk.Options)) (*sdk.QueryOutput, error) {
	if err := l.through(ctx); err != nil {
		return nil, err
	}
	return l.Client.Query(ctx, in, o...)
}

func (l *link) TransactWriteItems(ctx context.Context, in *sdk.TransactWriteItemsInput, o ...func(*sdk.Options)) (*sdk.TransactWriteItemsOutput, error) {
	if err := l.through(ctx); err != nil {
		return nil, err
	}
	return l.Client.TransactWriteItems(ctx, in, o...)
}

// controller returns a journal over the table, and its link.
func (tb *table) controller(name string) (*dynamodb.Journal, *link) {
	l := &link{Client: tb.client()}
	return &dynamodb.Journal{Client: l, Table: "deployments", Name: name}, l
}

func str(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return "S" + v.Value
	case *types.AttributeValueMemberN:
		return "N" + v.Value
	case *types.AttributeValueMemberB:
		return "B" + string(v.Value)
	}
	return ""
}

func size(it item) (n int) {
	for name, v := range it {
		n += len(name) + len(str(v))
	}
	return n
}

// at finds the place of an item.
func (tb *table) at(it item) (string, string) { return str(it["pk"])[1:], str(it["sk"])[1:] }

// holds evaluates a condition: comparisons for equality and attribute_not_exists,
// joined by AND.
func holds(old item, expression *string, values item) bool {
	for term := range strings.SplitSeq(aws.ToString(expression), " AND ") {
		if name, ok := strings.CutPrefix(term, "attribute_not_exists("); ok {
			if old[strings.TrimSuffix(name, ")")] != nil {
				return false
			}
			continue
		}
		name, value, ok := strings.Cut(term, " = ")
		if !ok || values[value] == nil {
			panic("condition " + term)
		}
		if str(old[name]) != str(values[value]) {
			return false
		}
	}
	return true
}

func (tb *table) set(it item) {
	pk, sk := tb.at(it)
	if tb.items[pk] == nil {
		tb.items[pk] = map[string]item{}
	}
	tb.items[pk][sk] = maps.Clone(it)
	tb.most = max(tb.most, size(it))
	tb.wrote = append(tb.wrote, pk+" "+sk)
}

func (tb *table) get(_ context.Context, in *sdk.GetItemInput) (*sdk.GetItemOutput, error) {
	if !aws.ToBool(in.ConsistentRead) {
		panic("a read that may be stale")
	}
	pk, sk := tb.at(in.Key)
	return &sdk.GetItemOutput{Item: tb.items[pk][sk]}, nil
}

func (tb *table) put(_ context.Context, in *sdk.PutItemInput) (*sdk.PutItemOutput, error) {
	if size(in.Item) > itemLimit {
		return nil, awsfake.APIError("ValidationException", "Item size has exceeded the maximum allowed size")
	}
	pk, sk := tb.at(in.Item)
	if !holds(tb.items[pk][sk], in.ConditionExpression, in.ExpressionAttributeValues) {
		return nil, &types.ConditionalCheckFailedException{Message: aws.String("The conditional request failed")}
	}
	tb.set(in.Item)
	return &sdk.PutItemOutput{}, nil
}

func (tb *table) transact(_ context.Context, in *sdk.TransactWriteItemsInput) (*sdk.TransactWriteItemsOutput, error) {
	total, failed := 0, false
	var reasons []types.CancellationReason
	for _, w := range in.TransactItems {
		var key, values item
		var expression *string
		if w.Put != nil {
			key, expression, values = w.Put.Item, w.Put.ConditionExpression, w.Put.ExpressionAttributeValues
			total += size(key)
			if size(key) > itemLimit {
				return nil, awsfake.APIError("ValidationException", "Item size has exceeded the maximum allowed size")
			}
		} else {
			key, expression, values = w.ConditionCheck.Key, w.ConditionCheck.ConditionExpression, w.ConditionCheck.ExpressionAttributeValues
		}
		pk, sk := tb.at(key)
		code := "None"
		if !holds(tb.items[pk][sk], expression, values) {
			code, failed = "ConditionalCheckFailed", true
		}
		reasons = append(reasons, types.CancellationReason{Code: &code})
	}
	switch {
	case total > transactionLimit || len(in.TransactItems) > 100:
		return nil, awsfake.APIError("ValidationException", "Transaction request is too large")
	case failed:
		return nil, &types.TransactionCanceledException{Message: aws.String("cancelled"), CancellationReasons: reasons}
	}
	for _, w := range in.TransactItems {
		if w.Put != nil {
			tb.set(w.Put.Item)
		}
	}
	return &sdk.TransactWriteItemsOutput{}, nil
}

func (tb *table) query(_ context.Context, in *sdk.QueryInput) (*sdk.QueryOutput, error) {
	if !aws.ToBool(in.ConsistentRead) || *in.KeyConditionExpression != "pk = :pk AND sk BETWEEN :from AND :to" {
		panic("query " + *in.KeyConditionExpression)
	}
	v := in.ExpressionAttributeValues
	rows := tb.items[str(v[":pk"])[1:]]
	keys := slices.Sorted(maps.Keys(rows))
	forward := in.ScanIndexForward == nil || *in.ScanIndexForward
	if !forward {
		slices.Reverse(keys)
	}
	out, bytes := &sdk.QueryOutput{}, 0
	for _, sk := range keys {
		if sk < str(v[":from"])[1:] || sk > str(v[":to"])[1:] {
			continue
		}
		if start := in.ExclusiveStartKey; start != nil && (forward && sk <= str(start["sk"])[1:] || !forward && sk >= str(start["sk"])[1:]) {
			continue
		}
		if bytes += size(rows[sk]); bytes > pageLimit || in.Limit != nil && len(out.Items) == int(*in.Limit) {
			last := out.Items[len(out.Items)-1]
			out.LastEvaluatedKey = item{"pk": last["pk"], "sk": last["sk"]}
			break
		}
		out.Items = append(out.Items, rows[sk])
	}
	return out, nil
}

// dump is everything in the table, but for what renewals change.
func (tb *table) dump() string {
	var b bytes.Buffer
	for _, pk := range slices.Sorted(maps.Keys(tb.items)) {
		for _, sk := range slices.Sorted(maps.Keys(tb.items[pk])) {
			it := tb.items[pk][sk]
			for _, name := range slices.Sorted(maps.Keys(it)) {
				if name != "beat" {
					fmt.Fprintf(&b, "%s=%q ", name, str(it[name]))
				}
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// within fails if what took since began was longer than d.
func within(t *testing.T, began time.Time, d time.Duration) {
	t.Helper()
	if took := time.Since(began); took > d {
		t.Fatalf("it took %v, more than %v", took, d)
	}
}
