package appspec

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

var contextKeys = []string{"type", "name", "range", "role", "user"}

// maxCategory is the last category of SELinux.
const maxCategory = 1023

// context reads an SELinux context; nil: none given.
func (p *parser) context(n *yaml.Node) *Context {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		p.wrongType(n, "a mapping with type, name and range")
		return nil
	}
	var f [5]*yaml.Node
	p.fields(n, contextKeys, f[:])
	c := &Context{}
	p.at("type", func() { c.Type = p.contextType(n, f[0]) })
	p.at("name", func() { c.User = p.contextText(f[1]) })
	p.at("range", func() { c.Range = p.contextRange(n, f[2]) })
	if f[3] != nil {
		p.at("role", func() { p.warn(ErrContext, f[3], "the role is ignored") })
	}
	if f[4] != nil {
		p.at("user", func() {
			p.warn(ErrContext, f[4], "the key is ignored, although the documentation has it").
				hint("write name: for the SELinux user")
		})
	}
	return c
}

func (p *parser) contextText(n *yaml.Node) string {
	if isNull(n) {
		return ""
	}
	text, _ := p.scalarText(n, "text")
	return text
}

func (p *parser) contextType(m, n *yaml.Node) string {
	if isNull(n) {
		if n == nil {
			n = m
		}
		p.err(ErrContext, n, "no type").allowed("an SELinux type such as httpd_sys_content_t")
		return ""
	}
	text := p.contextText(n)
	if text == "" && n.Kind == yaml.ScalarNode {
		p.warn(ErrContext, n, "the type is blank, which cannot be applied").allowed("an SELinux type")
	}
	return text
}

func (p *parser) contextRange(m, n *yaml.Node) string {
	if isNull(n) {
		p.warn(ErrContext, m, "no range: CodeDeploy's agent fails at Install without one").hint("write range: s0")
		return ""
	}
	text, ok := plainText(n)
	if !ok {
		p.wrongType(n, "text such as s0-s1:c0.c3")
		return ""
	}
	out, why := normalRange(text)
	if why != "" {
		p.err(ErrContext, n, why).found(text).allowed("sN[-sM][:cN[.cM],...] with categories up to c1023")
	}
	return out
}

// normalRange checks a range and puts it into its shortest form; why is empty
// when it is well formed.
func normalRange(text string) (out, why string) {
	levels, cats, hasCats := strings.Cut(text, ":")
	low, high, span := strings.Cut(levels, "-")
	if low == "" || span && high == "" || hasCats && cats == "" {
		return "", "a part of the range is empty"
	}
	lo, ok := numbered(low, 's')
	hi, okHigh := lo, true
	if span {
		hi, okHigh = numbered(high, 's')
	}
	switch {
	case !ok || !okHigh:
		return "", "a sensitivity is the letter s and a number"
	case lessNumber(hi, lo):
		return "", "the high sensitivity is below the low one"
	}
	out = "s" + lo
	if hi != lo {
		out += "-s" + hi
	}
	if !hasCats {
		return out, ""
	}
	list, why := categories(cats)
	return out + ":" + list, why
}

// numbered takes the digits behind a letter, without leading zeros. They may be
// many: nothing limits a sensitivity.
func numbered(s string, letter byte) (digits string, ok bool) {
	if len(s) < 2 || s[0] != letter || strings.Trim(s[1:], "0123456789") != "" {
		return "", false
	}
	return cmp.Or(strings.TrimLeft(s[1:], "0"), "0"), true
}

func lessNumber(a, b string) bool {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) < 0
}

// categories sorts a list of categories and joins runs of them.
func categories(list string) (out, why string) {
	var all []int
	for part := range strings.SplitSeq(strings.TrimRight(list, ","), ",") {
		low, high, span := strings.Cut(part, ".")
		if part == "" && strings.Trim(list, ",") == "" {
			break // nothing but commas counts as an empty list
		}
		lo, ok := category(low)
		hi, okHigh := lo, true
		if span {
			hi, okHigh = category(high)
		}
		switch {
		case !ok || !okHigh:
			return "", "a category is the letter c and a number up to 1023"
		case hi < lo:
			return "", "a range of categories goes down"
		}
		for c := lo; c <= hi; c++ {
			all = append(all, c)
		}
		if len(all) > maxCategory+1 {
			return "", "a category is given twice"
		}
	}
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		return "", "a category is given twice"
	}
	return joinRuns(all), ""
}

func category(s string) (int, bool) {
	digits, ok := numbered(s, 'c')
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n <= maxCategory
}

func joinRuns(all []int) string {
	var parts []string
	for i := 0; i < len(all); {
		j := i
		for j+1 < len(all) && all[j+1] == all[j]+1 {
			j++
		}
		part := "c" + strconv.Itoa(all[i])
		if j > i {
			part += ".c" + strconv.Itoa(all[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}
