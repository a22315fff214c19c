package onprem

import (
	"io/fs"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cutover-deploy/cutover/target/agent"
)

// Access is what the hosts of a fleet have in common: who logs in, how a host proves
// who it is, and which program is its agent. One Access serves any number of hosts.
// Set KnownHosts, HostCAs or Config; there is no way to accept a host that nothing is
// known of. Certificates for those who log in are taken from Agent and Signers, and not
// from files beside Keys. It is safe for concurrent use. Do not change fields after first
// use, and do not copy it.
type Access struct {
	// User logs in. Empty: that of Config, else the account of this process.
	User string

	// Keys are private key files. The keys in them and those of Agent are offered,
	// in this order. A file that other accounts may read is refused, and so is one with a
	// passphrase that neither Passphrase nor Agent helps with. Empty: those of Config, and
	// where that names none, the usual ones in ~/.ssh.
	Keys []string
	// Passphrase is asked for the passphrase of an encrypted key file, once for each.
	// Nil: such a file is refused.
	Passphrase func(file string) ([]byte, error)
	// Signers are keys that the program holds itself. Empty: none.
	Signers []ssh.Signer
	// Agent is the socket of an SSH agent, what the variable SSH_AUTH_SOCK says; this
	// package does not read the environment. Empty: that of Config, else none.
	Agent string

	// KnownHosts are files of host keys, as OpenSSH keeps them; lines that begin with
	// @cert-authority and @revoked count. Empty: those of Config, and where that names none,
	// ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts.
	KnownHosts []string
	// HostCAs may sign the keys of any host, as the lines @cert-authority do.
	HostCAs []ssh.PublicKey

	// Config is an ssh_config file, such as ~/.ssh/config, that addresses are looked
	// up in. HostName, User, Port, IdentityFile, IdentityAgent, IdentitiesOnly,
	// UserKnownHostsFile, GlobalKnownHostsFile, HostKeyAlias and ProxyJump count;
	// ProxyCommand is refused. A jump host's own ProxyJump does not count.
	// IdentitiesOnly counts where Keys is empty: of the keys in Agent only those are
	// offered whose public half is beside a key file, with .pub behind its name. Where
	// Agent has many keys set it, since servers hang up after a few that they do not
	// know. Empty: none, and then nothing usual is looked for either; /dev/null, which is
	// an empty file, has the usual keys and known hosts.
	Config string
	// Jump are hosts to go through, "user@host:port", the first one first. Nil: those
	// of Config. They need host keys, too.
	Jump []string

	// Parallel is how many hosts are connected to at once. Zero: 16.
	Parallel int
	// Dial bounds one try to connect and log in, and the silence of a host while its
	// agent is started. Zero: 20 s.
	Dial time.Duration
	// KeepAlive is the time between two questions whether a host is still there. A
	// connection that leaves three of them unanswered is given up. Zero: 15 s.
	KeepAlive time.Duration
	// Patience is how long a host that cannot be reached is tried again, at the beginning
	// and after a connection was lost. Zero: 2 minutes.
	Patience time.Duration
	// Idle is how long a connection without a step stays open. Zero: a minute.
	Idle time.Duration

	// Executable is the program that hosts get as agent; it must call [agent.Main].
	// Empty: that of this process.
	Executable string
	// Executables is a directory of the same program for all platforms of the hosts, that
	// of this machine included, in files called OS-ARCH in Go's words, such as
	// linux-arm64. Hosts then get nothing else. Empty: hosts are of the platform of
	// Executable.
	Executables string

	// Umask are permission bits that files of revisions do not get, where their mode
	// comes from a directory. Zero: 022, whatever the login has; for none say
	// [agent.NoUmask].
	Umask fs.FileMode

	once     sync.Once
	slots    chan struct{}
	sending  agent.Sending
	plain    bool // executables are not compressed
	mu       sync.Mutex
	programs map[string]*program   // by path
	jumps    map[string]*jump      // by the way to them
	keys     map[string]ssh.Signer // by file
}

func (a *Access) init() {
	a.once.Do(func() {
		n := a.Parallel
		if n <= 0 {
			n = 16
		}
		a.slots = make(chan struct{}, n)
		a.programs, a.jumps, a.keys = map[string]*program{}, map[string]*jump{}, map[string]ssh.Signer{}
	})
}

func or(d, zero time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return zero
}

func (a *Access) dial() time.Duration      { return or(a.Dial, 20*time.Second) }
func (a *Access) keepAlive() time.Duration { return or(a.KeepAlive, 15*time.Second) }
func (a *Access) patience() time.Duration  { return or(a.Patience, 2*time.Minute) }
func (a *Access) idle() time.Duration      { return or(a.Idle, time.Minute) }
