package repository

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// idTime is the layout of the time in an ID, in UTC. IDs sort by it.
const idTime = "20060102T150405Z"

// newID returns an ID for a backup that starts now, such as 20261127T020000Z-a3f9. It sorts after those of taken that are of the
// same second: backups sort as they were made.
func newID(now time.Time, taken []*Backup) string {
	const suffixes = 0x10000
	stamp, low := now.UTC().Format(idTime)+"-", 0
	for _, b := range taken {
		if suffix, ok := strings.CutPrefix(b.ID, stamp); ok {
			if n, err := strconv.ParseUint(suffix, 16, 16); err == nil {
				low = max(low, int(n)+1)
			}
		}
	}
	if low == suffixes {
		return newID(now.Add(time.Second), taken)
	}
	return stamp + fmt.Sprintf("%04x", low+rand.IntN(suffixes-low))
}

// ParseID returns the time in an ID.
func ParseID(id string) (time.Time, error) {
	stamp, random, _ := strings.Cut(id, "-")
	t, err := time.Parse(idTime, stamp)
	if err != nil || len(random) != 4 || strings.Trim(random, "0123456789abcdef") != "" || t.Format(idTime) != stamp {
		return time.Time{}, fmt.Errorf("not the ID of a backup, which is like %s-a3f9", idTime)
	}
	return t, nil
}
