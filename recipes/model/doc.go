// Package model gives znodes types: values instead of bytes, keys instead of paths, and rules for both.
//
//	type UserKey struct{ Tenant, User string }
//	users, err := model.New[UserKey](zk, "/app/{tenant}/users/{user}", model.JSON[User]())
//	node, err := users.At(UserKey{"acme", "ann"})
//	v, err := node.Create(ctx, User{Name: "Ann"})
//	v.Value.Admin = true
//	v, err = node.Set(ctx, v) // ErrConflict when somebody else has written since
//	v, err = node.Update(ctx, func(u User) (User, error) { u.Logins++; return u, nil })
//
// [Node] is a typed znode; [Template] and [Paths] make paths of parameters and back, and [Model] joins both. [View] is a
// cache of a model whose values keep their versions. [SchemaSet] says what may be done with which paths, for nodes
// ([WithSchemas]) and for a client ([Guard]). [Migrator] changes the layout of znodes, each step once.
//
// # Guarantees
//
// A value never goes without the version that it was read with, and [Node.Set], [Node.Update], [Node.Upsert] and
// [Node.Put] write on the condition that nobody has written since. So every change is made on top of the one before.
//
// A write whose answer was lost is sent again with the same condition, and is never applied twice. When the server refuses
// it then, the znode's data tells who was faster, except when it is the same data: then the error matches
// [gazoo.MaybeApplied]. [WithReceipts] removes that doubt. [Node.Put] does not mind who made it so. Creates of ephemeral
// and sequential znodes are sent once.
//
// Writes, migrations and views wait out disconnects and lost sessions, as long as the caller's context lives; a read under
// way when the connection is lost fails, as the client's do. Nothing here belongs to a session,
// but for the lock of a migration, so neither an expiry nor a paused process makes a write wrong: its condition has failed
// by then. Each migration is a transaction that checks the lock's znode and makes the record of the migration: it is
// applied once, whatever happens to the program, the session or the answer.
//
// Data that a codec does not understand is a [*DataError], which has the path and the raw bytes.
//
// # What is not guaranteed
//
// [Node.Get] shows what the server connected to knows, and a [View] may be further behind. A znode that was deleted and made
// again begins at version 0: a write on a kept version can meet another znode with the same number of writes. Schemas bind
// only those who ask them: no server knows of them, and parents that are made on the way are not checked. The migrations of
// a set are applied one by one, so that others can see the state between two of them.
//
// # Znodes and other libraries
//
// Values are the data of their znodes, as the codec makes it, in any layout. [ReadSchemas] reads the files of Curator's
// SchemaSetLoader. [Migrator] uses the lock, the records and the hashes of Curator's MigrationManager, so that both can
// work on one set: Curator records all migrations that it applies in one transaction, which makes the same records. It
// hashes paths with its namespace, and gives creates without data the address of the host as data, so say the data there.
package model
