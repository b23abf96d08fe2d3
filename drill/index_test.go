package drill_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/repository"
)

// TestIndexKnowsTheTime does not take a backup for the newest that a wrong clock has put into the future.
func TestIndexKnowsTheTime(t *testing.T) {
	now := time.Now()
	var backups []*repository.Backup
	for _, age := range []time.Duration{5 * time.Hour, -2000 * time.Hour} {
		backups = append(backups, &repository.Backup{Series: repository.Database("shop"), ID: "20260301T020000Z-9c1e", Time: now.Add(-age), Manifest: &archive.Manifest{}})
	}
	page, err := drill.Index(nil, backups, now, "")
	if err != nil {
		t.Fatal(err)
	}
	_, newest, _ := strings.Cut(string(page), `<td data-key="Newest backup">`)
	if newest, _, _ = strings.Cut(newest, "</td>"); !strings.HasPrefix(newest, "5h0") {
		t.Errorf("the newest backup is from %q", newest)
	}
}
