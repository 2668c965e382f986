// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/fix"
	"github.com/kubersafe/kubersafe/internal/manifest"
	"github.com/kubersafe/kubersafe/internal/output"
	"github.com/kubersafe/kubersafe/internal/report"
)

// places knows where in manifests the fields of objects stand.
type places struct {
	input   *manifest.Input
	objects map[subject]manifest.Place
	// first object of each namespace. What is wrong with a namespace that no manifest describes is told there.
	first map[string]manifest.Place
	// objectsIn is how many objects a document has.
	objectsIn map[int]int
	// lines of the documents with several objects, which reports ask for in any order, and of the one that was read last: reports
	// ask for what is in it again and again.
	lines map[int]*fix.Lines
	last  int
}

func newPlaces(input *manifest.Input, objects *manifest.Objects) *places {
	p := &places{
		input: input, objects: placesOf(objects), first: make(map[string]manifest.Place), objectsIn: make(map[int]int), lines: make(map[int]*fix.Lines),
	}
	for i, place := range objects.Places {
		p.objectsIn[place.Document]++
		namespace := report.CleanName(objects.All[i].GetNamespace())
		if _, known := p.first[namespace]; !known {
			p.first[namespace] = place
		}
	}
	return p
}

// of returns where a field of a report's subject stands or, if it is not nil, of another object.
func (p *places) of(r *v1alpha1.SecurityReport, object *v1alpha1.ObjectReference, path string) (output.Place, bool) {
	place, ok := p.objects[subjectOf(r, object)]
	if !ok {
		path = ""
		if place, ok = p.first[r.Namespace]; !ok {
			return output.Place{}, false
		}
	}
	file := place.File
	if file == manifest.Stdin {
		file = ""
	}
	return output.Place{File: file, Line: p.input.Line(place.Document) - 1 + p.linesOf(place.Document).Line(place.Path, path)}, true
}

// linesOf reads a document once if it has several objects: to read a list again for each of them would take the square of its size.
func (p *places) linesOf(document int) *fix.Lines {
	lines := p.lines[document]
	if lines == nil {
		if p.objectsIn[p.last] < 2 {
			delete(p.lines, p.last)
		}
		lines = fix.LinesOf(p.input.Text(document))
		p.lines[document], p.last = lines, document
	}
	return lines
}
