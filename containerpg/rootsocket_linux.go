package containerpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// onThisMachine says whether the process with an ID is one of the container's,
// as this machine sees it: an engine in a virtual machine, or behind a
// forwarded socket, tells IDs that are other processes here, or none.
func onThisMachine(pid int, containerID string) bool {
	if pid <= 0 {
		return false
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && bytes.Contains(groups, []byte(containerID))
}

// dialInside connects to the unix socket at a path of a container's own file
// system, which root on its machine may. Every part of the path, symbolic links
// included, is looked up within that file system: /var/run/postgresql is often a
// link to /run, which by any other way would lead to the host's own server.
func dialInside(ctx context.Context, pid int, containerID, path string) (net.Conn, error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open root of container", Path: path, Err: err}
	}
	defer unix.Close(root)
	// Only now: an ID may have passed to another process since it was asked for.
	if !onThisMachine(pid, containerID) {
		return nil, errors.New("the container's process is not on this machine")
	}
	socket, err := unix.Openat2(root, strings.TrimPrefix(path, "/"), &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "open in container", Path: path, Err: err}
	}
	defer unix.Close(socket)
	// The name of the descriptor stands for the very socket that was found.
	return (&net.Dialer{Timeout: bridgeDial}).DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d", socket))
}
