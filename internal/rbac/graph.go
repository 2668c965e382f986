// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"maps"
	"slices"
)

// graph has how far every place is from cluster-admin that one step, or being in a group, leads to. So somebody is a place of it only if
// others may come to act as him: there may be hundreds of thousands of whom nobody may.
type graph struct {
	at     map[place]int32
	places []place
	out    [][]arc
	// far is how many steps it takes, or unreachable; best is how many it would take if all that is assumed were so.
	far, best []int32
	// accounts are the ServiceAccounts that lead somewhere, sorted, those of all namespaces under "".
	accounts map[string][]Subject
}

type arc struct {
	to int32
	// cost is 0 for what is no step of its own.
	cost int32
	step *step
	// assumed says that it is not known whether one gets there.
	assumed bool
}

const unreachable = 1 << 30

// paths returns the graph of the cluster as it is.
func (c *Cluster) paths() *graph {
	c.settle()
	if c.reach() {
		c.graph = nil
	}
	if c.graph != nil {
		return c.graph
	}
	g := &graph{
		at: make(map[place]int32, c.places), places: make([]place, 0, c.places), out: make([][]arc, 0, c.places), accounts: c.leading(),
	}
	g.place(place{kind: asAdmin})
	shared := make(map[*step]bool)
	for s, steps := range c.reaches {
		if implied(s) {
			g.place(place{kind: asSubject, of: s})
		}
		if shared[&steps[0]] {
			continue
		}
		shared[&steps[0]] = true
		for i := range steps {
			g.place(steps[i].to)
		}
	}
	for i := 0; i < len(g.places); i++ { // places are added while they are gone through
		c.connect(g, int32(i))
	}
	g.measure()
	c.graph, c.places = g, len(g.places)
	return g
}

// subjects returns everybody who gets somewhere by roles of his own, sorted.
func (c *Cluster) subjects() []Subject {
	return slices.SortedFunc(maps.Keys(c.reaches), Subject.compare)
}

// leading returns the ServiceAccounts that lead somewhere, sorted, by namespace; and under "" those of all.
func (c *Cluster) leading() map[string][]Subject {
	out := make(map[string][]Subject)
	for namespace, accounts := range c.accounts {
		all := c.leads(ServiceAccount(namespace, ""))
		for name := range accounts {
			if s := ServiceAccount(namespace, name); all || c.reaches[s] != nil {
				out[""], out[namespace] = append(out[""], s), append(out[namespace], s)
			}
		}
	}
	for _, list := range out {
		slices.SortFunc(list, Subject.compare)
	}
	return out
}

// leads says whether a subject gets somewhere, by roles of its own or as a member of a group.
func (c *Cluster) leads(s Subject) bool {
	return c.reaches[s] != nil || slices.ContainsFunc(s.Groups(), func(g Subject) bool { return c.reaches[g] != nil })
}

// leadsToTemplates says whether somebody may change templates of Pods in a namespace.
func (g *graph) leadsToTemplates(namespace string) bool {
	for _, scope := range []string{"", namespace} {
		if _, is := g.at[place{kind: toTemplates, scope: scope}]; is {
			return true
		}
	}
	return false
}

func (g *graph) place(p place) int32 {
	i, ok := g.at[p]
	if !ok {
		i = int32(len(g.places)) //nolint:gosec // G115: there are not that many
		g.at[p] = i
		g.places = append(g.places, p)
		g.out = append(g.out, nil)
	}
	return i
}

// connect adds where one gets from a place.
func (c *Cluster) connect(g *graph, from int32) {
	p := g.places[from]
	take := func(steps []step) {
		for i := range steps {
			to := g.place(steps[i].to)
			g.out[from] = append(g.out[from], arc{to, steps[i].cost(), &steps[i], steps[i].assumed})
		}
	}
	leadIf := func(c certainty, p place) {
		if c != no {
			to := g.place(p)
			g.out[from] = append(g.out[from], arc{to: to, assumed: c == maybe})
		}
	}
	lead := func(p place) { leadIf(yes, p) }
	switch p.kind {
	case asAdmin:
	case asSubject:
		take(c.stepsOf(p.of))
	case onNode:
		take([]step{{by: byNode, to: place{kind: toControlPlane}}, {by: byNode, to: place{kind: toMounted}}})
	case inNamespace:
		if p.scope == anyNamespace {
			c.eachNamespace(p.scope, func(name string) { lead(place{kind: inNamespace, scope: name}) })
			return
		}
		take([]step{{by: byNamespace, to: place{kind: toAccounts, scope: p.scope}}, {by: byNamespace, to: place{kind: onNode}}})
	case withRole:
		if p.scope == anyNamespace {
			c.eachNamespace(p.scope, func(name string) { lead(roleAt(p.role(), name)) })
			return
		}
		switch r := c.role(p.role()); {
		case r == nil:
		case r.rules.powers.has(everything) && p.scope == "":
			lead(place{kind: asAdmin})
		case r.rules.powers.has(everything):
			lead(place{kind: inNamespace, scope: p.scope})
		default:
			var v view
			v.add(r, p.scope)
			take(v.steps())
		}
	default:
		c.cross(g, p, lead, leadIf)
	}
}

// certainty is whether something is so.
type certainty uint8

const (
	no certainty = iota
	maybe
	yes
)

