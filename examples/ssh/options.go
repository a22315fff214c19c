package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/cutover-deploy/cutover/examples/console"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/inventory"
	"github.com/cutover-deploy/cutover/target/onprem"
	"github.com/cutover-deploy/cutover/target/tags"
)

// options are the flags, checked.
type options struct {
	revisions []revision.Source // to deploy one after another
	strategy  strategy.Strategy // nil: one at a time
	hosts     []*onprem.SSH
	access    onprem.Access
	inventory string
	group     string
	tags      string
	name      string
	journal   string
	sudo      bool
	state     string
	root      string
	env       []string
	plan      bool
	resume    bool
	rerun     bool
	json      bool
}

// parseFlags reads the flags. Errors are about usage; the flag package has then
// written nothing.
func parseFlags(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	var paths console.List
	var by string
	fs := flag.NewFlagSet("ssh", flag.ContinueOnError)
	fs.Var(&paths, "revision", "deploy the directory or archive at `PATH`; may be repeated, and each is then deployed once the one before it is, over the same connections")
	fs.StringVar(&o.inventory, "inventory", "", "deploy to the hosts that `FILE` lists")
	fs.StringVar(&o.group, "group", "", "only those of the inventory's group `NAME`")
	fs.StringVar(&o.tags, "tags", "", "only those that have the tags in `TEXT`, such as \"role=web; env=prod, env=canary\"")
	fs.StringVar(&by, "strategy", "", "deploy by `NAME`: all, half, one, 25%, count:3 or a CodeDeployDefault name (default: one)")
	fs.StringVar(&o.name, "name", "ssh", "the deployment group is called `NAME`; what is unfinished is looked for by it")
	fs.StringVar(&o.journal, "journal", "", "keep the journals in `DIR` (default: cutover/ssh in the user's directory for caches)")
	fs.StringVar(&o.access.User, "user", "", "log in as `NAME` where a host does not say (default: that of the configuration, else your own)")
	fs.Var((*console.List)(&o.access.Keys), "key", "log in with the private key in `FILE`; may be repeated; those of the SSH agent are offered as well (default: those of the configuration, else the usual ones in ~/.ssh)")
	fs.Var((*console.List)(&o.access.KnownHosts), "known-hosts", "hosts have the keys in `FILE`, or certificates of its authorities; may be repeated (default: those of the configuration, else ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts)")
	fs.StringVar(&o.access.Config, "config", "", "look hosts up in `FILE` (default: ~/.ssh/config if it is there)")
	fs.Var((*console.List)(&o.access.Jump), "jump", "go through `HOST`; may be repeated")
	fs.StringVar(&o.access.Executables, "executables", "", "send hosts the program for their platform from `DIR`, where all of them are, called OS-ARCH such as linux-amd64 (default: this program, for hosts of its platform)")
	fs.BoolVar(&o.sudo, "sudo", false, "be root on the hosts, by way of sudo")
	fs.StringVar(&o.state, "state", "", "hosts remember things in `DIR`, where {host} stands for the name of the host (default: /var/lib/cutover for root, else ~/.local/state/cutover)")
	fs.StringVar(&o.root, "root", "", "destinations are below `DIR` on the hosts, where {host} stands for the name (default: as written)")
	fs.Var((*console.List)(&o.env), "env", "hook scripts start from `NAME=VALUE` instead of the usual few; may be repeated")
	fs.BoolVar(&o.plan, "plan", false, "print the plan and connect to nothing")
	fs.BoolVar(&o.resume, "resume", false, "finish the unfinished deployment; with none, deploy unless that revision was deployed last")
	fs.BoolVar(&o.rerun, "rerun-interrupted", false, "run hook scripts again that were cut off on a host (default: their host fails)")
	fs.BoolVar(&o.json, "json", false, "print the journal's records as JSON lines; everything else goes to standard error")
	if err := console.Parse(fs, "Deploys a revision to hosts over SSH: ssh [flags] -revision PATH [HOST ...]", args, stderr); err != nil {
		return o, err
	}
	return o, o.check(paths, by, fs.Args())
}

var nameText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (o *options) check(paths []string, by string, addresses []string) (err error) {
	switch {
	case len(paths) == 0 || slices.Contains(paths, ""): // an empty path would be the working directory
		return errors.New("-revision is missing: name a directory or an archive")
	case len(addresses) == 0 && o.inventory == "":
		return errors.New("there are no hosts: name them, or an -inventory")
	case len(paths) > 1 && (o.resume || o.plan):
		return errors.New("-plan and -resume are about one deployment: name one -revision")
	case o.resume && o.plan:
		return errors.New("-plan prints what a new deployment would do: leave out -resume")
	case o.inventory == "" && (o.group != "" || o.tags != ""):
		return errors.New("-group and -tags choose from an -inventory")
	case !nameText.MatchString(o.name):
		return fmt.Errorf("-name %q: want letters, digits, dots, dashes and underscores", o.name)
	}
	for _, path := range paths {
		src, err := revision.Local(path)
		if err != nil {
			return fmt.Errorf("-revision: %w", err)
		}
		o.revisions = append(o.revisions, src)
	}
	if by != "" {
		if o.strategy, err = strategy.Parse(by); err != nil {
			return fmt.Errorf("-strategy: %w", err)
		}
	}
	if err := o.usual(); err != nil {
		return err
	}
	if err := o.hostsFor(addresses); err != nil {
		return err
	}
	if len(o.hosts) == 0 {
		return errors.New("no host of the inventory is chosen")
	}
	return nil
}

// usual fills in what the ssh command takes from its surroundings.
func (o *options) usual() error {
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	if agent := os.Getenv("SSH_AUTH_SOCK"); there(agent) {
		o.access.Agent = agent
	}
	// A configuration, be it an empty one, has the usual keys and known hosts with it.
	if o.access.Config == "" {
		o.access.Config = os.DevNull
		if config := filepath.Join(home, ".ssh", "config"); there(config) {
			o.access.Config = config
		}
	}
	if o.journal == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		o.journal = filepath.Join(cache, "cutover", "ssh")
	}
	o.journal, err = filepath.Abs(o.journal)
	return err
}

func there(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// listed are the hosts of the inventory that are chosen.
func (o *options) listed() ([]inventory.Host, error) {
	inv, err := inventory.ReadFile(o.inventory)
	if err != nil {
		return nil, err
	}
	list := inv.Hosts
	if o.group != "" {
		if list, err = inv.Group(o.group); err != nil {
			return nil, fmt.Errorf("-group: %w", err)
		}
	}
	if o.tags == "" {
		return list, nil
	}
	chosen, err := tags.Parse(o.tags)
	if err != nil {
		return nil, fmt.Errorf("-tags: %w", err)
	}
	var both []inventory.Host
	for _, h := range list {
		if chosen.Match(h.Tags) {
			both = append(both, h)
		}
	}
	return both, nil
}
