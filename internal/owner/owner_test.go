package owner_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/owner"
)

func TestOwner(t *testing.T) {
	self := owner.Self()
	if owner.Dead(self) {
		t.Errorf("%s was taken for dead", self)
	}
	if self == "unknown" {
		t.Skip("no /proc here")
	}
	here := self[:strings.LastIndex(self[:strings.LastIndex(self, "/")], "/")]
	for name, dead := range map[string]bool{
		here + "/999999999/1":                        true,
		fmt.Sprintf("%s/%d/1", here, os.Getpid()):    true, // the number was given out again
		"another-machine/pid:[1]/999999999/1":        false,
		here[:36] + "/another-namespace/999999999/1": false,
		"unknown":     false,
		"":            false,
		here + "/x/1": false,
	} {
		if owner.Dead(name) != dead {
			t.Errorf("%q: dead is %v", name, !dead)
		}
	}
}
