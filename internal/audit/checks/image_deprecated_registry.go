// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"path"
	"strconv"
	"strings"

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
	Image: imageDeprecatedRegistry,
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

func imageDeprecatedRegistry(image audit.Image, r *audit.Reporter) {
	for _, shut := range shutRegistries[image.Registry] {
		if !image.In(shut.path) {
			continue
		}
		message := fmt.Sprintf("container %q must not use image %q: %s is shut", image.Name, image.Image, path.Join(image.Registry, shut.path))
		if shut.successor != "" {
			message += ", and its images are at " + shut.successor
		}
		f := audit.Finding{Message: message, Container: image.Name, Path: image.Path("image")}
		if name, ok := strings.CutPrefix(image.Image, "k8s.gcr.io/"); ok { // of the others, not all images are there, or not under that name
			f.Suggested = strconv.Quote("registry.k8s.io/" + name)
		}
		r.Find(f)
		return
	}
}
