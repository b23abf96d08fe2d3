package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestInterrupt ends a run that waits for a server that never answers.
func TestInterrupt(t *testing.T) {
	defer goleak.VerifyNone(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	over, accepted := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(accepted)
		conn, err := listener.Accept()
		if err != nil {
			return // the test is over
		}
		defer conn.Close()
		interrupt()
		<-over
	}()
	defer func() {
		close(over)
		listener.Close()
		<-accepted
	}()

	endpoint := "postgres://app:hunter2@" + listener.Addr().String() + "/db?sslmode=disable"
	for _, test := range []struct {
		args       []string
		out, error string
	}{
		{nil, "", "pgberth: interrupted\n"},
		{[]string{"--json"}, `{"event":"error","code":130,"message":"interrupted"}` + "\n", ""},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"compare", "--from", endpoint, "--to", endpoint}, test.args...)
		status := run(ctx, args, strings.NewReader(""), &stdout, &stderr, func(string) (string, bool) { return "", false })
		if status != exitInterrupted || stdout.String() != test.out || stderr.String() != test.error {
			t.Errorf("%v: status %d, standard output %q, standard error %q", test.args, status, stdout.String(), stderr.String())
		}
	}
}
