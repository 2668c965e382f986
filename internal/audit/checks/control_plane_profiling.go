// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --profiling of API servers, controller managers and schedulers. Allowed: false. Where a scheduler has --config, the
// flag has no effect, and the file cannot be seen.
var _ = register(audit.Check{
	ID:          "control-plane-profiling",
	Title:       "The control plane does not serve profiles",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Profiles tell of the inner workings and of what is in memory, and taking them costs the control plane its time.",
	Remediation: "Set --profiling=false.",
	Before:      "command:\n- kube-controller-manager",
	After:       "command:\n- kube-controller-manager\n- --profiling=false",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "1.2.15"},
		{Framework: audit.FrameworkCIS, ID: "1.3.2"},
		{Framework: audit.FrameworkCIS, ID: "1.4.1"},
		{Framework: audit.FrameworkOWASP, ID: "K09"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/",
		"https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: controlPlaneProfiling,
})

func controlPlaneProfiling(c *audit.Cluster, r *audit.Reporter) {
	for _, program := range []string{audit.APIServer, audit.ControllerManager, audit.Scheduler} {
		eachProgram(c, r, program, func(k *audit.Component) {
			if program == audit.Scheduler && k.Flags.Get("config") != "" {
				skipFile(r, k, "config")
				return
			}
			judgeSwitch(r, k, "profiling", false, true)
		})
	}
}
