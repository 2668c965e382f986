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

// Looks at status.containerStatuses[*].imageID of live Pods, init containers that go on and ephemeral ones likewise, and at
// status.images of nodes, which tell by what other digests an image is known. Allowed: the same image in all Pods of one
// template, on nodes of the same platform; and the digest that image asks for.
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
		if run.NodeUnknown { // and so is its platform
			r.Skip(v1alpha1.SkipDataMissing, "the node of a Pod is not known")
			continue
		}
		for c := range run.Containers() {
			find := func(message string) {
				r.Find(audit.Finding{Message: message, Container: c.Name, Path: w.Path(c.Path("image"))})
			}
			wanted, digests := audit.ReferenceOf(c.Image).Digest, w.Digests(run, c.Name)
			switch {
			case wanted == "":
				for _, images := range [][]string{imagesOf(w, run, c.Name, firstDigest), imagesOf(w, run, c.Name, imageID)} {
					if len(images) > 1 {
						find(fmt.Sprintf("container %q must run the same image in all Pods: %q is %s", c.Name, c.Image, shortened(images...)))
					}
				}
			case len(digests) == 0 || slices.Contains(digests, wanted):
			case run.Unlisted > 0 && w.SizeOf(run, c) == 0:
				r.Skip(v1alpha1.SkipDataMissing, "the node of a Pod does not list all images and their digests")
			default:
				find(fmt.Sprintf("container %q must run image %q: it runs %s", c.Name, c.Image, shortened(digests...)))
			}
		}
	}
}

// imagesOf returns the images that a container runs in Pods of the same template and platform.
func imagesOf(w *audit.RunningWorkload, run *audit.Run, container string, of func(*audit.RunningWorkload, *audit.Run, string) string) []string {
	var images []string
	for i := range w.Runs {
		other := &w.Runs[i]
		if other.Pod != run.Pod || other.Revision != run.Revision || other.Platform != run.Platform || other.NodeUnknown {
			continue
		}
		if image := of(w, other, container); image != "" {
			images = append(images, image)
		}
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// firstDigest stands for all digests of an image.
func firstDigest(w *audit.RunningWorkload, run *audit.Run, container string) string {
	if digests := w.Digests(run, container); len(digests) > 0 {
		return digests[0]
	}
	return ""
}

func imageID(_ *audit.RunningWorkload, run *audit.Run, container string) string {
	return run.ImageID(container)
}

// shortened names digests as image tools do.
func shortened(digests ...string) string {
	var short []string
	for _, digest := range digests {
		short = append(short, digest[:min(len(digest), len("sha256:")+12)])
	}
	return strings.Join(short, " and ")
}
