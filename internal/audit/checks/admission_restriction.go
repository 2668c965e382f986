// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// restriction is something that admission may restrict of Pods.
type restriction struct {
	// what it is, as in "may restrict images".
	what string
	// policy says whether a policy that denies restricts it.
	policy func(*audit.AdmissionPolicyRecord) bool
	// webhook says whether a webhook is known to restrict it; nil: of none that is known.
	webhook func(*audit.Webhook) bool
}

// in says whether all Pods of a namespace are restricted or, if that is not seen, what may restrict them.
func (k *restriction) in(namespace *audit.NamespaceRecord, policies []audit.DenyingPolicy, webhooks []*audit.WebhookRecord) (restricted bool, may string) {
	for i := range policies {
		p := &policies[i]
		if !k.policy(p.AdmissionPolicyRecord) {
			continue
		}
		denies, partial := p.In(namespace)
		if denies {
			return true, ""
		}
		if partial != "" {
			may = cmp.Or(may, fmt.Sprintf("policy %q may restrict %s, but need not be about all Pods, because of %q", p.Name, k.what, partial))
		}
	}
	for _, configuration := range webhooks {
		if configuration.Bystander() {
			continue
		}
		for i := range configuration.Webhooks {
			w := &configuration.Webhooks[i]
			if !w.Covers(namespace) {
				continue
			}
			if w.Partial == "" && k.webhook != nil && k.webhook(w) {
				return true, ""
			}
			may = cmp.Or(may, fmt.Sprintf("webhook %q is asked about Pods, and may restrict %s", w.Name, k.what))
		}
	}
	return false, may
}

// left returns the first namespace that is judged and where nothing restricts Pods; "" if there is none. If something that is not
// seen may restrict them, among it an admission plugin, it skips the check.
func (k *restriction) left(c *audit.Cluster, r *audit.Reporter, plugin string) string {
	if c.FromManifests {
		r.Skip(v1alpha1.SkipDataMissing, "manifests do not show what else the cluster has")
		return ""
	}
	webhooks, left, may := slices.Concat(c.Validating, c.Mutating), "", ""
	for n := range judgedNamespaces(c, r) {
		if restricted, why := k.in(n, c.Denying, webhooks); why != "" {
			may = cmp.Or(may, why)
		} else if !restricted {
			left = cmp.Or(left, n.Name)
		}
	}
	servers := c.Programs(audit.APIServer)
	hidden := len(servers) == 0 || unseen(c) != nil || slices.ContainsFunc(servers, func(s audit.Component) bool { return s.Unknown != "" })
	switch {
	case left != "" && hidden:
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("the admission plugins of the API server are not seen, and %q may restrict %s", plugin, k.what))
		return ""
	case may != "":
		r.Skip(v1alpha1.SkipDataMissing, may)
	}
	return left
}

// judgedNamespaces returns the namespaces that are not part of the platform, by name.
func judgedNamespaces(c *audit.Cluster, r *audit.Reporter) iter.Seq[*audit.NamespaceRecord] {
	return func(yield func(*audit.NamespaceRecord) bool) {
		for _, n := range c.Namespaces {
			if !r.Settings().SystemNamespaces[n.Name] && !yield(n) {
				return
			}
		}
	}
}

// allHave says whether all API servers that are seen have an admission plugin on, which is off by default, and any is seen.
func allHave(c *audit.Cluster, plugin string) bool {
	servers := c.Programs(audit.APIServer)
	return len(servers) > 0 && !slices.ContainsFunc(servers, func(s audit.Component) bool { return !hasPlugin(&s, plugin, false) })
}
