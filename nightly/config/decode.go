package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A decoder fills structs from YAML. It is stricter than the library's own: an unknown key, a key given twice, a value of another type and an
// empty one are problems, all of them found at once, each with its line, and none of them quotes a value, which may be a secret.
type decoder struct {
	expander
	problems []Problem
}

// A Problem is something wrong in a file.
type Problem struct {
	Line int    `json:"line,omitempty"`
	Key  string `json:"key,omitempty"` // such as jobs.shop.keep
	Text string `json:"text"`
}

func (p Problem) String() string {
	if p.Key == "" {
		return p.Text
	}
	return p.Key + ": " + p.Text
}

func (d *decoder) problem(node *yaml.Node, key, format string, args ...any) {
	d.problems = append(d.problems, Problem{node.Line, key, fmt.Sprintf(format, args...)})
}

// A scalar is a value of its own kind of text.
type scalar interface {
	parse(text string) error
	want() string // what the text is to be
}

// A custom value decodes itself.
type custom interface {
	decode(d *decoder, node *yaml.Node, key string)
}

// decode fills a value from a node. Of a value that a node gives nothing of what was in it before stays.
func (d *decoder) decode(node *yaml.Node, key string, into reflect.Value) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch {
	case node.Style&yaml.TaggedStyle != 0:
		d.problem(node, key, "the tag %s is not known here", node.Tag)
		return
	case node.Kind == yaml.ScalarNode && node.Tag == "!!null":
		d.problem(node, key, "has no value; give it one, or remove the key")
		return
	}
	switch v := into.Addr().Interface().(type) {
	case custom:
		v.decode(d, node, key)
		return
	case scalar:
		d.text(node, key, v.want(), v.parse)
		return
	}
	switch into.Kind() {
	case reflect.String:
		d.text(node, key, "text", func(s string) error { into.SetString(s); return nil })
	case reflect.Bool:
		d.text(node, key, "true or false", func(s string) error {
			if s != "true" && s != "false" {
				return errWanted
			}
			into.SetBool(s == "true")
			return nil
		})
	case reflect.Int:
		d.text(node, key, "a number", func(s string) error {
			n, err := strconv.Atoi(s)
			if err != nil || n < 0 {
				return errWanted
			}
			into.SetInt(int64(n))
			return nil
		})
	case reflect.Slice:
		d.list(node, key, into)
	case reflect.Struct:
		d.section(node, key, into)
	case reflect.Pointer:
		value := reflect.New(into.Type().Elem())
		d.decode(node, key, value.Elem())
		into.Set(value)
	default:
		panic("config: no way to decode a " + into.Type().String())
	}
}

// text hands a scalar's text to parse, with its variables replaced.
func (d *decoder) text(node *yaml.Node, key, want string, parse func(string) error) {
	if node.Kind != yaml.ScalarNode {
		d.problem(node, key, "is %s; want %s", kindName(node), want)
		return
	}
	text, err := d.expand(node.Value)
	if err != nil {
		d.problem(node, key, "%v", err)
		return
	}
	switch err := parse(text); {
	case err == errWanted:
		d.problem(node, key, "want %s", want)
	case err != nil:
		d.problem(node, key, "%v", err)
	}
}

func (d *decoder) list(node *yaml.Node, key string, into reflect.Value) {
	if node.Kind != yaml.SequenceNode {
		d.problem(node, key, "is %s; want a list, such as [a, b]", kindName(node))
		return
	}
	list := reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content))
	for i, item := range node.Content {
		d.decode(item, key, list.Index(i))
	}
	into.Set(list)
}

// section fills a struct, whose fields name their keys. A field marked short is what a section that is given as a mere text stands for.
func (d *decoder) section(node *yaml.Node, key string, into reflect.Value) {
	fields := map[string]reflect.Value{}
	var names []string
	var short reflect.Value
	for field, value := range into.Fields() {
		name, option, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		fields[name] = value
		names = append(names, name)
		if option == "short" {
			short = value
		}
	}
	if node.Kind == yaml.ScalarNode && short.IsValid() {
		into.SetZero()
		d.decode(node, key, short)
		return
	}
	d.mapping(node, key, names, func(name string, value *yaml.Node) {
		d.decode(value, join(key, name), fields[name])
	})
}

// mapping calls fn for every known key of a mapping.
func (d *decoder) mapping(node *yaml.Node, key string, known []string, fn func(name string, value *yaml.Node)) {
	d.pairs(node, key, func(name, value *yaml.Node) {
		if !slices.Contains(known, name.Value) {
			d.problem(name, key, "%s", unknownKey(name.Value, known))
			return
		}
		fn(name.Value, value)
	})
}

// pairs calls fn for every key of a mapping that was not given before.
func (d *decoder) pairs(node *yaml.Node, key string, fn func(name, value *yaml.Node)) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		d.problem(node, key, "is %s; want keys with values below it", kindName(node))
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := node.Content[i]
		if name.Kind != yaml.ScalarNode {
			d.problem(name, key, "a key must be a word")
			continue
		}
		if line, twice := lines[name.Value]; twice {
			d.problem(name, join(key, name.Value), "is given twice, first in line %d", line)
			continue
		}
		lines[name.Value] = name.Line
		fn(name, node.Content[i+1])
	}
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func kindName(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

func unknownKey(name string, known []string) string {
	const quoted = 40 // longer is no key that was misspelt
	if len(name) > quoted {
		return "unknown key; the keys here are " + strings.Join(known, ", ")
	}
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("unknown key %q; did you mean %s?", name, near)
	}
	return fmt.Sprintf("unknown key %q; the keys here are %s", name, strings.Join(known, ", "))
}

// nearest is the word that differs least from name, if it is near enough for a slip.
func nearest(name string, words []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, word := range words {
		if n := distance(strings.ToLower(name), word); n < least {
			best, least = word, n
		}
	}
	return best
}

// distance is how many letters must be put in, taken out or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
