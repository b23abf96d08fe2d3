package preflight_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/preflight"
)

func TestFindings(t *testing.T) {
	var f preflight.Findings
	f.Warning("role app", "has no password", "")
	if err := f.Err(); err != nil {
		t.Errorf("a warning is an error: %v", err)
	}
	f.Problem("table a.b", "may not be read", "GRANT SELECT on it")
	f.Problem("disk", "is full", "")
	var all *preflight.Error
	if err := fmt.Errorf("run: %w", f.Err()); !errors.As(err, &all) || len(all.Problems) != 2 ||
		err.Error() != "run: preflight: table a.b: may not be read; GRANT SELECT on it\npreflight: disk: is full" {
		t.Errorf("the error is %v", err)
	}
	if s := f.Warnings[0].String(); s != "role app: has no password" {
		t.Errorf("the warning is %q", s)
	}
}

func TestListing(t *testing.T) {
	names := strings.Fields("a b c d e f g h i j")
	for n, want := range map[int]string{0: "", 1: "a", 8: "a, b, c, d, e, f, g, h", 9: "a, b, c, d, e, f, g, h and 1 more", 10: "a, b, c, d, e, f, g, h and 2 more"} {
		if got := preflight.Listing(names[:n]); got != want {
			t.Errorf("%d names: %q, want %q", n, got, want)
		}
	}
}
