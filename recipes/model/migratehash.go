package model

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// Op is an operation of a migration.
type Op struct {
	kind    opKind
	path    string
	data    []byte
	version int32
	opts    []gazoo.CreateOption
}

// opKind is an operation with the number that it has on the wire.
type opKind int

const (
	opCreate          opKind = 1
	opDelete          opKind = 2
	opSet             opKind = 5
	opCheck           opKind = 13
	opCreateContainer opKind = 19
	opCreateTTL       opKind = 21
)

// CreateOp makes a znode, as [gazoo.Txn.Create] does: its parent must exist, or be made by an operation before it.
func CreateOp(path string, data []byte, opts ...gazoo.CreateOption) Op {
	kind := opCreate
	switch mode := gazoo.DescribeCreate(opts...).Mode; {
	case mode.Container():
		kind = opCreateContainer
	case mode.TTL():
		kind = opCreateTTL
	}
	return Op{kind: kind, path: path, data: data, opts: opts}
}

// SetOp writes data if the znode has a version, [gazoo.AnyVersion] for any.
func SetOp(path string, data []byte, version int32) Op {
	return Op{kind: opSet, path: path, data: data, version: version}
}

// DeleteOp deletes a znode if it has a version, [gazoo.AnyVersion] for any.
func DeleteOp(path string, version int32) Op { return Op{kind: opDelete, path: path, version: version} }

// CheckOp is the condition that a znode exists and has a version, or any with [gazoo.AnyVersion].
func CheckOp(path string, version int32) Op { return Op{kind: opCheck, path: path, version: version} }

// check finds what a transaction would refuse before it was sent.
func (o Op) check() error {
	what := gazoo.DescribeCreate(o.opts...)
	path := o.path
	if what.Mode.Sequential() {
		path += "0000000000"
	}
	problems := []error{gazoo.ValidatePath(path)}
	if o.version < gazoo.AnyVersion {
		problems = append(problems, &gazoo.ArgumentError{Arg: "version", Reason: fmt.Sprintf("%d is negative", o.version)})
	}
	if what.Parents || what.Protected || what.OrSet {
		problems = append(problems, &gazoo.ArgumentError{Arg: "options", Reason: "Parents, Protected and OrSet do not go with transactions"})
	}
	return errors.Join(problems...)
}

func (o Op) addTo(t *gazoo.Txn) {
	switch o.kind {
	case opSet:
		t.Set(o.path, o.data, o.version)
	case opDelete:
		t.Delete(o.path, o.version)
	case opCheck:
		t.Check(o.path, o.version)
	default:
		t.Create(o.path, o.data, o.opts...)
	}
}

// Hash returns the SHA-256 of the migration's operations, which is kept in ZooKeeper: the one that Curator's
// MigrationManager computes for them. It covers paths, data, versions, kinds and ACLs, but not the name. A create without
// an ACL counts as one with the open ACL, whatever the client's default is.
func (m Migration) Hash() []byte {
	h := sha256.New()
	for _, op := range m.Ops {
		fmt.Fprintf(h, "%s%d%s", op.path, op.kind, op.record())
	}
	return h.Sum(nil)
}

// record is the text that ZooKeeper's Java classes print for the request of an operation (Jute's CSV form).
func (o Op) record() string {
	fields := []string{csvText(o.path)}
	switch o.kind {
	case opDelete, opCheck:
		fields = append(fields, strconv.Itoa(int(o.version)))
	case opSet:
		fields = append(fields, csvBuffer(o.data), strconv.Itoa(int(o.version)))
	default:
		what := gazoo.DescribeCreate(o.opts...)
		acl := what.ACL
		if acl == nil {
			acl = gazoo.OpenACL()
		}
		entries := make([]string, len(acl))
		for i, a := range acl {
			entries[i] = fmt.Sprintf("s{%d,s{%s,%s}}", a.Perms, csvText(a.Scheme), csvText(a.ID))
		}
		fields = append(fields, csvBuffer(o.data), "v{"+strings.Join(entries, ",")+"}", strconv.Itoa(int(what.Mode)))
		if o.kind == opCreateTTL {
			fields = append(fields, strconv.FormatInt(what.TTL.Milliseconds(), 10))
		}
	}
	return strings.Join(fields, ",") + "\n"
}

var csvEscapes = strings.NewReplacer("\x00", "%00", "\n", "%0A", "\r", "%0D", ",", "%2C", "}", "%7D", "%", "%25")

func csvText(s string) string { return "'" + csvEscapes.Replace(s) }

// csvBuffer prints each byte as Java's Integer.toHexString does: without a leading zero, and with its sign. So a few
// different data look the same, as they do to Curator.
func csvBuffer(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	text := []byte("#")
	for _, b := range data {
		text = strconv.AppendUint(text, uint64(uint32(int8(b))), 16)
	}
	return string(text)
}
