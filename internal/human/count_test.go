package human_test

import (
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/human"
)

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 indexes", 1: "1 index", 999: "999 indexes", 1000: "1,000 indexes", -12_345: "-12,345 indexes", 1_234_567_890: "1,234,567,890 indexes",
	} {
		if got := human.Count(n, "index", "indexes"); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	for _, test := range []struct {
		bytes int64
		d     time.Duration
		want  string
	}{
		{5_000_000, 2 * time.Second, "2.5 MB/s"}, {0, time.Second, "0 bytes/s"}, {7, 0, "-"},
	} {
		if got := human.Rate(test.bytes, test.d); got != test.want {
			t.Errorf("Rate(%d, %v) = %q, want %q", test.bytes, test.d, got, test.want)
		}
	}
}
