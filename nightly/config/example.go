package config

import _ "embed"

// Example is a file with every key, explained. It is valid as it is.
//
//go:embed example.yaml
var Example string
