package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/migrate"
	"github.com/pgberth/pgberth/repository"
)

func TestExitCode(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, test := range map[string]struct {
		ctx  context.Context
		err  error
		want int
	}{
		"done":        {context.Background(), nil, exitDone},
		"failed":      {context.Background(), errors.New("disk full"), exitFailed},
		"preflight":   {context.Background(), &migrate.PreflightError{}, exitFailed},
		"no such":     {context.Background(), fmt.Errorf("target: %w", &containerpg.NotFoundError{}), exitNotFound},
		"usage":       {context.Background(), &usageError{err: errors.New("bad")}, exitUsage},
		"nowhere":     {context.Background(), &repository.LocationError{}, exitUsage},
		"interrupted": {canceled, fmt.Errorf("copy table: %w", context.Canceled), exitInterrupted},
		// A failure that happens to come with a signal is a failure, and a
		// cancellation without a signal is nobody's wish.
		"failed at a signal":   {canceled, errors.New("disk full"), exitFailed},
		"canceled, no signal":  {context.Background(), context.Canceled, exitFailed},
		"usage after a signal": {canceled, &usageError{err: errors.New("bad")}, exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(test.ctx, test.err); got != test.want {
				t.Errorf("exit status %d, want %d", got, test.want)
			}
		})
	}
}

func TestEveryExitStatusIsExplained(t *testing.T) {
	seen := map[int]bool{}
	for _, s := range exitStatuses {
		if seen[s.code] || s.meaning == "" {
			t.Errorf("status %d: explained twice or not at all", s.code)
		}
		seen[s.code] = true
	}
	if seen[2] {
		t.Error("status 2 belongs to the Go runtime")
	}
}

func TestFailure(t *testing.T) {
	preflight := &migrate.PreflightError{Problems: []migrate.Problem{
		{Object: "extension postgis", Text: "the target does not have it", Remedy: "use an image that holds postgis"},
		{Text: "no room", Remedy: ""},
	}}
	for name, test := range map[string]struct {
		err        error
		text, json string
	}{
		"plain": {
			errors.New(`copy table "public.games": server closed the connection`),
			"pgberth: copy table \"public.games\": server closed the connection\n",
			`{"event":"error","code":1,"message":"copy table \"public.games\": server closed the connection"}` + "\n",
		},
		"usage": {
			&usageError{err: errors.New("unknown flag --form"), help: "pgberth migrate --help"},
			"pgberth: unknown flag --form\n  try: pgberth migrate --help\n",
			`{"event":"error","code":64,"message":"unknown flag --form","remedies":["pgberth migrate --help"]}` + "\n",
		},
		"preflight": {
			fmt.Errorf("migrate: %w", preflight),
			`pgberth: nothing was touched: 2 problems to mend first
  extension postgis: the target does not have it
    try: use an image that holds postgis
  no room
`,
			`{"event":"error","code":1,"message":"nothing was touched: 2 problems to mend first","problems":[` +
				`{"object":"extension postgis","text":"the target does not have it","remedy":"use an image that holds postgis"},` +
				`{"object":"","text":"no room","remedy":""}]}` + "\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := describeFailure(context.Background(), test.err)
			var text, json bytes.Buffer
			f.print(&text)
			f.printJSON(&json)
			if diff := cmp.Diff(test.text, text.String()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.json, json.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
