// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// IgnoredVulnerability is a vulnerability that does not count.
type IgnoredVulnerability struct {
	id               string
	packages, images []pattern
	until            time.Time
}

// NewIgnoredVulnerability compiles what the AuditConfiguration says.
func NewIgnoredVulnerability(v *v1alpha1.IgnoredVulnerability) IgnoredVulnerability {
	ignored := IgnoredVulnerability{id: v.ID, packages: patternsOf(v.Packages), images: patternsOf(v.Images)}
	if v.ExpirationTime != nil {
		ignored.until = v.ExpirationTime.Time
	}
	return ignored
}

func (v *IgnoredVulnerability) expired(now time.Time) bool {
	return !v.until.IsZero() && !v.until.After(now)
}

// Ignores says whether a vulnerability of an image does not count at a time.
func (s *Settings) Ignores(v *v1alpha1.Vulnerability, image *Reference, now time.Time) bool {
	return slices.ContainsFunc(s.IgnoredVulnerabilities, func(i IgnoredVulnerability) bool {
		return (i.id == v.ID || slices.Contains(v.Aliases, i.id)) && !i.expired(now) &&
			(i.packages == nil || matchesAny(i.packages, v.Package)) && (i.images == nil || matchesImage(i.images, image))
	})
}

// RequiredSignature selects images that must be signed.
type RequiredSignature []pattern

// NewRequiredSignature compiles what the AuditConfiguration says.
func NewRequiredSignature(s *v1alpha1.RequiredSignature) RequiredSignature {
	return patternsOf(s.Images)
}

// Selects says whether an image is one of those.
func (r RequiredSignature) Selects(image *Reference) bool { return matchesImage(r, image) }

// MustBeSigned says whether an image must have a signature.
func (s *Settings) MustBeSigned(image *Reference) bool {
	return slices.ContainsFunc(s.RequiredSignatures, func(r RequiredSignature) bool { return r.Selects(image) })
}

func matchesImage(patterns []pattern, image *Reference) bool {
	name := image.Registry + "/" + image.Repository
	return slices.ContainsFunc(patterns, func(p pattern) bool { return p.matchesUpTo(v1alpha1.MaxImageName, name) })
}

// scannedContainers returns the containers of a Pod with what is known of their images, given facts about its containers:
// several times where a name means several images, as on several platforms, and once without a report where none is known.
func (n *Namespace) scannedContainers(pod *Pod, facts *Labels, reports map[*ImageRecord]*v1alpha1.ImageReport) iter.Seq[*ScannedImage] {
	return func(yield func(*ScannedImage) bool) {
		for c := range pod.Containers() {
			image := ScannedImage{Pod: pod, Image: Image{c, ReferenceOf(c.Image)}, Newest: n.NewestMatched, Now: n.now}
			known, digest := false, digestOf(facts, c.Name)
			image.ByDigest = digest != "" || image.Digest != ""
			for _, record := range n.recordsOf(image.Reference, digest, reports) {
				image.Record, image.Report, known = record, reports[record], true
				if shown := image; !yield(&shown) {
					return
				}
			}
			if !known && !yield(&image) {
				return
			}
		}
	}
}

// recordsOf returns the records of the image that a container runs, by the digest that it is known to have, or else of those that
// its reference means. Of images that a tag led to one after the other, those are meant that it leads to now.
func (n *Namespace) recordsOf(reference *Reference, digest string, reports map[*ImageRecord]*v1alpha1.ImageReport) []*ImageRecord {
	key := reference.Key()
	if digest != "" {
		key = digestKey(digest)
	}
	var known, current []*ImageRecord
	for _, record := range n.ImageReports[key] {
		report := reports[record]
		if report == nil {
			report = record.Report()
			reports[record] = report
		}
		if digest != "" && !hasDigest(report, digest) || digest == "" && !names(reference, report) {
			continue
		}
		known = append(known, record)
		if digest == "" && leadsTo(report, reference) {
			current = append(current, record)
		}
	}
	if len(current) > 0 {
		return current
	}
	return known
}

// leadsTo says whether a tag is known to lead to an image now.
func leadsTo(report *v1alpha1.ImageReport, tag *Reference) bool {
	r := referenceIn(report, tag)
	return r != nil && r.CurrentDigest != "" && r.CurrentDigest == report.Image.Digest
}

// referenceIn returns what a report tells of a tag, or nil.
func referenceIn(report *v1alpha1.ImageReport, tag *Reference) *v1alpha1.ImageReference {
	for i := range report.References {
		if r := &report.References[i]; tag.sameTag(ReferenceOf(r.Name)) {
			return r
		}
	}
	return nil
}

