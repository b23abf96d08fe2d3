package session

import "time"

// SetHangUpTimeout sets how long a server may take to notice that a session ends, and returns what sets it back.
func SetHangUpTimeout(d time.Duration) (reset func()) {
	before := hangUpTimeout
	hangUpTimeout = d
	return func() { hangUpTimeout = before }
}
