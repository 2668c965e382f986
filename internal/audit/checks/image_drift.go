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

// Looks at status.containerStatuses[*].imageID of live Pods, init containers that go on and ephemeral ones likewise. Allowed:
// the same image in all Pods of one template, on nodes of the same platform; and the digest that image asks for.
var _ = register(audit.Check{
	ID:          "image-drift",
	Title:       "The Pods of a template run the same images",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryImages,
	Rationale:   "The tag has been moved to another image, and whoever moved it has code of theirs in some of the Pods already.",
	Remediation: "Find out which image is the right one, set image to its digest (name:tag@sha256:…), and look at who may push to the repository.",
	Before:      "image: registry.example.com/shop/cart:stable",
	After:       "image: registry.example.com/shop/cart:stable@sha256:b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c",
	Controls: []audit.Control{
		{Framework: audit.FrameworkOWASP, ID: "K02"},
		{Framework: audit.FrameworkMITRE, ID: "T1525"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy",
	},
	Needs:    []audit.Resource{audit.Nodes},
	LiveOnly: "which images Pods run",
	Running:  imageDrift,
})

func imageDrift(w *audit.RunningWorkload, r *audit.Reporter) {
	for i := range w.Runs {
		run := &w.Runs[i]
		for c := range run.Containers() {
			find := func(message string) {
				r.Find(audit.Finding{Message: message, Container: c.Name, Path: w.Path(c.Path("image"))})
			}
			wanted := audit.ReferenceOf(c.Image).Digest
			if wanted == "" {
				for _, of := range []func(*audit.Run, string) string{(*audit.Run).Digest, (*audit.Run).ImageID} {
					if images := imagesOf(w, run, c.Name, of); len(images) > 1 {
						find(fmt.Sprintf("container %q must run the same image in all Pods: %q is %s", c.Name, c.Image, shortened(images...)))
					}
				}
				continue
			}
			// If it were the image that is wanted, the runtime would know it by that digest too, and give the first.
			if digest := run.Digest(c.Name); digest > wanted {
				find(fmt.Sprintf("container %q must run image %q: it runs %s", c.Name, c.Image, shortened(digest)))
			}
		}
	}
}

// imagesOf returns the images that a container runs in Pods of the same template and platform.
func imagesOf(w *audit.RunningWorkload, run *audit.Run, container string, of func(*audit.Run, string) string) []string {
	var images []string
	for i := range w.Runs {
		other := &w.Runs[i]
		if other.Pod != run.Pod || other.Revision != run.Revision || other.Platform != run.Platform {
			continue
		}
		if image := of(other, container); image != "" {
			images = append(images, image)
		}
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// shortened names digests as image tools do.
func shortened(digests ...string) string {
	var short []string
	for _, digest := range digests {
		short = append(short, digest[:min(len(digest), len("sha256:")+12)])
	}
	return strings.Join(short, " and ")
}
