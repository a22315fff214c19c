package appspec

import (
	"errors"
	"strings"
)

// yaml writes a mapping in block style.
func (o object) yaml(b *strings.Builder, indent string) {
	for i, m := range o {
		if i > 0 {
			b.WriteString(indent)
		}
		b.WriteString(bare(m.key, false) + ":")
		writeYAML(b, m.val, indent)
	}
}

// writeYAML writes what stands behind a colon or a dash at an indentation.
func writeYAML(b *strings.Builder, v any, indent string) {
	deeper := indent + "  "
	switch v := v.(type) {
	case string:
		b.WriteString(" " + bare(v, false) + "\n")
	case literal:
		b.WriteString(" " + string(v) + "\n")
	case list:
		if len(v) == 0 {
			b.WriteString(" []\n")
			return
		}
		b.WriteByte('\n')
		for _, e := range v {
			b.WriteString(deeper + "-")
			if o, ok := e.(object); ok {
				b.WriteByte(' ')
				o.yaml(b, deeper+"  ")
				continue
			}
			writeYAML(b, e, deeper)
		}
	case object:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
		b.WriteString("\n" + deeper)
		v.yaml(b, deeper)
	}
}

func writeJSON(b *strings.Builder, v any, indent string) {
	deeper := indent + "  "
	switch v := v.(type) {
	case string:
		b.WriteString(quoted(v))
	case literal:
		b.WriteString(string(v))
	case list:
		b.WriteByte('[')
		for i, e := range v {
			b.WriteString(separator(i) + deeper)
			writeJSON(b, e, deeper)
		}
		b.WriteString(closing(len(v), indent) + "]")
	case object:
		b.WriteByte('{')
		for i, m := range v {
			b.WriteString(separator(i) + deeper + quoted(m.key) + ": ")
			writeJSON(b, m.val, deeper)
		}
		b.WriteString(closing(len(v), indent) + "}")
	}
}

func separator(i int) string {
	if i == 0 {
		return "\n"
	}
	return ",\n"
}

func closing(n int, indent string) string {
	if n == 0 {
		return ""
	}
	return "\n" + indent
}

// printable refuses text that is not UTF-8, which neither notation can hold.
func printable(v any) error {
	var err error
	switch v := v.(type) {
	case string:
		if unquotable(v) {
			err = errors.New("appspec: not UTF-8: " + quote(v))
		}
	case list:
		for _, e := range v {
			err = errors.Join(err, printable(e))
		}
	case object:
		for _, m := range v {
			err = errors.Join(err, printable(m.key), printable(m.val))
		}
	}
	return err
}
