package layering

import (
	"fmt"
	"go/ast"
	"path"
	"strconv"
	"strings"
)

const module = "github.com/pgberth/pgberth"

// layers from the lowest to the highest. A package belongs to the layer that
// names the first element of its path.
var layers = [][]string{
	{"progress"},
	{"internal"},
	{"archive"},
	{"dump", "restore", "containerpg", "repository"},
	{"migrate", "backup", "drill", "compare"},
	{"nightly"},
	{"cmd", "bench"},
}

// owners are the only packages that may import a path or what is below it.
var owners = map[string]string{
	"github.com/docker":         "containerpg",
	"github.com/moby":           "containerpg",
	"github.com/containerd":     "containerpg",
	"github.com/spf13":          "cmd",
	"github.com/vbauerster/mpb": "cmd",
	"github.com/minio":          "repository",
	"filippo.io":                "archive",
	"golang.org/x/term":         "cmd",
	"flag":                      "cmd",
	"log":                       "cmd", // and log/slog
}

// A file is a Go file of the module.
type file struct {
	name   string // relative to the module
	syntax *ast.File
}

func (f file) pkg() string     { return path.Dir(f.name) }
func (f file) isTest() bool    { return strings.HasSuffix(f.name, "_test.go") }
func (f file) isTesting() bool { return f.isTest() || f.pkg() == "internal/pgtest" }

func (f file) imports() []string {
	var paths []string
	for _, spec := range f.syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

func top(pkg string) string {
	first, _, _ := strings.Cut(pkg, "/")
	return first
}

func layerOf(pkg string) int {
	for i, layer := range layers {
		for _, name := range layer {
			if top(pkg) == name {
				return i
			}
		}
	}
	return -1
}

// within reports whether an import path is prefix or below it.
func within(importPath, prefix string) bool {
	return importPath == prefix || strings.HasPrefix(importPath, prefix+"/")
}

// check returns what a file does that it may not.
func check(f file) []string {
	var wrong []string
	if layerOf(f.pkg()) < 0 {
		wrong = append(wrong, fmt.Sprintf("%s: package %s belongs to no layer", f.name, f.pkg()))
	}
	for _, imported := range f.imports() {
		if why := checkImport(f, imported); why != "" {
			wrong = append(wrong, fmt.Sprintf("%s: imports %s: %s", f.name, imported, why))
		}
	}
	if !f.isTesting() {
		wrong = append(wrong, checkCode(f)...)
	}
	return wrong
}

func checkImport(f file, imported string) string {
	own, isOwn := strings.CutPrefix(imported, module+"/")
	if !isOwn {
		for prefix, owner := range owners {
			if within(imported, prefix) && top(f.pkg()) != owner && !f.isTesting() {
				return "only " + owner + " may"
			}
		}
		return ""
	}
	if f.isTest() {
		return ""
	}
	if own == "internal/pgtest" {
		return "only tests may"
	}
	if f.pkg() == "internal/pgtest" {
		return ""
	}
	from, to := layerOf(f.pkg()), layerOf(own)
	switch {
	case to > from:
		return "imports go down only"
	case to == from && top(own) != "internal" && top(own) != top(f.pkg()):
		return "packages of one layer do not know each other"
	}
	return ""
}

// forbidden are the uses of a package's names that libraries leave to cmd.
var forbidden = map[string][]string{
	"os":  {"Exit", "Stdin", "Stdout", "Stderr"},
	"fmt": {"Print", "Printf", "Println"},
}

// checkCode finds what ends or prints, and hidden initialization.
func checkCode(f file) []string {
	var wrong []string
	report := func(format string, args ...any) {
		wrong = append(wrong, f.name+": "+fmt.Sprintf(format, args...))
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				report("has an init function")
			}
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok || f.name == "cmd/pgberth/main.go" {
				return true
			}
			for _, name := range forbidden[pkg.Name] {
				if n.Sel.Name == name {
					report("uses %s.%s, which is for main alone", pkg.Name, name)
				}
			}
		}
		return true
	})
	return wrong
}

// checkTogether finds packages that join what only migrate may join.
func checkTogether(files []file) []string {
	joined := map[string]map[string]bool{}
	for _, f := range files {
		if f.isTest() {
			continue
		}
		for _, imported := range f.imports() {
			if own, isOwn := strings.CutPrefix(imported, module+"/"); isOwn {
				if joined[f.pkg()] == nil {
					joined[f.pkg()] = map[string]bool{}
				}
				joined[f.pkg()][own] = true
			}
		}
	}
	var wrong []string
	for pkg, imports := range joined {
		if imports["dump"] && imports["restore"] && pkg != "migrate" && top(pkg) != "cmd" {
			wrong = append(wrong, pkg+": imports both dump and restore, which only migrate joins")
		}
	}
	return wrong
}
