// Package owner names processes, so that a later one can tell whether what a process has
// made still belongs to somebody.
package owner

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Self names this process so that a later one can tell whether it still lives:
// the boot of its machine and its namespace of process IDs, its process ID, and
// when it was started, in clock ticks. Where /proc is missing it is "unknown",
// which is never taken for dead.
func Self() string { return of(os.Getpid()) }

func of(pid int) string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "unknown"
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "unknown"
	}
	// The name of the program, in parentheses, may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const startTime = 22 - 3 // the first field here is number 3 in proc(5)
	if len(fields) <= startTime {
		return "unknown"
	}
	return fmt.Sprintf("%s/%s/%d/%s", bytes.TrimSpace(boot), namespace, pid, fields[startTime])
}

// Dead says that the process that was named so ran on this machine since its
// last boot, where this one would see it, and is no more.
func Dead(name string) bool {
	parts, self := strings.Split(name, "/"), strings.Split(Self(), "/")
	if len(parts) != 4 || len(self) != 4 || parts[0] != self[0] || parts[1] != self[1] {
		return false
	}
	pid, err := strconv.Atoi(parts[2])
	return err == nil && of(pid) != name
}
