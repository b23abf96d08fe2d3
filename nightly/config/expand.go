package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// An expander replaces ${NAME}, ${NAME:-default} and $$. A variable that is not set is taken from the file that NAME_FILE
// names, if that is set, as the images of databases have it; so a secret need not be in the environment.
type expander struct {
	env func(name string) (string, bool)
}

func (e expander) expand(text string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		b.WriteString(before)
		switch {
		case !found:
			return b.String(), nil
		case strings.HasPrefix(rest, "$"):
			b.WriteByte('$')
			text = rest[1:]
		case strings.HasPrefix(rest, "{"):
			inside, after, closed := strings.Cut(rest[1:], "}")
			if !closed {
				return "", errors.New("a ${ has no closing }; write $$ for a dollar sign")
			}
			value, err := e.variable(inside)
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			text = after
		default:
			return "", errors.New("a $ begins no ${NAME}; write $$ for a dollar sign")
		}
	}
}

func (e expander) variable(inside string) (string, error) {
	name, fallback, hasFallback := strings.Cut(inside, ":-")
	if !isName(name) {
		return "", errors.New("write variables as ${NAME} or ${NAME:-default}, and $$ for a dollar sign")
	}
	value, set := e.env(name)
	path, inFile := e.env(name + "_FILE")
	switch {
	case set && inFile:
		return "", fmt.Errorf("both %s and %s_FILE are set; unset one of them", name, name)
	case inFile:
		return readSecret(path)
	case hasFallback && value == "":
		return strings.ReplaceAll(fallback, "$$", "$"), nil
	case !set:
		return "", fmt.Errorf("the variable %s is not set, nor is %s_FILE; set it, or write ${%s:-default}", name, name, name)
	}
	return value, nil
}

func isName(s string) bool {
	for i, r := range s {
		if !(r == '_' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || i > 0 && r >= '0' && r <= '9') {
			return false
		}
	}
	return s != ""
}

// readSecret reads a file that holds one secret, and perhaps a line end.
func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("read a secret: %s is empty", path)
	}
	return secret, nil
}
