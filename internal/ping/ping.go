// Package ping tells a monitor of the healthchecks.io kind how a run goes: URL/start when it begins, URL with a summary when it
// ended well, URL/fail when it did not, or URL/STATUS with its exit status. A run of which nothing was heard in time raises
// the monitor's alarm, and that is the point: no run needs to be alive for it.
package ping

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Check is one check of a monitor. Its URL is a secret, since whoever knows it can say that all is well: no error holds more of it than the host.
type Check struct {
	URL        string
	ExitStatus bool          // end with URL/STATUS instead of URL or URL/fail
	Timeout    time.Duration // of one attempt; 0 is ten seconds
	Attempts   int           // 0 is five
	Backoff    time.Duration // before the second attempt, twice as long before each next; 0 is a second
}

// maxBody is how much of a summary is sent: its end, where the failures are.
const maxBody = 10_000

// Validate says what is wrong with a URL, without repeating it.
func Validate(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return errors.New("not a URL that begins with https:// or http://")
	case u.Fragment != "":
		return errors.New("a URL with a fragment")
	}
	return nil
}

// Host names the monitor for messages.
func (c Check) Host() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "monitor"
	}
	return u.Host
}

// Start says that a run begins.
func (c Check) Start(ctx context.Context) error { return c.send(ctx, "start", "") }

// Log reaches the monitor without changing what it thinks of the check.
func (c Check) Log(ctx context.Context, body string) error { return c.send(ctx, "log", body) }

// End says how a run ended; status is its exit status.
func (c Check) End(ctx context.Context, status int, body string) error {
	switch {
	case c.ExitStatus:
		return c.send(ctx, strconv.Itoa(status), body)
	case status != 0:
		return c.send(ctx, "fail", body)
	}
	return c.send(ctx, "", body)
}

// send tries until it is heard, or the monitor says that it never will be.
func (c Check) send(ctx context.Context, action, body string) error {
	address, err := c.address(action)
	if err != nil {
		return err
	}
	attempts, wait := c.Attempts, c.Backoff
	if attempts == 0 {
		attempts = 5
	}
	if wait == 0 {
		wait = time.Second
	}
	for attempt := 1; ; attempt++ {
		retry, err := c.post(ctx, address, body)
		if err == nil {
			return nil
		}
		err = fmt.Errorf("ping %s: %w", c.Host(), err)
		if !retry || attempt == attempts || ctx.Err() != nil {
			if attempt > 1 {
				err = fmt.Errorf("%w (%d attempts)", err, attempt)
			}
			return err
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-ctx.Done():
			return err
		}
	}
}

func (c Check) address(action string) (string, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "", errors.New("ping: not a URL")
	}
	if action != "" {
		u = u.JoinPath(action)
	}
	return u.String(), nil
}

// post makes one attempt. retry says whether another may do better.
func (c Check) post(ctx context.Context, address, body string) (retry bool, err error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if len(body) > maxBody {
		body = strings.ToValidUTF8(body[len(body)-maxBody:], "")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return false, errors.New("not a URL")
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	req.Header.Set("User-Agent", "pgberth")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return true, reason(err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // so that the connection can be used again
	_ = resp.Body.Close()
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return false, nil
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooManyRequests:
		return true, fmt.Errorf("it answered %s", resp.Status)
	default:
		return false, fmt.Errorf("it answered %s; is the check's URL right?", resp.Status)
	}
}

// reason is why a request failed, without the URL that the client's error quotes.
func reason(err error) error {
	var failed *url.Error
	if !errors.As(err, &failed) {
		return err
	}
	if failed.Timeout() {
		return errors.New("no answer in time")
	}
	return failed.Err
}
