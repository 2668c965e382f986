// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

// Selectable is what selectors choose among: the labels and the shape of a Pod that has not ended, or of a Pod template.
type Selectable struct {
	Labels *Labels
	Shape  *Shape
}

// selectable returns each of them once, whatever the number of replicas. It looks at Pods themselves rather than at those of
// workloads: of some it may not be clear yet which one they belong to.
func (n *Namespace) selectable() []Selectable {
	var all []Selectable
	seen := make(map[Selectable]bool)
	add := func(s Selectable) {
		if !seen[s] {
			seen[s] = true
			all = append(all, s)
		}
	}
	for _, p := range n.Pods {
		if !p.Finished {
			add(Selectable{p.Labels, p.Shape})
		}
	}
	for _, w := range n.Workloads {
		if w.Template != nil {
			add(Selectable{w.TemplateLabels, w.Template})
		}
	}
	return all
}
