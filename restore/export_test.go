package restore

// AutoFrom changes the size from which FastLoadAuto changes settings, and returns what puts it back.
func AutoFrom(size int64) (undo func()) {
	was := autoFrom
	autoFrom = size
	return func() { autoFrom = was }
}
