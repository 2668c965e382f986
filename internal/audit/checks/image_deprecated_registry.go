// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"path"
	"strings"

	"github.com/distribution/reference"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].image, init and ephemeral containers likewise. Allowed: registries other than the
// shutRegistries.
var _ = register(audit.Check{
	ID:          "image-deprecated-registry",
	Title:       "Images come from registries that are still looked after",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryImages,
	Rationale:   "What is there gets no security updates any more, and the day it goes the Pod cannot be started again.",
	Remediation: "Set image to the same image at the registry that has taken over.",
	Before:      "image: k8s.gcr.io/pause:3.9",
	After:       "image: registry.k8s.io/pause:3.9",
	References: []string{
		"https://kubernetes.io/blog/2023/03/10/image-registry-redirect/",
		"https://docs.github.com/en/packages/working-with-a-github-packages-registry/migrating-to-the-container-registry-from-the-docker-registry",
	},
	Pod: imageDeprecatedRegistry,
})

// shutRegistries are registries that are frozen or gone, or paths in one, and what has taken over.
var shutRegistries = map[string][]struct{ path, successor string }{
	// Frozen on 3 April 2023.
	"k8s.gcr.io":            {{"", "registry.k8s.io"}},
	"gcr.io":                {{"google-containers", "registry.k8s.io"}, {"google_containers", "registry.k8s.io"}},
	"asia.gcr.io":           {{"google-containers", "registry.k8s.io"}},
	"eu.gcr.io":             {{"google-containers", "registry.k8s.io"}},
	"us.gcr.io":             {{"google-containers", "registry.k8s.io"}},
	"docker.pkg.github.com": {{"", "ghcr.io"}},
	// Bintray closed on 1 May 2021.
	"docker.bintray.io": {{"", ""}},
}

func imageDeprecatedRegistry(pod *audit.Pod, r *audit.Reporter) {
	for c := range pod.Containers() {
		named, err := parseImage(c.Image)
		if err != nil {
			continue // image-tag-latest says so
		}
		registry := reference.Domain(named)
		for _, shut := range shutRegistries[registry] {
			if !within(named, shut.path) {
				continue
			}
			f := audit.Finding{
				Message:   fmt.Sprintf("container %q must not use image %q: %s is shut", c.Name, c.Image, path.Join(registry, shut.path)),
				Container: c.Name,
				Path:      c.Path("image"),
			}
			if shut.successor != "" {
				f.Message += ", and its images are at " + shut.successor
			}
			r.Find(f)
			break
		}
	}
}

// within says whether an image is in a folder of its registry; "" is the registry itself. Paths are compared by segments.
func within(named reference.Named, folder string) bool {
	rest, ok := strings.CutPrefix(reference.Path(named), folder)
	return ok && (folder == "" || strings.HasPrefix(rest, "/"))
}
