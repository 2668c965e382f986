// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/policy"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].securityContext.capabilities.add, init and ephemeral containers likewise. Allowed: what
// container runtimes give by default, apart from NET_RAW. Critical for the criticalCapabilities.
var _ = register(audit.Check{
	ID:          "capabilities-added",
	Title:       "Containers add no capabilities beyond the default",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over the container uses the capability against the node or its network, and some of them are as good as root on the node.",
	Remediation: "Remove the capability from securityContext.capabilities.add.",
	Before:      "securityContext:\n  capabilities: {drop: [ALL], add: [NET_BIND_SERVICE, SYS_ADMIN]}",
	After:       "securityContext:\n  capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: Capabilities"},
		{Framework: audit.FrameworkCIS, ID: "5.2.9"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
		"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#set-capabilities-for-a-container",
	},
	Pod: decidedBy(capabilitiesBaseline, nil, capabilitiesAdded),
})

const capabilitiesBaseline policy.CheckID = "capabilities_baseline"

// criticalCapabilities are as good as root on the node.
var criticalCapabilities = map[string]bool{
	"ALL": true, "SYS_ADMIN": true, "SYS_MODULE": true, "SYS_PTRACE": true, "SYS_RAWIO": true, "SYS_BOOT": true, "NET_ADMIN": true,
	"DAC_READ_SEARCH": true, "BPF": true, "PERFMON": true, "CHECKPOINT_RESTORE": true,
}

func capabilitiesAdded(d *denial) {
	for p := range d.places(nil) {
		denied := deniedCapabilities(d.ask, p.Capabilities)
		if len(denied) == 0 {
			continue
		}
		f := audit.Finding{
			Message:   p.message("must not add " + quoteCapabilities(denied)),
			Container: p.name(),
			Path:      p.path("securityContext.capabilities.add"),
			Suggested: without(p.Capabilities.Add, denied),
		}
		if slices.ContainsFunc(denied, isCriticalCapability) {
			f.Severity = v1alpha1.SeverityCritical
		}
		d.find(f)
	}
}

// without returns the list, as JSON, that is left without some values.
func without[T comparable](values, taken []T) string {
	rest, err := json.Marshal(slices.DeleteFunc(slices.Clone(values), func(v T) bool { return slices.Contains(taken, v) }))
	if err != nil {
		return "" // strings and numbers can be encoded
	}
	return string(rest)
}

// isCriticalCapability compares as container runtimes do, which take any case, and some of them the prefix.
func isCriticalCapability(c corev1.Capability) bool {
	return criticalCapabilities[strings.TrimPrefix(strings.ToUpper(string(c)), "CAP_")]
}

// deniedCapabilities returns which of the added capabilities the library denies, asked about one at a time.
func deniedCapabilities(ask policy.CheckPodFn, c *corev1.Capabilities) []corev1.Capability {
	if c == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.Add), func(added corev1.Capability) bool {
		return allowsCapabilities(ask, corev1.Capabilities{Add: []corev1.Capability{added}, Drop: []corev1.Capability{"ALL"}})
	})
}

func allowsCapabilities(ask policy.CheckPodFn, c corev1.Capabilities) bool {
	p := newProbe(&corev1.PodSpec{})
	defer p.release()
	p.container[0].SecurityContext = &corev1.SecurityContext{Capabilities: &c}
	p.spec.Containers = p.container[:]
	return ask(&noMeta, &p.spec).Allowed
}

// quoteCapabilities names capabilities in a message.
func quoteCapabilities(capabilities []corev1.Capability) string {
	var quoted []string
	for _, c := range capabilities {
		quoted = append(quoted, strconv.Quote(string(c)))
	}
	if len(quoted) == 1 {
		return "capability " + quoted[0]
	}
	return "capabilities " + strings.Join(quoted, ", ")
}
