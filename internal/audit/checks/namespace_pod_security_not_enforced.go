// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the label pod-security.kubernetes.io/enforce of namespaces that have workloads. Allowed: baseline, restricted.
// A value that is no level counts as unset. Left out are kube-system, where Pods must be privileged for nodes to work, and
// kube-public and kube-node-lease, which are Kubernetes' own as well.
var _ = register(audit.Check{
	ID:          "pod-security-not-enforced",
	Title:       "Namespaces enforce a Pod Security Standard",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever may create Pods in the namespace can create a privileged one, and through it take over a node.",
	Remediation: "Set the namespace's label pod-security.kubernetes.io/enforce to restricted, or to baseline where its Pods do not pass that yet.",
	Before:      "metadata:\n  name: shop",
	After:       "metadata:\n  name: shop\n  labels: {pod-security.kubernetes.io/enforce: restricted}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.2.1"},
		{Framework: audit.FrameworkNSA, ID: "Pod security enforcement"},
		{Framework: audit.FrameworkOWASP, ID: "K04"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-admission/",
		"https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-namespace-labels/",
	},
	Needs:     []audit.Resource{audit.Namespaces},
	Namespace: podSecurityNotEnforced,
})

func podSecurityNotEnforced(ns *audit.Namespace, r *audit.Reporter) {
	enforced, set := podSecurityLevel(ns, api.EnforceLevelLabel)
	if r.Settings().SystemNamespaces[ns.Name] || (set && enforced != api.LevelPrivileged) || !hasWorkloads(ns, r) {
		return
	}
	f := audit.Finding{
		Message: fmt.Sprintf("namespace %q must set label %q to baseline or restricted", ns.Name, api.EnforceLevelLabel),
		Path:    "metadata.labels[" + api.EnforceLevelLabel + "]",
	}
	if ns.MissingWorkloads() == nil {
		passed, err := passedLevel(ns)
		if err != nil {
			r.Skip(v1alpha1.SkipCheckFailed, err.Error())
			return
		}
		f.Message += fmt.Sprintf(": its Pods and templates would pass %q today", passed)
		if passed != api.LevelPrivileged {
			f.Suggested = strconv.Quote(string(passed))
		}
	}
	if !set {
		f.Message += " (a default in the API server's own configuration cannot be seen)"
	}
	r.Find(f)
}

// podSecurityLevel returns the level that a label of the namespace sets, if it does.
func podSecurityLevel(ns *audit.Namespace, label string) (level api.Level, set bool) {
	if ns.Namespace == nil {
		return "", false // manifests without the Namespace itself
	}
	level, err := api.ParseLevel(ns.Namespace.Labels[label])
	return level, err == nil
}

var podSecurityEvaluator = sync.OnceValues(func() (policy.Evaluator, error) {
	return policy.NewEvaluator(policy.DefaultChecks(), nil)
})

// passedLevel returns the strictest level that all Pods and templates of a namespace pass.
func passedLevel(ns *audit.Namespace) (api.Level, error) {
	if _, err := podSecurityEvaluator(); err != nil {
		return "", err
	}
	switch {
	case allPass(ns, passesRestricted):
		return api.LevelRestricted, nil
	case allPass(ns, passesBaseline):
		return api.LevelBaseline, nil
	}
	return api.LevelPrivileged, nil
}

func allPass(ns *audit.Namespace, passes *audit.Fact) bool {
	for _, w := range ns.Workloads {
		if w.Template != nil && !passes.Of(w.Template) {
			return false
		}
		for _, live := range w.Shapes() {
			if !passes.Of(live) {
				return false
			}
		}
	}
	return true
}

var passesRestricted, passesBaseline = passes(api.LevelRestricted), passes(api.LevelBaseline)

func passes(level api.Level) *audit.Fact {
	at := api.LevelVersion{Level: level, Version: api.LatestVersion()}
	return audit.NewFact(func(pod *audit.Pod) bool {
		evaluator, err := podSecurityEvaluator()
		return err == nil && !slices.ContainsFunc(evaluator.EvaluatePod(at, &pod.Meta, &pod.Spec), func(r policy.CheckResult) bool {
			return !r.Allowed
		})
	})
}
