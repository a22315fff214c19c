// Package platform knows platforms by what "uname -sm" says of a host, and by what Go
// calls them.
package platform

import (
	"slices"
	"strings"
)

var archs = map[string]string{
	"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "i386": "386", "i686": "386",
	"armv6l": "arm", "armv7l": "arm", "riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x", "loongarch64": "loong64",
}

// systems are those whose name in Go is what they say, in small letters.
var systems = []string{"linux", "darwin", "freebsd", "netbsd", "openbsd", "dragonfly"}

// Of is Go's name of the platform of a host that says uname.
func Of(uname string) (os, arch string, ok bool) {
	os, arch, _ = strings.Cut(strings.TrimSpace(uname), " ")
	os = strings.ToLower(os)
	arch, ok = archs[arch]
	return os, arch, ok && slices.Contains(systems, os)
}

// Unames is what hosts of a platform may say, in small letters and in order. None: it is
// not known.
func Unames(os, arch string) (all []string) {
	if !slices.Contains(systems, os) {
		return nil
	}
	for said, a := range archs {
		if a == arch {
			all = append(all, os+" "+said)
		}
	}
	slices.Sort(all)
	return all
}
