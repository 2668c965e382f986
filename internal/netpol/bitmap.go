// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"iter"
	"math/bits"
)

// bitmap is a set of small numbers.
type bitmap []uint64

const wordBits = 64

func (b *bitmap) add(n int) {
	for len(*b) <= n/wordBits {
		*b = append(*b, 0)
	}
	(*b)[n/wordBits] |= 1 << (n % wordBits)
}

func (b bitmap) remove(n int) {
	if n/wordBits < len(b) {
		b[n/wordBits] &^= 1 << (n % wordBits)
	}
}

func (b bitmap) has(n int) bool {
	return n/wordBits < len(b) && b[n/wordBits]&(1<<(n%wordBits)) != 0
}

func (b *bitmap) addAll(other bitmap) {
	for len(*b) < len(other) {
		*b = append(*b, 0)
	}
	for i, word := range other {
		(*b)[i] |= word
	}
}

func (b bitmap) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, word := range b {
			for ; word != 0; word &= word - 1 {
				if !yield(i*wordBits + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}
