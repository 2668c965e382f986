// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"regexp"
	"strings"

	"github.com/distribution/reference"
)

// NameOf returns an image's name as people know it, with registry and tag: docker.io/library/nginx:1.29. A digest stays in it. What is
// no name, such as the image's own ID, is "".
func NameOf(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil || imageID.MatchString(image) {
		return ""
	}
	return reference.TagNameOnly(named).String()
}

// digestOf returns the digest in a name, or "".
func digestOf(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return ""
	}
	if digested, ok := named.(reference.Digested); ok {
		return digested.Digest().String()
	}
	return ""
}

// at returns the name of a digest in the repository of another name, or "" if that is no name.
func at(name, digest string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return ""
	}
	return reference.TrimNamed(named).String() + "@" + digest
}

// imageID is the digest of an image's configuration, with which runtimes name images that they have from no registry.
var imageID = regexp.MustCompile(`^(sha256:)?([0-9a-f]{64})$`)

// running returns what a runtime says that a container runs, in the imageID of its status: a digest in a repository, or the digest of a
// configuration. containerd and CRI-O write repository@digest, or an ID; docker wrote these behind docker-pullable:// and docker://.
func running(status string) (name, digest, config string) {
	if _, rest, ok := strings.Cut(status, "://"); ok {
		status = rest
	}
	if id := imageID.FindStringSubmatch(status); id != nil {
		return "", "", "sha256:" + id[2]
	}
	if digest = digestOf(status); digest == "" {
		return "", "", ""
	}
	return at(status, digest), digest, ""
}

// TagOf returns the tag in a name, with its repository and without a digest: docker.io/library/nginx:1.29. It is "" where there is none.
func TagOf(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return ""
	}
	if tagged, ok := named.(reference.Tagged); ok {
		return reference.TrimNamed(named).String() + ":" + tagged.Tag()
	}
	return ""
}

// RepositoryOf returns the repository of a name, with its registry: docker.io/library/nginx. It is "" where there is none.
func RepositoryOf(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return ""
	}
	return reference.TrimNamed(named).String()
}
