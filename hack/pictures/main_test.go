// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubersafe/kubersafe/internal/dashboard"
)

// TestRun draws all dashboards with one result for each query.
func TestRun(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	a := dashboard.Answers{From: now.Add(-time.Minute), To: now, Results: make(map[string][][][]dashboard.Sample)}
	for _, d := range dashboard.All() {
		for _, placed := range d.Panels() {
			if placed.Panel == nil {
				continue
			}
			sample := dashboard.Sample{
				Labels: map[string]string{"pod": "p", "name": "n", "controller": "c", "method": "GET", "code": "200", "operation": "create", "namespace": "a"},
				Points: []dashboard.Point{{Time: seconds(now), Value: 12345}},
			}
			if placed.Panel.Labels != nil {
				sample.Labels = make(map[string]string)
				for _, l := range placed.Panel.Labels {
					sample.Labels[l.Label] = "a " + l.Label
				}
			}
			a.Results[d.UID] = append(a.Results[d.UID], make([][]dashboard.Sample, len(placed.Panel.Queries)))
			for i := range placed.Panel.Queries {
				a.Results[d.UID][len(a.Results[d.UID])-1][i] = []dashboard.Sample{sample}
			}
		}
	}
	encoded, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "results.json")
	if err := os.WriteFile(file, encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(file, dir); err != nil {
		t.Fatal(err)
	}
	for _, d := range dashboard.All() {
		picture, err := os.Open(filepath.Join(dir, d.UID+".png"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = picture.Close() }()
		config, err := png.DecodeConfig(picture)
		if err != nil || config.Width < 1000 || config.Height < 1000 {
			t.Errorf("%s: %+v, %v", d.UID, config, err)
		}
	}
}

// TestColours: there is no colour in a dashboard that a picture does not have.
func TestColours(t *testing.T) {
	known := func(where, name string) {
		if _, ok := palette[name]; !ok && name != "" {
			t.Errorf("%s: colour %s", where, name)
		}
	}
	for _, d := range dashboard.All() {
		for _, placed := range d.Panels() {
			if placed.Panel == nil {
				continue
			}
			for _, s := range placed.Panel.Steps {
				known(placed.Panel.Title, s.Color)
			}
			for _, q := range placed.Panel.Queries {
				known(placed.Panel.Title, q.Color)
				for _, s := range q.Steps {
					known(placed.Panel.Title, s.Color)
				}
			}
		}
	}
}

func TestHumanize(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		value float64
		unit  string
		want  string
	}{
		{87, "none", "87"},
		{12345, "short", "12.3 K"},
		{0, "s", "0 s"},
		{0.000125, "s", "125 µs"},
		{0.0635, "s", "63.5 ms"},
		{90, "s", "1.5 min"},
		{14 * 86400, "s", "2 weeks"},
		{73400320, "bytes", "70 MiB"},
		{0.9987, "percentunit", "99.8 %"},
		{seconds(now.AddDate(0, 0, 3)) * 1000, "dateTimeFromNow", "in 3 days"},
		{0.25, "ops", "0.25 ops/s"},
	} {
		if got := humanize(tc.value, tc.unit, now); got != tc.want {
			t.Errorf("%v %s: %q, want %q", tc.value, tc.unit, got, tc.want)
		}
	}
}
