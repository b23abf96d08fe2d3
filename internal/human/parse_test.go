package human_test

import (
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/human"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "26h": 26 * time.Hour, "7d": 168 * time.Hour, "2w": 14 * 24 * time.Hour, "1.5h": 90 * time.Minute,
		"1d2h30m": 26*time.Hour + 30*time.Minute, "1h 30m": 90 * time.Minute, "10ms": 10 * time.Millisecond, "0h1ms": time.Millisecond, "100000d": 100000 * 24 * time.Hour,
	} {
		if got, err := human.ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", " ", "x", "-1h", "+1h", "5", "d", "h1", "1h30", "-1d", "1d-25h", "1d1d", "30m1h", "1.2.3h", ".", "110000d", "99999999999999999999h", "1y", "1 h", "1H", "NaNs", "1e3s"} {
		if got, err := human.ParseDuration(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "123": 123, "500kB": 500_000, "10 MB": 10_000_000, "1.5 MB": 1_500_000, "2GiB": 2 << 30, "1b": 1, "5 bytes": 5} {
		if got, err := human.ParseSize(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "MB", "-1", "1XB", "1..5MB", "99999999999999TB", "5 cats"} {
		if got, err := human.ParseSize(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestParsePercent(t *testing.T) {
	for text, want := range map[string]float64{"0": 0, "50": 50, "12.5%": 12.5, "100 %": 100} {
		if got, err := human.ParsePercent(text); err != nil || got != want {
			t.Errorf("%s: %g, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "%", "-1", "100.1", "half", "NaN", "50%%"} {
		if got, err := human.ParsePercent(text); err == nil {
			t.Errorf("%q is %g", text, got)
		}
	}
}