// judgeScanned adds what is to be said of the images of a workload, and returns those that have known vulnerabilities. template is nil
// where there is none, pods are those of its shapes.
func (s *Set) judgeScanned(m *merger, ns *Namespace, w *Workload, template *Pod, pods map[*Shape]*PlacedPod) []VulnerableImage {
	if u := ns.Missing(ImageReports); u != nil {
		var r Reporter
		r.run(s.scanned, func(_ *Check, r *Reporter) { r.SkipUnavailable(u) })
		m.skips = append(m.skips, r.skips...)
		return nil
	}
	var vulnerable []VulnerableImage
	reports := make(map[*ImageRecord]*v1alpha1.ImageReport)
	judge := func(pod *Pod, facts *Labels, seenIn v1alpha1.SeenIn) {
		r := Reporter{settings: &s.settings}
		for image := range ns.scannedContainers(pod, facts, reports) {
			r.run(s.scanned, func(c *Check, r *Reporter) { c.Scanned(image, r) })
			if i := image.Record; i != nil && i.Known != nil && i.Known.All.Total > 0 {
				if known := (VulnerableImage{i.UID, i.Known}); !slices.Contains(vulnerable, known) {
					vulnerable = append(vulnerable, known)
				}
			}
		}
		m.merge(&verdict{findings: r.findings, skips: r.skips}, seenIn)
	}
	inTemplate, inPods := v1alpha1.SeenInTemplate, v1alpha1.SeenInPods
	if template == nil || len(pods) == 0 {
		inTemplate, inPods = "", "" // nothing to tell it from
	}
	if template != nil {
		judge(template, nil, inTemplate)
	}
	for _, v := range w.scannedPods() {
		if pod := pods[v.shape]; pod != nil {
			judge(pod.Pod, v.facts, inPods)
		}
	}
	for _, owned := range w.Owned {
		if pod := pods[owned.Shape]; pod != nil && owned.Shape != w.Template {
			judge(pod.Pod, nil, inPods)
		}
	}
	return vulnerable
}

// scannedPod is what Pods have in common that run the same images.
type scannedPod struct {
	shape *Shape
	facts *Labels
}

// scannedPods returns what the live Pods of a workload run, each once, in an order that is the same whenever they are.
func (w *Workload) scannedPods() []scannedPod {
	var pods []scannedPod
	for _, p := range w.Pods {
		if v := (scannedPod{p.Shape, p.Running}); len(pods) == 0 || pods[len(pods)-1] != v {
			pods = append(pods, v)
		}
	}
	if len(pods) > 1 {
		slices.SortFunc(pods, func(a, b scannedPod) int {
			return cmp.Or(cmp.Compare(a.shape.id, b.shape.id), strings.Compare(a.facts.Encoded(), b.facts.Encoded()))
		})
		pods = slices.Compact(pods)
	}
	return pods
}

// imageKeys returns the keys of all images of a workload.
func (w *Workload) imageKeys() iter.Seq[ImageKey] {
	return func(yield func(ImageKey) bool) {
		of := func(shape *Shape, facts *Labels) bool {
			for key := range ImageKeys(shape, facts) {
				if !yield(key) {
					return false
				}
			}
			return true
		}
		if w.Template != nil && !of(w.Template, nil) {
			return
		}
		for _, owned := range w.Owned {
			if !of(owned.Shape, nil) {
				return
			}
		}
		for _, p := range w.scannedPods() {
			if !of(p.shape, p.facts) {
				return
			}
		}
	}
}

// ImageKeys returns the keys by which the images of a Pod's containers may be known: those of their references, and those of the
// digests that facts tell.
func ImageKeys(shape *Shape, facts *Labels) iter.Seq[ImageKey] {
	return func(yield func(ImageKey) bool) {
		for key := range shape.Images() {
			if !yield(key) {
				return
			}
		}
		for fact, digest := range facts.All() {
			if (strings.HasSuffix(fact, FactDigest) || strings.HasSuffix(fact, FactImageID)) && !yield(keyFrom(digest)) {
				return
			}
		}
	}
}

// hashOfScanned stands for all that is known of the images of a workload and decides over it, as of now, and notes when that is
// otherwise without any event.
func (s *Set) hashOfScanned(ns *Namespace, w *Workload) uint64 {
	if len(ns.ImageReports) == 0 {
		return 0
	}
	var sum uint64 // whatever their order
	passed := func(at time.Time) bool {
		if at.IsZero() {
			return false
		}
		if at.After(ns.now) {
			ns.recheckAt(at)
			return false
		}
		return true
	}
	for key := range w.imageKeys() {
		for _, record := range ns.ImageReports[key] {
			var over [4]bool
			for i, at := range record.deadlines(&s.settings, ns.NewestMatched) {
				over[i] = passed(at)
			}
			sum += maphash.Comparable(seed, scanned{key, record.UID, record.content, over})
		}
	}
	if sum == 0 {
		return 0
	}
	for i := range s.settings.IgnoredVulnerabilities {
		if passed(s.settings.IgnoredVulnerabilities[i].until) {
			sum += maphash.Comparable(seed, i)
		}
	}
	return sum
}

// scanned stands for what is known of an image by one of its keys, and which of its deadlines are over.
type scanned struct {
	key     ImageKey
	uid     UID
	content uint64
	over    [4]bool
}
