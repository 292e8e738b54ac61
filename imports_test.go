package gazoo_test

import (
	"os/exec"
	"strings"
	"testing"
)

// allowed lists what each package of the root module may import of this project. A package
// that is not listed may import nothing of it; "" is the client. docs/DESIGN.md section 1 gives the reasons.
var allowed = map[string][]string{
	"":                    {"internal/nonblock", "internal/plant", "zkproto"},
	"internal/peer":       {"zkproto"},
	"internal/ensemble":   {"internal/child", "internal/faultproxy", "internal/testcert"},
	"zkproto":             nil,
	"zktest":              {"zkproto", "zkserver", "internal/faultproxy", "internal/memnet", "internal/testcert"},
	"zkserver":            {"zkproto", "internal/nonblock", "internal/ztree", "internal/zkdisk"},
	"internal/monotonic":  nil,
	"internal/nonblock":   nil,
	"internal/plant":      nil,
	"internal/procfs":     nil,
	"internal/memnet":     nil,
	"internal/faultproxy": nil,
	"internal/testcert":   nil,
	"internal/leak":       nil,
	"internal/histogram":  nil,
	"internal/child":      nil,
	"internal/rawzk":      {"zkproto"},
	"internal/crashload":  {"", "internal/ztree", "zkproto"}, // the root package is its client
	"internal/ztree":      {"zkproto"},
	"internal/zkdisk":     {"internal/plant", "internal/ztree", "zkproto"},
	"internal/testlog":    nil,
	"interop/kazoo":       {"internal/child", "internal/ensemble"},

	"internal/cluster":         {"internal/ensemble", "internal/faultproxy", "zkserver"},
	"internal/ensemble/withzk": {"internal/ensemble"},
	"internal/measure":         {"", "internal/ensemble", "internal/measure/datadir", "internal/procfs"},
	"internal/measure/datadir": {"internal/zkdisk", "internal/ztree", "zkproto"},

	// Recipes use the exported client and each other, nothing else: that shows that the client is enough. (What
	// internal/plant is for is not compiled into them.)
	"recipes/barrier":             {"", "recipes/internal/owned", "recipes/internal/retry", "recipes/tenure"},
	"recipes/cache":               {"", "recipes/internal/retry"},
	"recipes/counter":             {"", "recipes/internal/cas", "recipes/internal/retry", "recipes/lock"},
	"recipes/discovery":           {"", "recipes/cache", "recipes/internal/owned", "recipes/membership"},
	"recipes/election":            {"", "recipes/internal/contend", "recipes/internal/owned", "recipes/internal/retry", "recipes/tenure"},
	"recipes/internal/cas":        {"", "recipes/internal/owned", "recipes/internal/retry"},
	"recipes/internal/contend":    {"", "recipes/internal/owned", "recipes/internal/retry", "recipes/tenure"},
	"recipes/internal/exclusion":  {"", "internal/child", "internal/ensemble", "internal/faultproxy", "internal/monotonic", "recipes/lock", "recipes/tenure"},
	"recipes/internal/owned":      {"", "recipes/internal/retry"},
	"recipes/internal/recipetest": {"", "internal/cluster", "internal/leak", "internal/zkdisk", "internal/ztree", "zkserver", "zktest"},
	"recipes/internal/retry":      {""},
	"recipes/lease":               {"", "recipes/internal/retry", "recipes/lock"},
	"recipes/lock":                {"", "recipes/internal/contend", "recipes/internal/owned", "recipes/internal/retry", "recipes/tenure"},
	"recipes/membership":          {"", "recipes/internal/owned", "recipes/internal/retry"},
	"recipes/model":               {"", "recipes/cache", "recipes/internal/cas", "recipes/internal/retry", "recipes/lock"},
	"recipes/partition":           {"", "recipes/lock", "recipes/membership"},
	"recipes/queue":               {"", "internal/plant", "recipes/internal/owned", "recipes/internal/retry", "recipes/lock", "recipes/tenure"},
	"recipes/tenure":              {"", "internal/plant", "recipes/internal/retry"},
	"recipes/tree":                {"", "recipes/internal/retry"},
}

// TestImports holds the layering, and that the root module needs nothing outside the
// standard library.
func TestImports(t *testing.T) {
	const module = "github.com/gazoo-zk/gazoo"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(strings.TrimPrefix(fields[0], module), "/")
		may, listed := allowed[pkg]
		if !listed {
			t.Errorf("package %q is not in the table of allowed imports", pkg)
		}
		for _, imp := range fields[1:] {
			rel, ours := strings.CutPrefix(imp+"/", module+"/")
			rel = strings.TrimSuffix(rel, "/")
			switch {
			case ours:
				ok := false
				for _, m := range may {
					ok = ok || m == rel
				}
				if !ok {
					t.Errorf("%s imports %s", fields[0], imp)
				}
			case strings.Contains(strings.Split(imp, "/")[0], "."):
				t.Errorf("%s imports %s, which is outside the standard library", fields[0], imp)
			}
		}
	}
}
