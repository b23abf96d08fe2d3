package pgtools

import "time"

// SetEndDelay sets how long a client that was told to end may take, and returns what sets it back.
func SetEndDelay(d time.Duration) (reset func()) {
	before := endDelay
	endDelay = d
	return func() { endDelay = before }
}
