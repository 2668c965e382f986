// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"maps"
	"slices"
)

// Image is an image as the cluster knows it, of one platform.
type Image struct {
	// Digest with which containers run it, or which templates name: of the platform's manifest, or of an index.
	Digest string
	// Name of an image without a digest, with registry and tag: docker.io/library/nginx:1.29.
	Name string
	// Config is the digest of the configuration, where the runtime tells that and no other.
	Config string
	// Platform such as linux/arm64.
	Platform string
}

// Compare sorts images.
func (i Image) Compare(other Image) int {
	return cmp.Or(cmp.Compare(i.Digest, other.Digest), cmp.Compare(i.Name, other.Name), cmp.Compare(i.Config, other.Config),
		cmp.Compare(i.Platform, other.Platform))
}

// Use is how an image is used.
type Use struct {
	Image
	// Names under which Pods and templates know it, sorted, with registry and tag or digest.
	Names []string
	// Sources that it can be pulled from, sorted. There is at least one.
	Sources []Source
	// Pods that run it. Templates count for nothing.
	Pods int
}

// Source is a place that an image can be pulled from, and whose credentials that takes.
type Source struct {
	// Reference with a digest, where the cluster knows one.
	Reference string
	Namespace string
	// Secrets are the names of pull secrets in the namespace, separated by commas.
	Secrets string
	// ServiceAccount whose pull secrets count too. Those of a Pod's are in its Secrets already.
	ServiceAccount string
}

func compareSources(a, b Source) int {
	return cmp.Or(cmp.Compare(a.Reference, b.Reference), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Secrets, b.Secrets),
		cmp.Compare(a.ServiceAccount, b.ServiceAccount))
}

// gathered is what is known of an image's use.
type gathered struct {
	names   map[string]bool
	sources map[Source]bool
	pods    int
}

// add takes in a container: the name that it is known by and, with the credentials of its workload, where it is from. That is the
// repository in the specification, which the credentials are for, and then that which the runtime names.
func (g *gathered) add(w *workload, c container, image Image) {
	source := Source{Namespace: w.Namespace, Secrets: w.secrets.Value()}
	if w.template && source.Secrets == "" {
		source.ServiceAccount = w.serviceAccount.Value()
	}
	references := []string{c.name.Value()}
	if image.Digest != "" {
		references = []string{at(c.name.Value(), image.Digest), c.pulled.Value()}
	}
	for _, r := range references {
		if r != "" {
			source.Reference = r
			g.sources[source] = true
		}
	}
	if name := cmp.Or(c.name.Value(), c.pulled.Value()); name != "" {
		g.names[name] = true
	}
}

// uses puts together what workloads run and name: what is used by most Pods first.
func uses(workloads []*workload, platforms map[string]string, usual string) []Use {
	all := make(map[Image]*gathered)
	for _, w := range workloads {
		platform := cmp.Or(w.platform.Value(), platforms[w.node.Value()], usual)
		counted := make(map[Image]bool)
		for _, c := range w.containers {
			image := Image{Digest: c.digest.Value(), Config: c.config.Value(), Platform: platform}
			if image.Digest == "" {
				if image.Name = c.name.Value(); image.Name == "" {
					continue // there is no telling where it is from
				}
			}
			g := all[image]
			if g == nil {
				g = &gathered{names: make(map[string]bool), sources: make(map[Source]bool)}
				all[image] = g
			}
			g.add(w, c, image)
			if !w.template && !counted[image] {
				counted[image] = true
				g.pods++
			}
		}
	}
	list := make([]Use, 0, len(all))
	for image, g := range all {
		list = append(list, Use{
			Image: image, Pods: g.pods, Names: slices.Sorted(maps.Keys(g.names)), Sources: slices.SortedFunc(maps.Keys(g.sources), compareSources),
		})
	}
	slices.SortFunc(list, func(a, b Use) int { return cmp.Or(cmp.Compare(b.Pods, a.Pods), a.Compare(b.Image)) })
	return list
}
