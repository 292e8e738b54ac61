// Package membership keeps programs registered: a znode that comes back after every session, and the parties and
// groups that are made of such znodes.
//
//	member, err := membership.NewMember(zk, "/app/workers", "host-1", []byte("10.0.0.1:80"))
//	if err != nil {
//		return err
//	}
//	defer member.Close(ctx)
//	…
//	for workers, err := range roster.Watch(ctx) { … }
//
// A [PersistentNode] keeps one znode of any mode. A [Party] is Kazoo's Party or ShallowParty, a [Member] Curator's
// GroupMember, and a [Roster] the list of a directory's children with their data, kept up to date.
//
// # Guarantees
//
// While the client runs and can reach a server, the znode is there in the end, with the newest data, whatever happened
// to it: lost answers, new sessions, deletions and writes by others. An ephemeral is believed only when it belongs to
// the present session; what a former session of the same node has left is replaced in one transaction, and what
// belongs to anybody else is waited for, reported or replaced, as [OnForeign] says. Close leaves no orphan: the
// deletion is repeated across lost connections, also when the caller's context has ended.
//
// Disconnect: the znode stays, and so does the claim to it ([PersistentNode.Current]), until the session is presumed
// expired. Expiry: the claim has ended by then, by the clock, so a process that was paused sees it at its next look;
// the znode is made again in the next session. Lists of members stay as they were read last, and say so
// ([Roster.Err]).
//
// What is not guaranteed: a list of members is what one server knew at one moment. Members that have died stay in it
// until their session has expired, and two programs may see different lists at the same time; so a list is no lock. A
// znode that somebody else deletes and makes again as a persistent node, with the same version, between a look and a
// delete, is deleted in place of the own one: ZooKeeper has no delete by czxid.
//
// # Znodes, and who else uses them
//
//	PATH                             persistent node; with a GUID PARENT/_c_<uuid>-NAME, as Curator's PersistentNode
//	PATH/<32 hex>__party__           Kazoo's Party; the data is the identifier
//	PATH/<32 hex>-<identifier>       Kazoo's ShallowParty
//	PATH/<id>                        Curator's GroupMember; the data is the payload
package membership
