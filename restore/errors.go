package restore

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/session"
)

// describe adds what the server says beyond the message, where it helps to
// find the cause.
func describe(err error) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return err
	}
	extra := ""
	if server.Detail != "" {
		extra += "; " + server.Detail
	}
	if server.Hint != "" {
		extra += "; hint: " + server.Hint
	}
	if server.Where != "" {
		extra += "; in: " + firstLine(server.Where)
	}
	if function := inFunction(server.Where); function != "" && isMissing(err) {
		extra += "; search_path is empty while a database is loaded: at the source, ALTER FUNCTION " + function +
			" SET search_path to the schemas that hold what it names"
	}
	if extra == "" {
		return err
	}
	return fmt.Errorf("%w%s", err, extra)
}

var functionContext = regexp.MustCompile(`(?m)^(?:PL/pgSQL function (.+\)) line |SQL function ("(?:[^"]|"")+"))`)

// inFunction names the innermost function an error arose in, "" if there is none.
func inFunction(where string) string {
	m := functionContext.FindStringSubmatch(where)
	if m == nil {
		return ""
	}
	return m[1] + m[2]
}

// isMissing reports whether the server says that an object is not there.
func isMissing(err error) bool {
	return session.HasCode(err, "3F000", "42704", "42883", "42P01", "42703") // schema, object, function, table, column
}

// isInUse reports whether sessions or subscriptions keep a database.
func isInUse(err error) bool {
	return session.HasCode(err, "55006")
}

// isSharedMemory reports whether a parallel plan asked for more shared memory
// than the container's /dev/shm has.
func isSharedMemory(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && server.Code == "53100" && strings.Contains(server.Message, "shared memory")
}
