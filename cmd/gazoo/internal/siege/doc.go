// Package siege has tests that attack a process of gazoo serve, and weigh it: peers that send
// garbage, hold connections or do not read must not take the server down, nor its memory, nor the
// time of other clients; and ten thousand idle sessions must be cheap.
//
// They need Linux, whose /proc tells what a process has in RAM, and some ten thousand open files.
//
// GAZOO_SIEGE is how long the server is fuzzed, such as 5m; a few seconds without it.
package siege
