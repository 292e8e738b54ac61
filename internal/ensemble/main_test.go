package ensemble_test

import (
	"os"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/leak"
)

func TestMain(m *testing.M) {
	if os.Getenv(doomedVariable) != "" {
		doomed()
	}
	leak.Main(ensemble.WithShared(m))
}
