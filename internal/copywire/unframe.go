package copywire

import (
	"encoding/binary"
	"io"
)

// Unframe returns a Sink that writes the data inside the frames to w, for rows
// that leave a server for somewhere else than another server.
func Unframe(w io.Writer) Sink { return &unframer{w: w} }

type unframer struct {
	w         io.Writer
	remaining int // bytes of the current message still to come
	header    [headerLen]byte
	have      int // bytes of the header that were seen
}

// Forward implements [Sink].
func (u *unframer) Forward(p []byte) error {
	for len(p) > 0 {
		if u.remaining > 0 {
			n := min(u.remaining, len(p))
			if _, err := u.w.Write(p[:n]); err != nil {
				return err
			}
			u.remaining -= n
			p = p[n:]
			continue
		}
		n := copy(u.header[u.have:], p)
		u.have += n
		p = p[n:]
		if u.have == headerLen {
			u.have = 0
			u.remaining = int(binary.BigEndian.Uint32(u.header[1:])) - 4
		}
	}
	return nil
}
