// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/credential"
)

// auditedAnnotations are the prefixes of the Pod annotations that are kept: AppArmor and seccomp profiles before they
// became fields.
var auditedAnnotations = []string{
	corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix,
	"seccomp.security.alpha.kubernetes.io/",
	"container.seccomp.security.alpha.kubernetes.io/",
}

// shapeOf keeps of a Pod what is audited and the same in all replicas. It changes spec, which the caller gives up.
func (i *interner) shapeOf(annotations map[string]string, spec *corev1.PodSpec) *audit.Shape {
	canonical(spec)
	prune(spec)
	pod := audit.Pod{Spec: *spec}
	for key, value := range annotations {
		if slices.ContainsFunc(auditedAnnotations, func(p string) bool { return strings.HasPrefix(key, p) }) {
			metav1.SetMetaDataAnnotation(&pod.Meta, key, value)
		}
	}
	return i.shape(&pod)
}

// canonical takes out of a spec what the API server, admission and controllers put into each replica differently, and all
// credentials: of those a mark stays, and of other environment variables the name.
func canonical(spec *corev1.PodSpec) {
	spec.NodeName, spec.Hostname, spec.Subdomain = "", "", ""
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		terms := a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
		for i := range terms {
			terms[i].MatchFields = nil // how the DaemonSet controller assigns nodes
		}
	}
	renamed := make(map[string]string)
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		if strings.HasPrefix(v.Name, tokenVolume+"-") && v.Projected != nil {
			renamed[v.Name] = tokenVolume
			v.Name = tokenVolume
		}
		if v.PersistentVolumeClaim != nil {
			v.PersistentVolumeClaim.ClaimName = "" // a StatefulSet's differ by ordinal
		}
	}
	for c := range (&audit.Pod{Spec: *spec}).Containers() {
		for i := range c.VolumeMounts {
			if name, ok := renamed[c.VolumeMounts[i].Name]; ok {
				c.VolumeMounts[i].Name = name
			}
		}
		for i := range c.Env {
			c.Env[i].Value = credential.Mark(credential.Named(c.Env[i].Name, c.Env[i].Value))
		}
		for _, words := range c.CommandLines() {
			for i, spans := range credential.Args(words) {
				words[i] = credential.Redact(words[i], spans)
			}
		}
	}
}

// prune takes out of a spec what no check reads. A check that begins to needs a fixture to fail, which fails until what it
// reads is kept.
func prune(spec *corev1.PodSpec) {
	spec.TerminationGracePeriodSeconds, spec.PreemptionPolicy, spec.Priority, spec.EnableServiceLinks = nil, nil, nil, nil
	spec.DNSPolicy, spec.DNSConfig, spec.SchedulerName, spec.SetHostnameAsFQDN = "", nil, "", nil
	spec.ReadinessGates, spec.SchedulingGates, spec.TopologySpreadConstraints, spec.Overhead = nil, nil, nil, nil
	for c := range (&audit.Pod{Spec: *spec}).Containers() {
		c.TerminationMessagePath, c.TerminationMessagePolicy, c.WorkingDir, c.ResizePolicy = "", "", "", nil
		c.Stdin, c.StdinOnce, c.TTY = false, false, false
		for _, probe := range []**corev1.Probe{&c.LivenessProbe, &c.ReadinessProbe, &c.StartupProbe} {
			p := *probe
			if p != nil && p.Exec == nil && (p.HTTPGet == nil || p.HTTPGet.Host == "") && (p.TCPSocket == nil || p.TCPSocket.Host == "") {
				*probe = nil // what it runs, and what it asks of another host, is audited
			}
		}
	}
}

// tokenVolume is how the volumes with the ServiceAccount's token begin that admission adds, with a suffix for each Pod.
const tokenVolume = "kube-api-access"

// templateHash changes whenever anything in a Pod template does.
func templateHash(t *corev1.PodTemplateSpec) string {
	const hashLen = 10
	sum := sha256.Sum256(marshal(t))
	return hex.EncodeToString(sum[:])[:hashLen]
}

// marshal encodes an API object so that equal ones give equal bytes.
func marshal(o interface{ Marshal() ([]byte, error) }) []byte {
	encoded, err := o.Marshal()
	if err != nil {
		return nil // generated code that writes into memory; it has no error to return
	}
	return encoded
}
