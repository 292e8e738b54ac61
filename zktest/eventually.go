package zktest

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// PatienceEnv is the environment variable that scales how long [Eventually] waits: "3" on a slow
// machine makes it three times as long.
const PatienceEnv = "ZKTEST_PATIENCE"

// Eventually waits until a condition holds, which it looks at again every millisecond, and ends
// the test when it has not held within 10s (see [PatienceEnv]); what says what was waited for.
// In a bubble of testing/synctest that is virtual time. It is for what a program does in its own
// time: where there is something to wait for, such as [Handle.Wait], that is better.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	patience := 10 * time.Second
	if f, err := strconv.ParseFloat(os.Getenv(PatienceEnv), 64); err == nil && f > 0 {
		patience = time.Duration(f * float64(patience))
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-timer.C:
			t.Fatalf("zktest: not within %v: %s", patience, what)
		}
	}
}
