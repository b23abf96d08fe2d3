package pgtest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A Fault is what an [S3Proxy] does to a request.
type Fault int

const (
	Pass          Fault = iota
	Answer500           // instead of the server
	Answer503           // instead of the server, which is told to slow down
	Cut                 // the connection, before the server hears of the request
	CutAnswer           // the connection, after the server has done what was asked
	CutAnswerHalf       // the connection, in the middle of the body of the answer
	Delay               // a moment
)

func (f Fault) String() string {
	return [...]string{"pass", "500", "503", "cut", "cut answer", "cut in the middle", "delay"}[f]
}

// S3Proxy stands between pgberth and an S3 server, and breaks what it is told to.
type S3Proxy struct {
	Endpoint string

	mu     sync.Mutex
	count  int
	choose func(n int, r *http.Request) Fault
}

// Break counts requests from 1 again, and has each be treated as choose says, which may be called by several goroutines, in turn.
func (p *S3Proxy) Break(choose func(n int, r *http.Request) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count, p.choose = 0, choose
}

// Count is how many requests have come since.
func (p *S3Proxy) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func (p *S3Proxy) fault(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	if p.choose == nil {
		return Pass
	}
	return p.choose(p.count, r)
}

// NewS3Proxy starts a proxy before a server, which ends with the test.
func NewS3Proxy(t testing.TB, server *S3Server) *S3Proxy {
	t.Helper()
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &S3Proxy{}
	reverse := &httputil.ReverseProxy{
		// The Host header stays as it was signed.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) },
		Transport:    &http.Transport{MaxIdleConnsPerHost: 64},
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.serve(w, r, reverse)
	}))
	t.Cleanup(front.Close)
	p.Endpoint = front.URL
	return p
}

func (p *S3Proxy) serve(w http.ResponseWriter, r *http.Request, reverse http.Handler) {
	switch p.fault(r) {
	case Answer500:
		answerError(w, r, http.StatusInternalServerError, "InternalError")
	case Answer503:
		answerError(w, r, http.StatusServiceUnavailable, "SlowDown")
	case Cut:
		panic(http.ErrAbortHandler)
	case CutAnswer:
		reverse.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case CutAnswerHalf:
		answer := httptest.NewRecorder()
		reverse.ServeHTTP(answer, r)
		sendHalf(w, answer)
		panic(http.ErrAbortHandler)
	case Delay:
		time.Sleep(20 * time.Millisecond)
		fallthrough
	default:
		reverse.ServeHTTP(w, r)
	}
}

func answerError(w http.ResponseWriter, r *http.Request, status int, code string) {
	_, _ = io.Copy(io.Discard, r.Body) // else the client may see the connection break before it sees the answer
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>the test says so</Message></Error>")
	}
}

// sendHalf sends an answer with the length of all of it and half of its body.
func sendHalf(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	body := answer.Body.Bytes()
	if w.Header().Get("Content-Length") == "" {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body[:(len(body)+1)/2])
	_ = http.NewResponseController(w).Flush()
}
