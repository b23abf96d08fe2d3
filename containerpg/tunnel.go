package containerpg

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
)

// perlTunnel joins its standard input and output to a server: one process that
// starts no other. It ends when its input does, since that is all it is told of
// the end of this program; what the server still says is passed on for a second.
// ARGV: folder of the socket, or empty; port. TCP is for servers without a socket.
const perlTunnel = `use Socket;
use Fcntl;
$SIG{PIPE} = $SIG{HUP} = "IGNORE";
$SIG{TERM} = $SIG{INT} = sub { exit 0 };
my ($dir, $port) = @ARGV;
my ($s, $why);
for my $to ($dir ne "" ? "$dir/.s.PGSQL.$port" : (), "127.0.0.1") {
	my $tcp = $to eq "127.0.0.1";
	my $address = $tcp ? sockaddr_in($port, inet_aton($to)) : sockaddr_un($to);
	socket($s, $tcp ? PF_INET : PF_UNIX, SOCK_STREAM, 0) && connect($s, $address) and last;
	$why .= ($why ? "; " : "") . ($tcp ? "$to:$port" : $to) . ": $!";
	undef $s;
}
unless ($s) { print STDERR "pgberth: not connected: $why\n"; exit 1 }
for my $f (\*STDIN, \*STDOUT, $s) {
	binmode $f;
	fcntl($f, F_SETFL, fcntl($f, F_GETFL, 0) | O_NONBLOCK);
}
fcntl(STDOUT, 1031, 1 << 20); # a wider pipe, where Linux gives one: fewer turns of both its ends
my ($fs, $up, $down, $closed, $gone, $until) = (fileno($s), "", "", 0, 0, 0);
sub again { $!{EAGAIN} || $!{EWOULDBLOCK} || $!{EINTR} }
while (1) {
	exit 0 if $gone && $down eq "" || $until && time > $until;
	my ($r, $w) = ("", "");
	vec($r, 0, 1) = 1 if !$closed && !$gone && $up eq "";
	vec($r, $fs, 1) = 1 if !$gone && $down eq "";
	vec($w, $fs, 1) = 1 if $up ne "";
	vec($w, 1, 1) = 1 if $down ne "";
	next if select($r, $w, undef, $until ? 0.2 : undef) < 0;
	if (vec($r, 0, 1)) {
		my $n = sysread(STDIN, $up, 65536);
		$closed = 1 if defined $n && $n == 0 || !defined $n && !again();
	}
	if ($up ne "") {
		my $n = syswrite($s, $up);
		if (defined $n) { substr($up, 0, $n, "") }
		elsif (!again()) { $up = ""; $closed = 1 }
	}
	if ($closed && $up eq "" && !$until) { shutdown($s, 1); $until = time + 1 }
	# As long as there is more to pass on, nothing else is asked for a few turns.
	for (my $turn = 0; $turn < 16; $turn++) {
		if ($down eq "" && ($turn || vec($r, $fs, 1))) {
			my $n = sysread($s, $down, 262144);
			$gone = 1 if defined $n && $n == 0 || !defined $n && !again();
		}
		last if $down eq "";
		my $n = syswrite(STDOUT, $down);
		if (defined $n) { substr($down, 0, $n, "") }
		elsif (!again()) { exit 1 }
		last if $down ne "";
	}
}
`

// bashTunnel is for images without perl. It has two children, waits for both
// whatever happens, and knows TCP alone.
const bashTunnel = `trap "" PIPE HUP
{ exec 3<>"/dev/tcp/127.0.0.1/$2"; } 2>/dev/null || { echo "pgberth: not connected: 127.0.0.1:$2" >&2; exit 1; }
exec 4<&0
cat <&3 4<&- & r=$!
cat <&4 >&3 & w=$!
exec 0</dev/null 1>&- 3>&- 4<&-
wait -n $r $w
kill $r $w 2>/dev/null
wait
exit 0
`

// chooseTunnel becomes whichever tunnel the container has the program for, so
// that there is one process and nothing has to be asked beforehand.
// $1 and $2 are the scripts, the others their arguments.
const chooseTunnel = `p=$1 b=$2
shift 2
command -v perl >/dev/null 2>&1 && exec perl -e "$p" -- "$@"
command -v bash >/dev/null 2>&1 && exec bash -c "$b" pgberth "$@"
echo "pgberth: the container has neither perl nor bash" >&2
exit 1
`

const notConnected = "pgberth: not connected: "

