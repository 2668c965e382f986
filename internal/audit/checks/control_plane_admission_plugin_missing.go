// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --enable-admission-plugins and --disable-admission-plugins of API servers. Required are those of the requiredPlugins that
// the version has, and AlwaysAdmit is forbidden.
var _ = register(audit.Check{
	ID:          "admission-plugin-missing",
	Title:       "The admission plugins that security rests on are on",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "What these plugins forbid is let in: kubelets that change other nodes, Pods that a namespace forbids, whatever policies and webhooks deny.",
	Remediation: "Add NodeRestriction to --enable-admission-plugins, and leave the others out of --disable-admission-plugins.",
	Before:      "command:\n- kube-apiserver\n- --disable-admission-plugins=PodSecurity",
	After:       "command:\n- kube-apiserver\n- --enable-admission-plugins=NodeRestriction",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "1.2.10"},
		{Framework: audit.FrameworkCIS, ID: "1.2.12"},
		{Framework: audit.FrameworkCIS, ID: "1.2.13"},
		{Framework: audit.FrameworkCIS, ID: "1.2.14"},
		{Framework: audit.FrameworkOWASP, ID: "K04"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: admissionPluginMissing,
})

func admissionPluginMissing(c *audit.Cluster, r *audit.Reporter) {
	eachProgram(c, r, audit.APIServer, func(server *audit.Component) {
		for _, plugin := range requiredPlugins {
			if !olderThan(c, plugin.since) && !hasPlugin(server, plugin.name, plugin.name != "NodeRestriction") {
				r.Find(server.Finding("enable-admission-plugins."+plugin.name, fmt.Sprintf("%q must have the admission plugin %q on", server.Program, plugin.name)))
			}
		}
		if hasPlugin(server, "AlwaysAdmit", false) {
			r.Find(server.Finding("enable-admission-plugins.AlwaysAdmit", fmt.Sprintf("%q must not have the admission plugin %q on", server.Program, "AlwaysAdmit")))
		}
	})
}

// requiredPlugins are on unless somebody disables them, but for NodeRestriction, from a minor of Kubernetes on; 0: in all.
var requiredPlugins = []struct {
	name  string
	since uint
}{
	{"MutatingAdmissionWebhook", 0}, {"NamespaceLifecycle", 0}, {"NodeRestriction", 0}, {"PodSecurity", 23}, {"ServiceAccount", 0},
	{"ValidatingAdmissionPolicy", 30}, {"ValidatingAdmissionWebhook", 0},
}

// hasPlugin says whether an API server has an admission plugin on, which otherwise is on by default or not.
func hasPlugin(server *audit.Component, name string, otherwise bool) bool {
	if all := server.Flags.List("admission-control"); len(all) > 0 { // until Kubernetes 1.10: all of them, in order
		return slices.Contains(all, name)
	}
	switch {
	case slices.Contains(server.Flags.List("disable-admission-plugins"), name):
		return false
	case slices.Contains(server.Flags.List("enable-admission-plugins"), name):
		return true
	}
	return otherwise
}
