package run

import (
	"math/rand/v2"

	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// NewEnv returns the environment of a client of a program, without a way to connect.
func NewEnv(p *program.Program, client, restarts int, seed uint64, clock history.Clock, sink func(history.Op)) *program.Env {
	return &program.Env{
		Recorder: &history.Recorder{Program: p.Name, Client: client, Run: restarts, Clock: clock, Sink: sink},
		Rand:     rand.New(rand.NewPCG(seed, uint64(client)<<32|uint64(restarts))),
		Clients:  ClientsOf(p),
	}
}

// ClientsOf returns how many clients a program has.
func ClientsOf(p *program.Program) int {
	if p.Clients == 0 {
		return 4
	}
	return p.Clients
}
