package containerpg

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/pgtest"
)

func TestLabelled(t *testing.T) {
	e := openEngine(t)
	pgtest.Container(t, 17, pgtest.NoWait()) // skips where there can be none
	idle := func(labels map[string]string) string {
		return start(t, e, &container.Config{Image: pgtest.Image(17), Cmd: []string{"sleep", "600"}, Labels: labels}, &container.HostConfig{NetworkMode: "none"})
	}
	wanted := idle(map[string]string{"pgberth.backup": "true", "pgberth.databases": "shop, app", "pgberth.exclude": "tmp_*", "pgberth.keep-daily": "7", "pgberth.keep-weekly": "4"})
	unwanted := idle(map[string]string{"pgberth.backup": "false"})
	project := pgtest.NewName("project")
	stopped := idle(map[string]string{"pgberth.backup": "true", labelProject: project})
	idle(map[string]string{"pgberth.backup": "true", labelProject: project, labelOneoff: "True"})
	if out, err := exec.Command("docker", "kill", stopped).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if list, err := e.Labelled(t.Context(), project); err != nil || len(list) != 1 || list[0].Name != stopped || list[0].Err != nil {
		t.Errorf("of a project: %+v, %v", list, err)
	}
	wrong := idle(map[string]string{"pgberth.backup": "true", "pgberth.keep": "7", labelProject: project})
	list, err := e.Labelled(t.Context(), project)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, l := range list {
		if (l.Err != nil) != (l.Name == wrong) {
			t.Errorf("%+v", l)
		}
	}
	list, err = e.Labelled(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(l Labelled) bool { return l.Name == wanted })
	if i < 0 || slices.ContainsFunc(list, func(l Labelled) bool { return l.Name == unwanted }) {
		t.Fatalf("%+v", list)
	}
	want := Labelled{ID: list[i].ID, Name: wanted, Databases: []string{"shop", "app"}, Exclude: []string{"tmp_*"}, Keep: map[string]int{"daily": 7, "weekly": 4}}
	if diff := cmp.Diff(want, list[i]); diff != "" {
		t.Error(diff)
	}
}

func TestParseLabels(t *testing.T) {
	for _, labels := range []map[string]string{
		{"pgberth.backup": "perhaps"},
		{"pgberth.backup": "true", "pgberth.keep-daily": "x"},
		{"pgberth.backup": "true", "pgberth.keep-dayly": "7"},
		{"pgberth.backup": "true", "pgberth.keep-daily": "-1"},
		{"pgberth.backup": "true", "pgberth.database": "shop"},
	} {
		if l, _, err := parseLabels(labels); err == nil || !strings.Contains(err.Error(), "label ") {
			t.Errorf("%v: %+v, %v", labels, l, err)
		}
	}
}
