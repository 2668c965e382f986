// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/sharding"
	serversharding "k8s.io/apiserver/pkg/sharding"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Shard{
		"0/1": {0, 1}, "0/2": {0, 2}, "1/2": {1, 2}, "1023/1024": {1023, 1024},
		"kubersafe-0/2": {0, 2}, "kubersafe-1/2": {1, 2}, "kubersafe-2/2": {0, 2}, "kubersafe-3/2": {1, 2}, "my-kubersafe-7/3": {1, 3},
		"kubersafe-5/1": {0, 1},
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":             `shard "" must be I/N, such as 0/2`,
		"1":            `shard "1" must be I/N, such as 0/2`,
		"0/0":          `shard "0/0" must have a number from 1 to 1024 behind the slash`,
		"0/1025":       `shard "0/1025" must have a number from 1 to 1024 behind the slash`,
		"0/-2":         `shard "0/-2" must have a number from 1 to 1024 behind the slash`,
		"0/":           `shard "0/" must have a number from 1 to 1024 behind the slash`,
		"a/b":          `shard "a/b" must have a number from 1 to 1024 behind the slash`,
		"0/2/3":        `shard "0/2/3" must have a number from 1 to 1024 behind the slash`,
		"3/2":          `shard "3/2" must have a number below 2 in front of the slash: shards count from 0`,
		"2/2":          `shard "2/2" must have a number below 2 in front of the slash: shards count from 0`,
		"-1/2":         `shard "-1/2" must have a number, or the name of a Pod of a StatefulSet, in front of the slash`,
		"/2":           `shard "/2" must have a number, or the name of a Pod of a StatefulSet, in front of the slash`,
		"kubersafe/2":  `shard "kubersafe/2" must have a number, or the name of a Pod of a StatefulSet, in front of the slash`,
		"kubersafe-/2": `shard "kubersafe-/2" must have a number, or the name of a Pod of a StatefulSet, in front of the slash`,
		// The Pod of a Deployment.
		"kubersafe-7d9f8-x2b4c/2": `shard "kubersafe-7d9f8-x2b4c/2" must have a number, or the name of a Pod of a StatefulSet, in front of the slash`,
	} {
		if got, err := Parse(text); err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = %v, %v, want the error %s", text, got, err, want)
		}
	}
}

func TestStringIsWhatParseReads(t *testing.T) {
	for _, s := range []Shard{{0, 1}, {0, 2}, {2, 3}} {
		if got, err := Parse(s.String()); err != nil || got != s {
			t.Errorf("%v is read as %v, %v", s, got, err)
		}
	}
	if got := (Shard{}).String(); got != "0/1" {
		t.Errorf("the zero value is %s", got)
	}
}

// TestShardsAreTheServers compares with the API server's parser and the selector that it applies to objects, which are
// the definition, and counts the shards that own a namespace.
func TestShardsAreTheServers(t *testing.T) {
	for _, n := range []int{2, 3, 5, 7, 16, 1000, MaxCount} {
		selectors := make([]sharding.Selector, n)
		end := "0x0000000000000000"
		for i := range n {
			var err error
			if selectors[i], err = serversharding.Parse(Shard{i, n}.Selector()); err != nil {
				t.Fatal(err)
			}
			r := selectors[i].Requirements()
			if len(r) != 1 || r[0].Start != end || r[0].Key != key {
				t.Fatalf("shard %d of %d is %v, want it to begin where the one before ends, at %s", i, n, r, end)
			}
			end = r[0].End
		}
		if end != "0x10000000000000000" {
			t.Errorf("the last of %d shards ends at %s, want 2⁶⁴", n, end)
		}
		for k := range 300 {
			namespace := fmt.Sprint("team-", k)
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}}
			owners := 0
			for i := range n {
				s := Shard{i, n}
				if s.Owns(namespace) {
					owners++
				}
				if matches, err := selectors[i].Matches(pod); err != nil || matches != s.Owns(namespace) {
					t.Fatalf("the API server says %v, %v about %s in shard %s, want %v", matches, err, namespace, s, s.Owns(namespace))
				}
			}
			if owners != 1 {
				t.Fatalf("%s is in %d of %d shards", namespace, owners, n)
			}
		}
	}
}

func TestBounds(t *testing.T) {
	for _, tc := range []struct {
		s    Shard
		want string
	}{
		{Shard{}, ""},
		{Shard{0, 1}, ""},
		{Shard{0, 2}, "shardRange(object.metadata.namespace, '0x0000000000000000', '0x8000000000000000')"},
		{Shard{1, 2}, "shardRange(object.metadata.namespace, '0x8000000000000000', '0x10000000000000000')"},
		// 2⁶⁴ ÷ 3 is no whole number.
		{Shard{1, 3}, "shardRange(object.metadata.namespace, '0x5555555555555556', '0xaaaaaaaaaaaaaaab')"},
	} {
		if got := tc.s.Selector(); got != tc.want {
			t.Errorf("the selector of %s is %q, want %q", tc.s, got, tc.want)
		}
	}
}

func TestWithoutShardsEverythingIsOwned(t *testing.T) {
	for _, s := range []Shard{{}, {0, 1}} {
		if !s.Whole() || !s.First() || !s.Owns("shop") || !s.Owns("") {
			t.Errorf("%+v must own everything", s)
		}
	}
	if s := (Shard{1, 2}); s.Whole() || s.First() {
		t.Errorf("%s is not everything", s)
	}
}

// TestShardsAreEven: no shard of names that differ only at the end is empty or has more than twice its share.
func TestShardsAreEven(t *testing.T) {
	const names, n = 10_000, 4
	var sizes [n]int
	for i := range names {
		sizes[of(fmt.Sprintf("tenant-%05d", i), n)]++
	}
	for i, size := range sizes {
		if size == 0 || size > 2*names/n {
			t.Errorf("shard %d has %d of %d namespaces", i, size, names)
		}
	}
}
