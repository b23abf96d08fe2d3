package main

import (
	"context"
	"errors"
	"testing"

	"github.com/pgberth/pgberth/drill"
)

func TestDrillsStatus(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	left := &drill.LeftError{Err: errors.New("the volume is in use")}
	for name, test := range map[string]struct {
		ctx      context.Context
		verdicts []drill.Verdict
		err      error
		want     int
	}{
		"passed":                  {t.Context(), []drill.Verdict{drill.Passed}, nil, exitDone},
		"one rejected":            {t.Context(), []drill.Verdict{drill.NotRun, drill.Rejected, drill.Passed}, nil, exitDrillFailed},
		"passed, something left":  {t.Context(), []drill.Verdict{drill.Passed}, left, exitFailed},
		"rejected and left":       {t.Context(), []drill.Verdict{drill.Rejected}, errors.Join(nil, left), exitDrillFailed},
		"not run and left":        {t.Context(), []drill.Verdict{drill.NotRun}, left, exitDrillNotRun},
		"rejected, then an error": {t.Context(), []drill.Verdict{drill.Rejected}, errors.New("disk full"), exitFailed},
		"unreachable":             {t.Context(), nil, notRun(errors.New("no such host")), exitDrillNotRun},
		"interrupted":             {canceled, nil, errors.Join(context.Canceled, left), exitInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			var reports []*drill.Report
			for _, v := range test.verdicts {
				reports = append(reports, &drill.Report{Verdict: v})
			}
			status, err := drillsStatus(test.ctx, reports, test.err)
			if status != test.want {
				t.Errorf("status %d, want %d", status, test.want)
			}
			// That of the process is from the error, if there is one.
			if err != nil && exitCode(test.ctx, err) != test.want || (err == nil) != (test.err == nil) {
				t.Errorf("the error %v gives status %d, want %d", err, exitCode(test.ctx, err), test.want)
			}
		})
	}
}
