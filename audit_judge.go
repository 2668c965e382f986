// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/compliance"
	"github.com/kubersafe/kubersafe/internal/configuration"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/manifest"
	"github.com/kubersafe/kubersafe/internal/output"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/source"
)

// judge judges namespaces by one configuration at one moment, and keeps what comes of it.
type judge struct {
	builtin []audit.Check
	now     time.Time

	configuration *configuration.Configuration
	// wrong is how many errors the input has.
	wrong   int
	reports []*v1alpha1.SecurityReport
	book    *ledger.Ledger
	// limits of exceptions, by namespace.
	limits map[string]*audit.ExceptionLimits
	// passed are the ids of the checks that have passed on the subject of a report.
	passed map[*v1alpha1.SecurityReport]func() []string

	// of says what is judged, and sources what of it can be read. A part does not tell whether the whole complies with a standard.
	of      string
	sources []v1alpha1.SourceStatus
	part    bool
	// places of the objects; nil if they are not looked for.
	places *places
}

// newJudge returns a judge that goes by the built-in defaults until it is configured.
func newJudge(builtin []audit.Check) *judge {
	return &judge{
		builtin: builtin, now: time.Now(), configuration: configuration.New(builtin, nil, nil),
		book: ledger.New(), limits: make(map[string]*audit.ExceptionLimits), passed: make(map[*v1alpha1.SecurityReport]func() []string),
	}
}

// configure makes the judge go by an AuditConfiguration, and returns what is ignored of it.
func (j *judge) configure(spec *v1alpha1.AuditConfigurationSpec) []configuration.Problem {
	j.configuration = configuration.New(j.builtin, spec, nil)
	return j.configuration.Problems
}

// readConfiguration reads the AuditConfiguration in a file. What its kind does not have is an error.
func readConfiguration(path string) (*v1alpha1.AuditConfiguration, error) {
	text, err := os.ReadFile(path) //nolint:gosec // reading what is named is its purpose
	if err != nil {
		return nil, err // it names the file
	}
	encoded, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var c v1alpha1.AuditConfiguration
	unknown, err := kjson.UnmarshalStrict(encoded, &c)
	if err := errors.Join(append(unknown, err)...); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if want := v1alpha1.GroupVersion.String(); c.APIVersion != want || c.Kind != "AuditConfiguration" {
		return nil, fmt.Errorf("%s: must be one AuditConfiguration of %s", path, want)
	}
	if c.Name != v1alpha1.AuditConfigurationName {
		return nil, fmt.Errorf("%s: metadata.name: %q must be %q: no other takes effect in a cluster", path, c.Name, v1alpha1.AuditConfigurationName)
	}
	return &c, nil
}

// manifests judges the objects of manifests, which are given up, and nothing else that was judged before. It returns the
// exceptions among them.
func (j *judge) manifests(objects *manifest.Objects) ([]*audit.ExceptionRecord, error) {
	j.reports, j.book, j.limits = nil, ledger.New(), make(map[string]*audit.ExceptionLimits)
	clear(j.passed)
	static := source.NewStatic()
	// Without any node nobody knows what nodes there are; without any quota, say, there is none.
	unshown := map[audit.Resource]*audit.Unavailable{audit.Nodes: {
		Resource: audit.Nodes, Reason: v1alpha1.SkipDataMissing, Message: "no manifest describes a node",
	}}
	for _, o := range objects.All {
		if _, ok := o.(*corev1.Node); ok {
			delete(unshown, audit.Nodes)
		}
		if err := static.Add(o); err != nil {
			return nil, err
		}
	}
	for _, inventory := range static.Inventories() {
		inventory.FromManifests = true
		maps.Copy(inventory.Unavailable, unshown)
		j.judge(*inventory)
	}
	j.judgeCluster(static.Cluster())
	return static.Exceptions(), nil
}

