package gazoo_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// testName is a test as the tables name it: package.TestName.
var testName = regexp.MustCompile(`\b(\w+)\.((?:Test|Example|Fuzz|Benchmark)\w*)`)

// TestTables checks docs/*.tsv: every row is answered, in order, and whoever says yes names a
// test that exists. Whether that test would fail without the feature is for reviewers.
func TestTables(t *testing.T) {
	known := knownTests(t)
	for _, table := range []struct {
		name   string
		fields int // row or section, text, status, test, remark
		rows   int // 0: any number
	}{{"parity", 5, 404}, {"kazoo", 5, 0}, {"scenarios", 5, 0}} {
		counts := map[string]int{}
		rows := readTable(t, table.name, table.fields)
		for i, row := range rows {
			id, status, tests := row[0], row[2], row[3]
			counts[status]++
			if table.rows > 0 && id != strconv.Itoa(i+1) {
				t.Fatalf("%s.tsv: row %q stands in place %d", table.name, id, i+1)
			}
			if !slices.Contains([]string{"yes", "partial", "no", "n/a"}, status) {
				t.Errorf("%s.tsv: row %s: status %q", table.name, id, status)
			}
			named := testName.FindAllString(tests, -1)
			if status == "yes" && len(named) == 0 {
				t.Errorf("%s.tsv: row %s (%s) says yes and names no test", table.name, id, row[1])
			}
			if status == "n/a" && row[4] == "" {
				t.Errorf("%s.tsv: row %s (%s) is not applicable without a reason", table.name, id, row[1])
			}
			for _, name := range named {
				if !known[name] {
					t.Errorf("%s.tsv: row %s: there is no %s", table.name, id, name)
				}
			}
		}
		if table.rows > 0 && len(rows) != table.rows {
			t.Errorf("%s.tsv: %d rows, want %d", table.name, len(rows), table.rows)
		}
		fmt.Printf("%s: rows=%d yes=%d partial=%d no=%d na=%d\n", table.name, len(rows), counts["yes"], counts["partial"], counts["no"], counts["n/a"])
	}
}

func readTable(t *testing.T, name string, fields int) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("docs", name+".tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		row := strings.Split(line, "\t")
		if len(row) != fields {
			t.Fatalf("%s.tsv:%d: %d fields, want %d", name, i+1, len(row), fields)
		}
		if i > 0 { // the first line names the columns
			rows = append(rows, row)
		}
	}
	return rows
}

// knownTests returns every test of the repository as package.TestName, the package without
// its _test ending.
func knownTests(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	decl := regexp.MustCompile(`(?m)^func ((?:Test|Example|Fuzz|Benchmark)\w*)\(`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, src, parser.PackageClauseOnly)
		if err != nil {
			return err
		}
		pkg := strings.TrimSuffix(file.Name.Name, "_test")
		for _, m := range decl.FindAllSubmatch(src, -1) {
			known[pkg+"."+string(m[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return known
}
