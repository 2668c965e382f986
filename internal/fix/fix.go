// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fix sets fields in manifests as a careful person would: it changes the lines that must change, and leaves
// comments, order, blank lines and quotes as they are.
//
// What it writes it reads again: unless exactly the fields that were to be set have changed, nothing is written.
package fix

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"sigs.k8s.io/yaml"
)

// Change sets a field of an object in a document.
type Change struct {
	// Object is where the object stands in the document: nil if it is all of it, else keys and indices ("items", 0).
	Object []any
	// Path of the field from the root of the object, as findings have it. What is missing on the way is made; an entry of a
	// list is not.
	Path string
	// Value that the field is to have, as JSON.
	Value json.RawMessage
}

// Result is what became of a document.
type Result struct {
	Text []byte
	// Errors say why changes were not made, by index; nil for those that were.
	Errors []error
	// WrittenOut says that what aliases stand for was written in their place: a change was not for all that share it.
	WrittenOut bool
}

// errUnsure is about changes that cannot be made to the text without touching anything else.
var errUnsure = errors.New("cannot be set without writing the document anew")

// Apply sets fields in a document, YAML or JSON, one after the other. A change that cannot be made does not keep the others
// from being made.
func Apply(document []byte, changes []Change) Result {
	r := Result{Text: document, Errors: make([]error, len(changes))}
	parsed := make([]change, 0, len(changes))
	if root, err := decode(document); err != nil {
		for i := range changes {
			r.Errors[i] = err
		}
	} else {
		for i := range changes {
			c, err := parse(i, &changes[i])
			if err == nil {
				root, err = put(root, c.steps, c.value)
			}
			if err == nil {
				parsed = append(parsed, c)
			}
			r.Errors[i] = err
		}
	}
	if len(parsed) == 0 || r.apply(parsed) == nil {
		return r
	}
	for i := range parsed {
		r.Errors[parsed[i].number] = r.apply(parsed[i : i+1])
	}
	return r
}

// apply sets fields, all or none.
func (r *Result) apply(changes []change) error {
	root, err := decode(r.Text)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if root, err = put(root, c.steps, c.value); err != nil {
			return err
		}
	}
	if patched, ok := patch(r.Text, changes); ok && means(patched, root) {
		r.Text = patched
		return nil
	}
	if alone, ok := writeOut(r.Text); ok {
		if patched, ok := patch(alone, changes); ok && means(patched, root) {
			r.Text, r.WrittenOut = patched, true
			return nil
		}
	}
	return errUnsure
}

// change is a Change that is parsed. Its value is decoded.
type change struct {
	number int
	steps  []step
	value  any
}

func parse(number int, c *Change) (change, error) {
	steps, err := stepsOf(c.Object, c.Path)
	if err != nil {
		return change{}, err
	}
	if !json.Valid(c.Value) {
		return change{}, fmt.Errorf("%q is no JSON", c.Value)
	}
	value, err := decodeJSON(c.Value)
	return change{number, steps, value}, err
}

// decode returns what a document means.
func decode(document []byte) (any, error) {
	if !json.Valid(document) {
		converted, err := yaml.YAMLToJSON(document)
		if err != nil {
			return nil, err
		}
		document = converted
	}
	return decodeJSON(document)
}

func decodeJSON(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

func means(document []byte, want any) bool {
	got, err := decode(document)
	return err == nil && reflect.DeepEqual(got, want)
}
