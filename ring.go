package gazoo

// ring is a growing FIFO of calls in wire order.
type ring struct {
	calls []*call // length is a power of two
	head  uint32
	tail  uint32
}

func (r *ring) len() int { return int(r.tail - r.head) }

func (r *ring) push(cl *call) {
	if r.len() == len(r.calls) {
		bigger := make([]*call, max(16, 2*len(r.calls)))
		for i := range r.len() {
			bigger[i] = r.calls[(int(r.head)+i)&(len(r.calls)-1)]
		}
		r.tail -= r.head
		r.head = 0
		r.calls = bigger
	}
	r.calls[int(r.tail)&(len(r.calls)-1)] = cl
	r.tail++
}

// at returns the place of the i-th oldest call.
func (r *ring) at(i int) **call { return &r.calls[(int(r.head)+i)&(len(r.calls)-1)] }

// peek returns the oldest call, nil when there is none.
func (r *ring) peek() *call {
	if r.head == r.tail {
		return nil
	}
	return r.calls[int(r.head)&(len(r.calls)-1)]
}

// pop removes and returns the oldest call, nil when there is none.
func (r *ring) pop() *call {
	cl := r.peek()
	if cl != nil {
		r.calls[int(r.head)&(len(r.calls)-1)] = nil
		r.head++
	}
	return cl
}
