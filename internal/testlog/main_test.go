package main

import (
	"strings"
	"testing"
)

const sample = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/standalone"}
{"Action":"output","Package":"p","Test":"TestA/standalone","Output":"quiet\n"}
{"Action":"pass","Package":"p","Test":"TestA/standalone"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"loud\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t1s\n"}
{"Action":"fail","Package":"p"}
`

func TestReport(t *testing.T) {
	var out strings.Builder
	if report(strings.NewReader(sample), &out) {
		t.Error("report of a failed test is true")
	}
	want := "loud\nFAIL\tp\t1s\nstandalone: 1 passed, 0 failed, 0 skipped\nown or no server: 0 passed, 1 failed, 0 skipped\n1 passed, 1 failed, 0 skipped\n"
	if out.String() != want {
		t.Errorf("report printed %q, want %q", out.String(), want)
	}
}

func TestReportOfWhatDidNotRun(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":       "",
		"build failure": "# p\n./x.go:1: syntax error\n" + `{"Action":"fail","Package":"p"}`,
		"died":          `{"Action":"run","Package":"p","Test":"TestA"}` + "\n" + `{"Action":"output","Package":"p","Test":"TestA","Output":"panic\n"}` + "\n" + `{"Action":"fail","Package":"p"}`,
	} {
		var out strings.Builder
		if report(strings.NewReader(in), &out) {
			t.Errorf("%s: report is true", name)
		}
	}
}
