// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Looks at spec.serviceAccountName, where a token is mounted, and at all roles and bindings. Allowed: a ServiceAccount that may
// get single Secrets by their names, or none.
var _ = register(audit.Check{
	ID:          "workload-reads-secrets",
	Title:       "No workload can read all Secrets",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever takes over one container of the workload reads the credentials of all others with the token that is mounted there.",
	Remediation: "Name the Secrets that the workload needs in resourceNames of its Role, with the verb get alone, or mount them instead.",
	Before:      "kind: Role\nrules:\n- apiGroups: [\"\"]\n  resources: [secrets]\n  verbs: [get, list]",
	After:       "kind: Role\nrules:\n- apiGroups: [\"\"]\n  resources: [secrets]\n  resourceNames: [web]\n  verbs: [get]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.2"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1552"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#listing-secrets",
		"https://kubernetes.io/docs/concepts/security/secrets-good-practices/#least-privilege-secrets",
	},
	Needs:  append([]audit.Resource{audit.ServiceAccounts}, audit.PowerResources...),
	Placed: workloadReadsSecrets,
})

// readSecrets are what reaches of reading Secrets are called.
var readSecrets = map[rbac.SecretReach]string{
	rbac.OwnSecrets: "all Secrets of the namespace", rbac.OtherSecrets: "all Secrets of another namespace", rbac.AllSecrets: "all Secrets of the cluster",
}

func workloadReadsSecrets(pod *audit.PlacedPod, r *audit.Reporter) {
	power, known := mountedPower(pod, r)
	if !known {
		return
	}
	what, reads := readSecrets[power.Secrets]
	if !reads {
		skipPartial(pod, r)
		return
	}
	r.Find(audit.Finding{
		Message: fmt.Sprintf(`"serviceAccountName" must not name %q: it can read %s`, audit.AccountOf(&pod.Spec), what),
		Path:    "spec.serviceAccountName",
	})
}
