package zkserver_test

import (
	"testing"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(ensemble.WithShared(m)) }
