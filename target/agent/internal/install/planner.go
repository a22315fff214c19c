package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
)

// node is one path that the install makes or makes sure of.
type node struct {
	path string // links resolved
	text string // as the AppSpec's paths spell it; permissions are matched with it
	kind kind
	src  string // in the bundle
	pos  appspec.Pos

	size   int64
	mtime  int64
	mode   fs.FileMode
	uid    int // -1: as it comes
	gid    int
	digest string
	link   string
	stamp  bool // the time is the revision's own, not that of the unpacking

	perm  *appspec.Pos // permissions entry that means it
	fixed bool         // the mode was asked for
	acl   []appspec.ACLEntry
	label *label
	raw   []attr // encoded ACL, once mode is known

	action Action
	claim  *claim
	took   *kept // foreign file that is or was replaced
	now    stat  // what is there
	inside *node // directory that it is staged in; nil: staged by itself
	temp   string
	made   stat // after staging
}

// errChanged: the bundle is not what was planned with.
var errChanged = errors.New("the file is not what the revision's manifest says; fetch the revision again")

type planner struct {
	ctx      context.Context
	req      *Request
	ground   *ground
	books    *books
	view     *view
	others   *others
	bundle   *bundle
	nodes    map[string]*node
	list     []*node
	retained []string
	problems []*Problem
	notes    []lifecycle.Note
	behave   string
	ids      *ids
	mask     *fs.FileMode

	at    string // directory that atDir is
	atDir *dir
	srcAt string
	src   *dir
}

func newPlan(ctx context.Context, req Request) (*Plan, error) {
	p := &planner{ctx: ctx, req: &req, nodes: map[string]*node{}, ids: newIDs()}
	defer func() { p.atDir.close(); p.src.close() }()
	if err := p.prepare(); err != nil {
		return nil, p.refusal(err)
	}
	for _, f := range req.Spec.Files {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p.entry(f)
	}
	p.permissions()
	slices.SortFunc(p.list, func(a, b *node) int { return comparePaths(a.path, b.path) })
	plan := p.decide()
	p.check(plan)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(p.problems) > 0 {
		return nil, p.refusal(nil)
	}
	plan.Notes = append(p.view.notes, p.notes...)
	return plan, nil
}

// comparePaths orders a directory right before its content.
func comparePaths(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] == b[i] {
			continue
		}
		if a[i] == filepath.Separator {
			return -1
		}
		if b[i] == filepath.Separator {
			return 1
		}
		return int(a[i]) - int(b[i])
	}
	return len(a) - len(b)
}

func (p *planner) prepare() (err error) {
	if p.ground, err = newGround(p.req); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(p.req.State, undoName)); err == nil {
		return &Problem{Code: Unfinished, Path: p.req.State, Text: "an earlier install was cut off; it must be recovered first"}
	}
	p.books, err = readOwned(p.req.State)
	if err != nil {
		return &Problem{Code: BooksLost, Path: p.req.State, Text: "the list of installed files cannot be read: " + err.Error()}
	}
	p.others = &others{states: p.req.Others}
	if p.view, err = newView(p.ctx, p.books, p.others); err != nil {
		return err
	}
	p.bundle = newBundle(p.req.Bundle, p.req.Manifest)
	p.behave = string(p.req.Spec.FileExists)
	if p.behave == "" {
		p.behave = strings.ToUpper(p.req.FileExists)
	}
	if p.behave == "" {
		p.behave = string(appspec.Disallow)
	}
	return nil
}

// refusal is the error of newPlan.
func (p *planner) refusal(err error) error {
	if err != nil && p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	all := &multierror.Error{}
	var lines []string
	if err != nil {
		all = multierror.Append(all, err)
		lines = append(lines, err.Error())
	}
	for _, pr := range p.problems {
		all = multierror.Append(all, pr)
		lines = append(lines, pr.Error())
	}
	const shown = 20
	text := "install refused, nothing was touched: " + strings.Join(lines[:min(shown, len(lines))], "; ")
	if len(lines) > shown {
		text += fmt.Sprintf("; and %d more", len(lines)-shown)
	}
	return &lifecycle.Error{
		Step:    lifecycle.Step{Deployment: p.req.Deployment, Event: lifecycle.Install},
		Failure: lifecycle.Failure{Code: lifecycle.InstallRefused, Message: text},
		Err:     all,
	}
}

