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
	// lines of the document that was asked for last; reports ask for one after the other.
	lines    *fix.Lines
	document int
}

func newPlaces(input *manifest.Input, objects *manifest.Objects) *places {
	p := &places{input: input, objects: placesOf(objects), first: make(map[string]manifest.Place)}
	for i, place := range objects.Places {
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
	if p.lines == nil || p.document != place.Document {
		p.lines, p.document = fix.LinesOf(p.input.Text(place.Document)), place.Document
	}
	return output.Place{File: place.File, Line: p.input.Line(place.Document) - 1 + p.lines.Line(place.Path, path)}, true
}
