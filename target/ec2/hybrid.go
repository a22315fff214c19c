package ec2

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// NodeClient is what is used of [ssm.Client] to find machines.
type NodeClient interface {
	DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
	ListTagsForResource(context.Context, *ssm.ListTagsForResourceInput, ...func(*ssm.Options)) (*ssm.ListTagsForResourceOutput, error)
}

// Hybrid is [Instances] for machines outside of EC2 that Systems Manager manages by a
// hybrid activation (mi-…), alone or beside EC2 instances. They are chosen by the tags
// that they have as managed nodes, by the same rules, and reached by [SSM].
//
// A machine whose connection is lost belongs to the fleet and is lost; deregister one
// that will not come back. Such machines are deployed to in place and without load
// balancers, as in CodeDeploy: they cannot be launched or terminated, and have no id
// that a load balancer knows.
//
// A look by tags costs a call per 50 machines that have the tag, and one for the tags of
// each of them. Set the fields before first use; then it may be used from many
// goroutines. It must not be copied after use.
type Hybrid struct {
	Client NodeClient // required
	// EC2 finds the EC2 instances of the fleet. Nil: there are none, and EC2 is not asked.
	EC2 Instances

	mu   sync.Mutex
	tags map[string]map[string]string // by machine, as last read
}

var _ Instances = (*Hybrid)(nil)

// Limits of the API.
const (
	filterValues = 100 // values of a filter
	tagReaders   = 8   // tags that are read at once
)

// isHybrid reports whether an id is that of a machine outside of EC2.
func isHybrid(id string) bool { return strings.HasPrefix(id, "mi-") }

// Describe implements [Instances]. The state of a machine is its ping status.
func (h *Hybrid) Describe(ctx context.Context, q Query) ([]Instance, error) {
	if h.Client == nil {
		return nil, errors.New("ec2: set Hybrid.Client")
	}
	nodes, others := q, q
	nodes.IDs = slices.DeleteFunc(slices.Clone(q.IDs), func(id string) bool { return !isHybrid(id) })
	others.IDs = slices.DeleteFunc(slices.Clone(q.IDs), isHybrid)
	if h.EC2 == nil && len(others.IDs) > 0 {
		return nil, refuse(lifecycle.TargetFailed, "%s is an EC2 instance: set Hybrid.EC2", others.IDs[0])
	}
	var all []Instance
	if h.EC2 != nil && (len(q.IDs) == 0 || len(others.IDs) > 0) {
		found, err := h.EC2.Describe(ctx, others)
		if err != nil {
			return nil, err
		}
		all = found
	}
	if len(q.IDs) > 0 && len(nodes.IDs) == 0 {
		return all, nil
	}
	found, err := h.nodes(ctx, nodes)
	return append(all, found...), err
}

// Terminate implements [Instances]. Machines outside of EC2 are refused.
func (h *Hybrid) Terminate(ctx context.Context, ids []string) error {
	i := slices.IndexFunc(ids, isHybrid)
	switch {
	case len(ids) == 0:
		return nil
	case i >= 0 || h.EC2 == nil:
		return refuse(lifecycle.Unsupported, "%s is no EC2 instance, so it cannot be terminated; deploy to it in place", ids[max(i, 0)])
	}
	return h.EC2.Terminate(ctx, ids)
}

// nodes finds machines, with their tags.
func (h *Hybrid) nodes(ctx context.Context, q Query) ([]Instance, error) {
	found, err := h.list(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := h.readAllTags(ctx, found, q); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(i Instance) bool { return i.Tags == nil || !q.match(i.Tags) }), nil
}

// readAllTags fills in tags, of a few machines at once. The first error ends it.
func (h *Hybrid) readAllTags(ctx context.Context, found []Instance, q Query) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan *Instance)
	var all sync.WaitGroup
	for range min(tagReaders, len(found)) {
		all.Go(func() {
			for i := range next {
				var err error
				if i.Tags, err = h.tagsOf(ctx, i.ID, q); err != nil {
					stop(failed("reading the tags of "+i.ID, err))
				}
			}
		})
	}
	for i := range found {
		select {
		case next <- &found[i]:
		case <-ctx.Done():
		}
	}
	close(next)
	all.Wait()
	return context.Cause(ctx)
}

