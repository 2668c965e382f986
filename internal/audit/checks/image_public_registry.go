// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].image, init and ephemeral containers likewise. Allowed: registries other than the
// publicRegistries and, in those, the official and vendors' images. A name without a registry is found whatever the image,
// because the node's configuration decides where it comes from, unless a digest says what has to come.
var _ = register(audit.Check{
	ID:          "image-public-registry",
	Title:       "Images come from a registry of one's own or from their vendor's",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryImages,
	Rationale:   "Anybody can publish anything in a public registry under a name that sounds right, and what is run from there nobody has vetted.",
	Remediation: "Push the image that you have vetted to a registry of your own, and set image to it with the registry's name.",
	Before:      "image: somebody/cart:1.4.2",
	After:       "image: registry.example.com/shop/cart:1.4.2",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Building secure container images"},
		{Framework: audit.FrameworkMITRE, ID: "T1204.003"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/containers/images/#image-names",
		"https://docs.docker.com/docker-hub/image-library/trusted-content/",
	},
	Setting: "spec.images.allowedRepositories is not set", // where it is, image-registry-not-allowed is the stricter
	Applies: func(s *audit.Settings) bool { return s.AllowedRepositories == nil },
	Image:   imagePublicRegistry,
})

// publicRegistries are those where everybody may publish, and the paths in them that are official, or of vendors who publish
// their own software there.
var publicRegistries = map[string][]string{
	"docker.io": {
		"library", "amazon", "aquasec", "calico", "docker", "envoyproxy", "grafana",
		"hashicorp", "istio", "nginx", "nginxinc", "rancher", "redhat", "ubuntu",
	},
	"quay.io": {
		"argoproj", "ceph", "cilium", "fedora", "jetstack", "prometheus",
		"prometheus-operator", "strimzi", "tigera",
	},
	"ghcr.io": {
		"actions", "dexidp", "external-secrets", "fluxcd", "kedacore", "kubersafe", "kyverno",
	},
	"public.ecr.aws":      {"amazonlinux", "aws-observability", "docker/library", "eks", "eks-distro"},
	"registry.gitlab.com": {"gitlab-org"},
	"ttl.sh":              nil,
}

func imagePublicRegistry(image audit.Image, r *audit.Reporter) {
	vendors, public := publicRegistries[image.Registry]
	var why string
	switch {
	case !namesRegistry(image):
		why = "it does not name its registry"
	case public && !slices.ContainsFunc(vendors, image.In):
		why = fmt.Sprintf("everybody may publish at %s, and it is no official or vendor's image", image.Registry)
	default:
		return
	}
	r.Find(audit.Finding{
		Message:   fmt.Sprintf("container %q must not use image %q: %s", image.Name, image.Image, why),
		Container: image.Name,
		Path:      image.Path("image"),
	})
}

// namesRegistry says whether it is certain where an image comes from or, by its digest, what comes.
func namesRegistry(image audit.Image) bool {
	return image.Digest != "" || image.Registry != "docker.io" ||
		strings.HasPrefix(image.Image, "docker.io/") || strings.HasPrefix(image.Image, "index.docker.io/")
}
