package ztree

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gazoo-zk/gazoo/zkproto"
)

func TestWalk(t *testing.T) {
	tree := New(Options{ExtendedTypes: true})
	tree.CreateSession(7, 1000, 1)
	c := &Caller{Session: 7}
	for _, op := range []zkproto.MultiOp{
		{Op: zkproto.OpCreate, Path: "/b"},
		{Op: zkproto.OpCreateContainer, Path: "/b/c", Mode: zkproto.ModeContainer},
		{Op: zkproto.OpCreateTTL, Path: "/b/a", Mode: zkproto.ModePersistentTTL, TTL: 1500},
		{Op: zkproto.OpCreate, Path: "/a", Mode: zkproto.ModeEphemeral, Data: []byte("x")},
	} {
		op.ACL = open
		if out := tree.Write(c, 1, op); out.Code != zkproto.OK {
			t.Fatalf("%s: %v", op.Path, out.Code)
		}
	}
	show := func(path string) (all []string) {
		for n := range tree.Walk(path) {
			all = append(all, fmt.Sprintf("%s %s %d %v %v %d", n.Path, n.Data, n.Stat.EphemeralOwner, n.Container, n.TTL, len(n.ACL)))
		}
		return all
	}
	want := []string{
		"/  0 false 0s 1", "/a x 7 false 0s 1", "/b  0 false 0s 1", "/b/a  0 false 1.5s 1", "/b/c  0 true 0s 1",
		"/zookeeper  0 false 0s 1", "/zookeeper/config  0 false 0s 1", "/zookeeper/quota  0 false 0s 1",
	}
	if got := show("/"); !slices.Equal(got, want) {
		t.Errorf("Walk(/) =\n%q, want\n%q", got, want)
	}
	if got := show("/b"); !slices.Equal(got, want[2:5]) {
		t.Errorf("Walk(/b) =\n%q, want\n%q", got, want[2:5])
	}
	if got := show("/missing"); got != nil {
		t.Errorf("Walk(/missing) = %q, want nothing", got)
	}
	for n := range tree.Walk("/") {
		if n.Path == "/b/a" {
			break
		}
	}
}
