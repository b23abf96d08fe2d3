package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/pgberth/pgberth/internal/human"
)

// humanRate writes bytes per second.
func humanRate(n int64, d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	return human.Bytes(int64(float64(n)/d.Seconds())) + "/s"
}

// count writes a number of things, with their plural: "1 table", "12,345 tables".
func count[N int | int64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return thousands(int64(n)) + " " + thing + "s"
}

// thousands writes n with a comma between groups of three digits.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	return sign + strings.Join(append([]string{digits}, groups...), ",")
}
