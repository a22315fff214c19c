package install

import (
	"context"
	"errors"
)

var errUnfinished = errors.New("install: not built yet")

func newPlan(context.Context, Request) (*Plan, error) { return nil, errUnfinished }
func (p *Plan) changes(func(Change) bool)             {}
func (p *Plan) apply(context.Context) error           { return errUnfinished }
func recoverState(context.Context, string, func(string) error) (Recovered, error) {
	return Recovered{Outcome: Clean}, nil
}
func ownedItems(string) ([]Item, error) { return nil, nil }
