// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at status.images of nodes, for the images of Pods that are there: by digest where it is known what runs, else by name.
// Where no node lists the image, at what ImageReports tell of its compressed layers. Allowed: up to the configured size, 1 GiB unless
// that is set, as the container runtime counts.
var _ = register(audit.Check{
	ID:          "image-too-large",
	Title:       "Images hold little besides the application",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryImages,
	Rationale:   "Whoever gets into the container finds shells, compilers and libraries to go on with, and every one of them can have vulnerabilities of its own.",
	Remediation: "Build the image in stages, and copy what runs into a small base image, such as a distroless one.",
	Before:      "image: registry.example.com/shop/cart:1.4.2 # on a distribution with a compiler, 2100 MiB",
	After:       "image: registry.example.com/shop/cart:1.4.3 # on a distroless image, 60 MiB",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Building secure container images"},
	},
	References: []string{
		"https://docs.docker.com/build/building/best-practices/",
		"https://kubernetes.io/docs/concepts/containers/images/",
	},
	Needs:    []audit.Resource{audit.Nodes},
	LiveOnly: "how large images are",
	Running:  imageTooLarge,
})

func imageTooLarge(w *audit.RunningWorkload, r *audit.Reporter) {
	largest := inMiB(r.Settings().MaxImageSize)
	for i := range w.Runs {
		run := &w.Runs[i]
		for c := range run.Containers() {
			size := int64(w.SizeOf(run, c))
			if least := int64(w.AtLeast(run, c)); size == 0 && least > largest {
				size = least
			}
			switch {
			case size > largest:
				r.Find(audit.Finding{
					Message:   fmt.Sprintf("container %q must run an image of at most %d MiB: %q has about %d", c.Name, largest, c.Image, rounded(size)),
					Container: c.Name,
					Path:      w.Path(c.Path("image")),
				})
			case size > 0:
			case run.NodeUnknown:
				r.Skip(v1alpha1.SkipDataMissing, "the node of a Pod is not known")
			case int64(run.Unlisted) > largest:
				r.Skip(v1alpha1.SkipDataMissing, "the node of a Pod does not list all large images")
			case largest < audit.SmallestImage:
				r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("the sizes of images below %d MiB are not kept", audit.SmallestImage))
			}
		}
	}
}

// inMiB rounds up.
func inMiB(bytes int64) int64 {
	const mebibyte = 1 << 20
	return (bytes-1)/mebibyte + 1
}

// rounded rounds up to hundreds, for nodes may count a little more or less of the same image.
func rounded(size int64) int64 {
	const step = 100
	return (size + step - 1) / step * step
}