// judgeCluster makes the reports of what belongs to no namespace. What manifests say nothing of has none.
func (j *judge) judgeCluster(inventory audit.ClusterInventory) {
	inventory.Namespaces = slices.DeleteFunc(inventory.Namespaces, func(n *audit.NamespaceRecord) bool {
		return n.Terminating || j.configuration.Excludes(n.Name, n.Labels)
	})
	set, c := j.configuration.SetForCluster(), audit.NewCluster(inventory, j.now)
	absent := map[string]bool{
		audit.KindControlPlane: c.FromManifests && len(c.Components) == 0,
		audit.KindAdmission:    c.FromManifests && len(c.Validating)+len(c.Mutating)+len(c.Policies)+len(c.Bindings) == 0,
	}
	entries := make(ledger.Entries)
	for _, v := range ledger.JudgeCluster(set, c, ledger.Previous{}, nil, j.now) {
		if absent[v.Kind] {
			continue
		}
		entries[v.Report] = v.Entry
		if v.Build != nil {
			r := withoutNamespace(v.Build())
			j.reports = append(j.reports, r)
			j.passed[r] = func() []string { return passed(set, v.Entry) }
		}
	}
	j.book.Put("", set, entries)
}

// judge makes the reports of one namespace.
func (j *judge) judge(inventory audit.Inventory) {
	labels := inventory.Namespace.GetLabels()
	set := j.configuration.SetFor(inventory.Name, labels)
	j.limits[inventory.Name] = &set.Settings().Exceptions
	entries := make(ledger.Entries)
	for _, v := range ledger.Judge(set, audit.Fold(inventory, j.now), ledger.Previous{}, j.now) {
		r := v.Build()
		r.Namespace = report.CleanName(r.Namespace) // in a manifest it is any text
		j.reports = append(j.reports, r)
		j.passed[r] = func() []string { return passed(set, v.Entry) }
		entries[v.Report] = v.Entry
	}
	j.book.Put(inventory.Name, set, entries)
}

// passed returns the ids of the checks that looked at a subject and found nothing, sorted.
func passed(set *audit.Set, e *ledger.Entry) []string {
	failed := make(map[string]bool)
	for _, tally := range []report.Tally{e.Findings, e.ExemptedFindings()} {
		for _, c := range tally {
			failed[c.Check] = true
		}
	}
	for _, s := range e.Skips {
		failed[s.Check] = true
	}
	var ids []string
	for _, c := range set.RunOn(e.Kind) {
		if !failed[c.ID] {
			ids = append(ids, c.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// audit returns what was judged, for printing.
func (j *judge) audit() *output.Audit {
	everywhere := j.configuration.SetForCluster()
	a := &output.Audit{
		Reports: j.sorted(), Of: j.of, Version: version,
		Check: func(id string) *audit.Check { // graded as for all namespaces, or as it is by default where it is on for some alone
			return cmp.Or(everywhere.Check(id), j.configuration.Check(id))
		},
		Passed: func(r *v1alpha1.SecurityReport) ([]string, bool) {
			ids := j.passed[r]()
			return ids, len(ids) == int(r.Summary.Passed)
		},
	}
	if !j.part {
		a.Compliance = compliance.Assess(j.configuration.Checks(), j.book.Totals().Evidence, j.sources)
	}
	if j.places != nil {
		a.Place = j.places.of
	}
	return a
}

// tellExceptions tells of exceptions that exempt nothing, or not all that they are about.
func (j *judge) tellExceptions(exceptions []*audit.ExceptionRecord, stderr io.Writer) {
	in := make(map[string][]*audit.ExceptionRecord)
	for _, e := range exceptions {
		in[e.Namespace] = append(in[e.Namespace], e)
	}
	for _, namespace := range slices.Sorted(maps.Keys(in)) {
		kind, limits := "ClusterSecurityException ", &j.configuration.Settings().Exceptions
		if namespace != "" {
			kind, limits = "SecurityException ", j.limits[namespace]
		}
		if limits == nil { // there is nothing in it to be judged
			limits = &j.configuration.SetFor(namespace, nil).Settings().Exceptions
		}
		for i, s := range ledger.StatesOf(in[namespace], limits, j.book.Uses(namespace), j.configuration.Check, j.now) {
			name := kind + strconv.Quote(strings.TrimPrefix(namespace+"/"+in[namespace][i].Name, "/"))
			switch {
			case s.Reason == v1alpha1.ReasonMatched && s.Message == "":
			case s.Message == "":
				fmt.Fprintf(stderr, "Warning: %s: %s\n", name, s.Reason)
			default:
				fmt.Fprintf(stderr, "Warning: %s: %s: %s\n", name, s.Reason, s.Message)
			}
		}
	}
}

// sorted returns the reports as an API server lists them.
func (j *judge) sorted() []*v1alpha1.SecurityReport {
	slices.SortFunc(j.reports, func(a, b *v1alpha1.SecurityReport) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return j.reports
}
