package ping

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A monitor is a server of pings that answers each with the next of its statuses, 200 when there are no more.
type monitor struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	heard    []string
}

const secret = "/5f0c7a5e-secret"

func newMonitor(t *testing.T, statuses ...int) *monitor {
	m := &monitor{statuses: statuses}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *monitor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = append(m.heard, fmt.Sprintf("%s %s %s", r.Method, strings.TrimPrefix(r.URL.Path, secret), body))
	if len(m.statuses) > 0 {
		w.WriteHeader(m.statuses[0])
		m.statuses = m.statuses[1:]
	}
}

func (m *monitor) check() Check { return Check{URL: m.URL + secret, Backoff: time.Millisecond} }

func (m *monitor) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(m.heard, want) {
		t.Errorf("heard %q, want %q", m.heard, want)
	}
}

func TestPings(t *testing.T) {
	m := newMonitor(t)
	c := m.check()
	for _, err := range []error{c.Start(t.Context()), c.End(t.Context(), 0, "2 databases"), c.End(t.Context(), 3, "shrunk"), c.Log(t.Context(), "hello")} {
		if err != nil {
			t.Error(err)
		}
	}
	c.ExitStatus = true
	if err := c.End(t.Context(), 11, "locked"); err != nil {
		t.Error(err)
	}
	m.expect(t, "POST /start ", "POST  2 databases", "POST /fail shrunk", "POST /log hello", "POST /11 locked")
}

func TestQueryStays(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.URL.String() }))
	t.Cleanup(server.Close)
	if err := (Check{URL: server.URL + "/key/slug?create=1"}).Start(t.Context()); err != nil || got != "/key/slug/start?create=1" {
		t.Error(got, err)
	}
}

func TestRetries(t *testing.T) {
	m := newMonitor(t, 503, 429, 500)
	if err := m.check().Start(t.Context()); err != nil {
		t.Error(err)
	}
	m.expect(t, slices.Repeat([]string{"POST /start "}, 4)...)
}

func TestGivesUp(t *testing.T) {
	m := newMonitor(t, slices.Repeat([]int{503}, 9)...)
	err := m.check().End(t.Context(), 0, "")
	if err == nil || !strings.HasSuffix(err.Error(), "it answered 503 Service Unavailable (5 attempts)") {
		t.Error(err)
	}
	if len(m.heard) != 5 {
		t.Error(m.heard)
	}

	// What is not there is not asked for again.
	m = newMonitor(t, 404)
	if err := m.check().Start(t.Context()); err == nil || !strings.Contains(err.Error(), "404 Not Found; is the check's URL right?") || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	m.expect(t, "POST /start ")
}

func TestRefusesAndHangs(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	silent := Check{URL: "http://" + listener.Addr().String() + secret, Timeout: 20 * time.Millisecond, Attempts: 2, Backoff: 1}
	if err := silent.Start(t.Context()); err == nil || !strings.HasSuffix(err.Error(), ": no answer in time (2 attempts)") || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	m := newMonitor(t)
	m.Close()
	if err := m.check().Start(t.Context()); err == nil || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestCancel(t *testing.T) {
	m := newMonitor(t, slices.Repeat([]int{503}, 99)...)
	c := m.check()
	c.Attempts, c.Backoff = 99, time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Start(ctx); err == nil {
		t.Error("delivered")
	}
}

func TestLongBody(t *testing.T) {
	m := newMonitor(t)
	if err := m.check().End(t.Context(), 1, strings.Repeat("é", maxBody)+"end"); err != nil {
		t.Fatal(err)
	}
	if body := strings.TrimPrefix(m.heard[0], "POST /fail "); len(body) > maxBody || !strings.HasSuffix(body, "éend") || !strings.HasPrefix(body, "é") {
		t.Errorf("%d bytes: %.20q", len(body), body)
	}
}

func TestValidate(t *testing.T) {
	for address, valid := range map[string]bool{
		"https://hc-ping.com/uuid": true, "http://127.0.0.1:8000/ping/x": true,
		"hc-ping.com/uuid": false, "ftp://h/x": false, "https:///uuid": false, "https://h/x#y": false, "https://h/%zz": false,
	} {
		err := Validate(address)
		if (err == nil) != valid {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil && strings.Contains(err.Error(), address) {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
}