// entry plans one entry of the files section.
func (p *planner) entry(f appspec.File) {
	text, err := p.ground.locate(f.Destination)
	if err != nil {
		p.refuse(BadPath, f.Destination, f.Pos, "destination: %v", err)
		return
	}
	source := f.Source
	if filepath.Separator != '/' {
		source = filepath.ToSlash(source)
	}
	at, ok := p.source(source, f)
	if !ok {
		return
	}
	e := p.bundle.known[at]
	if e.Mode&fs.ModeSymlink != 0 {
		target, how := p.bundle.resolve(at, true)
		switch {
		case how == leadsIn && p.bundle.known[target].Mode.IsDir():
			at, e = target, p.bundle.known[target]
		case how == leadsOut && p.bundle.outsideDir(at):
			p.refuse(LinkEscapes, f.Source, f.Pos, "source %q is a link to a directory outside the revision, %s; put the content into the revision", f.Source, e.Link)
			return
		}
	}
	real, ok := p.makeDirs(text, f)
	if !ok {
		return
	}
	if e.Mode.IsDir() {
		p.tree(at, text, real, f, []string{at})
		return
	}
	if strings.HasSuffix(source, "/") {
		p.refuse(SourceNotDirectory, f.Source, f.Pos, "source %q is a file; take the slash at its end away", f.Source)
		return
	}
	name := path.Base(path.Clean(source))
	p.file(at, e, filepath.Join(text, name), filepath.Join(real, name), f)
}

// source resolves an entry's source.
func (p *planner) source(source string, f appspec.File) (string, bool) {
	if strings.ContainsRune(source, 0) {
		p.refuse(BadPath, f.Source, f.Pos, "source %q holds a NUL character", f.Source)
		return "", false
	}
	at, how := p.bundle.resolve(source, false)
	switch how {
	case leadsIn:
		return at, true
	case leadsOut:
		p.refuse(SourceEscapes, f.Source, f.Pos, "source %q leads out of the revision", f.Source)
	case leadsThrough:
		p.refuse(SourceNotDirectory, f.Source, f.Pos, "source %q leads through a file", f.Source)
	case leadsRound:
		p.refuse(LinkLoop, f.Source, f.Pos, "source %q leads round in links", f.Source)
	default:
		hint := ""
		if near := p.bundle.near(source); len(near) > 0 {
			hint = "; there is " + strings.Join(near, ", ")
		}
		p.refuse(SourceMissing, f.Source, f.Pos, "source %q is not in the revision%s", f.Source, hint)
	}
	return "", false
}

// makeDirs plans what is missing of a destination directory.
func (p *planner) makeDirs(text string, f appspec.File) (string, bool) {
	real, missing, prob := p.follow(text)
	if prob != nil {
		prob.Pos = f.Pos
		p.problems = append(p.problems, prob)
		return "", false
	}
	for i, name := range missing {
		real = filepath.Join(real, name)
		at := text
		for range missing[i+1:] {
			at = filepath.Dir(at)
		}
		if !p.dir(at, real, f) {
			return "", false
		}
	}
	return real, true
}

func (p *planner) dir(text, real string, f appspec.File) bool {
	return p.add(&node{path: real, text: text, kind: kindDir, pos: f.Pos, uid: -1, gid: -1})
}

func (p *planner) add(n *node) bool {
	if by := p.ground.protects(n.path); by != "" {
		p.refuse(Protected, n.path, n.pos, "%s lies in %s, which is protected; choose another destination", n.path, by)
		return false
	}
	p.nodes[n.path] = n
	p.list = append(p.list, n)
	return true
}

// tree plans the content of a directory of the bundle. Links to directories are
// expanded; chain holds the directories being expanded.
func (p *planner) tree(at, text, real string, f appspec.File, chain []string) {
	if len(p.list) > 16*len(p.bundle.known)+100_000 {
		p.refuse(LinkLoop, at, f.Pos, "links to directories multiply the revision without end at %s", at)
		return
	}
	for _, name := range p.bundle.kids[at] {
		if p.ctx.Err() != nil {
			return
		}
		child := path.Join(at, name)
		e := p.bundle.known[child]
		down, isDir := child, e.Mode.IsDir()
		if e.Mode&fs.ModeSymlink != 0 {
			target, how := p.bundle.resolve(child, true)
			switch {
			case how == leadsIn && p.bundle.known[target].Mode.IsDir():
				down, isDir = target, true
				if slices.Contains(chain, target) {
					p.refuse(LinkLoop, child, f.Pos, "%s is a link to a directory that it is in, %s; it would be copied without end", child, e.Link)
					continue
				}
			case how == leadsOut && p.bundle.outsideDir(child):
				p.refuse(LinkEscapes, child, f.Pos, "%s is a link to a directory outside the revision, %s; put the content into the revision", child, e.Link)
				continue
			}
		}
		t, r := filepath.Join(text, name), filepath.Join(real, name)
		if !isDir {
			p.file(child, e, t, r, f)
			continue
		}
		if r, ok := p.subdir(t, r, f); ok {
			p.tree(down, t, r, f, append(chain[:len(chain):len(chain)], down))
		}
	}
}

