package copywire_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/copywire"
)

// script is a server that says what it was told to, in pieces, whatever it is asked.
type script struct {
	text   []byte
	pieces func(left int) int // the length of the next piece
	sent   bytes.Buffer       // what it was told
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.text) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(s.text))
	if s.pieces != nil {
		n = min(n, s.pieces(len(s.text)))
	}
	n = copy(p, s.text[:n])
	s.text = s.text[n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error)      { return s.sent.Write(p) }
func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

func connect(t testing.TB, s *script) *pgconn.PgConn {
	t.Helper()
	config, err := pgconn.ParseConfig("host=/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgconn.Construct(&pgconn.HijackedConn{Conn: s, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func message(kind byte, body string) string {
	return string(kind) + string(binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))) + body
}

func data(rows ...string) (frames string) {
	for _, row := range rows {
		frames += message('d', row)
	}
	return frames
}

var (
	copyOut   = message('H', "\x00\x00\x01\x00\x00")
	copyIn    = message('G', "\x00\x00\x01\x00\x00")
	copyDone  = message('c', "")
	ready     = message('Z', "I")
	notice    = message('N', "SNOTICE\x00C00000\x00Mhello\x00\x00")
	refusal   = message('E', "SERROR\x00C22012\x00Mdivision by zero\x00\x00")
	asides    = notice + message('S', "TimeZone\x00UTC\x00") + message('A', "\x00\x00\x00\x01x\x00y\x00")
	signature = "PGCOPY\n\xff\r\n\x00" + strings.Repeat("\x00", 8)
)

func complete(rows int) string { return message('C', fmt.Sprintf("COPY %d\x00", rows)) + ready }

