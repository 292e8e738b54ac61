package membership_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/membership"
	"github.com/gazoo-zk/gazoo/zktest"
)

// connect starts a server and a client for an example.
func connect(ctx context.Context) (zk *gazoo.Client, closeAll func()) {
	srv, err := zktest.New()
	if err != nil {
		log.Fatal(err)
	}
	zk, err = gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		log.Fatal(err)
	}
	return zk, func() { zk.Close(); srv.Close() }
}

// A service keeps its address registered, whatever becomes of its sessions.
func ExampleNewPersistentNode() {
	ctx := context.Background()
	zk, closeAll := connect(ctx)
	defer closeAll()

	node, err := membership.NewPersistentNode(zk, "/services/web", []byte("10.0.0.1:80"))
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close(ctx)
	node.SetData([]byte("10.0.0.1:8080"))
	if err := node.WaitCreated(ctx); err != nil {
		log.Fatal(err)
	}
	data, stat, err := zk.Get(ctx, "/services/web")
	fmt.Printf("%s, ephemeral: %v, %v\n", data, stat.Ephemeral(), err)
	// Output: 10.0.0.1:8080, ephemeral: true, <nil>
}

func ExampleParty() {
	ctx := context.Background()
	zk, closeAll := connect(ctx)
	defer closeAll()

	party, err := membership.NewParty(zk, "/party", "host-1")
	if err != nil {
		log.Fatal(err)
	}
	if err := party.Join(ctx); err != nil {
		log.Fatal(err)
	}
	for id, err := range party.Members(ctx) {
		fmt.Println(id, err)
	}
	left, err := party.Leave(ctx)
	fmt.Println(left, err)
	// Output:
	// host-1 <nil>
	// true <nil>
}

// A member of a group carries data, and sees that of the others.
func ExampleMember() {
	ctx := context.Background()
	zk, closeAll := connect(ctx)
	defer closeAll()

	for _, id := range []string{"a", "b"} {
		m, err := membership.NewMember(zk, "/group", id, []byte("data of "+id))
		if err != nil {
			log.Fatal(err)
		}
		defer m.Close(ctx)
	}
	group, err := membership.NewRoster(zk, "/group")
	if err != nil {
		log.Fatal(err)
	}
	defer group.Close()
	for members, err := range group.Watch(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if len(members) < 2 {
			continue
		}
		for _, m := range members {
			fmt.Printf("%s: %s\n", m.Name, m.Data)
		}
		break
	}
	// Output:
	// a: data of a
	// b: data of b
}
