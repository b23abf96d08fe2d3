package main

import "github.com/pgberth/pgberth/internal/human"

// count writes a number of things whose plural ends in s: "1 table", "12,345 tables".
func count[N int | int64](n N, thing string) string { return human.Count(n, thing, thing+"s") }
