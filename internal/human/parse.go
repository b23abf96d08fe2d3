package human

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

var durationUnits = []struct {
	name string
	is   time.Duration
}{
	{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second},
	{"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", 1},
}

// ParseDuration reads 90s, 30m, 1.5h, 7d or 2w, or several from the largest to the smallest: 1d12h, 1h 30m. Only 0 needs no unit.
func ParseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	bad := errors.New("not a duration such as 90s, 30m, 26h or 7d")
	var sum float64
	units := durationUnits
	for rest := text; ; {
		n, name := cutNumber(rest)
		letters := len(name) - len(strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz"))
		v, err := strconv.ParseFloat(n, 64)
		for len(units) > 0 && units[0].name != name[:letters] {
			units = units[1:]
		}
		if err != nil || len(units) == 0 {
			return 0, bad
		}
		sum += v * float64(units[0].is)
		units = units[1:]
		if sum >= math.MaxInt64 {
			return 0, bad
		}
		if rest = strings.TrimLeft(name[letters:], " "); rest == "" {
			return time.Duration(math.Round(sum)), nil
		}
	}
}

var sizeUnits = map[string]float64{
	"": 1, "b": 1, "byte": 1, "bytes": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// ParseSize reads a number of bytes: 500 kB, 1.5MB, 2GB in powers of 1000, or KiB, MiB, GiB in powers of 1024.
func ParseSize(text string) (int64, error) {
	number, name := cutNumber(text)
	n, err := strconv.ParseFloat(number, 64)
	unit, known := sizeUnits[strings.ToLower(strings.TrimSpace(name))]
	if err != nil || !known || n*unit >= math.MaxInt64 {
		return 0, errors.New("not a size such as 500kB, 10MB or 2GiB")
	}
	return int64(math.Round(n * unit)), nil
}

// ParsePercent reads a number from 0 to 100; the sign after it may be left out.
func ParsePercent(text string) (float64, error) {
	number, rest := cutNumber(text)
	n, err := strconv.ParseFloat(number, 64)
	if rest = strings.TrimSpace(rest); err != nil || rest != "" && rest != "%" || n > 100 {
		return 0, errors.New("not a number from 0 to 100")
	}
	return n, nil
}

// cutNumber splits a text after the number that it begins with, which has no sign.
func cutNumber(text string) (number, rest string) {
	rest = strings.TrimLeft(text, "0123456789.")
	return text[:len(text)-len(rest)], rest
}
