// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.volumes[*]. Allowed: configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim,
// projected, secret. What host-path-volume reports is left to it.
var _ = register(audit.Check{
	ID:          "volume-types",
	Title:       "Pods mount storage through claims",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever may create Pods mounts any network storage that the node reaches, past the PersistentVolumes that administrators have made, and runs old drivers as root.",
	Remediation: "Replace the volume by a persistentVolumeClaim, or by a csi or ephemeral volume.",
	Before:      "volumes:\n- name: data\n  nfs: {server: nfs.example.com, path: /data}",
	After:       "volumes:\n- name: data\n  persistentVolumeClaim: {claimName: data}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Restricted: Volume Types"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
		"https://kubernetes.io/docs/concepts/storage/volumes/",
	},
	Pod: decidedBy("restrictedVolumes", withoutHostPathVolumes, volumeTypes),
})

func volumeTypes(d *denial) {
	for v := range d.volumes() {
		if source := volumeSource(v); source != "" {
			d.find(audit.Finding{
				Message: fmt.Sprintf("volume %q must not be of type %q", v.Name, source),
				Path:    "spec.volumes[name=" + v.Name + "]." + source,
			})
		}
	}
}

// withoutHostPathVolumes takes out what host-path-volume reports, and volumes without a source: to the API server they are
// of type emptyDir.
func withoutHostPathVolumes(pod *audit.Pod) *audit.Pod {
	rest := *pod
	rest.Spec.Volumes = slices.DeleteFunc(slices.Clone(pod.Spec.Volumes), func(v corev1.Volume) bool {
		return v.HostPath != nil || v.VolumeSource == corev1.VolumeSource{}
	})
	return &rest
}

// volumeSource returns the name of the field that is set, also of sources that came after us.
func volumeSource(v *corev1.Volume) string {
	source := reflect.ValueOf(v.VolumeSource)
	for i := range source.NumField() {
		if !source.Field(i).IsZero() {
			name, _, _ := strings.Cut(source.Type().Field(i).Tag.Get("json"), ",")
			return name
		}
	}
	return ""
}