// tunnel opens a connection to the server in b by a process in its container.
func (e *Engine) tunnel(ctx context.Context, b box, a address) (net.Conn, error) {
	command := []string{"/bin/sh", "-c", chooseTunnel, "pgberth", perlTunnel, bashTunnel, a.dir, strconv.Itoa(a.port)}
	stream, id, err := e.startExec(ctx, b.id, container.ExecOptions{
		Cmd: command, User: a.user, Env: []string{"LC_ALL=C"}, AttachStdin: true, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return nil, fmt.Errorf("open a tunnel into container %q: %w", b.name, err)
	}
	return &tunnel{
		Conn: stream.Conn, e: e, name: b.name, exec: id,
		in: bufio.NewReaderSize(stream.Reader, 256<<10), stderr: newTail(2 << 10),
	}, nil
}

// startExec starts a process in a container and attaches to it.
func (e *Engine) startExec(ctx context.Context, id string, options container.ExecOptions) (types.HijackedResponse, string, error) {
	created, err := e.docker.ContainerExecCreate(ctx, id, options)
	if err != nil {
		return types.HijackedResponse{}, "", err
	}
	stream, err := e.docker.ContainerExecAttach(ctx, created.ID, container.ExecAttachOptions{})
	return stream, created.ID, err
}

// A tunnel is a connection to a server through a process in its container. One
// goroutine may read while another writes, and any may close it. Reads fail with
// a [*TunnelError] if the process ended badly.
type tunnel struct {
	net.Conn // the engine's stream: what is written is the process's input
	e        *Engine
	name     string // of the container
	exec     string // ID of the process

	in     *bufio.Reader // its output, in frames
	frame  int           // bytes of the current frame still to come
	heard  bool          // anything came
	stderr *tail
	ended  error // why there is no more

	once   sync.Once
	closed error
}

var _ net.Conn = (*tunnel)(nil)

// tunnelAddr is the address of a tunnel's ends.
type tunnelAddr string

func (tunnelAddr) Network() string  { return "docker" }
func (a tunnelAddr) String() string { return string(a) }

func (t *tunnel) LocalAddr() net.Addr  { return tunnelAddr("pgberth") }
func (t *tunnel) RemoteAddr() net.Addr { return tunnelAddr(t.name) }

func (t *tunnel) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for t.frame == 0 {
		if t.ended != nil {
			return 0, t.ended
		}
		if err := t.next(); err != nil {
			return 0, err
		}
	}
	n, err := t.in.Read(p[:min(len(p), t.frame)])
	t.frame -= n
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // within a frame
	}
	return n, err
}

// next reads up to the next frame of standard output. A deadline that passes
// meanwhile loses nothing.
func (t *tunnel) next() error {
	header, err := t.in.Peek(8)
	if err != nil {
		if errors.Is(err, io.EOF) {
			t.ended = t.end()
			return t.ended
		}
		return err
	}
	size := int(binary.BigEndian.Uint32(header[4:]))
	switch header[0] {
	case 1:
		if !t.heard && size > 0 {
			frame, err := t.in.Peek(9)
			if err != nil {
				return err
			}
			if strings.IndexByte(firstWords, frame[8]) < 0 {
				return t.aside(size)
			}
		}
		t.heard = true
		t.frame = size
		_, err := t.in.Discard(8)
		return err
	case 2, 3:
		return t.aside(size)
	}
	return fmt.Errorf("read from a tunnel into container %q: unknown stream %d", t.name, header[0])
}

// firstWords are the types of the messages with which a server begins: to a startup, or to a request for TLS. Anything else
// is an engine's, which says on standard output that it could not start a process: "OCI runtime exec failed", "cannot exec in
// a stopped container".
const firstWords = "RENSv"

// aside keeps a frame that is a message.
func (t *tunnel) aside(size int) error {
	frame, err := t.in.Peek(min(8+size, t.in.Size()))
	if err != nil {
		return err
	}
	_, _ = t.stderr.Write(frame[8:])
	_, err = t.in.Discard(8 + size)
	return err
}

// end finds out how the process of a stream that has ended did. It is the end
// of the connection if it ended well.
func (t *tunnel) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), execTimeout)
	defer cancel()
	code, err := t.e.execStatus(ctx, t.exec)
	if err != nil {
		return fmt.Errorf("the tunnel into container %q broke off: %w: %w", t.name, io.ErrUnexpectedEOF, err)
	}
	if code == 0 {
		return io.EOF
	}
	return &TunnelError{Name: t.name, Code: code, Stderr: strings.TrimSpace(t.stderr.String())}
}

// CloseWrite tells the server that no more comes. It has a second for its last
// words, then the tunnel ends.
func (t *tunnel) CloseWrite() error {
	half, ok := t.Conn.(types.CloseWriter)
	if !ok {
		return errors.New("the engine's stream cannot be half-closed")
	}
	return half.CloseWrite()
}

func (t *tunnel) Close() error {
	t.once.Do(func() { t.closed = t.Conn.Close() })
	return t.closed
}

// A TunnelError says that the process which carried a connection into a
// container ended.
type TunnelError struct {
	Name   string // of the container
	Code   int
	Stderr string // the end of what it wrote to its standard error
}

func (e *TunnelError) Error() string {
	if why, ok := strings.CutPrefix(e.Stderr, notConnected); ok {
		return "inside the container: " + why
	}
	return fmt.Sprintf("docker exec tunnel into container %q ended (exit %d): %s", e.Name, e.Code, e.Stderr)
}

// notListening says that the tunnel was there and the server not.
func (e *TunnelError) notListening() bool { return strings.HasPrefix(e.Stderr, notConnected) }

// tunnelDial bounds how long a tunnel takes to be opened, by ssh too.
const tunnelDial = 30 * time.Second
