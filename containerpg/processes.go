package containerpg

import (
	"context"
	"slices"
	"strconv"
)

// A process is one that runs in a container, with the IDs that the engine's machine
// has for it and its parent.
type process struct {
	id, parent string
	command    string
}

// processes lists the command lines of a container's own processes: those that its
// main process has started or adopted. What others execute in it meanwhile, this
// program among them, says nothing of what the container is. Known is false if the
// engine cannot tell.
func (e *Engine) processes(ctx context.Context, b box) (commands []string, known bool) {
	list := e.top(ctx, b.id)
	if b.info.State != nil {
		list = descendants(list, strconv.Itoa(b.info.State.Pid))
	}
	for _, p := range list {
		commands = append(commands, p.command)
	}
	return commands, len(commands) > 0
}

// top lists all processes in a container, in the order of ps.
func (e *Engine) top(ctx context.Context, id string) []process {
	for _, args := range [][]string{{"-eo", "pid,ppid,args"}, {"-eo", "pid,args"}, nil} {
		top, err := e.docker.ContainerTop(ctx, id, args)
		if err != nil {
			continue
		}
		column := func(names ...string) func([]string) string {
			i := slices.IndexFunc(top.Titles, func(title string) bool { return slices.Contains(names, title) })
			return func(row []string) string {
				if i < 0 || i >= len(row) {
					return ""
				}
				return row[i]
			}
		}
		pid, parent, command := column("PID"), column("PPID"), column("COMMAND", "CMD", "ARGS")
		var list []process
		for _, row := range top.Processes {
			if text := command(row); text != "" {
				list = append(list, process{pid(row), parent(row), text})
			}
		}
		if len(list) > 0 {
			return list
		}
	}
	return nil
}

// descendants leaves the main process and what comes of it, or all where the main
// one is not among them, as of an engine that counts otherwise.
func descendants(list []process, main string) []process {
	parents := map[string]string{}
	for _, p := range list {
		if p.parent != "" {
			parents[p.id] = p.parent
		}
	}
	if _, known := parents[main]; !known {
		return list
	}
	return slices.DeleteFunc(list, func(p process) bool {
		id := p.id
		for range len(list) { // a listing made while IDs are given out anew might have a circle
			if id == main {
				return false
			}
			id = parents[id]
		}
		return true
	})
}
