// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tokenPath is where Pods find their ServiceAccount's token.
const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount" //nolint:gosec // a path, no credential

// pod makes a Pod of a template, as admission, the scheduler and the kubelet leave it.
func (g *generator) pod(name string, template *corev1.PodTemplateSpec) *corev1.Pod {
	t := template.DeepCopy()
	p := &corev1.Pod{ObjectMeta: g.meta(name, t.Labels), Spec: t.Spec}
	p.Annotations = maps.Clone(t.Annotations)
	s := &p.Spec
	s.NodeName = fmt.Sprintf("node-%04d", g.IntN(g.nodes))
	s.EnableServiceLinks, s.PreemptionPolicy, s.Priority = new(true), new(corev1.PreemptLowerPriority), new(int32(0))
	for _, taint := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		s.Tolerations = append(s.Tolerations, corev1.Toleration{
			Key: taint, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(300)),
		})
	}
	if m := s.AutomountServiceAccountToken; m == nil || *m {
		g.mountToken(s)
	}
	p.Status = g.status(p)
	return p
}

// mountToken adds what admission adds.
func (g *generator) mountToken(s *corev1.PodSpec) {
	const modeReadAll = 0o644
	name := "kube-api-access-" + g.suffix()
	s.Volumes = append(s.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: new(int32(modeReadAll)),
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: new(int64(3607)), Path: "token"}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
				Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"},
			}}}},
		},
	}}})
	for i := range s.Containers {
		c := &s.Containers[i]
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: tokenPath})
	}
}

// started is when everything began. A moment of its own each would be no different.
var started = metav1.NewTime(time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC))

// status is that of a Pod that runs.
func (g *generator) status(p *corev1.Pod) corev1.PodStatus {
	host, ip := fmt.Sprintf("10.1.%d.%d", g.IntN(256), g.IntN(256)), fmt.Sprintf("10.%d.%d.%d", 100+g.IntN(100), g.IntN(256), g.IntN(256))
	if p.Spec.HostNetwork {
		ip = host
	}
	s := corev1.PodStatus{
		Phase: corev1.PodRunning, QOSClass: corev1.PodQOSBurstable, StartTime: &started,
		HostIP: host, HostIPs: []corev1.HostIP{{IP: host}}, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
	}
	for _, c := range []corev1.PodConditionType{
		corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled,
	} {
		s.Conditions = append(s.Conditions, corev1.PodCondition{Type: c, Status: corev1.ConditionTrue, LastTransitionTime: started})
	}
	for _, c := range p.Spec.Containers {
		s.ContainerStatuses = append(s.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Ready: true, Started: new(true), Image: c.Image,
			ImageID:     imageID(c.Image),
			ContainerID: fmt.Sprintf("containerd://%016x%016x%016x%016x", g.Uint64(), g.Uint64(), g.Uint64(), g.Uint64()),
			State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
		})
	}
	return s
}

// imageID is what runtimes give for an image: its repository and its digest, which is the same in all Pods.
func imageID(image string) string {
	name, digest, pinned := strings.Cut(image, "@")
	if !pinned {
		digest = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(image)))
	}
	return name[:strings.LastIndex(name, ":")] + "@" + digest // all have a tag
}

// finish ends a Pod well.
func finish(p *corev1.Pod) {
	p.Status.Phase = corev1.PodSucceeded
	for i := range p.Status.ContainerStatuses {
		s := &p.Status.ContainerStatuses[i]
		s.Ready, s.Started = false, new(false)
		s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Reason: "Completed", StartedAt: started, FinishedAt: started, ContainerID: s.ContainerID,
		}}
	}
}
