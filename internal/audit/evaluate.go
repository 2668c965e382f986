// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// Result is the verdict on one subject.
type Result struct {
	Subject
	// Report is the name of the subject's report.
	Report       string
	TemplateHash string
	// Findings, worst first.
	Findings []Finding
	// Exempted are findings that an exception exempts, worst first.
	Exempted []Exempted
	// Uses of exceptions.
	Uses []Use
	// Skips, sorted by check.
	Skips []Skip
	// Images of a workload that have known vulnerabilities, each once.
	Images []VulnerableImage
	// Network of a namespace; nil where it is not known.
	Network *Network
	// Excluded says that the subject is a namespace that is left out: it was not judged.
	Excluded bool
	// Passed is the number of checks that looked at everything and found nothing.
	Passed int
}

// Evaluate judges every workload of a namespace, and then the namespace itself, which is the last result. The same
// namespace gives the same results in the same order.
func (s *Set) Evaluate(ns *Namespace) []Result {
	if ns.Network.View == nil { // it does not come from Fold
		ns.look()
	}
	results := make([]Result, 0, len(ns.Workloads)+1)
	for _, w := range s.Judged(ns) {
		results = append(results, s.EvaluateWorkload(ns, w))
	}
	return append(results, s.EvaluateNamespace(ns))
}

// Judged returns the workloads of a namespace that are judged: all, or none where it is left out.
func (s *Set) Judged(ns *Namespace) []*Workload {
	if s.settings.Excluded {
		return nil
	}
	return ns.Workloads
}

// EvaluateNamespace judges a namespace itself.
func (s *Set) EvaluateNamespace(ns *Namespace) Result {
	subject := ns.Subject()
	if s.settings.Excluded {
		var r Reporter // and not runIn: it is left out whatever can be read
		r.run(s.inNamespace, func(_ *Check, r *Reporter) {
			r.Skip(v1alpha1.SkipNamespaceExcluded, "the AuditConfiguration leaves this namespace out: nothing in it is judged")
		})
		v := verdict{skips: r.skips}
		result := v.result(subject, subject.ReportName(), len(s.inNamespace))
		result.Excluded = true
		return result
	}
	r := s.runIn(ns, s.namespace, func(c *Check, r *Reporter) { c.Namespace(ns, r) })
	s.judgeAccess(ns, r)
	v := verdict{findings: r.findings, skips: r.skips}
	v.exempt(s, ns.inForce, ns.candidate())
	result := v.result(subject, subject.ReportName(), len(s.inNamespace))
	if ns.Missing(NetworkPolicies, ClusterNetworkPolicies) == nil && ns.MissingWorkloads() == nil {
		result.Network = &ns.Network
	}
	return result
}

// EvaluateWorkload judges a workload of a namespace. What it says depends on nothing but the workload's Inputs.
func (s *Set) EvaluateWorkload(ns *Namespace, w *Workload) Result {
	lens, sensitive := s.lens(ns), s.settings.IsSensitive(w)
	m, live := merger{prefix: w.pathPrefix()}, w.variants(lens)
	var exposed []ExposedPod
	var template *Pod
	if w.Template != nil {
		seenIn := v1alpha1.SeenInTemplate
		if len(live) == 0 {
			seenIn = "" // nothing to tell it from
		}
		pod := s.judge(&m, w.Template, seenIn, ns, PlacedPod{Template: true, Subject: w.Subject, Sensitive: sensitive})
		exposed = append(exposed, s.judgeVariant(&m, lens, lens.variantOf(w.Template, w.TemplateLabels), pod, seenIn, ns))
		template = pod.Pod
		m.ofTemplate = len(m.findings)
	}
	pods, judged := make(map[*Shape]*PlacedPod), make(map[variant]*PlacedPod)
	for _, v := range live {
		seenIn := v1alpha1.SeenInPods
		if w.Template == nil {
			seenIn = ""
		}
		place := variant{shape: v.shape, token: v.token}
		if judged[place] == nil {
			judged[place] = s.judge(&m, v.shape, seenIn, ns, PlacedPod{Static: w.Static, Subject: w.Subject, Token: v.token, Sensitive: sensitive})
		}
		pods[v.shape] = judged[place]
		exposed = append(exposed, s.judgeVariant(&m, lens, v, pods[v.shape], seenIn, ns))
	}
	images := s.judgeScanned(&m, ns, w, template, pods)
	s.judgeExposed(&m, ns, w, exposed)
	s.judgeRunning(&m, ns, ns.running(w, pods))
	m.skips = append(m.skips, s.withoutPods(ns)...)
	m.exempt(s, ns.inForce, w.candidate())
	result := m.result(w.Subject, w.reportName, len(s.workload))
	result.TemplateHash, result.Images = w.TemplateHash, images
	return result
}