// Wherever the network cuts the stream, the same frames are forwarded and the same rows hashed.
func TestCuts(t *testing.T) {
	text := []string{"\n", "1\n", "\xff\xff", "22\t\\N\n", strings.Repeat("x", 40) + "\n"}
	rows := []string{signature + "\x00\x01\x00\x00\x00\x02hi", "\x00\x01\xff\xff\xff\xff", "\x00\x00", "\x00\x01\x00\x00\x00\x02\xff\xff", "\xff\xff"}
	for _, test := range []struct {
		name   string
		rows   []string
		count  int
		binary bool
	}{
		{"text", text, len(text), false},
		{"binary", rows, len(rows) - 1, true},
		{"binary, no rows", []string{signature + "\xff\xff"}, 0, true},
		{"binary, header and trailer apart", []string{signature, "\x00\x00", "\xff\xff"}, 1, true},
	} {
		half := len(test.rows) / 2
		stream := copyOut + data(test.rows[:half]...) + asides + data(test.rows[half:]...) + copyDone + asides + complete(test.count)
		var whole [][]byte
		for _, row := range test.rows {
			whole = append(whole, []byte(row))
		}
		sum, size := naive(whole, test.binary)
		if test.rows[0] == signature {
			sum, _ = naive([][]byte{[]byte(test.rows[1])}, false)
		}
		check := func(cut string, pieces func(int) int) {
			t.Helper()
			var sink collector
			conn := connect(t, &script{text: []byte(stream), pieces: pieces})
			got, err := copywire.Out(t.Context(), conn, "COPY", &sink, copywire.NewRowHash(test.binary))
			want := copywire.Tally{Rows: int64(test.count), Bytes: size, Hash: sum}
			if err != nil || got != want || string(sink.frames) != data(test.rows...) {
				t.Errorf("%s, cut %s: %+v, want %+v; forwarded %q: %v", test.name, cut, got, want, sink.frames, err)
			}
		}
		for at := range len(stream) {
			check(fmt.Sprintf("at %d", at), func(left int) int { return max(1, at-(len(stream)-left)) + len(stream)*btoi(len(stream)-left >= at) })
		}
		for n := 1; n < 30; n++ {
			check(fmt.Sprintf("every %d", n), func(int) int { return n })
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Rows that end, and headers that lie, around the end of the buffer.
func TestBufferBoundaries(t *testing.T) {
	const buffer = 256 << 10
	for delta := -12; delta <= 12; delta++ {
		rows := []string{strings.Repeat("a", buffer-2*5+delta), "b", strings.Repeat("c", 2*buffer+delta), "d"}
		var whole [][]byte
		for _, row := range rows {
			whole = append(whole, []byte(row))
		}
		sum, size := naive(whole, false)
		var sink collector
		conn := connect(t, &script{text: []byte(data(rows...) + copyDone + complete(len(rows)))})
		got, err := copywire.Out(t.Context(), conn, "COPY", &sink, copywire.NewRowHash(false))
		if want := (copywire.Tally{Rows: 4, Bytes: size, Hash: sum}); err != nil || got != want || string(sink.frames) != data(rows...) {
			t.Errorf("delta %d: %+v, want %+v: %v", delta, got, want, err)
		}
	}
}

func TestBadStreams(t *testing.T) {
	huge := string(binary.BigEndian.AppendUint32([]byte("E"), 1<<21))
	for name, stream := range map[string]string{
		"nothing":                    "",
		"a cut header":               "d\x00",
		"a cut row":                  copyOut + "d\x00\x00\x00\x09abc",
		"no end":                     copyOut + data("a\n"),
		"no ready":                   copyOut + data("a\n") + copyDone + message('C', "COPY 1\x00"),
		"length 3":                   copyOut + "d\x00\x00\x00\x03",
		"length 0":                   copyOut + "E\x00\x00\x00\x00",
		"length -1":                  copyOut + "d\xff\xff\xff\xff",
		"a huge error":               huge + strings.Repeat("x", 1<<21),
		"another message":            copyOut + message('T', "\x00\x00") + complete(0),
		"another tag":                copyOut + copyDone + message('C', "SELECT 0\x00") + ready,
		"a tag without a number":     copyOut + copyDone + message('C', "COPY x\x00") + ready,
		"an unreadable error":        copyOut + message('E', "S") + ready,
		"fewer rows than counted":    copyOut + data("a\n") + copyDone + complete(2),
		"more rows than counted":     copyOut + data("a\n", "b\n") + copyDone + complete(1),
		"no row count":               copyOut + data("a\n") + copyDone + ready,
		"an error after all":         copyOut + data("a\n") + refusal + ready,
		"an error, then a hung line": copyOut + data("a\n") + refusal,
	} {
		conn := connect(t, &script{text: []byte(stream)})
		_, err := copywire.Out(t.Context(), conn, "COPY", nil, copywire.NewRowHash(false))
		if err == nil {
			t.Errorf("Out: no error from %s", name)
		}
		if strings.HasPrefix(name, "an error") && sqlState(err) != "22012" {
			t.Errorf("Out: %s is reported as %v", name, err)
		}
		// The same with the other direction, whose server should only talk at the start and at the end.
		for _, start := range []string{"", copyIn} {
			conn := connect(t, &script{text: []byte(start + stream)})
			in, err := copywire.OpenIn(t.Context(), conn, "COPY")
			if err == nil {
				_, _ = in.Write([]byte("a\n")) // Finish says why
				_, err = in.Finish()
			}
			if err == nil {
				t.Errorf("In: no error from %q and %s", start, name)
			}
		}
	}
}

func TestSinkError(t *testing.T) {
	full := errors.New("disk full")
	conn := connect(t, &script{text: []byte(copyOut + data("a\n") + copyDone + complete(1))})
	if _, err := copywire.Out(t.Context(), conn, "COPY", failing{full}, nil); !errors.Is(err, full) || !conn.IsClosed() {
		t.Errorf("the error is %v, closed %v", err, conn.IsClosed())
	}
}

type failing struct{ err error }

func (f failing) Forward([]byte) error { return f.err }

// However the stream reads, Out returns; what it forwards without an error is whole frames.
func FuzzOut(f *testing.F) {
	f.Add([]byte(copyOut+data("1\n", "2\n")+copyDone+complete(2)), uint8(3))
	f.Add([]byte(copyOut+data(signature+"\x00\x00", "\xff\xff")+copyDone+complete(1)), uint8(200))
	f.Add([]byte(refusal+ready), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		for _, format := range formats {
			var sink collector
			conn := connect(t, &script{text: stream, pieces: func(int) int { return int(piece) + 1 }})
			tally, err := copywire.Out(context.Background(), conn, "COPY", &sink, copywire.NewRowHash(format.binary))
			if err != nil {
				continue
			}
			if _, size := naive(payloads(t, sink.frames), false); size != tally.Bytes {
				t.Errorf("forwarded %d bytes, counted %d", size, tally.Bytes)
			}
		}
	})
}
