package install

import (
	"encoding/json"
	"errors"
	"io/fs"
	"strconv"
	"strings"
)

// record is what the books know of one owned path.
type record struct {
	Path  string
	Kind  kind
	Mode  fs.FileMode
	Size  int64
	Mtime int64
	Ino   uint64
	UID   int
	GID   int

	Digest string
	Link   string
	Attrs  string // ACL that was set, in hexadecimal
	Fixed  bool   // the mode was asked for
	By     string // deployment that wrote it

	rare
}

// rare is what few records have.
type rare struct {
	Label *label `json:"x,omitempty"` // SELinux rule that was registered
	Took  *kept  `json:"f,omitempty"` // foreign file to bring back
}

// kept is a file in State that was moved out of a destination.
type kept struct {
	ID   string      `json:"id"` // path below the kept directory
	Kind kind        `json:"k"`
	Mode fs.FileMode `json:"m,omitempty"`
	Size int64       `json:"s,omitempty"`
	UID  int         `json:"u,omitempty"`
	GID  int         `json:"g,omitempty"`
	Mt   int64       `json:"t,omitempty"`
}

// A record is one line: seven numbers, the mode among them in octal, six quoted texts,
// then, if there is any, what is rare, as JSON. Lists are long and are read at every
// install; as JSON they take five times as long.

// appendTo appends the record's line.
func (r *record) appendTo(b []byte) ([]byte, error) {
	b = strconv.AppendUint(b, uint64(r.Kind), 10)
	b = strconv.AppendUint(append(b, ' '), uint64(r.Mode), 8)
	for _, n := range [...]int64{r.Size, r.Mtime, int64(r.Ino), int64(r.UID), int64(r.GID)} {
		b = strconv.AppendInt(append(b, ' '), n, 10)
	}
	fixed := ""
	if r.Fixed {
		fixed = "fixed"
	}
	for _, text := range [...]string{r.Path, r.Digest, r.Link, r.Attrs, fixed, r.By} {
		b = strconv.AppendQuote(append(b, ' '), text)
	}
	if r.rare == (rare{}) {
		return append(b, '\n'), nil
	}
	rest, err := json.Marshal(r.rare)
	return append(append(append(b, ' '), rest...), '\n'), err
}

// parseRecord reads what appendTo wrote.
func parseRecord(line string) (*record, error) {
	f := fields{rest: strings.TrimSuffix(line, "\n")}
	r := &record{Kind: kind(f.number(10)), Mode: fs.FileMode(f.number(8)), Size: f.number(10), Mtime: f.number(10)}
	r.Ino, r.UID, r.GID = uint64(f.number(10)), int(f.number(10)), int(f.number(10))
	r.Path, r.Digest, r.Link, r.Attrs = f.text(), f.text(), f.text(), f.text()
	r.Fixed = f.text() == "fixed"
	r.By = f.text()
	if f.err == nil && f.rest != "" {
		f.err = json.Unmarshal([]byte(f.rest), &r.rare)
	}
	return r, f.err
}

// fields reads a line from left to right.
type fields struct {
	rest string
	err  error
}

var errFields = errors.New("a field is missing or is not what it should be")

func (f *fields) number(base int) int64 {
	text, rest, _ := strings.Cut(f.rest, " ")
	n, err := strconv.ParseInt(text, base, 64)
	f.next(rest, err)
	return n
}

func (f *fields) text() string {
	quoted, err := strconv.QuotedPrefix(f.rest)
	if err != nil {
		f.next("", err)
		return ""
	}
	text, err := strconv.Unquote(quoted)
	f.next(strings.TrimPrefix(f.rest[len(quoted):], " "), err)
	return text
}

func (f *fields) next(rest string, err error) {
	if f.rest = rest; err != nil && f.err == nil {
		f.err = errFields
	}
}
