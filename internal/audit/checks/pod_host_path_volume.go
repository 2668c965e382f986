// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.volumes[*].hostPath and its mounts. Allowed: none. Critical where a container may write to one of the
// criticalHostPaths or a parent of one.
var _ = register(audit.Check{
	ID:          "host-path-volume",
	Title:       "Pods mount no directory of the node",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over such a Pod reads the node's files, and by writing to its system directories becomes root there and takes the credentials of every Pod on it.",
	Remediation: "Replace hostPath by a persistentVolumeClaim, emptyDir, configMap or secret volume; where the node's files are really needed, mount the narrowest directory with readOnly: true.",
	Before:      "volumes:\n- name: data\n  hostPath: {path: /srv/data}",
	After:       "volumes:\n- name: data\n  persistentVolumeClaim: {claimName: data}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: HostPath Volumes"},
		{Framework: audit.FrameworkCIS, ID: "5.2.11"},
		{Framework: audit.FrameworkNSA, ID: "Pod security enforcement"},
		{Framework: audit.FrameworkMITRE, ID: "T1611"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
		"https://kubernetes.io/docs/concepts/storage/volumes/#hostpath",
	},
	Pod: decidedBy("hostPathVolumes", nil, hostPathVolume),
})

// criticalHostPaths are what makes who can write to it master of the node.
var criticalHostPaths = []string{"/etc", "/root", "/home", "/var/lib/kubelet", "/var/lib/etcd", "/proc", "/sys"}

func hostPathVolume(d *denial) {
	for v := range d.volumes() {
		if v.HostPath == nil {
			continue
		}
		f := audit.Finding{
			Message: fmt.Sprintf("volume %q must not use hostPath %q", v.Name, v.HostPath.Path),
			Path:    "spec.volumes[name=" + v.Name + "].hostPath.path",
		}
		if container := criticalWriter(d.Pod, v); container != "" {
			f.Severity = v1alpha1.SeverityCritical
			f.Message += fmt.Sprintf(", which container %q may write to", container)
		}
		d.find(f)
	}
}

// criticalWriter returns the first container that may write to a critical path of the volume, or "".
func criticalWriter(pod *audit.Pod, v *corev1.Volume) string {
	for c := range pod.Containers() {
		for _, m := range c.VolumeMounts {
			// What subPathExpr comes to is only known when it runs.
			if m.Name == v.Name && !m.ReadOnly && isCriticalHostPath(path.Join("/", v.HostPath.Path, m.SubPath)) {
				return c.Name
			}
		}
	}
	return ""
}

// isCriticalHostPath says whether a clean path is critical or a parent of one that is.
func isCriticalHostPath(mounted string) bool {
	return slices.ContainsFunc(criticalHostPaths, func(critical string) bool {
		return mounted == "/" || critical == mounted || strings.HasPrefix(critical, mounted+"/")
	})
}
