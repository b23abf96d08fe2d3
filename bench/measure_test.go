//go:build bench

package bench_test

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func numCPU() int { return runtime.NumCPU() }

// cpu is what the parties of a run have used so far.
type cpu struct {
	Source time.Duration `json:"source_ns"`
	Target time.Duration `json:"target_ns"`
	Tool   time.Duration `json:"tool_ns"`
}

func (c cpu) minus(o cpu) cpu {
	return cpu{c.Source - o.Source, c.Target - o.Target, c.Tool - o.Tool}
}

func (c cpu) servers() time.Duration { return c.Source + c.Target }
func (c cpu) all() time.Duration     { return c.Source + c.Target + c.Tool }

// usage reads what has been used. tool is the process of the tool, or 0 if
// it runs among the peers.
func (f *field) usage(t testing.TB, tool int) cpu {
	c := cpu{Source: tree(postmaster(t, f.src.SocketDir)), Target: containerCPU(t, f.dst.Container)}
	if tool == 0 {
		c.Tool = containerCPU(t, f.peers)
	} else {
		c.Tool = tree(tool)
	}
	return c
}

func postmaster(t testing.TB, dir string) int {
	pid, err := strconv.Atoi(lines(filepath.Join(dir, "data", "postmaster.pid"))[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// tick is the unit of the times in /proc, as it is everywhere on Linux.
const tick = 10 * time.Millisecond

// machineCPU is what all processes of this machine have used of its processors.
func machineCPU(t testing.TB) (sum time.Duration) {
	t.Helper()
	f := strings.Fields(lines("/proc/stat")[0]) // cpu user nice system idle iowait irq softirq
	for _, i := range []int{1, 2, 3, 6, 7} {
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(n) * tick
	}
	return sum
}

// tree is the CPU time of a process, of the children it has waited for, and of
// those that live.
func tree(pid int) time.Duration {
	sum := ownTime(pid, true)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && parent(child) == pid {
			sum += ownTime(child, true)
		}
	}
	return sum
}

// fields are those of /proc/PID/stat from the third on.
func fields(pid int) []string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil // it is gone
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
}

func parent(pid int) int {
	f := fields(pid)
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(f[1])
	return n
}

func ownTime(pid int, withChildren bool) (sum time.Duration) {
	f := fields(pid)
	if len(f) < 15 {
		return 0
	}
	last := 13
	if withChildren {
		last = 15
	}
	for _, s := range f[11:last] {
		n, _ := strconv.ParseInt(s, 10, 64)
		sum += time.Duration(n) * tick
	}
	return sum
}

var containerIDs sync.Map

// containerCPU reads the control group of a container, in whichever version.
func containerCPU(t testing.TB, name string) time.Duration {
	t.Helper()
	id, found := containerIDs.Load(name)
	if !found {
		id = inspect(t, name, "{{.Id}}")
		containerIDs.Store(name, id)
	}
	for _, pattern := range []string{"/sys/fs/cgroup/cpuacct/docker/" + id.(string), "/sys/fs/cgroup/system.slice/docker-" + id.(string) + ".scope", "/sys/fs/cgroup/docker/" + id.(string)} {
		if l := lines(filepath.Join(pattern, "cpuacct.usage")); len(l) > 0 {
			n, _ := strconv.ParseInt(l[0], 10, 64)
			return time.Duration(n)
		}
		for _, line := range lines(filepath.Join(pattern, "cpu.stat")) {
			if usec, found := strings.CutPrefix(line, "usage_usec "); found {
				n, _ := strconv.ParseInt(usec, 10, 64)
				return time.Duration(n) * time.Microsecond
			}
		}
	}
	return 0 // it is being restarted
}

// sampleEvery is how often a run's use of the cores is looked at.
const sampleEvery = 250 * time.Millisecond

// sampler looks at a run's use of the cores until stopped.
type sampler struct {
	stop  chan struct{}
	ended chan struct{}
	cores []float64 // busy, by sampleEvery
}

func (f *field) sample(t testing.TB, tool int) *sampler {
	s := &sampler{stop: make(chan struct{}), ended: make(chan struct{})}
	last, at := f.usage(t, tool), time.Now()
	go func() {
		defer close(s.ended)
		ticker := time.NewTicker(sampleEvery)
		defer ticker.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-ticker.C:
			}
			next, now := f.usage(t, tool), time.Now()
			s.cores = append(s.cores, max(0, next.minus(last).all().Seconds()/now.Sub(at).Seconds()))
			last, at = next, now
		}
	}()
	return s
}

func (s *sampler) end() []float64 {
	close(s.stop)
	<-s.ended
	return s.cores
}

// figures are what a run of a tool took.
type figures struct {
	Wall   time.Duration `json:"wall_ns"`
	CPU    cpu           `json:"cpu"`
	Memory int64         `json:"memory_bytes,omitempty"` // largest resident set, where known
	Cores  []float64     `json:"cores_busy"`
	Units  []span        `json:"units,omitempty"`
}

func maxRSS(state *os.ProcessState) int64 {
	return state.SysUsage().(*syscall.Rusage).Maxrss * 1024
}

// medianRun is the run with the median time.
func medianRun(runs []figures) figures {
	return median(runs, func(f figures) time.Duration { return f.Wall })
}

func median[T any](runs []T, wall func(T) time.Duration) T {
	sorted := slices.SortedFunc(slices.Values(runs), func(a, b T) int { return cmp.Compare(wall(a), wall(b)) })
	return sorted[len(sorted)/2]
}
