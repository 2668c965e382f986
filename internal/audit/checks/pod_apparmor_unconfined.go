// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.securityContext.appArmorProfile.type, spec.containers[*].securityContext.appArmorProfile.type, init
// and ephemeral containers likewise, and the annotations container.apparmor.security.beta.kubernetes.io/* that were
// there before. Allowed: unset, RuntimeDefault, Localhost; runtime/default, localhost/*.
var _ = register(audit.Check{
	ID:          "apparmor-unconfined",
	Title:       "No AppArmor profile is switched off",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over the container may mount file systems and write to files below /proc and /sys that the default profile guards.",
	Remediation: "Set securityContext.appArmorProfile.type to RuntimeDefault, and remove the annotation.",
	Before:      "securityContext:\n  appArmorProfile: {type: Unconfined}",
	After:       "securityContext:\n  appArmorProfile: {type: RuntimeDefault}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: AppArmor"},
		{Framework: audit.FrameworkNSA, ID: "Hardening container environments"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
		"https://kubernetes.io/docs/tutorials/security/apparmor/",
	},
	Pod: decidedBy("appArmorProfile", nil, appArmorUnconfined),
})

func appArmorUnconfined(d *denial) {
	annotated := make(map[string]bool)
	for key, value := range d.Meta.Annotations {
		alone := metav1.ObjectMeta{Annotations: map[string]string{key: value}}
		if d.ask(&alone, &corev1.PodSpec{}).Allowed {
			continue
		}
		container := strings.TrimPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix)
		annotated[container] = true
		d.find(audit.Finding{
			Message:   fmt.Sprintf("container %q must not set its AppArmor annotation to %q", container, value),
			Container: container,
			Path:      "metadata.annotations[" + key + "]",
			Suggested: `"runtime/default"`,
		})
	}
	for p := range d.places(nil) {
		// The API server copies the annotation into the field of Pods, not of templates: one fault, reported once.
		copied := p.container.Container != nil && annotated[p.name()]
		if profile := p.AppArmorProfile; profile != nil && !copied {
			d.findAt(p, "securityContext.appArmorProfile.type", fmt.Sprintf("must not set appArmorProfile.type to %q", profile.Type), `"RuntimeDefault"`)
		}
	}
}
