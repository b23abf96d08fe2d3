package definitions_test

import (
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/definitions"
)

// The name of a database may look like the end of a statement, or like a comment.
func TestStatementsWithOddNames(t *testing.T) {
	for _, topic := range definitions.Topics {
		plain := definitions.Dialect{Major: 17, Lowest: 15, Database: "'shop'"}
		odd := plain
		odd.Database = "'a;\n--b\n\nc {{.Database}}'"
		want, err := plain.Statements(topic.File)
		if err != nil {
			t.Fatal(err)
		}
		got, err := odd.Statements(topic.File)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d statements, want %d, %v", topic.File, len(got), len(want), err)
		}
		for i := range want {
			if want := strings.ReplaceAll(want[i], plain.Database, odd.Database); got[i] != want {
				t.Errorf("%s:\n got %s\nwant %s", topic.File, got[i], want)
			}
		}
	}
}
