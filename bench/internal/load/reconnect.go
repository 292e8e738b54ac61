package load

import (
	"errors"
	"fmt"
	"time"
)

// ErrAway says that the connection was lost while the report was asked for.
var ErrAway = errors.New("no connection")

// Returned asks the canned server, by the client under load, how the session has come back since its connection was
// cut, until all watches are registered again. The server's own clock tells the times, so that they are comparable
// between clients: "connected" is from the cut until the next connect request, "registered" from there until the last
// watch was registered again. The client's time until the report, "usable", goes with them.
func Returned(s *Spec, begin time.Time, report func() (string, error)) (Episode, error) {
	deadline := begin.Add(time.Minute)
	for {
		text, err := report()
		if errors.Is(err, ErrAway) {
			text, err = "0 0 0", nil
		}
		if err != nil {
			return Episode{}, err
		}
		var connected, registered time.Duration
		var watches int
		if _, err := fmt.Sscan(text, &connected, &registered, &watches); err != nil {
			return Episode{}, fmt.Errorf("the report %q: %w", text, err)
		}
		if watches >= s.Names {
			return Episode{Ops: 1, Took: connected + registered, Extra: map[string]time.Duration{
				"connected": connected, "registered": registered, "usable": time.Since(begin),
			}}, nil
		}
		if time.Now().After(deadline) {
			return Episode{}, fmt.Errorf("%d of %d watches were registered again after a minute", watches, s.Names)
		}
		time.Sleep(time.Millisecond)
	}
}
