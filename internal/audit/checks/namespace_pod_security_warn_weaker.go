// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strconv"

	"k8s.io/pod-security-admission/api"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the labels pod-security.kubernetes.io/warn and audit. Allowed: unset, the level that is enforced, a stricter one.
var _ = register(audit.Check{
	ID:          "pod-security-warn-weaker",
	Title:       "Pod Security warnings and audit entries are as strict as what is enforced",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "What is enforced refuses Pods without a word to those who apply their templates and without an audit entry, so that an attempt goes unnoticed.",
	Remediation: "Set the labels warn and audit to the level that is enforced or a stricter one, or remove them.",
	Before:      "labels:\n  pod-security.kubernetes.io/enforce: restricted\n  pod-security.kubernetes.io/warn: baseline",
	After:       "labels:\n  pod-security.kubernetes.io/enforce: restricted\n  pod-security.kubernetes.io/warn: restricted",
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-admission/#pod-security-admission-labels-for-namespaces",
	},
	Needs:     []audit.Resource{audit.Namespaces},
	Namespace: podSecurityWarnWeaker,
})

func podSecurityWarnWeaker(ns *audit.Namespace, r *audit.Reporter) {
	enforced, set := podSecurityLevel(ns, api.EnforceLevelLabel)
	if !set {
		return
	}
	for _, label := range []string{api.AuditLevelLabel, api.WarnLevelLabel} {
		level, set := podSecurityLevel(ns, label)
		if !set || api.CompareLevels(level, enforced) >= 0 {
			continue
		}
		r.Find(audit.Finding{
			Message:   fmt.Sprintf("label %q must not be %q: %q is enforced", label, level, enforced),
			Path:      "metadata.labels[" + label + "]",
			Suggested: strconv.Quote(string(enforced)),
		})
	}
}
