// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestLabelsAreWhatTheyWereMadeOf: random sets, of keys that are usual and others, of any length and none.
func TestLabelsAreWhatTheyWereMadeOf(t *testing.T) {
	if !slices.IsSorted(usualKeys) {
		t.Fatal("the usual keys are not sorted")
	}
	random := rand.New(rand.NewPCG(1, 2))
	texts := append([]string{"", "a", "ap", "app", "apps", "web", "\x00", "\x80", strings.Repeat("k", 105), strings.Repeat("k", 106), strings.Repeat("k", 317)}, usualKeys...)
	pick := func() string { return texts[random.IntN(len(texts))] }
	seen := make(map[string]map[string]string)
	for range 20_000 {
		set := make(map[string]string)
		for range random.IntN(6) {
			set[pick()] = pick()
		}
		l := NewLabels(set)
		if got := maps.Collect(l.All()); !maps.Equal(got, set) {
			t.Fatalf("%q became %q", set, got)
		}
		if other, ok := seen[l.Encoded()]; ok && !maps.Equal(other, set) {
			t.Fatalf("%q and %q are encoded alike", other, set)
		}
		seen[l.Encoded()] = set
		key := pick()
		want, has := set[key]
		if got, ok := l.Lookup(key); ok != has || got != want || l.Has(key) != has || l.Get(key) != want {
			t.Fatalf("%q of %q is %q, %t", key, set, got, ok)
		}
		if !l.Selector().Matches(l) {
			t.Fatalf("%q does not select itself", set)
		}
	}
}
