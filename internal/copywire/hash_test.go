package copywire_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/copywire"
)

// What is told apart in frames is told apart without them, wherever it is cut.
func TestUnframeAndHashWrite(t *testing.T) {
	rows := []string{"1\tone\n", "\n", "2\t\\n\\N\n", strings.Repeat("x", 30) + "\n", "1\tone\n"}
	frames, text := data(rows...), strings.Join(rows, "")
	var whole [][]byte
	for _, row := range rows {
		whole = append(whole, []byte(row))
	}
	sum, _ := naive(whole, false)
	for piece := 1; piece <= len(frames); piece++ {
		var got bytes.Buffer
		sink := copywire.Unframe(&got)
		for rest := frames; rest != ""; rest = rest[min(piece, len(rest)):] {
			if err := sink.Forward([]byte(rest[:min(piece, len(rest))])); err != nil {
				t.Fatal(err)
			}
		}
		if got.String() != text {
			t.Errorf("pieces of %d: unframed %q", piece, got.String())
		}
		hash := copywire.NewRowHash(false)
		for rest := text; rest != ""; rest = rest[min(piece, len(rest)):] {
			if n, err := hash.Write([]byte(rest[:min(piece, len(rest))])); err != nil || n != min(piece, len(rest)) {
				t.Fatal(n, err)
			}
		}
		if hash.Sum != sum || hash.Rows != int64(len(rows)) {
			t.Errorf("pieces of %d: hash %s of %d rows, want %016x", piece, hash, hash.Rows, sum)
		}
	}
	full := errors.New("disk full")
	if err := copywire.Unframe(refusing{full}).Forward([]byte(frames)); !errors.Is(err, full) {
		t.Errorf("the error is %v", err)
	}
}

type refusing struct{ err error }

func (r refusing) Write([]byte) (int, error) { return 0, r.err }
