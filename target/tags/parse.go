package tags

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Parse reads a selection from one line, as flags and short files have it: filters
// with commas between them are any of, groups with semicolons between them are all
// of. A filter is key, key=value or =value; "key=" is the key with the empty value.
// What holds one of , ; = " or a blank inside is written in double quotes. One group
// becomes plain filters. Everything that [Selection.Check] finds is in the error, which
// does not repeat the text.
func Parse(text string) (Selection, error) {
	p := parser{rest: text}
	set := p.set()
	if p.err != nil {
		return Selection{}, fmt.Errorf("at character %d: %w", utf8.RuneCountInString(text[:len(text)-len(p.rest)])+1, p.err)
	}
	s := Selection{Set: set}
	if len(set) == 1 {
		s = Selection{Filters: set[0]}
	}
	var faults []string
	for _, f := range s.Check() {
		faults = append(faults, f.Error())
	}
	if len(faults) > 0 {
		return Selection{}, errors.New(strings.Join(faults, "; "))
	}
	return s, nil
}

type parser struct {
	rest string
	err  error
}

func (p *parser) set() Set {
	var set Set
	for p.err == nil {
		g := p.group()
		set = append(set, g)
		if !p.take(';') {
			break
		}
	}
	if p.skip(); p.err == nil && p.rest != "" {
		p.err = errors.New("put a comma or a semicolon between filters, or quotes around blanks")
	}
	return set
}

func (p *parser) group() Group {
	var g Group
	for p.err == nil {
		g = append(g, p.filter())
		if !p.take(',') {
			break
		}
	}
	return g
}

func (p *parser) filter() Filter {
	key, hasKey := p.word()
	if !p.take('=') {
		if !hasKey && p.err == nil {
			p.err = errors.New("a filter is missing")
		}
		return Filter{Key: key, Type: KeyOnly}
	}
	value, _ := p.word()
	if !hasKey {
		return Filter{Value: value, Type: ValueOnly}
	}
	return Filter{Key: key, Value: value, Type: KeyAndValue}
}

// word reads a key or a value, and whether there was one.
func (p *parser) word() (string, bool) {
	p.skip()
	if strings.HasPrefix(p.rest, `"`) {
		return p.quoted(), true
	}
	end := strings.IndexAny(p.rest, ",;=\" \t")
	if end < 0 {
		end = len(p.rest)
	}
	w := p.rest[:end]
	p.rest = p.rest[end:]
	return w, w != ""
}

func (p *parser) quoted() string {
	q, err := strconv.QuotedPrefix(p.rest)
	if err != nil {
		p.err = errors.New("the quotes do not end, or hold something that Go would not quote so")
		return ""
	}
	p.rest = p.rest[len(q):]
	w, err := strconv.Unquote(q)
	p.err = err // nil: the prefix was a quoted text
	return w
}

func (p *parser) skip() { p.rest = strings.TrimLeft(p.rest, " \t") }

// take takes the character if it comes next.
func (p *parser) take(c byte) bool {
	p.skip()
	if p.err != nil || p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}
