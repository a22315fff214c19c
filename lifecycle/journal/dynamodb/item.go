package dynamodb

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// item is a row of the table.
type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func raw(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// fields reads an item and keeps the first thing that is wrong with it.
type fields struct {
	item item
	err  error
}

// text is empty if the attribute is missing.
func (f *fields) text(name string) string {
	switch v := f.item[name].(type) {
	case nil:
	case *types.AttributeValueMemberS:
		return v.Value
	default:
		f.wrong(name, v)
	}
	return ""
}

// raw must be there.
func (f *fields) raw(name string) []byte {
	v, ok := f.item[name].(*types.AttributeValueMemberB)
	if !ok {
		f.wrong(name, f.item[name])
		return nil
	}
	return v.Value
}

// number must be there.
func (f *fields) number(name string) int64 {
	v, ok := f.item[name].(*types.AttributeValueMemberN)
	if !ok {
		f.wrong(name, f.item[name])
		return 0
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil {
		f.wrong(name, v)
	}
	return n
}

func (f *fields) wrong(name string, v types.AttributeValue) {
	if f.err != nil {
		return
	}
	if v == nil {
		f.err = fmt.Errorf("attribute %s is missing", name)
	} else {
		f.err = fmt.Errorf("attribute %s cannot be used: it is a %T", name, v)
	}
}
