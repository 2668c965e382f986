// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
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
	pruneAdmitted(spec)
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
	spec.ImagePullSecrets, spec.ReadinessGates, spec.SchedulingGates, spec.TopologySpreadConstraints, spec.Overhead = nil, nil, nil, nil, nil
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

// pruneAdmitted takes out what admission gives nearly every Pod on top of its template, so that a Pod to which nothing else
// was done has the template's shape: the volume with the ServiceAccount's token, and tolerations of five minutes for nodes
// that are lost. Only what stands last goes, for paths have indexes.
func pruneAdmitted(spec *corev1.PodSpec) {
	if spec.DeprecatedServiceAccount == spec.ServiceAccountName {
		spec.DeprecatedServiceAccount = ""
	}
	for n := len(spec.Tolerations); n > 0 && isOfLostNode(&spec.Tolerations[n-1]); n-- {
		spec.Tolerations = spec.Tolerations[:n-1]
	}
	n := len(spec.Volumes)
	if n == 0 || spec.Volumes[n-1].Name != tokenVolume || !bytes.Equal(marshal(&spec.Volumes[n-1]), admittedToken) {
		return
	}
	spec.Volumes = spec.Volumes[:n-1]
	for c := range (&audit.Pod{Spec: *spec}).Containers() {
		n := len(c.VolumeMounts)
		if n > 0 && bytes.Equal(marshal(&c.VolumeMounts[n-1]), admittedMount) {
			c.VolumeMounts = c.VolumeMounts[:n-1]
		}
	}
}

func isOfLostNode(t *corev1.Toleration) bool {
	return (t.Key == corev1.TaintNodeNotReady || t.Key == corev1.TaintNodeUnreachable) && t.Operator == corev1.TolerationOpExists &&
		t.Effect == corev1.TaintEffectNoExecute && t.TolerationSeconds != nil
}

// admittedToken and admittedMount are what the API server's ServiceAccount admission adds, under a canonical name.
var (
	admittedToken = marshal(&corev1.Volume{Name: tokenVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: new(corev1.ProjectedVolumeSourceDefaultMode),
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
	admittedMount = marshal(&corev1.VolumeMount{
		Name: tokenVolume, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
	})
)

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
