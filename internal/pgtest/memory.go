package pgtest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// WatchMemory follows a running process, and returns what waits for its end and answers the most memory it has taken, in bytes.
// The figure that the system gives of a child that has ended is no use: it is never less than its parent's.
func WatchMemory(t testing.TB, pid int) (peak func() int64) {
	t.Helper()
	status := fmt.Sprintf("/proc/%d/status", pid)
	if _, err := os.Stat(status); err != nil {
		t.Fatalf("the system does not tell of a process's memory: %v", err)
	}
	result := make(chan int64, 1)
	go func() {
		var most int64
		for {
			text, err := os.ReadFile(status)
			_, value, found := strings.Cut(string(text), "\nVmHWM:")
			if err != nil || !found { // it has ended
				result <- most
				return
			}
			var kilobytes int64
			if _, err := fmt.Sscan(value, &kilobytes); err == nil {
				most = max(most, kilobytes<<10)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return func() int64 { return <-result }
}
