package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// file is a configuration file as it was read.
type file struct {
	name string // as in origins
	src  []byte
	tree map[string]any
}

// parseFile reads YAML, of which JSON is a part. An empty file is an empty map.
// The error has the position and never a line of the file.
func parseFile(name string, src []byte) (f *file, err error) {
	name = filepath.Base(name)
	src = bytes.TrimPrefix(src, []byte("\ufeff"))

	// The YAML library is not hardened against every input; a configuration that
	// it cannot read must not take the node down with a stack trace.
	defer func() {
		if r := recover(); r != nil {
			f, err = nil, fmt.Errorf("%s: not readable as YAML or JSON", name)
		}
	}()
	var value any
	if err := yaml.Unmarshal(src, &value); err != nil {
		return nil, yamlError(name, err)
	}
	switch value := value.(type) {
	case nil:
		return &file{name: name, src: src}, nil
	case map[string]any:
		return &file{name: name, src: src, tree: value}, nil
	}
	return nil, fmt.Errorf("%s: not a map with the keys of config('reverb')", name)
}

// quoted matches what a YAML error repeats of the file.
var quoted = regexp.MustCompile(`"[^"]*"?`)

// yamlError keeps the position and the message of a YAML error without the
// parts of the file in it. They may be secrets: an unquoted secret that begins
// with an asterisk is the name of an alias for YAML.
func yamlError(name string, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil || at.GetToken().Position == nil {
		return fmt.Errorf("%s: not readable as YAML or JSON", name)
	}
	position := at.GetToken().Position
	return fmt.Errorf("%s:%d:%d: %s", name, position.Line, position.Column, quoted.ReplaceAllString(at.GetMessage(), "..."))
}

// literal returns a number as it is written in the file: YAML reads 0123 as the
// number 83, but as an app id it means its digits. What an alias or a merge
// brings in has no place of its own and is not found.
func (f *file) literal(path string) (string, bool) {
	at, err := yaml.PathString("$." + path)
	if err != nil {
		return "", false
	}
	node, err := at.ReadNode(bytes.NewReader(f.src))
	if err != nil {
		return "", false
	}
	switch node := node.(type) {
	case *ast.IntegerNode:
		return node.Token.Value, true
	case *ast.FloatNode:
		return node.Token.Value, true
	}
	return "", false
}

// lookup returns the value at a dotted path below tree. An empty PHP array is
// a list and stands for a map without keys.
func lookup(tree map[string]any, path string) (any, bool) {
	for {
		name, rest, deeper := strings.Cut(path, ".")
		value, present := tree[name]
		if !deeper || !present {
			return value, present
		}
		tree, _ = value.(map[string]any)
		path = rest
	}
}

// isEmptyMap reports whether value stands for a map without keys.
func isEmptyMap(value any) bool {
	items, isList := value.([]any)
	return value == nil || isList && len(items) == 0
}

// numericKeys returns the numeric keys of a PHP array in their order.
func numericKeys(array map[string]any) []string {
	var numbers []int
	for name := range maps.Keys(array) {
		// The second condition leaves out other spellings of the same number.
		if n, err := strconv.Atoi(name); err == nil && strconv.Itoa(n) == name {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	names := make([]string, len(numbers))
	for i, n := range numbers {
		names[i] = strconv.Itoa(n)
	}
	return names
}
