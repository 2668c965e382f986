// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unique"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// running keeps where a Pod is and, unless it has ended, what its containers do.
func (i *interner) running(r *audit.PodRecord, p *corev1.Pod) {
	if p.Spec.NodeName != "" {
		r.Node = unique.Make(p.Spec.NodeName)
	}
	if r.Finished {
		return
	}
	if facts := containerFacts(p); len(facts) > 0 {
		r.Running = i.labelsOf(facts)
	}
}

// containerFacts returns what is kept of the status of containers, but for init containers that come to an end.
func containerFacts(p *corev1.Pod) map[string]string {
	facts := make(map[string]string)
	statuses := slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses)
	for c := range (&audit.Pod{Spec: p.Spec}).Containers() {
		at := slices.IndexFunc(statuses, func(s corev1.ContainerStatus) bool { return s.Name == c.Name })
		if at < 0 || c.Init() {
			continue
		}
		if fact, digest := runningImage(c.Image, statuses[at].ImageID); digest != "" {
			facts[c.Name+fact] = digest
		}
		if completes(c.Container, &statuses[at]) && slices.ContainsFunc(p.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
			return s.Name != c.Name && s.State.Running != nil
		}) {
			facts[c.Name+audit.FactCompletes] = runsSince(&statuses[at])
		}
	}
	return facts
}

// runningImage returns the digest or ID of an image as a runtime gives it in a status. What the reference says already is
// left out, and so is what the runtime knows the image by in another repository: the digest there may be another.
func runningImage(image, status string) (fact, digest string) {
	if _, rest, ok := strings.Cut(status, "://"); ok { // docker-pullable://
		status = rest
	}
	const size = 32 // bytes of SHA-256
	if id, err := hex.DecodeString(strings.TrimPrefix(status, "sha256:")); err == nil && len(id) == size {
		return audit.FactImageID, string(id)
	}
	wanted, found := audit.ReferenceOf(image), audit.ReferenceOf(status)
	if found.Registry != wanted.Registry || found.Repository != wanted.Repository || found.Digest == wanted.Digest {
		return "", ""
	}
	sum, err := hex.DecodeString(strings.TrimPrefix(found.Digest, "sha256:"))
	if err != nil {
		return "", ""
	}
	return audit.FactDigest, string(sum)
}

// fewestRestarts of a container that ends again and again.
const fewestRestarts = 3

// completes says whether a container ends with exit code 0 again and again. One that a probe may have stopped may only be
// in bad health.
func completes(c *corev1.Container, s *corev1.ContainerStatus) bool {
	last := s.LastTerminationState.Terminated
	return c.LivenessProbe == nil && c.StartupProbe == nil && s.RestartCount >= fewestRestarts &&
		last != nil && last.ExitCode == 0 && last.FinishedAt.Sub(last.StartedAt.Time) < audit.LongRun
}

// runsSince returns since when a container runs, in seconds of Unix time, or "".
func runsSince(s *corev1.ContainerStatus) string {
	if s.State.Running == nil || s.State.Running.StartedAt.IsZero() {
		return ""
	}
	return strconv.FormatInt(s.State.Running.StartedAt.Unix(), 10)
}

// rolloutOf returns what keeps a new template from the Pods of an object that makes Pods.
func rolloutOf(o runtime.Object) audit.Rollout {
	switch c := o.(type) {
	case *appsv1.Deployment:
		return audit.Rollout{Paused: c.Spec.Paused, Stuck: isStuck(c)}
	case *appsv1.StatefulSet:
		return audit.Rollout{OnDelete: c.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType}
	case *appsv1.DaemonSet:
		return audit.Rollout{OnDelete: c.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType}
	}
	return audit.Rollout{}
}

// isStuck says whether Pods of an older template run past a Deployment's progress deadline.
func isStuck(d *appsv1.Deployment) bool {
	return d.Status.ObservedGeneration >= d.Generation && d.Status.Replicas > d.Status.UpdatedReplicas &&
		slices.ContainsFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
			return c.Type == appsv1.DeploymentProgressing && c.Reason == progressDeadlineExceeded
		})
}

// progressDeadlineExceeded is the reason that the Deployment controller gives once the condition is False for it.
const progressDeadlineExceeded = "ProgressDeadlineExceeded"

// platformOf returns the platform of a node, as its kubelet labels it, or "".
func platformOf(n *corev1.Node) string {
	if n.Labels[corev1.LabelArchStable] == "" {
		return ""
	}
	return n.Labels[corev1.LabelOSStable] + "/" + n.Labels[corev1.LabelArchStable]
}

// IsControlPlane says whether a node is one of the control plane's.
func IsControlPlane(n *corev1.Node) bool {
	return slices.ContainsFunc(controlPlaneLabels, func(key string) bool {
		_, ok := n.Labels[key]
		return ok
	})
}

// controlPlaneLabels mark the nodes of the control plane. The second did so until Kubernetes 1.24.
var controlPlaneLabels = []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"}
