package containerpg

import (
	"context"
	"encoding/binary"
	"path"
	"strconv"
	"strings"
)

// A postmaster is what a running server wrote into its postmaster.pid.
type postmaster struct {
	pid     int
	dataDir string
	port    int
	// socketDir is the first of unix_socket_directories; empty: none.
	socketDir string
	listen    string // the first of listen_addresses; empty: no TCP
	ready     bool   // takes connections
	settled   bool   // it is not an entrypoint's temporary server

	cluster *fingerprint // of dataDir; nil if it could not be read
}

// parsePostmaster reads postmaster.pid. A server that is starting writes it line
// by line, so that the end may be missing; ok says that the port is there.
func parsePostmaster(data []byte) (p postmaster, ok bool) {
	lines := strings.Split(string(data), "\n")
	if len(lines) < 4 {
		return p, false
	}
	line := func(n int) string {
		if n > len(lines) {
			return ""
		}
		return strings.TrimSpace(lines[n-1])
	}
	p.pid, _ = strconv.Atoi(line(1))
	p.dataDir, p.socketDir, p.listen = line(2), line(5), line(6)
	switch line(8) {
	case "ready", "standby":
		p.ready = true
	case "": // before PostgreSQL 10
		p.ready = p.listen != ""
	}
	port, err := strconv.ParseUint(line(4), 10, 16)
	p.port = int(port)
	return p, err == nil && port != 0
}

// listening says that a server claims to be up, and is the one that stays.
func (p postmaster) listening() bool {
	// The temporary server of an entrypoint listens on its socket alone, and is
	// never PID 1.
	return p.ready && (p.listen != "" || p.pid == 1 || p.settled)
}

// onlyLoopback says that a server listens where only its own container reaches it.
func (p postmaster) onlyLoopback() bool {
	switch p.listen {
	case "", "localhost", "127.0.0.1", "::1":
		return true
	}
	return false
}

// loopback is where a server is reached over TCP from inside its network, or
// empty if nowhere.
func (p postmaster) loopback() string {
	switch p.listen {
	case "*", "0.0.0.0", "localhost":
		return "127.0.0.1"
	case "::":
		return "::1"
	}
	return p.listen
}

// dataDirs lists where the data directory may be, best guess first.
func (b box) dataDirs(commands []string) []string {
	var dirs []string
	for _, command := range commands {
		words := strings.Fields(command)
		if len(words) == 0 || path.Base(words[0]) != "postgres" {
			continue
		}
		for i, word := range words {
			if word == "-D" && i+1 < len(words) {
				dirs = append(dirs, words[i+1])
			} else if dir, ok := strings.CutPrefix(word, "-D"); ok && dir != "" {
				dirs = append(dirs, dir)
			}
		}
	}
	if dir := b.env["PGDATA"]; dir != "" {
		dirs = append(dirs, dir)
	}
	if root := b.env["PGROOT"]; root != "" { // spilo
		dirs = append(dirs, path.Join(root, "data"))
	}
	if dir := b.env["POSTGRESQL_DATA_DIR"]; dir != "" { // bitnami
		dirs = append(dirs, dir)
	}
	if dir := b.env["POSTGRESQL_VOLUME_DIR"]; dir != "" { // bitnami
		dirs = append(dirs, path.Join(dir, "data"))
	}
	return dirs
}

// readPostmaster reads postmaster.pid of the server in b, and the identity of its data directory. That it cannot be
// read is not an error: the file only says more surely what else is guessed.
func (e *Engine) readPostmaster(ctx context.Context, b box, commands []string) (postmaster, bool) {
	for _, dir := range b.dataDirs(commands) {
		pidFile, controlFile := path.Join(dir, "postmaster.pid"), path.Join(dir, controlFile)
		// Both by one process: each takes a while to start, and on a slow wire round trips.
		data, err := e.exec(ctx, b.id, "cat", pidFile, controlFile)
		control := len(data) - controlSize
		if err == nil && control > 0 {
			if p, ok := parsePostmaster(data[:control]); ok {
				p.cluster = (*fingerprint)(data[control : control+8])
				return p, true
			}
			continue
		}
		if data, err = e.readFile(ctx, b.id, pidFile); err != nil {
			continue
		}
		if p, ok := parsePostmaster(data); ok {
			p.cluster = e.readFingerprint(ctx, b, dir)
			return p, true
		}
	}
	return postmaster{}, false
}

// The control file of a data directory, and its size, which is PostgreSQL's PG_CONTROL_FILE_SIZE.
const (
	controlFile = "global/pg_control"
	controlSize = 8192
)

// A fingerprint is the identity of a data directory as its control file holds
// it: a 64 bit number in the byte order of the server's machine.
type fingerprint [8]byte

// is says whether f is the system identifier that a server told. A data
// directory whose control file could not be read may be any server's.
func (f *fingerprint) is(systemIdentifier string) bool {
	if f == nil || systemIdentifier == "" {
		return true
	}
	id, err := strconv.ParseUint(systemIdentifier, 10, 64)
	return err == nil && (binary.LittleEndian.Uint64(f[:]) == id || binary.BigEndian.Uint64(f[:]) == id)
}

// readFingerprint answers nil if the control file cannot be read.
func (e *Engine) readFingerprint(ctx context.Context, b box, dataDir string) *fingerprint {
	data, err := e.readFile(ctx, b.id, path.Join(dataDir, controlFile))
	if err != nil || len(data) < 8 {
		return nil
	}
	return (*fingerprint)(data[:8])
}
