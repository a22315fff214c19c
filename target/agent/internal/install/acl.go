package install

import (
	"encoding/binary"
	"io/fs"
	"slices"

	"github.com/cutover-deploy/cutover/appspec"
)

// attr is one extended attribute; an empty value removes it.
type attr struct {
	Name  string `json:"n"`
	Value []byte `json:"v,omitempty"`
}

const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

// Tags of ACL entries, in the order in which they are stored.
const (
	tagUserObj  = 0x01
	tagUser     = 0x02
	tagGroupObj = 0x04
	tagGroup    = 0x08
	tagMask     = 0x10
	tagOther    = 0x20
)

const noID = 0xffffffff

type aclEntry struct {
	tag  uint16
	perm uint16
	id   uint32
}

// encodeACLs completes the entries asked for as the official agent does for one
// object of the given mode, and encodes them as the kernel keeps them. The mask is
// worked out for each object by itself.
func encodeACLs(asked []appspec.ACLEntry, mode fs.FileMode, ids *ids) ([]attr, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	access, err := resolveACL(asked, false, ids)
	if err != nil {
		return nil, err
	}
	bits := func(shift uint) uint16 { return uint16(mode.Perm()>>shift) & 7 }
	access = set(access, aclEntry{tagUserObj, bits(6), noID})
	access = set(access, aclEntry{tagGroupObj, bits(3), noID})
	access = set(access, aclEntry{tagOther, bits(0), noID})
	if named(access) && !has(access, tagMask) {
		access = set(access, aclEntry{tagMask, bits(3), noID})
	}
	out := []attr{{aclAccess, pack(access)}}
	defaults, err := resolveACL(asked, true, ids)
	if err != nil || len(defaults) == 0 {
		return out, err
	}
	for tag, perm := range map[uint16]uint16{tagUserObj: bits(6), tagGroupObj: bits(3), tagOther: bits(0)} {
		if !has(defaults, tag) {
			defaults = set(defaults, aclEntry{tag, perm, noID})
		}
	}
	if named(defaults) && !has(defaults, tagMask) {
		i := slices.IndexFunc(defaults, func(e aclEntry) bool { return e.tag == tagGroupObj })
		defaults = set(defaults, aclEntry{tagMask, defaults[i].perm, noID})
	}
	return append(out, attr{aclDefault, pack(defaults)}), nil
}

func resolveACL(asked []appspec.ACLEntry, defaults bool, ids *ids) ([]aclEntry, error) {
	var list []aclEntry
	for _, a := range asked {
		if a.Default != defaults {
			continue
		}
		e := aclEntry{perm: uint16(a.Perms & 7), id: noID}
		find := ids.user
		switch a.Type {
		case "mask":
			e.tag = tagMask
		case "other":
			e.tag = tagOther
		case "group":
			e.tag, find = tagGroupObj, ids.group
		default:
			e.tag = tagUserObj
		}
		if a.Name != "" {
			id, err := find(a.Name)
			if err != nil {
				return nil, err
			}
			e.tag, e.id = e.tag<<1, uint32(id)
		}
		list = set(list, e)
	}
	return list, nil
}

// set adds an entry; a later one for the same subject wins.
func set(list []aclEntry, e aclEntry) []aclEntry {
	for i := range list {
		if list[i].tag == e.tag && list[i].id == e.id {
			list[i] = e
			return list
		}
	}
	return append(list, e)
}

func has(list []aclEntry, tag uint16) bool {
	return slices.ContainsFunc(list, func(e aclEntry) bool { return e.tag == tag })
}

func named(list []aclEntry) bool { return has(list, tagUser) || has(list, tagGroup) }

func pack(list []aclEntry) []byte {
	slices.SortFunc(list, func(a, b aclEntry) int {
		if a.tag != b.tag {
			return int(a.tag) - int(b.tag)
		}
		return int(int64(a.id) - int64(b.id))
	})
	out := binary.LittleEndian.AppendUint32(nil, 2) // version
	for _, e := range list {
		out = binary.LittleEndian.AppendUint16(out, e.tag)
		out = binary.LittleEndian.AppendUint16(out, e.perm)
		out = binary.LittleEndian.AppendUint32(out, e.id)
	}
	return out
}
