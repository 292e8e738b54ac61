// Package discovery lets services register their instances, and clients find them: Curator's service discovery, in its
// format.
//
//	services, err := discovery.New[Payload](zk, "/services")
//	reg, err := services.Register(discovery.Instance[Payload]{Name: "web", Address: "10.0.0.1", Port: 80})
//	defer reg.Close(ctx)
//	…
//	web, err := services.Provider("web")
//	defer web.Close()
//	instance, err := web.Instance(ctx) // round robin, without those that are down or disabled
//
// # Guarantees
//
// A registration is kept by a persistent node of package membership: it comes back after every lost session and every
// deletion, with the newest data, and Close leaves no orphan. A [Cache] and a [Provider] follow the instances through
// one watch, across reconnects and sessions.
//
// Disconnect: registrations stay, caches and providers go on with the instances that they know; [Cache.Err] says that
// they may be out of date. Expiry: dynamic registrations vanish and are made again in the next session. Pause: as
// expiry.
//
// # What is not guaranteed
//
// An instance that has died is found until its session has expired, and a static or permanent one for ever; so a client
// has to expect that a connection fails, and tells [Provider.NoteError]. Two clients may know different instances.
//
// # Znodes, and who else uses them
//
//	BASE/<service>/<id>                      dynamic: ephemeral; static and permanent: persistent
//	BASE/<service>/_c_<uuid>-<id><seq>       dynamic-sequential: ephemeral
//
// BASE and the services are containers when they have to be made. The data is the JSON of curator-x-discovery 5.4's
// JsonInstanceSerializer; fields that are missing get its defaults, unknown ones are ignored. A payload is what
// encoding/json makes of the type parameter. Java programs that read an object want its class in a field "@class":
// see [WithPayloadClass]. Of what Java programs have written, that field can be read as any other, and need not be.
package discovery
