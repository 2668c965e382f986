// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.nodeSelector, the required node affinity and the tolerations of sensitive workloads. Allowed: a node label
// that is required and a taint that is tolerated, each with a configured key, or with any key of one's own where none is
// configured. So it runs nowhere else, and nothing else runs there that has not been let in.
var _ = register(audit.Check{
	ID:          "sensitive-workload-not-segregated",
	Title:       "Sensitive workloads have nodes of their own",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Who breaks out of any other container on the node has the sensitive workload's memory, volumes and tokens.",
	Remediation: "Taint and label the nodes of a dedicated pool, and require that label and tolerate that taint in the Pod's spec.",
	Before:      "spec:\n  containers: […]",
	After:       "spec:\n  nodeSelector: {dedicated: payment}\n  tolerations:\n  - {key: dedicated, value: payment, effect: NoSchedule}\n  containers: […]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkMITRE, ID: "T1611"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#example-use-cases",
		"https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/",
	},
	Setting: "spec.sensitiveWorkloads.selector or .namespaces is set",
	Applies: (*audit.Settings).TellSensitive,
	Placed:  sensitiveWorkloadNotSegregated,
})

func sensitiveWorkloadNotSegregated(pod *audit.PlacedPod, r *audit.Reporter) {
	if !pod.Sensitive {
		return
	}
	dedicated := func(key string) bool { return isDedicated(key, r.Settings().DedicatedNodeKeys) }
	requires, tolerates := requiresLabel(&pod.Spec, dedicated), slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool {
		return dedicated(t.Key)
	})
	var why, path string
	switch {
	case !requires && !tolerates:
		why, path = "it neither requires a label nor tolerates a taint of theirs", "spec.nodeSelector"
	case !requires:
		why, path = "it requires no label of theirs", "spec.nodeSelector"
	case !tolerates:
		why, path = "it tolerates no taint that keeps others off them", "spec.tolerations"
	default:
		return
	}
	r.Find(audit.Finding{
		Message: fmt.Sprintf("sensitive workload %q must run on nodes of its own: %s", pod.Subject.Name, why),
		Path:    path,
	})
}

// isDedicated says whether a key of a label or taint is of a dedicated pool. Where none is configured, those that every node
// may have are not.
func isDedicated(key string, configured map[string]bool) bool {
	if len(configured) > 0 {
		return configured[key]
	}
	prefix, _, _ := strings.Cut(key, "/")
	return key != "" && prefix != "node.kubernetes.io" && prefix != "kubernetes.io" && prefix != "beta.kubernetes.io" &&
		prefix != "topology.kubernetes.io" && prefix != "failure-domain.beta.kubernetes.io"
}

// requiresLabel says whether Pods are scheduled to nodes with such a label only.
func requiresLabel(spec *corev1.PodSpec, is func(key string) bool) bool {
	for key := range spec.NodeSelector {
		if is(key) {
			return true
		}
	}
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil || spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return false
	}
	terms := spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms // any of them suffices
	return len(terms) > 0 && !slices.ContainsFunc(terms, func(t corev1.NodeSelectorTerm) bool {
		return !slices.ContainsFunc(t.MatchExpressions, func(e corev1.NodeSelectorRequirement) bool {
			return is(e.Key) && (e.Operator == corev1.NodeSelectorOpIn || e.Operator == corev1.NodeSelectorOpExists)
		})
	})
}
