// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package fix

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// step is one step of a path: ".name", or in brackets an index ("[0]"), the entry of a list by one of its fields ("[name=app]"),
// or a key with dots ("[example.com/key]").
type step struct {
	text     string
	brackets bool
}

var nextStep = regexp.MustCompile(`^(?:\.([A-Za-z][A-Za-z0-9-]*)|\[([^\[\]]+)\])`)

// stepsOf returns the steps of a path of an object. With an error come those before what is no path.
func stepsOf(object []any, path string) ([]step, error) {
	var steps []step
	for _, s := range object {
		switch s := s.(type) {
		case string:
			steps = append(steps, step{text: s})
		case int:
			steps = append(steps, step{text: strconv.Itoa(s), brackets: true})
		}
	}
	for rest := "." + path; rest != ""; {
		m := nextStep.FindStringSubmatch(rest)
		if m == nil {
			return steps, fmt.Errorf("%q is no path", path)
		}
		steps = append(steps, step{text: m[1] + m[2], brackets: m[2] != ""})
		rest = rest[len(m[0]):]
	}
	return steps, nil
}

// index of an entry of a list. ok is false for a step that is none.
func (s step) index() (i int, ok bool) {
	i, err := strconv.Atoi(s.text)
	return i, s.brackets && err == nil && i >= 0 && strconv.Itoa(i) == s.text
}

// selects returns the field, and its value, that the entry of a list is told by. ok is false for a step that tells none.
func (s step) selects() (field, value string, ok bool) {
	field, value, ok = strings.Cut(s.text, "=")
	return field, value, ok && s.brackets && field != ""
}

// isKey says whether the step can be the key of a map that is to be made.
func (s step) isKey() bool {
	_, isIndex := s.index()
	_, _, isEntry := s.selects()
	return !isIndex && !isEntry
}

// missingError is about a step that leads nowhere.
func (s step) missingError() error {
	if s.brackets {
		return fmt.Errorf("there is no entry %q", s.text)
	}
	return fmt.Errorf("there is no %q", s.text)
}

var errNoObject = errors.New("what is on the way is neither an object nor a list")

// put sets a field of a decoded value, which it changes, and returns it. nil is made into what is needed.
func put(value any, steps []step, to any) (any, error) {
	if len(steps) == 0 {
		return to, nil
	}
	s := steps[0]
	switch v := value.(type) {
	case nil:
		if !s.isKey() {
			return nil, s.missingError()
		}
		inner, err := put(nil, steps[1:], to)
		if err != nil {
			return nil, err
		}
		return map[string]any{s.text: inner}, nil
	case map[string]any:
		inner, err := put(v[s.text], steps[1:], to)
		if err == nil {
			v[s.text] = inner
		}
		return v, err
	case []any:
		i := slices.IndexFunc(v, s.isEntry)
		if n, ok := s.index(); ok && n < len(v) {
			i = n
		}
		if i < 0 {
			return v, s.missingError()
		}
		inner, err := put(v[i], steps[1:], to)
		if err == nil {
			v[i] = inner
		}
		return v, err
	}
	return value, errNoObject
}

// isEntry says whether the step selects an entry.
func (s step) isEntry(entry any) bool {
	fields, ok := entry.(map[string]any)
	if !ok {
		return false
	}
	field, value, ok := s.selects()
	return ok && textOf(fields[field]) == value
}

// textOf returns the text of a string or number, and "" for anything else.
func textOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}
