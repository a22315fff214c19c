package dynamodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
)

// store is a table, and how to deal with it.
type store struct {
	client   Client
	table    string
	patience time.Duration
	part     int // bytes of records in an item
}

// Waits between two tries grow from the first to the last. The SDK's client has
// tried a few times itself by then.
const (
	firstWait = 50 * time.Millisecond
	lastWait  = 2 * time.Second
)

// retry does something until it succeeds, fails for good, or patience or ctx end.
func (s *store) retry(ctx context.Context, do func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	var last error // that can pass
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		try, stop := context.WithTimeout(limited, s.patience/4)
		err := do(try)
		hung := try.Err() != nil // its answer never came; it may come on another connection
		stop()
		if err == nil {
			return nil
		}
		again := limited.Err() == nil && (hung || transient(err))
		if again {
			last = err
			pause(limited, wait/2+rand.N(wait))
		}
		switch {
		case context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case limited.Err() != nil:
			return fmt.Errorf("no success within %v: %w", s.patience, cmp.Or(last, err))
		case !again:
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// passing are codes of errors that pass, beside those that the SDK knows.
var passing = map[string]bool{
	"TransactionConflictException":     true,
	"TransactionInProgressException":   true,
	"ReplicatedWriteConflictException": true,
}

// passingReasons are the same for a part of a transaction.
var passingReasons = map[string]bool{
	"None": true, "TransactionConflict": true, "ThrottlingError": true, "ProvisionedThroughputExceeded": true,
}

// transient says that it may be tried again.
func transient(err error) bool {
	if cancelled, ok := errors.AsType[*types.TransactionCanceledException](err); ok {
		for _, r := range cancelled.CancellationReasons {
			if !passingReasons[aws.ToString(r.Code)] {
				return false
			}
		}
		return true
	}
	return passing[awserror.Code(err)] || awserror.Retryable(err)
}

// get reads an item as it is now; nil: there is none.
func (s *store) get(ctx context.Context, pk, sk string) (found item, err error) {
	err = s.retry(ctx, func(ctx context.Context) error {
		out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
			TableName: &s.table, Key: item{"pk": text(pk), "sk": text(sk)}, ConsistentRead: aws.Bool(true)})
		if err == nil {
			found = out.Item
		}
		return err
	})
	return found, err
}

// span is a range of sort keys in a partition.
type span struct {
	pk, from, to string
	backwards    bool // from the end on, a few items at a time
}

// few is how many items are read at once where one or two are looked for.
const few = 10

// pages reads the items of a span in order and gives them to yield until it returns an
// error.
func (s *store) pages(ctx context.Context, r span, yield func(item) error) error {
	in := &dynamodb.QueryInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(!r.backwards),
		KeyConditionExpression:    aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
		ExpressionAttributeValues: item{":pk": text(r.pk), ":from": text(r.from), ":to": text(r.to)},
	}
	if r.backwards {
		in.Limit = aws.Int32(few)
	}
	for {
		var out *dynamodb.QueryOutput
		err := s.retry(ctx, func(ctx context.Context) (err error) {
			out, err = s.client.Query(ctx, in)
			return err
		})
		if err != nil {
			return err
		}
		for _, it := range out.Items {
			if err := yield(it); err != nil {
				return err
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return nil
		}
		if reflect.DeepEqual(in.ExclusiveStartKey, out.LastEvaluatedKey) {
			return errors.New("the table answers with the same page again and again")
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// when is a condition on an item.
type when struct {
	expression string
	values     item
}

// absent is the condition that there is no such item.
var absent = when{expression: "attribute_not_exists(pk)"}

func (w when) valuesOrNil() item {
	if len(w.values) == 0 {
		return nil // empty is refused
	}
	return w.values
}

// put replaces an item once.
func (s *store) put(ctx context.Context, it item, w when) error {
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: it,
		ConditionExpression: &w.expression, ExpressionAttributeValues: w.valuesOrNil()})
	return err
}

// putOf is put as a part of a transaction.
func (s *store) putOf(it item, w when) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{TableName: &s.table, Item: it,
		ConditionExpression: &w.expression, ExpressionAttributeValues: w.valuesOrNil()}}
}

// checkOf is a condition as a part of a transaction.
func (s *store) checkOf(pk, sk string, w when) types.TransactWriteItem {
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: &s.table, Key: item{"pk": text(pk), "sk": text(sk)},
		ConditionExpression: &w.expression, ExpressionAttributeValues: w.valuesOrNil()}}
}

// failedConditions lists which parts of a transaction were refused by their
// conditions; nil: it is another error.
func failedConditions(err error) []int {
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return nil
	}
	var failed []int
	for i, r := range cancelled.CancellationReasons {
		if aws.ToString(r.Code) == "ConditionalCheckFailed" {
			failed = append(failed, i)
		}
	}
	return failed
}

func conditionFailed(err error) bool {
	_, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	return ok
}
