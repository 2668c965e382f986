// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"hash/maphash"
	"slices"

	"github.com/kubersafe/kubersafe/internal/netpol"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Inputs are all that the verdict on a workload depends on. While they stay the same, so does the verdict: a change in a
// namespace costs what depends on it, not the judgement of all its workloads.
type Inputs struct {
	set          *Set
	subject      Subject
	template     *Shape
	templateHash string
	live         []variant
	// ofTemplate is the template with the labels that policies select by and checks look at.
	ofTemplate variant
	static     bool
	// exceptions stands for those that may exempt its findings.
	exceptions uint64
	sensitive  bool
	// running stands for all that the running of the workload is judged by.
	running uint64
	// mixed: the namespace has Pods that are isolated, by direction.
	mixed [2]bool
	// namespace are the labels of the namespace, if checks look at them and it has been seen.
	namespace *Labels
	// powers are those of the ServiceAccounts that its template and Pods run as, in their order.
	powers []power
	// ways stands for the ways into the workload, where they matter.
	ways uint64
	// scanned stands for what is known of its images.
	scanned uint64
	// around stands for the namespace's Surroundings and for what of it cannot be read.
	around uint64
}

// InputsOf returns the inputs of a workload's verdict.
func (s *Set) InputsOf(ns *Namespace, w *Workload) Inputs {
	lens := s.lens(ns)
	i := Inputs{
		set: s, subject: w.Subject, template: w.Template, templateHash: w.TemplateHash, live: w.variants(lens),
		static: w.Static, running: ns.hashOfRunning(w), namespace: lens.namespace, around: ns.around,
		exceptions: hashOf(s.exceptionsFor(ns.inForce, w.candidate())), sensitive: s.settings.IsSensitive(w),
		mixed: [2]bool{ns.Network.Isolated[netpol.Ingress] > 0, ns.Network.Isolated[netpol.Egress] > 0},
	}
	if w.Template != nil {
		i.ofTemplate = lens.variantOf(w.Template, w.TemplateLabels)
		i.powers = append(i.powers, ns.powerOf(w.Template))
	}
	for _, v := range i.live {
		i.powers = append(i.powers, ns.powerOf(v.shape))
	}
	if ways, matter := ns.waysInto(w); matter {
		i.ways = hashOfWays(ways)
	}
	i.scanned = s.hashOfScanned(ns, w)
	return i
}

// power is what is known of a ServiceAccount's.
type power struct {
	rbac.Power
	known bool
	// unseen says what ways are not known over; nil if nothing.
	unseen Unavailable
}

// powerOf returns the power of the ServiceAccount that Pods of a shape run as.
func (n *Namespace) powerOf(s *Shape) power {
	account := cmp.Or(s.account, defaultAccount)
	p := power{Power: n.Powers.Of(account), known: n.Powers.Known(account)}
	if n.Powers.Unseen != nil {
		p.unseen = *n.Powers.Unseen
	}
	return p
}

// Equal says whether the verdict must be the same.
func (i *Inputs) Equal(j *Inputs) bool {
	return i.set == j.set && i.subject == j.subject && i.template == j.template && i.templateHash == j.templateHash &&
		slices.Equal(i.live, j.live) && i.ofTemplate == j.ofTemplate && i.static == j.static && i.running == j.running &&
		i.mixed == j.mixed && i.namespace.equal(j.namespace) && i.around == j.around && i.exceptions == j.exceptions &&
		i.sensitive == j.sensitive && slices.Equal(i.powers, j.powers) && i.ways == j.ways && i.scanned == j.scanned
}

// InputsOfResult stands for all that a result says of a subject that belongs to no namespace: such a verdict is cheap, and what
// is made of it is not.
func (s *Set) InputsOfResult(r *Result) Inputs {
	var hash maphash.Hash
	hash.SetSeed(seed)
	add := func(f *Finding) {
		maphash.WriteComparable(&hash, f.Key())
		maphash.WriteComparable(&hash, [5]string{string(f.Severity), f.Message, f.Container, f.Suggested, string(f.SeenIn)})
	}
	for i := range r.Findings {
		add(&r.Findings[i])
	}
	for i := range r.Exempted {
		add(&r.Exempted[i].Finding)
		maphash.WriteComparable(&hash, r.Exempted[i].By.Object)
	}
	for _, u := range r.Uses {
		maphash.WriteComparable(&hash, [3]any{u.By.UID, u.Matches, u.Denied})
	}
	for _, skip := range r.Skips {
		maphash.WriteComparable(&hash, skip)
	}
	maphash.WriteComparable(&hash, [4]int{len(r.Findings), len(r.Exempted), len(r.Skips), r.Passed})
	return Inputs{set: s, subject: r.Subject, around: hash.Sum64()}
}

// Shapes returns the shapes that are live or about to be, those of a workload's Pods and of what it owns, each once, in an
// order that is the same whenever they are. Of what it owns, the template itself is left out.
func (w *Workload) Shapes() []*Shape {
	var shapes []*Shape
	for _, p := range w.Pods {
		if n := len(shapes); n == 0 || shapes[n-1] != p.Shape {
			shapes = append(shapes, p.Shape)
		}
	}
	for _, owned := range w.Owned {
		if owned.Shape != w.Template {
			shapes = append(shapes, owned.Shape)
		}
	}
	if len(shapes) > 1 {
		slices.SortFunc(shapes, func(a, b *Shape) int { return cmp.Compare(a.id, b.id) })
		shapes = slices.Clip(slices.Compact(shapes))
	}
	return shapes
}

// specVersion stands for what is in the spec of an object. Its resourceVersion changes with its status too.
type specVersion struct {
	uid        UID
	generation int64
}

// seed is new in every process, so that nobody can make two surroundings look alike.
var seed = maphash.MakeSeed()

// hash stands for the surroundings and for what cannot be read, in whatever order they are.
func (i *Inventory) hash() uint64 {
	hash := maphash.String(seed, i.Name)
	for _, l := range i.LimitRanges {
		hash += maphash.Comparable(seed, l.Object)
	}
	for _, a := range i.ServiceAccounts {
		hash += maphash.Comparable(seed, a.Object)
	}
	for _, p := range i.NetworkPolicies {
		hash += maphash.Comparable(seed, p.Object)
	}
	for _, p := range i.ClusterPolicies {
		hash += maphash.Comparable(seed, specVersion{p.UID, p.Generation})
	}
	for _, cloud := range i.Nodes.Clouds {
		hash += maphash.String(seed, cloud)
	}
	hash += maphash.Comparable(seed, [...]bool{i.Nodes.IPv6, i.FromManifests})
	for _, u := range i.Unavailable {
		hash += maphash.Comparable(seed, *u)
	}
	return hash
}
