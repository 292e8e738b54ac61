package version

import (
	"runtime/debug"
	"testing"
)

func TestBuilt(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.1", Main: debug.Module{Version: "v1.2.3"}}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "abc"}
	dirty := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	tests := []struct {
		name     string
		ok       bool
		settings []debug.BuildSetting
		want     result
	}{
		{"no information", false, nil, result{Gazoo: "unknown"}},
		{"installed by version", true, nil, result{Gazoo: "v1.2.3", Go: "go1.26.1"}},
		{"built from a checkout", true, []debug.BuildSetting{revision, {Key: "vcs.modified", Value: "false"}}, result{Gazoo: "v1.2.3", Go: "go1.26.1", Revision: "abc"}},
		{"with changes", true, []debug.BuildSetting{revision, dirty}, result{Gazoo: "v1.2.3", Go: "go1.26.1", Revision: "abc+dirty"}},
		{"in another order", true, []debug.BuildSetting{dirty, revision}, result{Gazoo: "v1.2.3", Go: "go1.26.1", Revision: "abc+dirty"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			info.Settings = tt.settings
			if got := built(info, tt.ok); got != tt.want {
				t.Errorf("built() = %+v, want %+v", got, tt.want)
			}
		})
	}
}
