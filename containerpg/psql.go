package containerpg

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// messages are what a server has said through psql.
type messages []*pgconn.PgError

var (
	// As in "ERROR:  22P02: invalid input", with psql's place before it or not.
	messageStart = regexp.MustCompile(`^(?:psql:[^ ]*: )?([^\s:]+):  ([0-9A-Z]{5}): (.*)$`)
	messageField = regexp.MustCompile(`^(DETAIL|HINT|CONTEXT|SCHEMA NAME|TABLE NAME|COLUMN NAME|CONSTRAINT NAME|LOCATION):  (.*)$`)
)

// psqlMessages reads messages in psql's verbose form.
func psqlMessages(text string) messages {
	var list messages
	var field *string
	for line := range strings.SplitSeq(text, "\n") {
		if m := messageStart.FindStringSubmatch(line); m != nil {
			list = append(list, &pgconn.PgError{Severity: m[1], Code: m[2], Message: m[3]})
			field = &list[len(list)-1].Message
			continue
		}
		if len(list) == 0 {
			continue
		}
		last := list[len(list)-1]
		if m := messageField.FindStringSubmatch(line); m != nil {
			other := ""
			field = map[string]*string{
				"DETAIL": &last.Detail, "HINT": &last.Hint, "CONTEXT": &last.Where, "SCHEMA NAME": &last.SchemaName,
				"TABLE NAME": &last.TableName, "COLUMN NAME": &last.ColumnName, "CONSTRAINT NAME": &last.ConstraintName, "LOCATION": &other,
			}[m[1]]
			*field = m[2]
		} else if line != "" {
			*field += "\n" + line
		}
	}
	return list
}

// isWarning says that a message is not an error: classes 00, 01 and 02.
func isWarning(m *pgconn.PgError) bool {
	return strings.HasPrefix(m.Code, "00") || strings.HasPrefix(m.Code, "01") || strings.HasPrefix(m.Code, "02")
}

// err is the first error among the messages.
func (list messages) err() *pgconn.PgError {
	for _, m := range list {
		if !isWarning(m) {
			return m
		}
	}
	return nil
}

func (list messages) warnings() []string {
	var texts []string
	for _, m := range list {
		if isWarning(m) {
			texts = append(texts, m.Severity+": "+m.Message)
		}
	}
	return texts
}

// psqlFailure is the server's error if psql has passed one on, else all that was
// said.
func psqlFailure(container string, code int, stdout, stderr string) error {
	if failure := psqlMessages(stderr).err(); failure != nil {
		return failure
	}
	text := strings.TrimSpace(stderr)
	if code == 126 || code == 127 { // the engine's own words come as output
		text = strings.TrimSpace(text + " " + stdout)
	}
	return fmt.Errorf("psql in container %q ended with status %d and did not commit: %s", container, code, text)
}
