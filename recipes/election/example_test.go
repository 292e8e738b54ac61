package election_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/election"
	"github.com/gazoo-zk/gazoo/zktest"
)

// demo starts a server in memory; join connects a candidate, done closes all.
func demo() (join func(name string) *election.Election, done func()) {
	srv, err := zktest.New()
	if err != nil {
		panic(err)
	}
	closers := []func() error{srv.Close}
	join = func(name string) *election.Election {
		zk, err := gazoo.Connect(context.Background(), srv.Addr(), gazoo.WithDialer(srv.Dial))
		if err != nil {
			panic(err)
		}
		closers = append(closers, zk.Close)
		e, err := election.New(zk, "/election/scheduler", election.WithIdentity(name))
		if err != nil {
			panic(err)
		}
		return e
	}
	return join, func() {
		for _, c := range slices.Backward(closers) {
			c()
		}
	}
}

func ExampleElection_Run() {
	join, done := demo()
	defer done()
	e := join("host-1")

	err := e.Run(context.Background(), func(ctx context.Context, l *election.Leadership) error {
		leader, _, err := e.Leader(ctx)
		fmt.Println(leader.Identity, "leads")
		return err // and the leadership is given up
	})
	fmt.Println(err)
	// Output:
	// host-1 leads
	// <nil>
}

func ExampleElection_Campaign() {
	join, done := demo()
	defer done()
	ctx := context.Background()

	l, err := join("host-1").Campaign(ctx)
	if err != nil {
		panic(err)
	}
	defer l.Resign(ctx)

	// Whoever writes the state checks that it still leads, and leaves its token with it.
	_, err = l.Txn().Create("/state", fmt.Append(nil, l.Token())).Commit(ctx)
	fmt.Println(err, l.Err())
	// Output: <nil> <nil>
}

func ExampleElection_Start() {
	join, done := demo()
	defer done()
	ctx := context.Background()

	latch := join("host-1").Start()
	go func() {
		if _, err := latch.Await(ctx); err == nil {
			latch.Close(ctx)
		}
	}()
	for status, err := range latch.Changes(ctx) {
		if err != nil {
			fmt.Println(err)
			break
		}
		if !status.Leader && status.Leadership != nil {
			fmt.Println("has led")
		}
	}
	// Output:
	// has led
	// latch closed
}

func ExampleElection_Observe() {
	join, done := demo()
	defer done()
	ctx := context.Background()

	l, err := join("host-1").Campaign(ctx)
	if err != nil {
		panic(err)
	}
	for leader, err := range join("").Observe(ctx) {
		switch {
		case err != nil:
			panic(err)
		case leader.Exists():
			fmt.Println(leader.Identity, "leads")
			l.Resign(ctx)
			continue
		}
		fmt.Println("nobody leads")
		return
	}
	// Output:
	// host-1 leads
	// nobody leads
}

func ExampleLeadership_HandOver() {
	join, done := demo()
	defer done()
	ctx := context.Background()

	old, err := join("host-1").Campaign(ctx)
	if err != nil {
		panic(err)
	}
	elected := make(chan *election.Leadership)
	heir := join("host-2")
	go func() {
		l, err := heir.Campaign(ctx)
		if err != nil {
			panic(err)
		}
		elected <- l
	}()
	for waiting := 0; waiting < 2; { // until it stands in line
		candidates, err := heir.Candidates(ctx)
		if err != nil {
			panic(err)
		}
		waiting = len(candidates)
	}

	fmt.Println(old.HandOver(ctx, "host-2"))
	l := <-elected
	fmt.Println(old.Err() != nil, l.Err(), l.Token() > old.Token())
	// Output:
	// <nil>
	// true <nil> true
}
