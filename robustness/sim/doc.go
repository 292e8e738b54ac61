// Package sim is a world of client programs on virtual time: the embedded server in a bubble of testing/synctest, with
// networks in memory and, in one form, a simulated disk.
//
// A schedule of faults is played in a fraction of its time, and the same seed makes the same one, so a [Case] that
// failed is played again and made smaller until little is left of it: see [Shrink]. How the goroutines of a bubble take
// turns is not in the seed, so a case that fails is played several times.
//
// There is one leader, which no fault but those of the whole server reaches. Processes cannot be stopped here, so
// [fault.PauseClient] does nothing; a client that is killed loses its connections and its voice, and is started anew.
package sim
