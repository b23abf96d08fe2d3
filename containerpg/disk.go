package containerpg

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// FreeDisk answers how many bytes are free where the server keeps its data.
func (e *Engine) FreeDisk(ctx context.Context, s *Server) (int64, error) {
	if s.DataDir == "" {
		return 0, fmt.Errorf("free disk of container %q: its data directory is not known", s.Name)
	}
	out, err := e.exec(ctx, s.ID, "df", "-Pk", s.DataDir)
	if err != nil {
		return 0, fmt.Errorf("free disk of container %q: %w", s.Name, err)
	}
	free, err := parseDF(string(out))
	if err != nil {
		return 0, fmt.Errorf("free disk of container %q: %w", s.Name, err)
	}
	return free, nil
}

// parseDF reads the fourth column of POSIX df's second line.
func parseDF(out string) (int64, error) {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	fields := strings.Fields(lines[len(lines)-1])
	if len(lines) != 2 || len(fields) < 6 {
		return 0, fmt.Errorf("df wrote %q", out)
	}
	kilobytes, err := strconv.ParseInt(fields[3], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("df wrote %q", out)
	}
	return kilobytes << 10, nil
}
