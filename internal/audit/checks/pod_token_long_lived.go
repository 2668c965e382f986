// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"path"
	"regexp"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.volumes[*].projected.sources[*].serviceAccountToken, and at Secret volumes that hold a token: mounted where
// clients look for one, or called as the token controller called them. Allowed: tokens that expire within a day, and tokens
// for an audience other than the API server.
var _ = register(audit.Check{
	ID:          "token-long-lived",
	Title:       "Tokens for the API server expire within a day",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryAccess,
	Rationale:   "A stolen token works for as long as it is valid, and one from a Secret works until somebody deletes the Secret.",
	Remediation: "Set expirationSeconds to 3600, or remove the Secret volume and let Kubernetes mount its own token, which it renews.",
	Before:      "projected:\n  sources:\n  - serviceAccountToken: {path: token, expirationSeconds: 604800}",
	After:       "projected:\n  sources:\n  - serviceAccountToken: {path: token, expirationSeconds: 3600}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkMITRE, ID: "T1528"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken",
		"https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets",
	},
	Pod: tokenLongLived,
})

const (
	dayInSeconds = 24 * 60 * 60
	// tokenFolder is where clients of the API look for a token.
	tokenFolder = "/var/run/secrets/kubernetes.io/serviceaccount" //nolint:gosec // G101: a path
)

var (
	// tokenSecret is how the token controller called the Secrets that it made until Kubernetes 1.24: it appended five of the
	// characters that generateName uses.
	tokenSecret = regexp.MustCompile(`-token-[bcdfghjklmnpqrstvwxz2456789]{5}$`)
)

func tokenLongLived(pod *audit.Pod, r *audit.Reporter) {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		switch {
		case v.Projected != nil:
			findLongProjection(v, r)
		case v.Secret != nil && (tokenSecret.MatchString(v.Secret.SecretName) || mountedAt(pod, v.Name, tokenFolder)):
			r.Find(audit.Finding{
				Message: fmt.Sprintf("volume %q must not hold the token of Secret %q, which never expires", v.Name, v.Secret.SecretName),
				Path:    "spec.volumes[name=" + v.Name + "].secret",
			})
		}
	}
}

func findLongProjection(v *corev1.Volume, r *audit.Reporter) {
	for i, s := range v.Projected.Sources {
		t := s.ServiceAccountToken
		if !audit.ForAPI(t) || t.ExpirationSeconds == nil || *t.ExpirationSeconds <= dayInSeconds {
			continue
		}
		r.Find(audit.Finding{
			Message:   fmt.Sprintf("volume %q must not hold a token that is valid for %d seconds: set expirationSeconds to %d or less", v.Name, *t.ExpirationSeconds, dayInSeconds),
			Path:      fmt.Sprintf("spec.volumes[name=%s].projected.sources[%d].serviceAccountToken.expirationSeconds", v.Name, i),
			Suggested: "3600",
		})
	}
}

// mountedAt says whether a container mounts a volume at a path.
func mountedAt(pod *audit.Pod, volume, folder string) bool {
	for c := range pod.Containers() {
		for _, m := range c.VolumeMounts {
			if m.Name == volume && path.Clean(m.MountPath) == folder {
				return true
			}
		}
	}
	return false
}
