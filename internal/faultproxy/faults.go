package faultproxy

import "time"

// Dir is a direction of a connection, or both.
type Dir int

// Upstream is client to server, Downstream is server to client.
const (
	Upstream   Dir = 1
	Downstream Dir = 2
	Both       Dir = Upstream | Downstream
)

// String returns "upstream", "downstream" or "both".
func (d Dir) String() string {
	switch d {
	case Upstream:
		return "upstream"
	case Downstream:
		return "downstream"
	case Both:
		return "both"
	}
	return "none"
}

// Verdict is what a [Filter] decides about a frame.
type Verdict int

// Forward passes the frame on. Drop loses it; the stream goes on with the next frame. Cut resets both sides of the
// connection instead of forwarding; what was forwarded before still reaches its reader. Last forwards it and then closes
// both sides.
const (
	Forward Verdict = iota
	Drop
	Cut
	Last
)

// Filter decides about one frame of the ZooKeeper protocol. The frame comes without its 4-byte length prefix and
// belongs to the filter: it may be kept. connID is 1 for the first accepted connection, 2 for the second, and so
// on. The first frame of each direction is the connect request and its response; in later ones the first four
// bytes are the xid, and in requests the next four are the operation.
//
// A filter is called when a frame is complete and would otherwise go out: after stalls and delays, in order within a
// direction of a connection, concurrently for different ones. While it runs, only its own direction of its own
// connection waits, so it may block to hold a frame at a point the test chose.
type Filter func(dir Dir, connID int, frame []byte) Verdict

// dirFaults are the settings of one direction.
type dirFaults struct {
	stalled  bool
	delay    time.Duration
	pause    time.Duration // between single bytes; 0 is off
	cutAfter int64         // bytes that may still pass; negative is off
}

// Cut resets every open connection on both sides. New ones are accepted as before. A connection whose target is
// still being dialled ends for the target without a reset.
func (p *Proxy) Cut() {
	for _, c := range p.Open() {
		c.end(endReset)
	}
}

// Refuse makes the proxy reset every new connection at once, before a byte is forwarded; a client sees that while
// dialling or at its first read. Open connections stay.
func (p *Proxy) Refuse(on bool) {
	p.set(func() { p.refuse = on })
}

// Stall holds the bytes of a direction, and the end of the stream behind them, until Stall(dir, false). Nothing is
// lost. The proxy goes on reading about a megabyte per connection; beyond that the sender feels back-pressure. Bytes
// that reached the proxy before the call may still pass.
func (p *Proxy) Stall(dir Dir, on bool) {
	p.setDir(dir, func(f *dirFaults) { f.stalled = on })
}

// Delay makes every byte of a direction arrive d after it came in, without limiting throughput. Bytes under way are
// counted from when they came in. A d of 0 ends the delay.
func (p *Proxy) Delay(dir Dir, d time.Duration) {
	p.setDir(dir, func(f *dirFaults) { f.delay = max(d, 0) })
}

// ByteAtATime forwards a direction in writes of one byte with a pause after each. A pause of 0 ends it; use a
// nanosecond for single bytes at full speed.
func (p *Proxy) ByteAtATime(dir Dir, pause time.Duration) {
	p.setDir(dir, func(f *dirFaults) { f.pause = max(pause, 0) })
}

// CutAfter forwards exactly nBytes more bytes of a direction, counted over all connections together, and then
// resets the connection that carried the last of them. It works once and is then off; with [Both] each direction
// counts for itself. An nBytes of 0 cuts at the next byte instead of forwarding it; a negative one turns it off.
func (p *Proxy) CutAfter(dir Dir, nBytes int) {
	p.setDir(dir, func(f *dirFaults) { f.cutAfter = max(int64(nBytes), -1) })
}

// BlackHole makes the proxy swallow everything in both directions, the end of a stream included: new connections
// are accepted but the target is not dialled, as behind a firewall that drops packets. Since the connections that
// were open meanwhile have lost bytes, BlackHole(false) resets them.
func (p *Proxy) BlackHole(on bool) {
	var spoiled []*Conn
	p.set(func() {
		p.blackHole = on
		for c := range p.conns {
			if on {
				c.swallowed = true
			} else if c.swallowed {
				spoiled = append(spoiled, c)
			}
		}
	})
	for _, c := range spoiled {
		c.end(endReset)
	}
}

// Hang is [Proxy.BlackHole] for new connections alone: they are accepted and never answered. Open ones go on.
// Hang(false) resets those that came meanwhile.
func (p *Proxy) Hang(on bool) {
	var spoiled []*Conn
	p.set(func() {
		p.hang = on
		for c := range p.conns {
			if c.hung && !on {
				spoiled = append(spoiled, c)
			}
		}
	})
	for _, c := range spoiled {
		c.end(endReset)
	}
}

// Tap looks at the frames of one connection like a [Filter]. Both functions may be nil.
type Tap struct {
	// Frame decides about a frame, and may replace it with another one, which then is not nil.
	Frame func(dir Dir, frame []byte) (verdict Verdict, instead []byte)

	// Closed is called once when the connection has ended, by a goroutine of its own.
	Closed func()
}

// SetFilter installs f for every connection; nil removes it. On an open connection it begins with the next frame of
// each direction. What does not look like ZooKeeper frames (four-letter words, TLS) passes unfiltered.
func (p *Proxy) SetFilter(f Filter) {
	p.set(func() { p.filter = f })
}

// Clear ends every fault and removes the filter, so that the proxy forwards faithfully. Bytes that were stalled go
// on; connections that a black hole swallowed are reset.
func (p *Proxy) Clear() {
	p.BlackHole(false)
	p.Hang(false)
	p.set(p.clearLocked)
}

func (p *Proxy) clearLocked() {
	p.refuse, p.blackHole, p.hang, p.filter = false, false, false, nil
	for c := range p.conns {
		c.dirs = [2]dirFaults{}
	}
	for i := range p.dirs {
		p.dirs[i] = dirFaults{cutAfter: -1}
	}
}

// set applies a change of settings and wakes whoever waits for one.
func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) setDir(dir Dir, change func(*dirFaults)) {
	p.set(func() {
		if dir&Upstream != 0 {
			change(p.faults(Upstream))
		}
		if dir&Downstream != 0 {
			change(p.faults(Downstream))
		}
	})
}

// faults returns the settings of a single direction; the caller holds mu.
func (p *Proxy) faults(dir Dir) *dirFaults { return &p.dirs[dir-1] }
