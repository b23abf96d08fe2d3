package human_test

import (
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/human"
)

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"shop": "shop", "a b/ü\u00a0": "a b/ü\u00a0", `"q"`: `"q"`, `\x1b`: `\x1b`, "a\nb": `"a\nb"`, "\x1b[2J": `"\x1b[2J"`, "\u009bx": `"\u009bx"`, "\xff": `"\xff"`, "": "",
	} {
		if got := human.Name(name); got != want {
			t.Errorf("Name(%q) = %s, want %s", name, got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1.0 kB", 9_949: "9.9 kB", 9_951: "10 kB",
		999_499: "999 kB", 999_500: "1.0 MB", 123_456_789: "123 MB", 1_234_567_890: "1.2 GB",
		5_000_000_000_000: "5.0 TB", 9_223_372_036_854_775_807: "9 EB",
	} {
		if got := human.Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0ms", 0: "0ms", 12 * time.Millisecond: "12ms",
		999_600 * time.Microsecond: "1.0s", 3440 * time.Millisecond: "3.4s", 9960 * time.Millisecond: "10s",
		59_400 * time.Millisecond: "59s", 59_600 * time.Millisecond: "1m00s", 123 * time.Second: "2m03s",
		3599_600 * time.Millisecond: "1h00m", 25*time.Hour + 2*time.Minute: "25h02m", 124 * time.Hour: "5d04h",
	} {
		if got := human.Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}
