package ssm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// Limits of the service.
const (
	inNodePage   = 50
	filterValues = 100
)

// Node is a machine that Systems Manager manages.
type Node struct {
	ID   string
	Ping types.PingStatus
	Tags map[string]string

	since time.Time
}

// Activate registers a machine outside of EC2 with a hybrid activation, and returns its
// id.
func (s *SSM) Activate(tags map[string]string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := fmt.Sprintf("mi-%017x", len(s.nodes)+1)
	s.nodes = append(s.nodes, &Node{ID: id, Ping: types.PingStatusOnline, Tags: maps.Clone(tags), since: time.Now()})
	return id
}

// Ping sets how the connection to a machine is.
func (s *SSM) Ping(id string, status types.PingStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.node(id); n != nil {
		n.Ping = status
	}
}

// Deregister makes a machine unknown.
func (s *SSM) Deregister(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.node(id); n != nil {
		n.ID = "" // its number is not given out again
	}
}

func (s *SSM) node(id string) *Node {
	for _, n := range s.nodes {
		if n.ID == id && id != "" {
			return n
		}
	}
	return nil
}

// known reports whether commands can be sent to a host.
func (s *SSM) known(id string) bool {
	if strings.HasPrefix(id, "mi-") {
		return s.node(id) != nil
	}
	return s.Known == nil || s.Known(id)
}

// managed lists what a list of managed nodes has now.
func (s *SSM) managed() []Node {
	var all []Node
	if s.EC2 != nil {
		all = s.EC2()
	}
	for _, n := range s.nodes {
		if n.ID != "" && time.Since(n.since) >= s.NodeLag {
			all = append(all, *n)
		}
	}
	slices.SortFunc(all, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (s *SSM) describe(in *sdk.DescribeInstanceInformationInput) (*sdk.DescribeInstanceInformationOutput, error) {
	size := int(cmp.Or(aws.ToInt32(in.MaxResults), 10))
	if size < 5 || size > inNodePage {
		return nil, awsfake.APIError("ValidationException", fmt.Sprintf("maxResults is %d: between 5 and %d are allowed", size, inNodePage))
	}
	if err := s.validFilters(in.Filters); err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(append(s.managed(), s.reported(in.Filters)...), func(n Node) bool {
		return slices.ContainsFunc(in.Filters, func(f types.InstanceInformationStringFilter) bool { return !n.has(f) })
	})
	from, _ := strconv.Atoi(aws.ToString(in.NextToken)) // no token: the first page
	to := min(from+size, len(found))
	out := &sdk.DescribeInstanceInformationOutput{}
	for _, n := range found[min(from, to):to] {
		out.InstanceInformationList = append(out.InstanceInformationList, types.InstanceInformation{InstanceId: aws.String(n.ID), PingStatus: n.Ping, PlatformType: types.PlatformTypeLinux, ResourceType: n.kind()})
	}
	if to < len(found) {
		out.NextToken = aws.String(strconv.Itoa(to))
	}
	return out, nil
}

// reported are the EC2 instances that filters name and that are managed, beside those
// that EC2 lists.
func (s *SSM) reported(filters []types.InstanceInformationStringFilter) (nodes []Node) {
	if s.EC2 != nil {
		return nil
	}
	for _, f := range filters {
		for _, id := range f.Values {
			if aws.ToString(f.Key) == "InstanceIds" && strings.HasPrefix(id, "i-") && s.known(id) {
				nodes = append(nodes, Node{ID: id, Ping: types.PingStatusOnline})
			}
		}
	}
	return nodes
}

func (n Node) kind() types.ResourceType {
	if strings.HasPrefix(n.ID, "mi-") {
		return types.ResourceTypeManagedInstance
	}
	return types.ResourceTypeEc2Instance
}

// validFilters refuses what the service refuses: tags together with anything else,
// empty values, and ids that nobody has.
func (s *SSM) validFilters(filters []types.InstanceInformationStringFilter) error {
	byTag := 0
	for _, f := range filters {
		key := aws.ToString(f.Key)
		if strings.HasPrefix(key, "tag:") || key == "tag-key" {
			byTag++
		}
		if len(f.Values) == 0 || len(f.Values) > filterValues || slices.Contains(f.Values, "") {
			return awsfake.APIError("ValidationException", "values of the filter "+key)
		}
		for _, id := range f.Values {
			if key == "InstanceIds" && s.StrictIDs && !slices.ContainsFunc(s.managed(), func(n Node) bool { return n.ID == id }) {
				return awsfake.APIError("InvalidInstanceId", id)
			}
		}
	}
	if byTag > 0 && byTag < len(filters) {
		return awsfake.APIError("InvalidInstanceInformationFilterValue", "tag filters can't be combined with other filter types")
	}
	return nil
}

func (n Node) has(f types.InstanceInformationStringFilter) bool {
	switch key := aws.ToString(f.Key); key {
	case "InstanceIds":
		return slices.Contains(f.Values, n.ID)
	case "ResourceType":
		return slices.Contains(f.Values, string(n.kind()))
	case "tag-key":
		return slices.ContainsFunc(f.Values, func(k string) bool { _, has := n.Tags[k]; return has })
	default:
		v, has := n.Tags[strings.TrimPrefix(key, "tag:")]
		return has && slices.Contains(f.Values, v)
	}
}

func (s *SSM) tags(in *sdk.ListTagsForResourceInput) (*sdk.ListTagsForResourceOutput, error) {
	if in.ResourceType != types.ResourceTypeForTaggingManagedInstance {
		return nil, awsfake.APIError("InvalidResourceType", string(in.ResourceType))
	}
	n := s.node(aws.ToString(in.ResourceId))
	if n == nil {
		return nil, awsfake.APIError("InvalidResourceId", aws.ToString(in.ResourceId))
	}
	out := &sdk.ListTagsForResourceOutput{}
	for _, key := range slices.Sorted(maps.Keys(n.Tags)) {
		out.TagList = append(out.TagList, types.Tag{Key: &key, Value: aws.String(n.Tags[key])})
	}
	return out, nil
}
