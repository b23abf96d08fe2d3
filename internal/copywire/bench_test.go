package copywire

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
)

// stream is a server's answer that never ends: rows of some length, over and over.
type stream struct {
	net.Conn
	frames []byte
	pos    int
	left   int
}

func (s *stream) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && s.left > 0 {
		m := copy(p[n:min(len(p), n+s.left)], s.frames[s.pos:])
		n, s.left, s.pos = n+m, s.left-m, (s.pos+m)%len(s.frames)
	}
	return n, nil
}

func frames(rowLen int) []byte {
	var out []byte
	for len(out) < 1<<20 {
		out = append(out, msgCopyData)
		out = binary.BigEndian.AppendUint32(out, uint32(4+rowLen))
		out = append(out, make([]byte, rowLen)...)
	}
	return out
}

type nowhere struct{}

func (nowhere) Forward([]byte) error { return nil }

// The relay hops from frame to frame: what a megabyte of rows costs beside the system calls.
func BenchmarkFrames(b *testing.B) { benchmarkFrames(b, func() *RowHash { return nil }) }

// With a hash of every row, as for --verify=data.
func BenchmarkHash(b *testing.B) { benchmarkFrames(b, func() *RowHash { return NewRowHash(false) }) }

func benchmarkFrames(b *testing.B, hash func() *RowHash) {
	for _, row := range []struct {
		name   string
		length int
	}{{"rows of 60 bytes", 60}, {"rows of 300 bytes", 300}, {"rows of 100 kB", 100_000}} {
		data := frames(row.length)
		b.Run(row.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				o := &out{socket: &stream{frames: data, left: len(data)}, sink: nowhere{}, hash: hash(), buf: make([]byte, outBuffer)}
				if err := o.run(); err != io.EOF {
					b.Fatal(err)
				}
			}
		})
	}
}
