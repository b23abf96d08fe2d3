package containerpg

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for url, want := range map[string]Selector{
		"docker://":                      {},
		"docker:///shop":                 {Database: "shop"},
		"docker://bullion-db":            {Name: "bullion-db"},
		"docker://bullion-db/":           {Name: "bullion-db"},
		"docker://bullion-db/banker":     {Name: "bullion-db", Database: "banker"},
		"docker://app@bullion-db/banker": {Name: "bullion-db", Database: "banker", User: "app"},
		"docker://:54320":                {Port: 54320},
		"docker://app@:54320/banker":     {Port: 54320, User: "app", Database: "banker"},
		"docker://a%40b@db/x%2Fy%3F%20z": {Name: "db", User: "a@b", Database: "x/y? z"},
		"docker://app@/banker":           {User: "app", Database: "banker"},
		"docker://db/a@b":                {Name: "db", Database: "a@b"},
		"Docker://db":                    {Name: "db"},
		"docker://my_shop.db-1/été":      {Name: "my_shop.db-1", Database: "été"},
	} {
		got, err := ParseURL(url, "")
		if err != nil || got != want {
			t.Errorf("ParseURL(%q) = %+v, %v; want %+v", url, got, err, want)
		}
	}
	if sel, err := ParseURL("docker://db", "shop"); err != nil || sel.Project != "shop" {
		t.Errorf("with a project: %+v, %v", sel, err)
	}
}

func TestParseURLRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://db":          "not a docker URL",
		"docker:db":              "docker://[USER@]NAME[/DBNAME]",
		"docker://app:x@db":      "PGPASSWORD or ~/.pgpass",
		"docker://:x@db":         "PGPASSWORD or ~/.pgpass",
		"docker://db:5432":       "both a name and a port",
		"docker://:0":            "published port",
		"docker://:65536":        "published port",
		"docker://:":             "published port",
		"docker://shop/db/app":   "--project",
		"docker://db?sslmode=x":  "%3F",
		"docker://db/a%zz":       "malformed database",
		"docker://%zz":           "malformed container name",
		"docker://%zz@db":        "malformed user",
		"docker://@db":           "malformed user",
		"docker://db/a%00b":      "malformed name",
		"docker://%2e%00x@db/ab": "malformed name",
	} {
		if _, err := ParseURL(url, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseURL(%q): %v; want %q", url, err, want)
		}
	}
}

func TestParseURLNeverRepeatsAPassword(t *testing.T) {
	for _, url := range []string{
		"docker://app:hunter2@db", "docker://app:hunter2/x@db", "docker://app:hunter2@db/a/b", "docker://app:hunter2?@db",
		"docker://app:hunter2#@db", "docker://app:%zzhunter2@db", "docker://app:5432/hunter2/x@db", "docker://:hunter2/x@db",
		"docker://%zzhunter2@db", "docker:app:hunter2@db", "docker://app%3Ahunter2/%zz@db",
	} {
		_, err := ParseURL(url, "")
		if err == nil {
			t.Errorf("ParseURL(%q) succeeded", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseURL(%q): the error repeats the password: %v", url, err)
		}
	}
}

func TestIsURL(t *testing.T) {
	for s, want := range map[string]bool{
		"docker://db": true, "docker:db": true, "DOCKER://": true, "docker": false, "": false,
		"postgres:///x": false, "host=docker dbname=x": false,
	} {
		if IsURL(s) != want {
			t.Errorf("IsURL(%q) = %v", s, !want)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("docker://app@db/x", "")
	f.Fuzz(func(t *testing.T, url, project string) {
		sel, err := ParseURL(url, project)
		if err == nil && sel.Name != "" && sel.Port != 0 {
			t.Errorf("ParseURL(%q) selects both a name and a port", url)
		}
	})
}