// list finds machines without their tags. Who is asked for by id is not asked for by
// tags too: the API has one or the other. Filters by tag find EC2 instances too; these
// are left out.
func (h *Hybrid) list(ctx context.Context, q Query) (all []Instance, err error) {
	var found []types.InstanceInformation
	if len(q.IDs) == 0 {
		found, err = readNodes(ctx, h.Client, nodeFilters(q.Tags))
	}
	for ids := range slices.Chunk(q.IDs, filterValues) {
		var some []types.InstanceInformation
		if some, err = readNodesNamed(ctx, h.Client, ids); err != nil {
			break
		}
		found = append(found, some...)
	}
	for _, n := range found {
		if id := aws.ToString(n.InstanceId); isHybrid(id) {
			all = append(all, Instance{ID: id, State: string(n.PingStatus)})
		}
	}
	return all, err
}

// nodeFilters is what Systems Manager can sort out by itself. It takes no empty values,
// so for one of these it is asked for the key.
func nodeFilters(tags map[string][]string) []types.InstanceInformationStringFilter {
	var filters []types.InstanceInformationStringFilter
	for key, values := range tags {
		if len(values) == 0 || len(values) > filterValues || slices.Contains(values, "") {
			filters = append(filters, nodeFilter("tag-key", key))
		} else {
			filters = append(filters, nodeFilter("tag:"+key, values...))
		}
	}
	if len(filters) == 0 {
		filters = append(filters, nodeFilter("ResourceType", string(types.ResourceTypeManagedInstance)))
	}
	return filters
}

// tagsOf returns the tags of a machine; nil: it is not managed any more. Who asks by id
// gets what was read last. Tags that are not what the machine was found by are read
// twice: they may be older.
func (h *Hybrid) tagsOf(ctx context.Context, id string, q Query) (map[string]string, error) {
	h.mu.Lock()
	known := h.tags[id]
	h.mu.Unlock()
	if known != nil && len(q.IDs) > 0 {
		return known, nil
	}
	tags, err := h.readTags(ctx, id)
	if err == nil && tags != nil && !q.match(tags) {
		if err := sleep(ctx, time.Second); err != nil {
			return nil, err
		}
		tags, err = h.readTags(ctx, id)
	}
	if err == nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.tags == nil {
			h.tags = map[string]map[string]string{}
		}
		h.tags[id] = tags
	}
	return tags, err
}

func (h *Hybrid) readTags(ctx context.Context, id string) (map[string]string, error) {
	var out *ssm.ListTagsForResourceOutput
	err := insist(ctx, func() (err error) {
		out, err = awserror.Ask(ctx, h.Client.ListTagsForResource, &ssm.ListTagsForResourceInput{ResourceType: types.ResourceTypeForTaggingManagedInstance, ResourceId: &id})
		return err
	})
	switch {
	case awserror.Code(err) == "InvalidResourceId":
		return nil, nil
	case err != nil:
		return nil, err
	}
	tags := make(map[string]string, len(out.TagList))
	for _, t := range out.TagList {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// match reports whether tags meet the query's terms.
func (q Query) match(tags map[string]string) bool {
	for key, values := range q.Tags {
		v, has := tags[key]
		if !has || len(values) > 0 && !slices.Contains(values, v) {
			return false
		}
	}
	return true
}

// fits refuses machines outside of EC2 where only EC2 instances can be.
func (f *Fleet) fits(found []Instance) error {
	i := slices.IndexFunc(found, func(i Instance) bool { return isHybrid(i.ID) })
	switch {
	case i < 0:
		return nil
	case f.Green != nil:
		return refuse(lifecycle.Unsupported, "%s is no EC2 instance, and blue/green deployments are for these: deploy in place, or leave it out of the tags", found[i].ID)
	case f.Balancers != nil:
		return refuse(lifecycle.Unsupported, "%s is no EC2 instance, and target groups of type instance and classic load balancers take no others: deploy to it as a fleet of its own without Fleet.Balancers, or leave it out of the tags", found[i].ID)
	}
	return nil
}
