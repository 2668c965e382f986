// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"k8s.io/utils/lru"
)

// Set is a validated set of checks, the same for one whole evaluation. A shape's verdict is kept per Set.
type Set struct {
	settings  Settings
	checks    []Check
	byID      map[string]*Check
	pod       []*Check
	image     []*Check
	placed    []*Check
	labelled  []*Check
	running   []*Check
	connected []*Check
	scanned   []*Check
	exposed   []*Check
	namespace []*Check
	// node, controlPlane and admission are run on what belongs to no namespace.
	node, controlPlane, admission []*Check
	// role and binding are run on those of namespaces and of the cluster; access are all of these.
	role, binding, access []*Check
	// inNamespace are those that are run on a namespace and what is in it.
	inNamespace []*Check
	// workload are those that are run on workloads.
	workload []*Check
	// verdicts on shapes, by shape. Two workers may come to the same one at once; they come to the same.
	verdicts *lru.Cache
}

// keptVerdicts is how many verdicts on shapes a Set keeps. A shape is needed again while a rollout replaces it, and whenever
// anything else changes that its workload depends on; to judge it anew takes some microseconds, to keep all of them megabytes.
const keptVerdicts = 1024

// keptFindings is how many findings a verdict has at most that is kept. Templates of dozens of containers have more, and a thousand
// of those are not to take all the memory there is.
const keptFindings = 128

// NewSet returns a set of checks that runs with the default settings; see NewSetWith.
func NewSet(checks []Check) (*Set, error) { return NewSetWith(checks, DefaultSettings()) }

// NewSetWith validates checks and sorts them by id. Those that are off are known to the set, and never run. The error names
// every check that is not complete.
func NewSetWith(checks []Check, settings Settings) (*Set, error) {
	s := &Set{
		settings: settings, checks: slices.Clone(checks), byID: make(map[string]*Check, len(checks)), verdicts: lru.New(keptVerdicts),
	}
	slices.SortFunc(s.checks, func(a, b Check) int { return cmp.Compare(a.ID, b.ID) })
	var errs []error
	for i := range s.checks {
		c := &s.checks[i]
		if err := c.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("check %q: %w", c.ID, err))
		}
		if s.byID[c.ID] != nil {
			errs = append(errs, fmt.Errorf("check %q: registered twice", c.ID))
		}
		s.byID[c.ID] = c
		if s.Runs(c) {
			s.run(c)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.workload = slices.Concat(s.pod, s.image, s.placed, s.labelled, s.running, s.connected, s.scanned, s.exposed)
	s.inNamespace = slices.Concat(s.namespace, s.access)
	return s, nil
}

// Runs says whether a check of the set is run.
func (s *Set) Runs(c *Check) bool { return !c.Off && (c.Applies == nil || c.Applies(&s.settings)) }

// run puts a check among those that are run.
func (s *Set) run(c *Check) {
	for _, sort := range []struct {
		judged bool
		among  *[]*Check
	}{
		{c.Pod != nil, &s.pod},
		{c.Image != nil, &s.image},
		{c.Placed != nil && !c.Labelled, &s.placed},
		{c.Placed != nil && c.Labelled, &s.labelled},
		{c.Running != nil, &s.running},
		{c.Connected != nil, &s.connected},
		{c.Scanned != nil, &s.scanned},
		{c.Exposed != nil, &s.exposed},
		{c.Namespace != nil, &s.namespace},
		{c.Node != nil, &s.node},
		{c.ControlPlane != nil, &s.controlPlane},
		{c.Admission != nil, &s.admission},
		{c.Role != nil, &s.role},
		{c.Binding != nil, &s.binding},
		{c.judgesAccess(), &s.access},
	} {
		if sort.judged {
			*sort.among = append(*sort.among, c)
		}
	}
}

// RunOn returns the checks that are run on the subjects of a kind. They must not be changed.
func (s *Set) RunOn(kind string) []*Check {
	switch SortOf(kind) { //nolint:exhaustive // all others are workloads
	case SortNamespace:
		return s.inNamespace
	case SortClusterRole:
		return s.role
	case SortClusterRoleBinding:
		return s.binding
	case SortNode:
		return s.node
	case SortControlPlane:
		return s.controlPlane
	case SortAdmission:
		return s.admission
	}
	return s.workload
}

// Settings returns how namespaces are judged by the set. They must not be changed.
func (s *Set) Settings() *Settings { return &s.settings }

// Checks returns the checks, those that are off among them, sorted by id. They must not be changed.
func (s *Set) Checks() []Check { return s.checks }

// Check returns the check of that id, or nil.
func (s *Set) Check(id string) *Check { return s.byID[id] }
