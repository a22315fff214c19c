package appspec

import (
	"bytes"
	"strings"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
	"github.com/cutover-deploy/cutover/lifecycle"
	"gopkg.in/yaml.v3"
)

// Detect tells which platform an AppSpec is for, from its content alone; empty:
// nothing in it says so. It answers for broken text as well, from the words in it,
// so that tools can name the platform beside the mistake.
func Detect(data []byte) lifecycle.Platform {
	p := &parser{}
	text, ok := p.text(data)
	if !ok {
		return ""
	}
	doc, _, err := firstDocument(text)
	if err != nil || len(doc.Content) == 0 {
		return wordsPlatform(text)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode || !p.vetQuietly(root) {
		return wordsPlatform(text)
	}
	if pl := contentPlatform(root); pl != "" || section(root, "Resources") != nil || isTemplate(root) {
		return pl
	}
	return wordsPlatform(text) // such as a second document that holds the rest
}

// vetQuietly is vet for those who only look.
func (p *parser) vetQuietly(root *yaml.Node) bool {
	v := &vetter{p: p}
	v.walk(root, 1)
	return !v.deep && v.entries <= maxEntries && (len(v.aliases) == 0 || v.expand(root))
}

// contentPlatform decides by the sections: a resource tells its kind, and what
// has none is for servers if it has one of their sections.
func contentPlatform(root *yaml.Node) lifecycle.Platform {
	if n := section(root, "Resources"); n != nil && !isTemplate(root) {
		if pl := resourcePlatform(n); pl != "" {
			return pl
		}
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch k := root.Content[i].Value; {
		case strings.EqualFold(k, "os"), strings.EqualFold(k, "files"), strings.EqualFold(k, "permissions"), k == "hooks",
			k == "file_exists_behavior", lifecycle.Server.Takes(lifecycle.Event(k)), strings.HasPrefix(k, "version:"):
			return lifecycle.Server
		}
	}
	for i := 0; i+1 < len(root.Content) && section(root, "Resources") == nil; i += 2 {
		if nearest(root.Content[i].Value, []string{"Resources"}) != "" {
			return resourcePlatform(root.Content[i+1]) // misspelt, which the reader of resources will say
		}
	}
	return ""
}

// section finds a top-level key in any letter case.
func section(root *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if k := root.Content[i]; k.Kind == yaml.ScalarNode && strings.EqualFold(k.Value, name) {
			return deref(root.Content[i+1])
		}
	}
	return nil
}

// isTemplate reports whether a document is a CloudFormation template: its
// Resources are a mapping, and it has no version of an AppSpec.
func isTemplate(root *yaml.Node) bool {
	if section(root, "AWSTemplateFormatVersion") != nil || section(root, "Transform") != nil {
		return true
	}
	n := section(root, "Resources")
	return n != nil && n.Kind == yaml.MappingNode && section(root, "version") == nil
}

// resourceWords are what resources of a platform are made of. The type counts
// first; where it is wrong or missing, the properties tell.
var resourceWords = []struct {
	platform lifecycle.Platform
	words    []string
}{
	{lifecycle.ECS, []string{"taskdefinition", "loadbalancerinfo", "platformversion", "networkconfiguration", "capacityproviderstrategy"}},
	{lifecycle.Lambda, []string{"currentversion", "targetversion", "alias"}},
}

// resourcePlatform tells the platform of a list of resources.
func resourcePlatform(n *yaml.Node) lifecycle.Platform {
	byKey := lifecycle.Platform("")
	byType := searchResources(n, 0, &byKey)
	if byType != "" {
		return byType
	}
	return byKey
}

// searchResources looks for types, as deep as they stand when all is well formed,
// and notes on the way what the keys tell.
func searchResources(n *yaml.Node, depth int, byKey *lifecycle.Platform) lifecycle.Platform {
	n = deref(n)
	if depth > 5 {
		return ""
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if strings.EqualFold(c.Value, "Type") {
				if pl := typePlatform(deref(n.Content[i+1]).Value); pl != "" {
					return pl
				}
			}
			if *byKey == "" {
				*byKey = keyPlatform(c.Value)
			}
			continue
		}
		if pl := searchResources(c, depth+1, byKey); pl != "" {
			return pl
		}
	}
	return ""
}

func keyPlatform(key string) lifecycle.Platform {
	for _, r := range resourceWords {
		for _, w := range r.words {
			if strings.EqualFold(key, w) {
				return r.platform
			}
		}
	}
	return ""
}

// The types of resources.
const (
	typeECS    = "AWS::ECS::Service"
	typeLambda = "AWS::Lambda::Function"
)

// typePlatform tells the platform that a type means, also if it is misspelt.
func typePlatform(t string) lifecycle.Platform {
	switch t {
	case typeECS:
		return lifecycle.ECS
	case typeLambda, "AWS::Serverless::Function":
		return lifecycle.Lambda
	}
	switch nearest(t, []string{typeECS, typeLambda}) {
	case typeECS:
		return lifecycle.ECS
	case typeLambda:
		return lifecycle.Lambda
	}
	return ""
}

// words are the marks of each platform in text that is not valid YAML.
var words = []struct {
	platform lifecycle.Platform
	is       *lazyregexp.Regexp
}{
	{lifecycle.ECS, lazyregexp.New(`AWS::ECS::Service`)},
	{lifecycle.Lambda, lazyregexp.New(`AWS::Lambda::Function|AWS::Serverless::Function`)},
	{lifecycle.ECS, lazyregexp.New(`(?m)(?:^|[{,])[\s"'-]*(?:TaskDefinition|LoadBalancerInfo)["']?\s*:`)},
	{lifecycle.Lambda, lazyregexp.New(`(?mi)(?:^|[{,])[\s"'-]*(?:CurrentVersion|TargetVersion)["']?\s*:`)},
	{lifecycle.Server, lazyregexp.New(`(?m)(?:^|[{,])[\s"'{-]*(?:os|files|permissions|file_exists_behavior|hooks|source|destination|location)["']?\s*:`)},
}

func wordsPlatform(text []byte) lifecycle.Platform {
	if bytes.HasPrefix(text, []byte("#!")) || bytes.Contains(text, []byte("AWSTemplateFormatVersion")) {
		return ""
	}
	for _, w := range words {
		if w.is.Match(text) {
			return w.platform
		}
	}
	return ""
}