// withoutPods returns what of workloads cannot be looked at because nobody knows their live Pods.
func (s *Set) withoutPods(ns *Namespace) []Skip {
	unread := ns.Missing(Pods)
	if unread == nil && !ns.FromManifests {
		return nil
	}
	var r Reporter
	r.run(s.workload, func(c *Check, r *Reporter) {
		switch {
		case unread != nil:
			r.SkipUnavailable(unread)
		case c.LiveOnly != "":
			r.Skip(v1alpha1.SkipDataMissing, "manifests do not show "+c.LiveOnly)
		}
	})
	return r.skips
}

// judge adds what is to be said of one shape in its place, and returns the Pod.
func (s *Set) judge(m *merger, shape *Shape, seenIn v1alpha1.SeenIn, ns *Namespace, placed PlacedPod) *PlacedPod {
	placed.Pod, placed.Around = shape.Pod(), &ns.Surroundings
	m.merge(s.judgePod(shape, placed.Pod), seenIn)
	r := s.runIn(ns, s.placed, func(c *Check, r *Reporter) { c.Placed(&placed, r) })
	m.merge(&verdict{findings: r.findings, skips: r.skips}, seenIn)
	return &placed
}

// judgeRunning adds what is to be said of a workload as it runs.
func (s *Set) judgeRunning(m *merger, ns *Namespace, w *RunningWorkload) {
	r := s.runIn(ns, s.running, func(c *Check, r *Reporter) { c.Running(w, r) })
	m.prefix = "" // these checks name fields of the workload
	m.merge(&verdict{findings: r.findings, skips: r.skips}, "")
}

// judgeVariant adds what is to be said of one variant's labels and connections, and returns it for what is judged last.
func (s *Set) judgeVariant(m *merger, l lens, v variant, placed *PlacedPod, seenIn v1alpha1.SeenIn, ns *Namespace) ExposedPod {
	if l.labelled {
		labelled := *placed
		labelled.Labels, labelled.NamespaceLabels = LabelsOf(v.own), l.namespace
		r := s.runIn(ns, s.labelled, func(c *Check, r *Reporter) { c.Placed(&labelled, r) })
		m.merge(&verdict{findings: r.findings, skips: r.skips}, seenIn)
	}
	connected := ns.connected(v, placed.Pod)
	r := s.runIn(ns, s.connected, func(c *Check, r *Reporter) { c.Connected(connected, r) })
	m.merge(&verdict{findings: r.findings, skips: r.skips}, seenIn)
	return ExposedPod{PlacedPod: placed, Connections: connected, seenIn: seenIn}
}

// judgeExposed adds what follows from all that was said before.
func (s *Set) judgeExposed(m *merger, ns *Namespace, w *Workload, pods []ExposedPod) {
	ways, matter := ns.waysInto(w)
	var weaknesses []string
	for i := range pods {
		pod := &pods[i]
		if matter {
			pod.Ways = pod.open(ways)
		}
		if len(pod.Ways) > 0 {
			if weaknesses == nil {
				weaknesses = s.weaknesses(m.findings)
			}
			pod.Weaknesses = weaknesses
		}
		r := s.runIn(ns, s.exposed, func(c *Check, r *Reporter) { c.Exposed(pod, r) })
		m.merge(&verdict{findings: r.findings, skips: r.skips}, pod.seenIn)
	}
}

// judgePod returns the verdict on a shape wherever it is.
func (s *Set) judgePod(shape *Shape, pod *Pod) *verdict {
	if v, ok := s.verdicts.Get(shape); ok {
		return v.(*verdict) //nolint:forcetypeassert // nothing else is put there
	}
	v := s.verdictOn(pod)
	if len(v.findings) <= keptFindings {
		s.verdicts.Add(shape, v)
	}
	return v
}

// clean is the verdict on all Pods in which nothing is found.
var clean verdict

