package containerpg

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/pgberth/pgberth/internal/copywire"
)

// A probe is what was found out about the wire to a container.
type probe struct {
	tools map[string]bool // psql, zstd, gzip: those that the container has
	rate  int64           // bytes a second; 0: not measured
}

// probes are those of an engine's containers. Their wire is one, and measured once.
type probes struct {
	measuring sync.Mutex
	rate      int64 // bytes a second; 0: not yet known

	mu      sync.Mutex
	early   map[string]func() (probe, error) // begun before they were asked for, by the container's ID
	running sync.WaitGroup
	ctx     context.Context // of what runs, which outlives the call that began it
	stop    context.CancelFunc
}

func newProbes() *probes {
	p := &probes{early: map[string]func() (probe, error){}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// close ends what was begun early.
func (p *probes) close() {
	p.stop()
	p.running.Wait()
}

// probeEarly begins to look at the wire to a container while its server is being reached, which takes round
// trips only. If it fails, as in a container that is being restarted, who asks for the probe looks again.
func (e *Engine) probeEarly(id string) {
	p := e.probes
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.early[id] != nil {
		return
	}
	look := sync.OnceValues(func() (probe, error) { return e.look(p.ctx, id, true) })
	p.early[id] = look
	p.running.Go(func() { _, _ = look() })
}

// probe looks at the wire to a container, and with measure at how much it carries.
func (e *Engine) probe(ctx context.Context, id string, measure bool) (probe, error) {
	e.probes.mu.Lock()
	early := e.probes.early[id]
	e.probes.mu.Unlock()
	if early != nil {
		defer context.AfterFunc(ctx, e.probes.stop)() // the end of the run, which waits for it here
		if p, err := early(); err == nil {
			return p, nil
		}
	}
	return e.look(ctx, id, measure)
}

func (e *Engine) look(ctx context.Context, id string, measure bool) (probe, error) {
	if !measure {
		return e.runProbe(ctx, id, false)
	}
	e.probes.measuring.Lock()
	defer e.probes.measuring.Unlock()
	p, err := e.runProbe(ctx, id, e.probes.rate == 0)
	if err != nil {
		return probe{}, err
	}
	if p.rate > 0 {
		e.probes.rate = p.rate
	}
	p.rate = e.probes.rate
	return p, nil
}

// A wire is measured by a little first, and by more only if that was too quick to tell.
const (
	firstPiece = 256 << 10
	leastPiece = 4 << 20
	mostPieces = 16 << 20
	enoughTime = 20 * time.Millisecond
)

// probeScript says which programs there are. With a size $1 it says then that a byte has come, that as many as
// the size have, and by its end that all have.
const probeScript = `trap "" PIPE HUP
for p in psql zstd gzip; do command -v $p; done
echo
[ "$1" = 0 ] && exit
head -c 1 >/dev/null
echo
head -c "$1" >/dev/null
echo
exec cat >/dev/null
`

// runProbe takes half a second or so, and longer only where a wire carries less than 256 kB in one. What is sent to
// measure it cannot be compressed.
func (e *Engine) runProbe(ctx context.Context, id string, measure bool) (probe, error) {
	size := 0
	if measure {
		size = firstPiece
	}
	stream, _, err := e.startExec(copywire.Bulk(ctx), id, container.ExecOptions{
		Cmd: []string{"/bin/sh", "-c", probeScript, "sh", strconv.Itoa(size)}, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return probe{}, err
	}
	defer context.AfterFunc(ctx, stream.Close)()
	output, said := io.Pipe()
	stderr := newTail(1 << 10)
	var listener sync.WaitGroup
	listener.Go(func() { _ = said.CloseWithError(demux(said, stderr, stream.Reader)) })
	defer listener.Wait()
	defer stream.Close()
	defer output.Close()

	lines := bufio.NewReader(output)
	p := probe{tools: map[string]bool{}}
	var text strings.Builder // where there is no shell, the engine's own words
	for {
		line, err := lines.ReadString('\n')
		text.WriteString(line)
		if err != nil {
			return probe{}, fmt.Errorf("look for psql, zstd and gzip in it: %w: %s", err, strings.TrimSpace(text.String()+stderr.String()))
		}
		if line == "\n" {
			break
		}
		p.tools[path.Base(strings.TrimSpace(line))] = true
	}
	if measure {
		m := measurement{to: stream.Conn, half: stream.CloseWrite, from: lines}
		if p.rate, err = m.rate(); err != nil {
			return probe{}, fmt.Errorf("measure the wire: %w", err)
		}
	}
	return p, nil
}

// A measurement is the conversation with a probeScript.
type measurement struct {
	to   io.Writer
	half func() error // ends what is written
	from *bufio.Reader
}

// rate is in bytes a second.
func (m measurement) rate() (int64, error) {
	block := make([]byte, firstPiece)
	_, _ = rand.Read(block) // it never fails
	turn, err := m.timed(block[:1])
	if err != nil {
		return 0, err
	}
	took, err := m.timed(block)
	if err != nil {
		return 0, err
	}
	took = max(took-turn, time.Millisecond)
	rate := float64(len(block)) / took.Seconds()
	if took >= enoughTime {
		return int64(rate), nil
	}
	size := int(min(mostPieces, max(leastPiece, rate/3)))
	start := time.Now()
	for sent := 0; sent < size; sent += len(block) {
		if _, err := m.to.Write(block); err != nil {
			return 0, err
		}
	}
	if err := m.half(); err != nil {
		return 0, err
	}
	if _, err := io.Copy(io.Discard, m.from); err != nil {
		return 0, err
	}
	return int64(float64(size) / max(time.Since(start)-turn, time.Millisecond).Seconds()), nil
}

// timed writes, and answers how long it was until that had come.
func (m measurement) timed(data []byte) (time.Duration, error) {
	start := time.Now()
	if _, err := m.to.Write(data); err != nil {
		return 0, err
	}
	_, err := m.from.ReadString('\n')
	return time.Since(start), err
}
