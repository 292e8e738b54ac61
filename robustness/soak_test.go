package main

import (
	"context"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/robustness/real"
	"github.com/gazoo-zk/gazoo/robustness/run"
)

// A short soak sees processes and servers at work, and prints what it has seen. Whether they stay flat takes longer.
func TestSoak(t *testing.T) {
	ensemble.Require(t)
	var out strings.Builder
	s := &soak{Seed: uint64(time.Now().UnixNano()), Length: 12 * time.Second, Every: 4 * time.Second, Warm: time.Hour, Print: &out}
	if err := s.run(context.WithoutCancel(t.Context())); err != nil && !strings.Contains(err.Error(), "looks are too few") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	if !regexp.MustCompile(`(?m)^soak: seconds=12 ops=[1-9]\d* faults=[1-9]\d* .* flat=[01]$`).MatchString(out.String()) {
		t.Errorf("no summary in\n%s", out.String())
	}
}

// What goes up and down is flat; what goes up and down and up is not, however slowly, and it fails the soak.
func TestSoakFindsGrowth(t *testing.T) {
	const samples = 100
	for _, tt := range []struct {
		name   string
		change func(s *real.Sample, i int)
		grows  string
	}{
		{"nothing", func(*real.Sample, int) {}, ""},
		{"warm-up", func(s *real.Sample, i int) { s.Goroutines -= max(0, 20-i) * 5 }, ""},
		{"one peak", func(s *real.Sample, i int) { s.Sockets += i / 99 * 1000 }, ""},
		{"heap", func(s *real.Sample, i int) { s.Heap += uint64(i) * 10 << 10 }, "heap"},
		{"goroutines", func(s *real.Sample, i int) { s.Goroutines += i / 4 }, "goroutines"},
		{"sockets", func(s *real.Sample, i int) { s.Sockets += i / 10 }, "sockets"},
		{"watches", func(s *real.Sample, i int) { s.Watches += i / 2 }, "watches"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 2))
			noise := func(of int) int { return of + rnd.IntN(of/5) }
			var looks []look
			for i := range samples {
				s := real.Sample{Connections: 20, Watches: noise(50), Ephemerals: noise(30), Znodes: noise(80)}
				s.Heap, s.Goroutines, s.Files, s.Sockets = uint64(noise(1500<<10)), noise(180), 50, 16
				tt.change(&s, i)
				looks = append(looks, look{time.Duration(i) * time.Second, s})
			}
			var out strings.Builder
			k := &soak{Length: samples * time.Second, Every: time.Second, Warm: samples / 5 * time.Second, Print: &out}
			err := k.verdict(&run.Result{}, looks, k.show(looks), "soak:")
			if tt.grows == "" && err != nil || tt.grows != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.grows+" grows from")) {
				t.Errorf("verdict: %v, want that this grows: %q\n%s", err, tt.grows, out.String())
			}
			if flat := strings.HasSuffix(out.String(), " flat=1\n"); flat != (tt.grows == "") {
				t.Errorf("the summary says flat=1: %v\n%s", flat, out.String())
			}
		})
	}
}
