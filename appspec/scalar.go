package appspec

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
)

// kind is what CodeDeploy's YAML 1.1 reader makes of a scalar.
type kind uint8

const (
	kindText kind = iota
	kindNull
	kindBool
	kindInt
	kindFloat
	kindSymbol // :name, a peculiarity of that reader
	kindDate   // a date or time; that reader refuses the file
)

// scalar is a resolved scalar.
type scalar struct {
	kind  kind
	text  string // for text and symbols
	truth bool   // for booleans
	num   int64  // for integers
	huge  bool   // an integer that num cannot hold; float has it, roughly
	float float64
}

// The number forms of YAML 1.1 as that reader has them: commas and underscores
// between digits, two and three part base 60 (always hours first), an exponent
// only with a fraction and a sign.
var (
	reDate  = lazyregexp.New(`^\d{4}-(?:1[012]|0\d|\d)-(?:[12]\d|3[01]|0\d|\d)$`)
	reTime  = lazyregexp.New(`^-?\d{4}-\d{1,2}-\d{1,2}(?:[Tt]|\s+)\d{1,2}:\d\d:\d\d(?:\.\d*)?(?:\s*(?:Z|[-+]\d{1,2}:?(?:\d\d)?))?$`)
	reBase  = lazyregexp.New(`^[-+]?\d[\d_]*(?::[0-5]?\d){1,2}(\.[\d_]*)?$`)
	reFloat = lazyregexp.New(`^[-+]?(?:\d[\d_,]*)?\.\d*(?:[eE][+-]\d+)?$`)
	reInt   = lazyregexp.New(`^[-+]?(?:0b[_,]*[01][01_,]*|0[_,]*[0-7][0-7_,]*|0|[1-9](?:\d|,\d|_\d)*|0x[_,]*[\da-fA-F][\da-fA-F_,]*)$`)

	groups = strings.NewReplacer("_", "", ",", "")
)

// resolve reads a scalar node. Quoted and block scalars are text, unless a tag
// says otherwise.
func resolve(n *yaml.Node) scalar {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	tagged := n.Style&yaml.TaggedStyle != 0
	switch {
	case tagged && n.Tag == "!!str", tagged && n.Tag == "!", !tagged && n.Style&quoted != 0:
		return scalar{text: n.Value}
	}
	return plain(n.Value)
}

// plain resolves an unquoted scalar.
func plain(s string) scalar {
	if s == "" || s == "~" {
		return scalar{kind: kindNull}
	}
	switch c := s[0]; {
	case c >= '0' && c <= '9', c == '-', c == '+', c == '.':
		return number(s)
	case c == ':' && len(s) > 1:
		return scalar{kind: kindSymbol, text: strings.Trim(s[1:], `"'`)}
	case len(s) > 5:
		return scalar{text: s}
	}
	switch strings.ToLower(s) {
	case "null":
		return scalar{kind: kindNull}
	case "yes", "true", "on":
		return scalar{kind: kindBool, truth: true}
	case "no", "false", "off":
		return scalar{kind: kindBool}
	}
	return scalar{text: s}
}

// number resolves a scalar that begins like a number.
func number(s string) scalar {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && s[0] >= '1' && s[0] <= '9' {
		return scalar{kind: kindInt, num: n} // the common case, without patterns
	}
	switch dots, only := digitsAndDots(s); { // nor here
	case only && dots == 1 && len(s) > 1:
		f, _ := strconv.ParseFloat(s, 64)
		return scalar{kind: kindFloat, float: f}
	case only && dots > 1:
		return scalar{text: s}
	}
	switch strings.ToLower(s) {
	case ".inf", "+.inf":
		return scalar{kind: kindFloat, float: math.Inf(1)}
	case "-.inf":
		return scalar{kind: kindFloat, float: math.Inf(-1)}
	case ".nan":
		return scalar{kind: kindFloat, float: math.NaN()}
	}
	switch {
	case reDate.MatchString(s), reTime.MatchString(s):
		return scalar{kind: kindDate, text: s}
	case reBase.MatchString(s):
		return base60(s)
	case reFloat.MatchString(s) && strings.Trim(s, "+-") != ".":
		if f, err := strconv.ParseFloat(groups.Replace(s), 64); err == nil || errors.Is(err, strconv.ErrRange) {
			return scalar{kind: kindFloat, float: f}
		}
	case reInt.MatchString(s):
		return integer(groups.Replace(s))
	}
	return scalar{text: s}
}

// digitsAndDots counts the dots of text; only: there is nothing else but digits.
func digitsAndDots(s string) (dots int, only bool) {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			dots++
		case c < '0' || c > '9':
			return 0, false
		}
	}
	return dots, true
}

// base60 multiplies the parts by 3600, 60 and 1, also when there are only two.
func base60(s string) scalar {
	var sum float64
	weight := 3600.0
	for part := range strings.SplitSeq(s, ":") {
		f, _ := strconv.ParseFloat(strings.ReplaceAll(part, "_", ""), 64)
		sum += f * weight
		weight /= 60
	}
	if strings.Contains(s, ".") || math.Abs(sum) > 1<<53 {
		return scalar{kind: kindFloat, float: sum}
	}
	return scalar{kind: kindInt, num: int64(sum)}
}

// integer reads decimal, 0 octal, 0b binary and 0x hexadecimal.
func integer(s string) scalar {
	n, err := strconv.ParseInt(s, 0, 64)
	if err != nil {
		f, _ := strconv.ParseFloat(s, 64)
		return scalar{kind: kindInt, huge: true, float: f}
	}
	return scalar{kind: kindInt, num: n}
}

// asText converts a scalar to text as that reader's language does.
func (v scalar) asText(source string) string {
	switch v.kind {
	case kindNull:
		return ""
	case kindBool:
		return strconv.FormatBool(v.truth)
	case kindInt:
		if v.huge {
			return groups.Replace(strings.TrimPrefix(source, "+"))
		}
		return strconv.FormatInt(v.num, 10)
	case kindFloat:
		return floatText(v.float)
	}
	return v.text
}

func floatText(f float64) string {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case abs != 0 && (abs < 1e-4 || abs >= 1e16):
		s := strconv.FormatFloat(f, 'e', -1, 64)
		if !strings.Contains(s, ".") {
			s = strings.Replace(s, "e", ".0e", 1)
		}
		return s
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// leadingInt reads the number at the start of text: blanks, a sign, digits with
// single underscores between them; anything else is 0.
func leadingInt(s string) (n int64, huge bool) {
	s = strings.TrimLeft(s, "\t\n\v\f\r ")
	sign := int64(1)
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '_' && i > 0 && s[i-1] != '_' {
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		if n > (math.MaxInt64-9)/10 {
			return 0, true
		}
		n = n*10 + int64(c-'0')
	}
	return sign * n, false
}

// strip removes what that reader's language counts as blank at both ends.
func strip(s string) string { return strings.Trim(s, "\x00\t\n\v\f\r ") }
