// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the user that images name, as ImageReports tell it, where neither spec.securityContext.runAsUser nor
// spec.containers[*].securityContext.runAsUser says who else, init and ephemeral containers likewise. Allowed: any but root;
// anything that non-root-not-enforced allows, for no node starts such an image as root then. A Pod that names root itself is
// left to runs-as-root.
var _ = register(audit.Check{
	ID:          "image-runs-as-root",
	Title:       "Images do not run as root",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryImages,
	Rationale:   "Whoever takes over the container is root in it, and any flaw of the kernel or container runtime makes that root on the node.",
	Remediation: "Name a user by its number in the Dockerfile (USER 10001), or set securityContext.runAsUser to one that the image can run as.",
	Before:      "image: registry.example.com/shop/cart:1.4.2 # without USER",
	After:       "image: registry.example.com/shop/cart:1.4.3 # USER 10001",
	References: []string{
		"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
		"https://docs.docker.com/build/building/best-practices/#user",
	},
	Scanned: imageRunsAsRoot,
})

func imageRunsAsRoot(image *audit.ScannedImage, r *audit.Reporter) {
	if !imageDecidesUser(image) {
		return
	}
	name := image.Image.Image
	if image.Report == nil || image.Report.Image.Platform == "" { // its configuration has not been read
		r.Skip(v1alpha1.SkipDataMissing, notScanned)
		return
	}
	if strings.HasPrefix(image.Report.Image.Platform, "windows/") {
		return // there is no such user
	}
	user, _, _ := strings.Cut(image.Report.Image.User, ":")
	id, err := strconv.ParseInt(user, 10, 64)
	switch {
	case user != "" && user != "root" && err != nil:
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("image %q runs as user %q: what that is only the image knows", name, user))
		return
	case err == nil && id != 0:
		return
	case user == "":
		user = "root, for it names no user"
	default:
		user = fmt.Sprintf("%q", user)
	}
	r.Find(audit.Finding{
		Message:   fmt.Sprintf("container %q must not run as root: image %q runs as %s", image.Name, name, user),
		Container: image.Name,
		Path:      image.Path("image"),
	})
}

// imageDecidesUser says whether nothing but its image says as whom a container runs, and nothing keeps that from being root.
func imageDecidesUser(image *audit.ScannedImage) bool {
	if sc := image.SecurityContext; sc != nil && sc.RunAsUser != nil {
		return false
	}
	if sc := image.Spec.SecurityContext; sc != nil && sc.RunAsUser != nil {
		return false
	}
	alone := image.Spec
	alone.InitContainers, alone.Containers, alone.EphemeralContainers = nil, []corev1.Container{*image.Container.Container}, nil
	return !newest["runAsNonRoot"](&image.Meta, &alone).Allowed
}
