package archive

import (
	"cmp"
	"slices"
	"strings"
)

// A Graph says which entries of a parallel restore may run now. It covers what comes after
// pre-data: rows, indexes, constraints and the like, then privileges, then refreshes and event
// triggers. It only keeps the books; the caller runs the entries. It is not safe for
// concurrent use.
type Graph struct {
	nodes   map[int]*node
	byPass  [PassPostACL + 1][]*node
	pass    Pass
	ready   []*node // of the current pass, best first
	running []*node
	left    int // not done in any pass
}

type node struct {
	entry      *Entry
	pass       Pass  // its own or that of what it waits for, whichever is later
	rank       int   // place in the archive
	cost       int64 // of its own work
	path       int64 // cost of the longest chain of work that begins with it
	deps       []int // ids, after repointing; also of entries outside the graph
	locks      []int // the tables among deps that it locks exclusively
	waits      int   // nodes of the graph it still waits for
	dependents []*node
	keepsOut   []*node // what cannot run beside it, because of its locks
	state      state
}

type state int

const (
	pending state = iota
	ready
	running
	done
)

// NewGraph arranges entries of an archive for a parallel restore. Dependencies on entries
// that are not among them count as met, except that what those wait for is waited for.
//
// cost estimates the work that an entry is; nil means unknown. What begins the longest chain of
// work comes first: no worker is then left with a long chain when the others have nothing to do.
func NewGraph(toc *TOC, entries []*Entry, cost func(*Entry) int64) *Graph {
	g := &Graph{nodes: make(map[int]*node, len(entries))}
	var nodes []*node
	schemas := toc.SchemaPrivileges()
	for i, e := range entries {
		if g.nodes[e.ID] != nil {
			continue
		}
		n := &node{entry: e, pass: e.Pass(), rank: i}
		n.deps, n.locks = toc.dependencies(e)
		if acl := schemas[e.Namespace.String]; acl != 0 && e.Desc == DescACL {
			n.deps = append(n.deps, acl)
		}
		if cost != nil {
			n.cost = cost(e)
		}
		g.nodes[e.ID] = n
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		for _, dep := range g.within(toc, n) {
			dep.dependents = append(dep.dependents, n)
			n.waits++
			n.pass = max(n.pass, dep.pass)
		}
		g.byPass[n.pass] = append(g.byPass[n.pass], n)
	}
	keepOut(nodes)
	for _, n := range nodes {
		n.measure()
	}
	g.left = len(nodes)
	g.enter(PassMain)
	return g
}

// keepOut finds the nodes that share a table which another locks. Those that it waits for are
// over when it runs.
func keepOut(nodes []*node) {
	sharing := make(map[int][]*node)
	for _, n := range nodes {
		if len(n.locks) == 0 {
			for _, id := range n.deps {
				sharing[id] = append(sharing[id], n)
			}
		}
	}
	for _, n := range nodes {
		seen := make(map[int]bool) // a partitioned table has thousands of others below it
		if len(n.locks) > 0 {
			for _, id := range n.deps {
				seen[id] = true
			}
		}
		for _, id := range n.locks {
			for _, other := range sharing[id] {
				if !seen[other.entry.ID] {
					seen[other.entry.ID] = true
					n.keepsOut = append(n.keepsOut, other)
				}
			}
		}
	}
}

// measure finds the longest chain of work that begins with the node. What it keeps out comes
// before it or after it: were that not counted, it would be put off until nothing else can use
// its table, and the end of a restore would be a queue of such nodes.
func (n *node) measure() int64 {
	if n.path == 0 {
		n.path = n.cost + 1 // also what a circle leads back to
		for _, followers := range [][]*node{n.dependents, n.keepsOut} {
			for _, d := range followers {
				n.path = max(n.path, n.cost+1+d.measure())
			}
		}
	}
	return n.path
}

// SchemaPrivileges returns the ids of the privileges of schemas, by the schema's name. They come before those
// of what is in the schema: who grants these in somebody else's name must be let into it.
func (t *TOC) SchemaPrivileges() map[string]int {
	ids := make(map[string]int)
	for _, e := range t.Find(DescACL) {
		name, found := strings.CutPrefix(e.Tag, "SCHEMA ")
		if !found || e.Namespace.Valid {
			continue
		}
		ids[name] = e.ID
		if tokens := tokenize(name); len(tokens) == 1 { // later versions quote it
			if unquoted, ok := tokens[0].name(); ok {
				ids[unquoted] = e.ID
			}
		}
	}
	return ids
}

// dependencies returns what an entry waits for and which tables it locks exclusively. Entries
// of the post-data section that depend on a table wait for all rows in it and below it instead: a trigger of
// a partitioned table fires for rows of its partitions.
func (t *TOC) dependencies(e *Entry) (deps, locks []int) {
	postData := e.Section == SectionPostData
	seen := map[int]bool{e.ID: true}
	for _, id := range e.Deps {
		targets := []int{id}
		if postData {
			if rows := t.RowsBelow(id); len(rows) > 0 {
				targets = targets[:0]
				for _, r := range rows {
					targets = append(targets, r.ID)
				}
			}
		}
		for _, target := range targets {
			if seen[target] {
				continue
			}
			seen[target] = true
			deps = append(deps, target)
			if d := t.ByID(target); d != nil && postData && !sharesTable(e) &&
				(d.Desc == DescTable || d.Desc == DescTableData) {
				locks = append(locks, target)
			}
		}
	}
	return deps, locks
}

