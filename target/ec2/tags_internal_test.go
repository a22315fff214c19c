package ec2

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/target/tags"
)

func TestWhatEC2IsAskedIsNeverNarrowerThanTheTags(t *testing.T) {
	for text, want := range map[string]map[string][]string{
		"env=prod":                    {"env": {"prod"}},
		"env=prod, env=canary":        {"env": {"prod", "canary"}},
		"env=prod, env":               {"env": nil},
		"env=prod, role=web":          nil, // any of two keys: no filter says that
		"env=prod, role=web; az=a":    {"az": {"a"}},
		"=prod":                       nil,
		`"env"="p*"`:                  nil, // EC2 would take it for a wildcard
		"env=prod; role=web":          {"env": {"prod"}},
		"env=a, role=b; env=c, other": nil,
	} {
		s, err := tags.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, narrow(s).Tags, text)
	}
}

func TestTagsThatCodeDeployRefuses(t *testing.T) {
	require.Error(t, valid(tags.Selection{Set: tags.Set{{}, {}, {}, {}}}))
	require.NoError(t, valid(tags.Selection{Filters: tags.Group{{Key: "env"}}}))
}
