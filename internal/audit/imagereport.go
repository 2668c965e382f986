// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// ImageRecord is what is kept of an ImageReport. What is seldom needed of it is kept encoded: vulnerabilities decoded take
// ten times the memory.
type ImageRecord struct {
	Object
	// Keys of the digests and names of the image, sorted, each once.
	Keys []ImageKey
	// MiB is the size of the compressed layers, rounded up; 0 if it is not known.
	MiB uint32
	// State of the report.
	State v1alpha1.ImageState
	// Known are the known vulnerabilities; nil as long as nothing could be looked at.
	Known *ImageVulnerabilities
	// Created is when the report was, Built when the image says that it was, EndOfLife when its distribution is no longer mended,
	// Matched of when the newest change is in the database that it was matched against. 0: that is not known.
	Created, Built, EndOfLife, Matched Moment

	encoded string
	// content stands for all that verdicts depend on but Created and Matched.
	content uint64
}

// ImageVulnerabilities are numbers of vulnerabilities.
type ImageVulnerabilities struct {
	All, Fixable v1alpha1.VulnerabilityCounts
}

// VulnerableImage is an image with known vulnerabilities.
type VulnerableImage struct {
	// Report is the UID of its ImageReport.
	Report UID
	Known  *ImageVulnerabilities
}

// ImageTotals is what is known of all images.
type ImageTotals struct {
	// States of their reports.
	States map[v1alpha1.ImageState]int
	// Matched is of when the newest change is in the newest database that any was matched against; 0 if that is not known.
	Matched Moment
}

// NewImageRecord returns the record of a report, which the caller gives up.
func NewImageRecord(o Object, report *v1alpha1.ImageReport) *ImageRecord {
	r := &ImageRecord{Object: o, State: report.State, Created: MomentOf(report.CreationTimestamp.Time), Keys: keysOf(report)}
	r.MiB = Mebibytes(report.Image.SizeBytes)
	if s := report.Summary; s != nil {
		r.Known = &ImageVulnerabilities{s.All, s.Fixable}
	}
	if t := report.Image.Created; t != nil {
		r.Built = MomentOf(t.Time)
	}
	if d := report.Image.Distribution; d != nil && d.EndOfLife != nil {
		r.EndOfLife = MomentOf(d.EndOfLife.Time)
	}
	if d := report.Database; d != nil {
		r.Matched = MomentOf(d.Modified.Time)
	}
	// Left out is what no check looks at, and what is kept already.
	report.TypeMeta, report.ObjectMeta, report.Database, report.Image.Packages = metav1.TypeMeta{}, metav1.ObjectMeta{}, nil, nil
	for i := range report.Vulnerabilities {
		v := &report.Vulnerabilities[i]
		v.Ecosystem, v.CVSS, v.Path = "", nil, ""
	}
	encoded, err := json.Marshal(report)
	if err != nil {
		panic(err) // it came out of JSON
	}
	r.encoded = string(s2.EncodeBetter(nil, encoded))
	r.content = maphash.String(seed, r.encoded)
	return r
}

// keysOf returns the keys of all that an image is known by. No container runs what a report on Kubernetes is on.
func keysOf(report *v1alpha1.ImageReport) []ImageKey {
	if v1alpha1.KubernetesVersionOf(report.Name) != "" {
		return nil
	}
	var keys []ImageKey
	note := func(key ImageKey) {
		if key != 0 {
			keys = append(keys, key)
		}
	}
	for _, digest := range append([]string{report.Image.Digest, report.Image.ConfigDigest}, report.Image.IndexDigests...) {
		note(digestKey(digest))
	}
	note(ReferenceOf(report.Image.Name).Key())
	for i := range report.References {
		note(ReferenceOf(report.References[i].Name).Key())
	}
	slices.Sort(keys)
	return slices.Clip(slices.Compact(keys))
}

func digestKey(digest string) ImageKey {
	_, text, _ := strings.Cut(digest, ":")
	sum, err := hex.DecodeString(text)
	if err != nil {
		return 0
	}
	return keyFrom(string(sum))
}

// Equal says whether nothing that is audited differs.
func (r *ImageRecord) Equal(s *ImageRecord) bool {
	return r.UID == s.UID && r.Created == s.Created && r.Matched == s.Matched && r.encoded == s.encoded
}

