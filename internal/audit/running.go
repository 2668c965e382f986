// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
)

// RunningWorkload is a workload as it runs: how its Pods come by a new template, where they are, and what their containers do.
type RunningWorkload struct {
	Subject
	Namespace string
	// Static says that it is a static Pod.
	Static bool
	// Rollout of what makes its Pods.
	Rollout Rollout
	// Unread says why what makes the Pods cannot be read, so that Rollout is not known; nil if it can.
	Unread *Unavailable
	// Runs of its Pods, in a fixed order; of those that have ended, which only a Job still has, it is known where they were.
	Runs []Run
	// Workers says that there are nodes besides those of the control plane.
	Workers bool

	images       map[ImageKey]ImageFacts
	imageReports map[ImageKey][]*ImageRecord
}

// Path returns the path of a field of a Pod, such as "spec.nodeName", from the root of the workload.
func (w *RunningWorkload) Path(field string) string { return w.pathPrefix() + field }

// Rollout says what keeps a new Pod template from the Pods.
type Rollout struct {
	// Paused: somebody has paused the Deployment.
	Paused bool
	// OnDelete: a Pod gets it only once somebody has deleted the one before.
	OnDelete bool
	// Stuck: Pods of an older one still run past the Deployment's progress deadline.
	Stuck bool
}

// Run is what Pods have in common of whose running nothing that is judged differs.
type Run struct {
	*Pod
	// Revision is the same in all Pods of one template, where their controller labels them.
	Revision string
	// Platform of the node, such as "linux/amd64"; "" if it is not known, or there is none yet.
	Platform string
	// ControlPlane says that the node is one of the control plane's.
	ControlPlane bool
	// NodeUnknown says that nothing is known of the node.
	NodeUnknown bool
	// Unlisted is the size in MiB that no image of the node exceeds which it does not list; 0 if it lists all.
	Unlisted uint32

	shape *Shape
	facts *Labels
}

// What is kept of the status of containers is kept as labels: the container's name and one of these.
const (
	// FactDigest is the digest of the image that runs, as its repository has it; in bytes, of SHA-256.
	FactDigest = "/digest"
	// FactImageID is the digest of the image's configuration, where the runtime gives only that; in bytes, of SHA-256.
	FactImageID = "/image-id"
	// FactCompletes says that the container ends with exit code 0 again and again while others run. Its value is since when it
	// runs this time, in seconds of Unix time, or "" while it does not.
	FactCompletes = "/completes"
)

// LongRun is how long a container must run so that it no longer ends again and again. The kubelet, too, takes one that has
// run for 10 minutes to be well again.
const LongRun = 10 * time.Minute

// recoveries returns when containers that have ended again and again will have run for long, by fact. It is the zero time of
// those that do not run.
func recoveries(facts *Labels) iter.Seq2[string, time.Time] {
	return func(yield func(string, time.Time) bool) {
		for fact, since := range facts.All() {
			if !strings.HasSuffix(fact, FactCompletes) {
				continue
			}
			var at time.Time
			if began, err := strconv.ParseInt(since, 10, 64); err == nil {
				at = time.Unix(began, 0).Add(LongRun)
			}
			if !yield(fact, at) {
				return
			}
		}
	}
}

// current returns facts as they are now: without containers that have run for long, and whatever since the others run.
func (n *Namespace) current(facts *Labels) *Labels {
	var now map[string]string
	for fact, at := range recoveries(facts) {
		if at.IsZero() {
			continue
		}
		if now == nil {
			now = maps.Collect(facts.All())
		}
		if now[fact] = ""; !at.After(n.now) {
			delete(now, fact)
		}
	}
	if now == nil {
		return facts
	}
	return NewLabels(now)
}

// Digests returns the digests of the image that a container runs, such as "sha256:…", sorted, or nil where they are not known,
// or are no other than its reference asks for. Runtimes know an image by the digests of all manifests and indexes that it was
// pulled by and give one of them; nodes tell the others.
func (w *RunningWorkload) Digests(r *Run, container string) []string {
	digest := r.facts.Get(container + FactDigest)
	var digests []string
	for digest := range slices.Chunk([]byte(cmp.Or(w.images[keyFrom(digest)].Digests, digest)), sha256.Size) {
		digests = append(digests, textOf(string(digest)))
	}
	return digests
}

// SizeOf returns the size in MiB, rounded up, of the image that a container runs, or 0 if no node tells it. Of an image that
// differs by platform it is the size of the largest, and so it is of a tag where it is not known what the container runs.
func (w *RunningWorkload) SizeOf(r *Run, c Container) uint32 { return w.images[r.imageKey(c)].MiB }

