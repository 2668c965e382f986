// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/distribution/reference"
	"k8s.io/utils/lru"
)

// Image is what a container runs: the container, and what its field image refers to.
type Image struct {
	Container
	*Reference
}

// Reference is an image reference as container runtimes read it. What is none, such as the empty text, is the zero value.
type Reference struct {
	// Registry, "docker.io" where none is named.
	Registry string
	// Repository within the registry, such as "library/nginx".
	Repository string
	// Tag and Digest are "" where there is none.
	Tag, Digest string
}

// Latest says whether it means the tag latest, which it also does without any tag and digest.
func (r *Reference) Latest() bool {
	return r.Registry != "" && r.Digest == "" && (r.Tag == "" || r.Tag == "latest")
}

// In says whether the repository is in a folder of its registry; "" is the registry itself. Paths are compared by segments.
func (r *Reference) In(folder string) bool {
	rest, ok := strings.CutPrefix(r.Repository, folder)
	return ok && (folder == "" || strings.HasPrefix(rest, "/"))
}

// ImageKey stands for a name that an image has: its digest, or its repository with a tag. It is a hash of the name, which would
// take ten times the memory. 0 stands for no image.
type ImageKey uint64

// Key returns the key of the image that is referred to: by its digest, if there is one.
func (r *Reference) Key() ImageKey {
	if r.Registry == "" {
		return 0
	}
	if _, digest, ok := strings.Cut(r.Digest, ":"); ok {
		sum, _ := hex.DecodeString(digest) // it was parsed
		return keyFrom(string(sum))
	}
	sum := sha256.Sum256([]byte(r.Registry + "/" + r.Repository + ":" + cmp.Or(r.Tag, "latest")))
	return keyFrom(string(sum[:]))
}

// keySize is that of an ImageKey, in bytes.
const keySize = 8

// keyFrom returns the key that bytes begin with, as a digest does.
func keyFrom(bytes string) ImageKey {
	if len(bytes) < keySize {
		return 0
	}
	return ImageKey(binary.BigEndian.Uint64([]byte(bytes[:keySize])))
}

// ReferenceOf parses an image reference. The result is shared and must not be changed.
func ReferenceOf(image string) *Reference {
	if parsed, ok := references.Get(image); ok {
		return parsed.(*Reference) //nolint:forcetypeassert // nothing else is put there
	}
	parsed := new(Reference)
	if named, err := reference.ParseNormalizedNamed(image); err == nil {
		parsed.Registry, parsed.Repository = reference.Domain(named), reference.Path(named)
		if tagged, ok := named.(reference.Tagged); ok {
			parsed.Tag = tagged.Tag()
		}
		if digested, ok := named.(reference.Digested); ok {
			parsed.Digest = digested.Digest().String()
		}
	}
	references.Add(image, parsed)
	return parsed
}

// references are the latest that were parsed. Many Pods have the same images, and the library parses them with regular
// expressions, at more than all checks of a Pod cost together.
var references = lru.New(1024)
