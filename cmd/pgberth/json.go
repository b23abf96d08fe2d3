package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// writeJSON writes v, a struct, as one line of JSON whose first field names the
// event. docs/json.md lists the events.
func writeJSON(w io.Writer, event string, v any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode event %s: %w", event, err)
	}
	fields := bytes.TrimPrefix(body.Bytes(), []byte("{"))
	line := fmt.Appendf(nil, `{"event":%q`, event)
	if fields[0] != '}' {
		line = append(line, ',')
	}
	if _, err := w.Write(append(line, fields...)); err != nil {
		return fmt.Errorf("write event %s to standard output: %w", event, err)
	}
	return nil
}