// subdir plans one directory below another.
func (p *planner) subdir(text, real string, f appspec.File) (string, bool) {
	switch st := p.look(real); st.Kind {
	case kindNone:
		return real, p.dir(text, real, f)
	case kindDir:
		return real, true
	}
	return p.makeDirs(text, f) // through a link, or refused
}

// file plans one file or link.
func (p *planner) file(at string, e *revision.Entry, text, real string, f appspec.File) {
	if n := p.nodes[real]; n != nil {
		if n.kind == kindDir {
			p.refuse(FileOverDirectory, real, f.Pos, "file %s would go where the directory %s is planned", at, real)
		} else {
			p.refuse(DuplicateDestination, real, f.Pos, "%s and %s (line %d) both go to %s", at, n.src, n.pos.Line, real)
		}
		return
	}
	if text == real {
		text = real // one string in memory
	}
	n := &node{path: real, text: text, kind: kindFile, src: at, pos: f.Pos}
	if !p.measure(n, e) {
		return
	}
	st := p.look(real)
	if st.Kind != kindNone {
		n.now = st
		if !p.inTheWay(n, st) {
			return
		}
		n.action = Take
	}
	p.add(n)
}

// measure fills in what the bundle says of a file.
func (p *planner) measure(n *node, e *revision.Entry) bool {
	if p.req.Trial && e.Mode&(fs.ModeType&^fs.ModeSymlink) == 0 {
		n.kind, n.size, n.mode, n.digest, n.link = kindOf(e.Mode), e.Size, e.Mode.Perm(), e.Digest, e.Link
		n.mtime, n.uid, n.gid = e.ModTime.UnixNano(), -1, -1
		return true
	}
	d := p.openSource(path.Dir(n.src))
	if d == nil {
		p.refuse(SourceChanged, n.src, n.pos, "%s: its directory is not in the unpacked revision; fetch the revision again", n.src)
		return false
	}
	st, err := d.lstat(path.Base(n.src))
	if err != nil || st.Kind != kindOf(e.Mode) || st.Kind == kindFile && st.Size != e.Size {
		p.refuse(SourceChanged, n.src, n.pos, "%s: %v", n.src, errChanged)
		return false
	}
	n.kind, n.size, n.mtime, n.mode, n.digest, n.link = st.Kind, st.Size, st.Mtime, st.Mode, e.Digest, e.Link
	if n.kind == kindOther {
		p.refuse(SourceSpecial, n.src, n.pos, "%s is neither a file, a directory nor a link", n.src)
		return false
	}
	if !e.ModTime.IsZero() {
		n.mtime, n.stamp = e.ModTime.UnixNano(), true
	}
	n.uid, n.gid = p.ids.fileOwner(st)
	return true
}

func (p *planner) openSource(at string) *dir {
	if p.srcAt != at || p.src == nil {
		p.src.close()
		p.srcAt = at
		p.src, _ = openDir(filepath.Join(canonical(p.req.Bundle), filepath.FromSlash(at)))
	}
	return p.src
}

// inTheWay applies the file-exists behaviour to what stands at a file's place.
func (p *planner) inTheWay(n *node, st stat) bool {
	group := p.others.owner(n.path)
	switch p.behave {
	case string(appspec.Retain):
		p.retained = append(p.retained, n.path)
		return false
	case string(appspec.Disallow):
		if group != "" {
			p.foreign(n, group)
		} else {
			p.refuse(DestinationExists, n.path, n.pos, "a %s is already at %s; remove it, or set file_exists_behavior to OVERWRITE or RETAIN", st.Kind, n.path)
		}
		return false
	case string(appspec.Overwrite):
	default:
		p.refuse(BadFileExists, n.path, n.pos, "a %s is already at %s, and file_exists_behavior %q is none of DISALLOW, OVERWRITE, RETAIN", st.Kind, n.path, p.behave)
		return false
	}
	switch {
	case group != "":
		p.foreign(n, group)
	case len(p.others.lost) > 0:
		p.refuse(BooksLost, n.path, n.pos, "a %s is at %s, and it is not known whose it is, since a list of installed files cannot be read: %v; repair that list, or move the file away", st.Kind, n.path, errors.Join(p.others.lost...))
	case st.Kind == kindDir:
		p.refuse(DirectoryInTheWay, n.path, n.pos, "a directory is at %s, where a file is to go; it is not overwritten, move it away", n.path)
	case st.Kind == kindOther:
		p.refuse(SpecialInTheWay, n.path, n.pos, "a pipe, socket or device is at %s; it is not overwritten, remove it", n.path)
	default:
		return true
	}
	return false
}

func (p *planner) foreign(n *node, group string) {
	p.problems = append(p.problems, &Problem{Code: OwnedByOther, Path: n.path, Pos: n.pos, Group: group, Text: fmt.Sprintf(
		"%s was installed by deployment group %s; two groups cannot own one file", n.path, group)})
}
