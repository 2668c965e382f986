// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package shard splits the namespaces of a cluster into equal parts, as the API server's own shard selection does: by ranges
// of the hash of their names.
package shard

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/sharding"
)

// Shard is one of Count parts of all namespaces; Index counts from 0. The zero value is all of them, and so is 0/1.
type Shard struct {
	Index, Count int
}

// MaxCount is more shards than the largest cluster needs: one holds it in a quarter of a gigabyte.
const MaxCount = 1024

// key is what the API server is asked to hash.
const key = "object.metadata.namespace"

// Parse reads I/N: shard I of N. In place of I may stand the name of a Pod of a StatefulSet, such as kubersafe-3: its shard
// is the number at the end modulo N, so that 2·N replicas are two for each shard.
func Parse(s string) (Shard, error) {
	index, count, found := strings.Cut(s, "/")
	if !found {
		return Shard{}, fmt.Errorf("shard %q must be I/N, such as 0/2", s)
	}
	n, err := number(count)
	if err != nil || n < 1 || n > MaxCount {
		return Shard{}, fmt.Errorf("shard %q must have a number from 1 to %d behind the slash", s, MaxCount)
	}
	i, err := number(index)
	if err == nil {
		if i >= n {
			return Shard{}, fmt.Errorf("shard %q must have a number below %d in front of the slash: shards count from 0", s, n)
		}
		return Shard{i, n}, nil
	}
	dash := strings.LastIndex(index, "-")
	if dash < 1 {
		return Shard{}, fmt.Errorf("shard %q must have a number, or the name of a Pod of a StatefulSet, in front of the slash", s)
	}
	ordinal, err := number(index[dash+1:])
	if err != nil {
		return Shard{}, fmt.Errorf("shard %q must have a number, or the name of a Pod of a StatefulSet, in front of the slash", s)
	}
	return Shard{ordinal % n, n}, nil
}

// number reads digits and nothing else.
func number(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err
}

// String is what Parse reads.
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, max(1, s.Count)) }

// Whole says whether the shard is all there is.
func (s Shard) Whole() bool { return s.Count <= 1 }

// First says whether it is the one that does what is to be done once in a cluster.
func (s Shard) First() bool { return s.Index == 0 }

// Owns says whether a namespace belongs to the shard. It belongs to exactly one of Count.
func (s Shard) Owns(namespace string) bool {
	return s.Whole() || of(namespace, s.Count) == s.Index
}

// of returns the index of the shard that a namespace belongs to: its hash h, of 64 bits, is in the part floor(h·n ÷ 2⁶⁴).
func of(namespace string, n int) int {
	h, err := strconv.ParseUint(sharding.HashField(namespace), 16, 64)
	if err != nil {
		return 0 // it is 16 hexadecimal digits, always
	}
	part, _ := bits.Mul64(h, uint64(n)) //nolint:gosec // G115: positive
	return int(part)                    //nolint:gosec // G115: below n
}

// Selector is the shard in the language of the API server's ListOptions.ShardSelector; "" if it is everything.
func (s Shard) Selector() string {
	if s.Whole() {
		return ""
	}
	return sharding.NewSelector(sharding.ShardRangeRequirement{Key: key, Start: bound(s.Index, s.Count), End: bound(s.Index+1, s.Count)}).String()
}

// bound returns the least hash that is not in a part below i: i·2⁶⁴ ÷ n, rounded up.
func bound(i, n int) string {
	if i == n {
		return "0x10000000000000000" // 2⁶⁴
	}
	start, rest := bits.Div64(uint64(i), 0, uint64(n)) //nolint:gosec // G115: neither is negative
	if rest > 0 {
		start++
	}
	return fmt.Sprintf("0x%016x", start)
}
