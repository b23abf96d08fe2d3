package conninfo_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/session"
)

// Root logs in where only the system's user postgres may, and stays root.
func TestAdoptPeer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can take another user's place")
	}
	s := pgtest.NewHost(t)
	s.Exec(t, "postgres", "CREATE ROLE daemon LOGIN")
	hba := s.Row(t, "postgres", "SHOW hba_file")
	rules, err := os.ReadFile(hba)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hba, append([]byte("local all daemon peer\n"), rules...), 0o600); err != nil {
		t.Fatal(err)
	}
	before := s.Row(t, "postgres", "SELECT pg_conf_load_time()")
	s.Exec(t, "postgres", "SELECT pg_reload_conf()")
	for s.Row(t, "postgres", "SELECT pg_conf_load_time()") == before {
		if t.Context().Err() != nil {
			t.Fatal("the server did not read its rules again")
		}
	}
	e, err := conninfo.Parse(fmt.Sprintf("host=%s port=%d user=daemon dbname=postgres", s.SocketDir, s.Port))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Open(t.Context(), e.Config, session.Options{}); err == nil || !strings.Contains(err.Error(), "Peer authentication failed") {
		t.Fatal("root was let in as daemon, or kept out for another reason: ", err)
	}
	e.AdoptPeer(t.Context())
	if e.Peer == nil {
		t.Fatal("no peer was adopted")
	}
	conn, err := session.Open(t.Context(), e.WithDatabase("template1").Config, session.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var user string
	if err := conn.QueryRow(t.Context(), "SELECT current_user").Scan(&user); err != nil || user != "daemon" {
		t.Errorf("logged in as %q: %v", user, err)
	}
	if uid := os.Geteuid(); uid != 0 {
		t.Errorf("this process is user %d now", uid)
	}
}
