package discovery_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/discovery"
	"github.com/gazoo-zk/gazoo/zktest"
)

func Example() {
	ctx := context.Background()
	srv, err := zktest.New()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	zk, err := gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		log.Fatal(err)
	}
	defer zk.Close()

	services, err := discovery.New[discovery.None](zk, "/services")
	if err != nil {
		log.Fatal(err)
	}
	uri, err := discovery.ParseURISpec("{scheme}://{address}:{port}/app")
	if err != nil {
		log.Fatal(err)
	}
	reg, err := services.Register(discovery.Instance[discovery.None]{
		Name: "web", Address: "10.0.0.1", Port: 8080, URI: uri,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer reg.Close(ctx)
	if err := reg.WaitCreated(ctx); err != nil {
		log.Fatal(err)
	}

	web, err := services.Provider("web")
	if err != nil {
		log.Fatal(err)
	}
	defer web.Close()
	instance, err := web.Instance(ctx)
	fmt.Println(instance.BuildURI(nil), err)
	// Output: http://10.0.0.1:8080/app <nil>
}
