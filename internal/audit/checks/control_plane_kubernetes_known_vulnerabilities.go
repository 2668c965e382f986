// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at what the ImageReport on the API server's version tells. Allowed: no known vulnerability but those of the kubelet alone, and
// those that the AuditConfiguration has do not count. The finding is as severe as that of image-vulnerabilities. Whether a provider has
// mended its own build of that version cannot be seen.
var _ = register(audit.Check{
	ID:          "kubernetes-known-vulnerabilities",
	Title:       "Kubernetes has no known vulnerabilities",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Whoever reaches the API server can use what is published about its version, often with a program that is published too.",
	Remediation: "Update the control plane to the newest patch of its minor version, or to a newer minor where none of that mends them.",
	Before:      "# kubectl version\nServer Version: v1.37.0 # which CVE-2026-12345 affects",
	After:       "# kubectl version\nServer Version: v1.37.2 # in which it is mended",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Upgrading and application security practices"},
		{Framework: audit.FrameworkOWASP, ID: "K10"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/issues-security/official-cve-feed/",
		"https://kubernetes.io/releases/patch-releases/",
	},
	Needs:        []audit.Resource{audit.ImageReports},
	ControlPlane: kubernetesKnownVulnerabilities,
})

func kubernetesKnownVulnerabilities(c *audit.Cluster, r *audit.Reporter) {
	if _, ok := serverVersion(c, r); !ok {
		return
	}
	known := vulnerabilitiesOfKubernetes(c, c.ServerVersion, v1alpha1.KubernetesKubelet, provided(c), r)
	if known == nil {
		return
	}
	f := versionFinding(fmt.Sprintf("Kubernetes %q must not have known vulnerabilities: it has %s", c.ServerVersion, known))
	f.Severity = severityOf(&known.all, &known.fixable)
	r.Find(f)
}

// kubernetesModule is what Kubernetes is called where the AuditConfiguration ignores vulnerabilities of some images.
var kubernetesModule = audit.ReferenceOf("k8s.io/kubernetes")

// vulnerabilitiesOfKubernetes returns those of a program of Kubernetes, given its version, which other program's do not count, and whether a
// provider may have mended them in a build of its own. It is nil where none are known, and the check is skipped where that is not all.
func vulnerabilitiesOfKubernetes(c *audit.Cluster, version, other string, byProvider bool, r *audit.Reporter) *vulnerabilities {
	found := c.KubernetesReport(version)
	if found == nil {
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("the vulnerabilities of Kubernetes %q have not been looked up yet", version))
		return nil
	}
	report := found.Report
	if report.State != v1alpha1.ImageScanned || report.Summary == nil {
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("looking up the vulnerabilities of Kubernetes %q is %s: %s", version, report.State, why(report)))
	} else if age := r.Settings().MaxScanAge; c.Today.Sub(found.Record.Matched.Time()) > age {
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("the vulnerability database is older than %d days", days(age)))
	}
	if report.Summary == nil {
		return nil
	}
	known := vulnerabilitiesOf(report,
		func(v *v1alpha1.Vulnerability) bool { return r.Settings().Ignores(v, kubernetesModule, c.Today) },
		func(v *v1alpha1.Vulnerability) bool { return v.Package == other })
	if known.all.total() == 0 {
		return nil
	}
	if byProvider {
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("the Kubernetes project's %s has known vulnerabilities, and whether the provider of %q has mended them is not known: %s",
			v1alpha1.KubernetesVersionOf(found.Record.Name), version, known))
		return nil
	}
	return known
}