// AtLeast returns the size in MiB, rounded up, of the compressed layers of the image that a container runs, or 0 if no ImageReport
// tells it. What nodes count may be several times that.
func (w *RunningWorkload) AtLeast(r *Run, c Container) uint32 {
	var size uint32
	for _, record := range w.imageReports[r.imageKey(c)] {
		size = max(size, record.MiB)
	}
	return size
}

func (r *Run) imageKey(c Container) ImageKey {
	if digest := r.facts.Get(c.Name + FactDigest); digest != "" {
		return keyFrom(digest)
	}
	return ReferenceOf(c.Image).Key()
}

// ImageID returns the ID of the image that a container runs, such as "sha256:…", where its digest is not known, or "".
func (r *Run) ImageID(container string) string {
	id := r.facts.Get(container + FactImageID)
	if id == "" {
		return ""
	}
	return textOf(id)
}

func textOf(digest string) string { return "sha256:" + hex.EncodeToString([]byte(digest)) }

// Completes says whether a container ends with exit code 0 again and again while others run.
func (r *Run) Completes(container string) bool { return r.facts.Has(container + FactCompletes) }

// runs returns the runs of a workload's Pods, each once, in an order that is the same whenever they are. Their Pods are left
// out.
func (n *Namespace) runs(w *Workload) []Run {
	var runs []Run
	for _, p := range w.Pods {
		node := p.NodeName()
		seen := n.PodNodes[node]
		if node == "" && p.Running == nil || seen == nil && p.Finished {
			continue // it has not begun, or it has ended and its node is gone too
		}
		r := Run{shape: p.Shape, facts: n.current(p.Running)}
		if seen != nil {
			r.Platform, r.ControlPlane, r.Unlisted = seen.Platform, seen.ControlPlane, seen.Unlisted
		} else {
			r.NodeUnknown = node != ""
		}
		r.Revision = cmp.Or(p.Labels.Get(appsv1.DefaultDeploymentUniqueLabelKey), p.Labels.Get(appsv1.ControllerRevisionHashLabelKey))
		if len(runs) == 0 || runs[len(runs)-1] != r {
			runs = append(runs, r)
		}
	}
	if len(runs) > 1 {
		slices.SortFunc(runs, func(a, b Run) int { return a.key().compare(b.key()) })
		runs = slices.CompactFunc(runs, func(a, b Run) bool { return a.key() == b.key() })
	}
	return runs
}

// runKey tells runs apart.
type runKey struct {
	shape                     uint64
	revision, platform, facts string
	// node is what is known of it besides.
	node uint64
}

func (r *Run) key() runKey {
	k := runKey{shape: r.shape.id, revision: r.Revision, platform: r.Platform, facts: r.facts.Encoded(), node: uint64(r.Unlisted) << 2}
	if r.ControlPlane {
		k.node |= 1
	}
	if r.NodeUnknown {
		k.node |= 2
	}
	return k
}

func (k runKey) compare(l runKey) int {
	return cmp.Or(
		cmp.Compare(k.shape, l.shape), strings.Compare(k.revision, l.revision), strings.Compare(k.platform, l.platform),
		strings.Compare(k.facts, l.facts), cmp.Compare(k.node, l.node))
}

// hashOfRunning stands for all that the running of a workload is judged by.
func (n *Namespace) hashOfRunning(w *Workload) uint64 {
	var hash maphash.Hash
	hash.SetSeed(seed)
	maphash.WriteComparable(&hash, w.Rollout)
	maphash.WriteComparable(&hash, n.Nodes.Workers)
	for _, r := range n.runs(w) {
		maphash.WriteComparable(&hash, r.key())
		for key := range imagesOf(r.shape, r.facts) {
			maphash.WriteComparable(&hash, n.Images[key])
		}
	}
	return hash.Sum64()
}

// running returns a workload as it runs. pods are those of its shapes.
func (n *Namespace) running(w *Workload, pods map[*Shape]*PlacedPod) *RunningWorkload {
	running := &RunningWorkload{
		Subject: w.Subject, Namespace: n.Name, Static: w.Static, Rollout: w.Rollout, Workers: n.Nodes.Workers, Runs: n.runs(w),
		images: n.Images, imageReports: n.ImageReports,
	}
	if kind := w.groupKind(); workloadKinds[kind].kind != "" {
		running.Unread = n.Missing(kindResources[kind.Kind])
	}
	for i := range running.Runs {
		running.Runs[i].Pod = pods[running.Runs[i].shape].Pod
	}
	return running
}
