// Command pgberth moves a Postgres database from a host into a container, and
// keeps archives of either.
//
// Standard output is for data: a report, a plan, a summary, JSON. Progress and
// messages go to standard error. Messages begin with "pgberth:", in lower case
// and without a full stop; what to do about them follows on lines of its own.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // for hosts and images without one
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	// The second signal is not caught, and ends the process at once.
	context.AfterFunc(ctx, stop)
	// A reader of our output that goes away must not kill a run halfway: the
	// write fails, and that is an error like any other.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.LookupEnv))
}

// endings are the signals that ask a run to end. A lost terminal is one, unless
// the caller said with nohup that it is not.
func endings() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// run is the whole program. It returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env lookupEnv) int {
	c := &cli{stdin: stdin, stdout: stdout, stderr: stderr, env: env}
	root := newRootCommand(c)
	args = joinFastLoad(args)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil || isReported(err) {
		return exitCode(ctx, err)
	}
	f := describeFailure(ctx, err)
	if c.json || asksForJSON(args, env) {
		f.printJSON(c.stdout)
	} else {
		f.print(c.stderr)
	}
	return f.Code
}
