// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"hash/maphash"
	"slices"
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Standing is what is remembered of a finding from one report to the next.
type Standing struct {
	Severity v1alpha1.Severity
	Since    time.Time
}

// Remembered is what is remembered of the findings of a report. It is kept for every report there is, and so is small.
type Remembered []rememberedFinding

type rememberedFinding struct {
	key uint64
	// since, in seconds of Unix time.
	since int64
	rank  int8
}

// seed is new in every process, so that nobody can make two findings look alike.
var seed = maphash.MakeSeed()

// Remember returns what the next report must know of this one.
func Remember(findings []v1alpha1.Finding) Remembered {
	if len(findings) == 0 {
		return nil
	}
	r := make(Remembered, 0, len(findings))
	for i := range findings {
		f := &findings[i]
		r = append(r, rememberedFinding{maphash.Comparable(seed, KeyOf(f)), f.Since.Unix(), rankOf(f.Severity)})
	}
	slices.SortFunc(r, func(a, b rememberedFinding) int { return cmp.Compare(a.key, b.key) })
	return r
}

// Get returns what is remembered of a finding.
func (r Remembered) Get(key audit.Key) (Standing, bool) {
	i, found := slices.BinarySearchFunc(r, maphash.Comparable(seed, key), func(m rememberedFinding, key uint64) int {
		return cmp.Compare(m.key, key)
	})
	if !found {
		return Standing{}, false
	}
	return Standing{Severity: severityOf(r[i].rank), Since: time.Unix(r[i].since, 0).UTC()}, true
}

// Agrees says whether what a stored report says of since when its findings stand is what is remembered. It may list fewer.
func (r Remembered) Agrees(stored Remembered) bool {
	i := 0
	for _, s := range stored {
		for i < len(r) && r[i].key < s.key {
			i++
		}
		if i == len(r) || r[i] != s {
			return false
		}
	}
	return true
}

// Oldest returns since when the oldest finding of a severity stands; zero if there is none.
func (r Remembered) Oldest(severity v1alpha1.Severity) time.Time {
	var oldest time.Time
	for _, m := range r {
		if since := time.Unix(m.since, 0); m.rank == rankOf(severity) && (oldest.IsZero() || since.Before(oldest)) {
			oldest = since
		}
	}
	return oldest
}