// sharesTable reports whether the entry leaves its table to other indexes while it is
// restored. One that also marks its index as the table's replica identity, or as the one
// to cluster by, does not: two of them would wait for each other.
func sharesTable(e *Entry) bool {
	return e.Desc == DescIndex && !strings.Contains(e.Defn.String, "\nALTER TABLE ")
}

// within finds the nodes of the graph that a node waits for, looking through entries of the
// archive that are not in the graph.
func (g *Graph) within(toc *TOC, n *node) []*node {
	var found []*node
	seen := map[int]bool{n.entry.ID: true}
	for queue := slices.Clone(n.deps); len(queue) > 0; {
		id := queue[0]
		queue = queue[1:]
		if seen[id] {
			continue
		}
		seen[id] = true
		if dep := g.nodes[id]; dep != nil {
			found = append(found, dep)
		} else if e := toc.ByID(id); e != nil && toc.Section(e) != SectionPreData {
			deps, _ := toc.dependencies(e)
			queue = append(queue, deps...)
		}
	}
	return found
}

// Len is the number of entries that are not done.
func (g *Graph) Len() int { return g.left }

// Pass is the round the graph is in. A round begins when all of the one before is done.
func (g *Graph) Pass() Pass { return g.pass }

// Ready returns the entries that may be started now, longest chain first: all they wait for is
// done, and they do not lock a table that a running entry uses, nor the reverse.
// While nothing runs and entries are left it never comes back empty: where entries
// wait for each other in a circle, the first in archive order is let go.
func (g *Graph) Ready() []*Entry {
	g.advance()
	var out []*Entry
	for _, n := range g.ready {
		if !g.blocked(n) {
			out = append(out, n.entry)
		}
	}
	return out
}

// Next starts the first entry that Ready would return, or returns nil: then, if entries are
// left, a running one must be done first.
func (g *Graph) Next() *Entry {
	g.advance()
	for _, n := range g.ready {
		if !g.blocked(n) {
			g.Start(n.entry)
			return n.entry
		}
	}
	return nil
}

// Start marks an entry that Ready returned as running. It reports false if that has become
// impossible since, by the start of another.
func (g *Graph) Start(e *Entry) bool {
	n := g.nodes[e.ID]
	if n == nil || n.state != ready || g.blocked(n) {
		return false
	}
	n.state = running
	g.ready = slices.DeleteFunc(g.ready, func(o *node) bool { return o == n })
	g.running = append(g.running, n)
	return true
}

// Done marks a running entry as finished, successfully or not, and lets go what waited for it.
func (g *Graph) Done(e *Entry) {
	n := g.nodes[e.ID]
	if n == nil || n.state != running {
		return
	}
	n.state = done
	g.left--
	g.running = slices.DeleteFunc(g.running, func(o *node) bool { return o == n })
	for _, d := range n.dependents {
		d.waits--
		if d.waits == 0 && d.state == pending && d.pass <= g.pass {
			g.release(d)
		}
	}
}

// Conflicts reports whether two entries may not run at once because one locks a table the other uses.
func (g *Graph) Conflicts(a, b *Entry) bool {
	x, y := g.nodes[a.ID], g.nodes[b.ID]
	return x != nil && y != nil && conflict(x, y)
}

func conflict(a, b *node) bool { return intersect(a.locks, b.deps) || intersect(b.locks, a.deps) }

func intersect(a, b []int) bool {
	return slices.ContainsFunc(a, func(id int) bool { return slices.Contains(b, id) })
}

func (g *Graph) blocked(n *node) bool {
	return slices.ContainsFunc(g.running, func(r *node) bool { return conflict(n, r) })
}

// advance makes sure something is ready if nothing runs and anything is left.
func (g *Graph) advance() {
	for g.left > 0 && len(g.running) == 0 && len(g.ready) == 0 {
		if n := g.stuck(); n != nil {
			g.release(n)
		} else {
			g.enter(g.pass + 1)
		}
	}
}

// stuck returns the first entry of the pass that waits although nothing runs: it is part of a circle.
func (g *Graph) stuck() *node {
	for _, n := range g.byPass[g.pass] {
		if n.state == pending {
			return n
		}
	}
	return nil
}

func (g *Graph) enter(p Pass) {
	g.pass = p
	for _, n := range g.byPass[p] {
		if n.waits == 0 && n.state == pending {
			g.release(n)
		}
	}
}

func (g *Graph) release(n *node) {
	n.state = ready
	at, _ := slices.BinarySearchFunc(g.ready, n, func(a, b *node) int {
		return cmp.Or(cmp.Compare(b.path, a.path), cmp.Compare(a.rank, b.rank))
	})
	g.ready = slices.Insert(g.ready, at, n)
}
