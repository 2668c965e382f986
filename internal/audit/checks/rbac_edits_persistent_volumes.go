// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at rules of roles for create, update and patch on persistentvolumes. Allowed: those with resourceNames.
var _ = register(audit.Check{
	ID:          "rbac-edits-persistent-volumes",
	Title:       "Few may make or change PersistentVolumes",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever makes a PersistentVolume reads and writes any folder of a node with it, for Pod Security does not look into volumes; whoever changes one gives its data to a claim of their own.",
	Remediation: "Remove persistentvolumes from the rule: a StorageClass makes them for whoever creates a PersistentVolumeClaim.",
	Before:      "kind: ClusterRole\nrules:\n- apiGroups: [\"\"]\n  resources: [persistentvolumes]\n  verbs: [get, create]",
	After:       "kind: ClusterRole\nrules:\n- apiGroups: [\"\"]\n  resources: [persistentvolumes]\n  verbs: [get]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.9"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1611"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#persistent-volume-creation",
	},
	Needs:   audit.PowerResources,
	Role:    editsPersistentVolumes.role,
	Binding: given(editsPersistentVolumes.binding),
})

var editsPersistentVolumes = power{
	requests: requestsFor("", []string{"persistentvolumes"}, []string{"create", "update", "patch"}),
}
