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

// Looks at the label pod-security.kubernetes.io/enforce-version. Allowed: unset, latest, and versions up to three minors
// before that of the API server.
var _ = register(audit.Check{
	ID:          "pod-security-version-pinned-old",
	Title:       "Pod Security Standards are enforced in a recent version",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "What newer versions of the standard forbid, such as fields that did not exist then, is let in.",
	Remediation: "Remove the label, set it to latest, or to the API server's own version.",
	Before:      "labels:\n  pod-security.kubernetes.io/enforce: restricted\n  pod-security.kubernetes.io/enforce-version: v1.25",
	After:       "labels:\n  pod-security.kubernetes.io/enforce: restricted",
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-admission/#pod-security-admission-labels-for-namespaces",
	},
	Needs:     []audit.Resource{audit.Namespaces},
	Namespace: podSecurityVersionPinnedOld,
})

// recentMinors are those that the Kubernetes project supports beside the newest, and one more to upgrade in.
const recentMinors = 3

func podSecurityVersionPinnedOld(ns *audit.Namespace, r *audit.Reporter) {
	if ns.Namespace == nil {
		return // manifests without the Namespace itself
	}
	label := ns.Namespace.Labels[api.EnforceVersionLabel]
	pinned, err := api.ParseVersion(label)
	if err != nil || pinned.Latest() { // what is no version counts as latest
		return
	}
	if ns.ServerVersion == "" {
		r.Skip(v1alpha1.SkipDataMissing, "the API server's version is not known")
		return
	}
	server, err := api.ParseVersion(ns.ServerVersion)
	if err != nil {
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("the API server's version %q is none", ns.ServerVersion))
		return
	}
	if pinned.Minor()+recentMinors < server.Minor() {
		r.Find(audit.Finding{
			Message:   fmt.Sprintf("label %q must not be %q: the API server has %s", api.EnforceVersionLabel, label, ns.ServerVersion),
			Path:      "metadata.labels[" + api.EnforceVersionLabel + "]",
			Suggested: strconv.Quote("latest"),
		})
	}
}
