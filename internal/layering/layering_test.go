package layering

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parse(t *testing.T, name string, source any) file {
	t.Helper()
	syntax, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file{name: name, syntax: syntax}
}

func TestModule(t *testing.T) {
	root := filepath.Join("..", "..")
	var files []file
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files = append(files, parse(t, filepath.ToSlash(name), source))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("only %d files found below %s", len(files), root)
	}
	wrong := checkTogether(files)
	for _, f := range files {
		wrong = append(wrong, check(f)...)
	}
	for _, w := range wrong {
		t.Error(w)
	}
}

// TestRules sees that the rules catch what they are there for.
func TestRules(t *testing.T) {
	imports := func(path string) string { return "package p\nimport _ \"" + path + "\"\n" }
	for _, test := range []struct {
		name, source, want string
	}{
		{"dump/a.go", imports(module + "/archive"), ""},
		{"dump/a.go", imports(module + "/internal/catalog"), ""},
		{"cmd/pgberth/a.go", imports(module + "/containerpg"), ""},
		{"internal/catalog/a.go", imports(module + "/internal/session"), ""},
		{"restore/a_test.go", imports(module + "/internal/pgtest"), ""},
		{"containerpg/a.go", imports("github.com/docker/docker/client"), ""},
		{"cmd/pgberth/main.go", "package main\nimport \"os\"\nfunc main() { os.Exit(1) }\n", ""},

		{"dump/a.go", imports(module + "/restore"), "packages of one layer do not know each other"},
		{"restore/a.go", imports(module + "/dump"), "packages of one layer do not know each other"},
		{"restore/a.go", imports(module + "/containerpg"), "packages of one layer do not know each other"},
		{"dump/a.go", imports(module + "/migrate"), "imports go down only"},
		{"archive/a.go", imports(module + "/dump"), "imports go down only"},
		{"internal/catalog/a.go", imports(module + "/archive"), "imports go down only"},
		{"progress/a.go", imports(module + "/internal/catalog"), "imports go down only"},
		{"restore/a.go", imports(module + "/internal/pgtest"), "only tests may"},
		{"migrate/a.go", imports("github.com/docker/docker/client"), "only containerpg may"},
		{"migrate/a.go", imports("github.com/spf13/cobra"), "only cmd may"},
		{"migrate/a.go", imports("github.com/vbauerster/mpb/v8"), "only cmd may"},
		{"migrate/a.go", imports("log/slog"), "only cmd may"},
		{"other/a.go", "package p\n", "package other belongs to no layer"},
		{"dump/a.go", "package p\nfunc init() {}\n", "has an init function"},
		{"dump/a.go", "package p\nimport \"os\"\nfunc f() { os.Exit(1) }\n", "uses os.Exit, which is for main alone"},
		{"cmd/pgberth/a.go", "package p\nimport \"os\"\nfunc f() { os.Exit(1) }\n", "uses os.Exit, which is for main alone"},
		{"dump/a.go", "package p\nimport \"fmt\"\nfunc f() { fmt.Println() }\n", "uses fmt.Println, which is for main alone"},
	} {
		wrong := strings.Join(check(parse(t, test.name, test.source)), "\n")
		if !strings.HasSuffix(wrong, test.want) || test.want == "" && wrong != "" {
			t.Errorf("%s\n%s: got %q, want %q", test.name, test.source, wrong, test.want)
		}
	}
}

func TestOnlyMigrateJoinsDumpAndRestore(t *testing.T) {
	const source = "package p\nimport (\n_ \"" + module + "/dump\"\n_ \"" + module + "/restore\"\n)\n"
	files := []file{parse(t, "migrate/a.go", source), parse(t, "drill/a.go", source), parse(t, "compare/a_test.go", source)}
	want := []string{"drill: imports both dump and restore, which only migrate joins"}
	if diff := cmp.Diff(want, checkTogether(files)); diff != "" {
		t.Error(diff)
	}
}
