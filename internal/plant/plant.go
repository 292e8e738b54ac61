// Package plant chooses one mistake to be made on purpose, so that the checkers of the robustness tests can show that
// they find it.
//
// Without the build tag gazoo_plants every name is a constant false, and what hangs on it is not compiled. With the tag
// the environment variable [Env] names the mistake; without the variable none is made.
package plant

// Env is the environment variable that names the mistake.
const Env = "GAZOO_PLANT"

// The names that [Env] knows.
const (
	Lock  = "lock"  // a tenure goes on although its session was lost
	Queue = "queue" // a locking queue deletes an item before it was processed
	Watch = "watch" // a client does not set all of its watches again after a reconnect
	Fsync = "fsync" // a server says that it has synced its log, and has not
)