func (s *Set) verdictOn(pod *Pod) *verdict {
	r := reporters.Get().(*Reporter) //nolint:forcetypeassert // nothing else is put there
	defer reporters.Put(r)
	r.settings = &s.settings
	r.run(s.pod, func(c *Check, r *Reporter) { c.Pod(pod, r) })
	for container := range pod.Containers() {
		image := Image{container, ReferenceOf(container.Image)}
		r.run(s.image, func(c *Check, r *Reporter) { c.Image(image, r) })
	}
	if len(r.findings)+len(r.skips) == 0 {
		return &clean
	}
	v := &verdict{findings: slices.Clone(r.findings), skips: slices.Clone(r.skips)}
	r.reset()
	return v
}

// readable tells what cannot be read.
type readable interface {
	// Missing returns the first of those resources that is unavailable, or nil.
	Missing(resources ...Resource) *Unavailable
}

// runIn runs checks that need more than their subject, and skips those whose needs are not met.
func (s *Set) runIn(in readable, checks []*Check, call func(*Check, *Reporter)) *Reporter {
	r := Reporter{settings: &s.settings}
	r.runIn(in, checks, call)
	return &r
}

// runIn does it with a reporter that is at work already.
func (r *Reporter) runIn(in readable, checks []*Check, call func(*Check, *Reporter)) {
	r.run(checks, func(c *Check, r *Reporter) {
		if u := in.Missing(c.Needs...); u != nil {
			r.SkipUnavailable(u)
		} else {
			call(c, r)
		}
	})
}

// verdict is what a number of checks said of one thing.
type verdict struct {
	findings []Finding
	skips    []Skip
	exempted []Exempted
	uses     []Use
}

// exempt takes out the findings that exceptions exempt.
func (v *verdict) exempt(s *Set, inForce []*ExceptionRecord, c *candidate) {
	if len(v.findings) > 0 {
		v.findings, v.exempted, v.uses = exempt(v.findings, s.exceptionsFor(inForce, c), &s.settings.Exceptions)
	}
}

// result sorts a verdict of that many checks out. A check with findings counts as failed, whatever it had to skip; one that
// skipped anything has not passed, nor has one with findings that are exempted.
func (v *verdict) result(subject Subject, report string, checks int) Result {
	r := Result{Subject: subject, Report: report, Findings: v.findings, Exempted: v.exempted, Uses: v.uses, Passed: checks}
	if len(v.findings)+len(v.skips)+len(v.exempted) == 0 {
		return r
	}
	slices.SortFunc(r.Findings, compareFindings)
	slices.SortFunc(r.Exempted, func(a, b Exempted) int { return compareFindings(a.Finding, b.Finding) })
	done := make(map[string]bool)
	for _, f := range r.Findings {
		done[f.Check] = true
	}
	slices.SortFunc(v.skips, compareSkips)
	for _, skip := range v.skips {
		if !done[skip.Check] {
			done[skip.Check] = true
			r.Skips = append(r.Skips, skip)
		}
	}
	for i := range r.Exempted {
		done[r.Exempted[i].Check] = true
	}
	r.Passed -= len(done)
	return r
}

func compareSkips(a, b Skip) int {
	return cmp.Or(cmp.Compare(a.Check, b.Check), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
}

// merger makes one verdict of those on a workload's template and Pods.
type merger struct {
	verdict
	prefix string
	// at is where in the findings a key is.
	at map[Key]int
	// ofTemplate is how many of the findings come from the template.
	ofTemplate int
}

func (m *merger) merge(v *verdict, seenIn v1alpha1.SeenIn) {
	m.skips = append(m.skips, v.skips...)
	if m.at == nil && len(v.findings) > 0 {
		m.at = make(map[Key]int)
	}
	for _, f := range v.findings {
		f.Path = m.prefix + f.Path
		i, known := m.at[f.Key()]
		switch {
		case !known:
			m.at[f.Key()] = len(m.findings)
			f.SeenIn = seenIn
			m.findings = append(m.findings, f)
		case m.findings[i].SeenIn != seenIn:
			m.findings[i].SeenIn = ""
			fallthrough
		default:
			// Of a template and Pods of several generations, the worst counts; of equals the template's, or a rollout that
			// changes no verdict would change the report twice.
			worse := Rank(f.Severity) > Rank(m.findings[i].Severity)
			if worse || i >= m.ofTemplate && compareFindings(f, m.findings[i]) < 0 {
				f.SeenIn = m.findings[i].SeenIn
				m.findings[i] = f
			}
		}
	}
}