// cross leads from a crossing to what can be reached from it.
func (c *Cluster) cross(g *graph, p place, lead func(place), leadIf func(certainty, place)) {
	switch p.kind {
	case toPods:
		lead(place{kind: toAccounts, scope: p.scope})
		if c.hostPathIn(p.scope) != "" {
			lead(place{kind: onNode})
		}
	case toTemplates:
		for _, s := range g.accounts[p.scope] {
			leadIf(c.runs(s.Namespace), place{kind: asSubject, of: s})
		}
		c.eachNamespace(p.scope, func(name string) {
			if c.namespaces[name] {
				leadIf(c.runs(name), place{kind: onNode})
			}
		})
	case toMounted:
		for _, s := range g.accounts[p.scope] {
			leadIf(c.accounts[s.Namespace][s.Name].mounted(), place{kind: asSubject, of: s})
		}
	case toAccounts, toSecrets:
		for _, s := range g.accounts[p.scope] {
			if a := c.accounts[s.Namespace][s.Name]; p.kind == toAccounts && (p.of.Name == "" || p.of.Name == s.Name) ||
				p.kind == toSecrets && (p.of.Name == "" && len(a.TokenSecrets) > 0 || slices.Contains(a.TokenSecrets, p.of.Name)) {
				lead(place{kind: asSubject, of: s})
			}
		}
	case toUsers, toGroups:
		kind := User("").Kind
		if p.kind == toGroups {
			kind = Group("").Kind
		}
		for _, s := range c.subjects() {
			if s.Kind == kind {
				lead(place{kind: asSubject, of: s})
			}
		}
	case toRoles:
		for _, namespace := range slices.Sorted(maps.Keys(c.roles)) {
			if namespace == "" || p.scope != anyNamespace && p.scope != namespace {
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(c.roles[namespace])) {
				if p.of.Name == "" || p.of.Name == name {
					lead(roleAt(RoleKey{namespace, name}, namespace))
				}
			}
		}
	case toClusterRoles:
		switch {
		case c.fullRole() == "": // somebody has deleted cluster-admin
			for _, name := range slices.Sorted(maps.Keys(c.roles[""])) {
				lead(roleAt(RoleKey{Name: name}, p.scope))
			}
		case p.scope == "":
			lead(place{kind: asAdmin})
		default:
			lead(place{kind: inNamespace, scope: p.scope})
		}
	case toControlPlane:
		if c.controlPlaneOnNodes {
			lead(place{kind: asAdmin})
		}
	}
}

// eachNamespace goes through the namespaces of a scope, as they are sorted.
func (c *Cluster) eachNamespace(scope string, use func(string)) {
	names := []string{scope}
	if scope == "" || scope == anyNamespace {
		names = slices.Sorted(maps.Keys(c.namespaces))
	}
	for _, name := range names {
		use(name)
	}
}

// runs says whether some Pod of a namespace is there.
func (c *Cluster) runs(namespace string) certainty {
	runs := no
	for _, a := range c.accounts[namespace] {
		runs = max(runs, a.mounted())
	}
	return runs
}

func (a *Account) mounted() certainty {
	switch {
	case a.Mounted:
		return yes
	case a.Unseen:
		return maybe
	}
	return no
}

// hostPathIn returns the first namespace of a scope in which Pods may mount the files of their node, or "".
func (c *Cluster) hostPathIn(scope string) string {
	first := ""
	c.eachNamespace(scope, func(name string) {
		if first == "" && c.namespaces[name] {
			first = name
		}
	})
	return first
}

// fullRole returns a ClusterRole that allows everything, or "".
func (c *Cluster) fullRole() string {
	first := ""
	for name, r := range c.roles[""] {
		if r.rules.powers.has(everything) && (first == "" || name == "cluster-admin" || first != "cluster-admin" && name < first) {
			first = name
		}
	}
	return first
}

// measure finds out how far every place is, from cluster-admin backwards.
func (g *graph) measure() {
	back, assumed := make([][]arc, len(g.places)), false
	for from, arcs := range g.out {
		for _, a := range arcs {
			back[a.to] = append(back[a.to], arc{to: int32(from), cost: a.cost, assumed: a.assumed})
			assumed = assumed || a.assumed
		}
	}
	g.far = distances(back, false)
	if g.best = g.far; assumed {
		g.best = distances(back, true)
	}
}

// distances returns how many steps it takes from each place to the first one, by arcs that lead back from it.
func distances(back [][]arc, assume bool) []int32 {
	far := make([]int32, len(back))
	for i := range far {
		far[i] = unreachable
	}
	far[0] = 0
	for near, next := []int32{0}, []int32(nil); len(near) > 0; near, next = next, nil {
		for i := 0; i < len(near); i++ { // what is just as near is added
			at := near[i]
			for _, a := range back[at] {
				if there := far[at] + a.cost; there < far[a.to] && (assume || !a.assumed) {
					far[a.to] = there
					if a.cost == 0 {
						near = append(near, a.to)
					} else {
						next = append(next, a.to)
					}
				}
			}
		}
	}
	return far
}

// way is a chain of steps. Each leads to the place that the next one begins at.
type way []leg

type leg struct {
	from, to place
	step     *step
}

// shortest returns the shortest way that begins with one of the steps, the first of several.
func (g *graph) shortest(from place, steps []step) way {
	var first *step
	far := int32(unreachable)
	for i := range steps {
		to, known := g.at[steps[i].to]
		if !known || steps[i].assumed {
			continue
		}
		if cost := steps[i].cost(); g.far[to]+cost < far {
			first, far = &steps[i], g.far[to]+cost
		}
	}
	if first == nil {
		return nil
	}
	w := way{{from: from, step: first}}
	at := g.at[first.to]
	for {
		p := g.places[at]
		if p.kind < toPods && p.scope != anyNamespace { // no crossing
			w[len(w)-1].to = p
		}
		if at == 0 {
			return w
		}
		i := slices.IndexFunc(g.out[at], func(a arc) bool { return !a.assumed && g.far[a.to]+a.cost == g.far[at] })
		a := g.out[at][i]
		if a.step != nil {
			w = append(w, leg{from: p, step: a.step})
		}
		at = a.to
	}
}
