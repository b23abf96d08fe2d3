package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts run the test binary as pgberth.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pgberth": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"status": status, "backup": scriptBackup, "locked": scriptLocked},
		Setup: func(env *testscript.Env) error {
			// No engine, no server: these scripts are about the command line.
			env.Setenv("DOCKER_HOST", "unix://"+env.WorkDir+"/no-docker.sock")
			golden, err := filepath.Abs(filepath.Join("..", "..", "testdata", "golden"))
			env.Setenv("GOLDEN", golden)
			return err
		},
	})
}