// Report returns the report as far as it is kept, decoded anew each time.
func (r *ImageRecord) Report() *v1alpha1.ImageReport {
	var report v1alpha1.ImageReport
	if encoded, err := s2.Decode(nil, []byte(r.encoded)); err == nil { // it is what NewImageRecord wrote
		_ = json.Unmarshal(encoded, &report)
	}
	return &report
}

// pendingGrace is how long an image may wait to be scanned. A scanner that is new in a large cluster takes hours for all.
const pendingGrace = 6 * time.Hour

// OnKubernetes says whether it is on a version of Kubernetes.
func (r *ImageRecord) OnKubernetes() bool { return v1alpha1.KubernetesVersionOf(r.Name) != "" }

// deadlines returns the times at which verdicts on an image change without any event, given of when the newest database is.
func (r *ImageRecord) deadlines(s *Settings, newest Moment) [4]time.Time {
	if r.Matched == 0 {
		newest = 0 // it needs none
	}
	var at [4]time.Time
	for i, d := range [...]struct {
		since Moment
		after time.Duration
	}{{r.Built, s.MaxImageAge}, {r.EndOfLife, 0}, {newest, s.MaxScanAge}, {r.pendingSince(), pendingGrace}} {
		if d.since != 0 {
			at[i] = d.since.Time().Add(d.after)
		}
	}
	return at
}

func (r *ImageRecord) pendingSince() Moment {
	if r.State != v1alpha1.ImagePending {
		return 0
	}
	return r.Created
}

// ScannedImage is the image of a container of a Pod or Pod template, and what is known of it.
type ScannedImage struct {
	*Pod
	Image
	// Record is that of the image; nil if there is none, and then Report is nil, too.
	Record *ImageRecord
	Report *v1alpha1.ImageReport
	// Newest is of when the newest change is in the newest database that any image was matched against. It is what tells that somebody
	// still looks: a scanner need not write the same result again.
	Newest Moment
	// ByDigest says that it is known by its digest what the container runs or is to run, and not by a name alone.
	ByDigest bool
	// Now is when it is judged.
	Now time.Time
}

// TagInReport returns what the report tells of the tag that the container names, or nil.
func (i *ScannedImage) TagInReport() *v1alpha1.ImageReference {
	return referenceIn(i.Report, i.Reference)
}

// Past says whether a time after a moment has come. What is not known has not.
func (i *ScannedImage) Past(since Moment, after time.Duration) bool {
	return since != 0 && !since.Time().Add(after).After(i.Now)
}

// Overdue says whether it has waited too long to be scanned.
func (i *ScannedImage) Overdue() bool { return i.Past(i.Record.pendingSince(), pendingGrace) }

// names says whether a reference is one to the image of a report. A key alone could be met on purpose.
func names(reference *Reference, report *v1alpha1.ImageReport) bool {
	if reference.Digest != "" {
		return hasDigest(report, reference.Digest)
	}
	return reference.sameTag(ReferenceOf(report.Image.Name)) || referenceIn(report, reference) != nil
}

// tag returns the tag that is meant; "" if it is none but a digest.
func (r *Reference) tag() string {
	if r.Tag == "" && r.Digest == "" {
		return "latest"
	}
	return r.Tag
}

// sameTag says whether two references name the same tag.
func (r *Reference) sameTag(s *Reference) bool {
	return r.tag() != "" && r.tag() == s.tag() && r.Registry == s.Registry && r.Repository == s.Repository
}

// hasDigest says whether an image is known by a digest.
func hasDigest(report *v1alpha1.ImageReport, digest string) bool {
	return report.Image.Digest == digest || report.Image.ConfigDigest == digest || slices.Contains(report.Image.IndexDigests, digest)
}

// digestOf returns the digest of the image that a container runs, as far as facts tell: by its repository, or else by its
// configuration; "" where they do not.
func digestOf(facts *Labels, container string) string {
	for _, fact := range [...]string{FactDigest, FactImageID} {
		if digest := facts.Get(container + fact); len(digest) == sha256.Size {
			return textOf(digest)
		}
	}
	return ""
}
