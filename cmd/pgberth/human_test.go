package main

import (
	"testing"
	"time"
)

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 rows", 1: "1 row", 999: "999 rows", 1000: "1,000 rows", 1234567: "1,234,567 rows", -1234: "-1,234 rows"} {
		if got := count(n, "row"); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestHumanRate(t *testing.T) {
	if got := humanRate(10_000_000, 2*time.Second); got != "5.0 MB/s" {
		t.Errorf("got %q", got)
	}
	if got := humanRate(10, 0); got != "-" {
		t.Errorf("no time: got %q", got)
	}
}
