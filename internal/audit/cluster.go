// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// ClusterInventory is what is known of what belongs to no namespace, as read from the API server or from manifests. Its lists
// are in no order.
type ClusterInventory struct {
	// ServerVersion is the API server's, such as "v1.37.2"; "" if it is not known, as with manifests.
	ServerVersion string
	Nodes         []*NodeRecord
	// ControlPlane are the static Pods of SystemNamespace or, of manifests, all its Pods. Others there are ignored.
	ControlPlane []*PodRecord
	// Endpoints are where the API server is reached.
	Endpoints []*EndpointRecord
	// Namespaces that are judged.
	Namespaces []*NamespaceRecord
	// Validating and Mutating are the webhooks that the API server asks.
	Validating, Mutating []*WebhookRecord
	Policies             []*AdmissionPolicyRecord
	Bindings             []*AdmissionBindingRecord
	// Kubernetes are the ImageReports on versions of Kubernetes.
	Kubernetes []*ImageRecord
	// Roles and RoleBindings are ClusterRoles and ClusterRoleBindings, where all PowerResources can be read. There may be many, so
	// they are not sorted.
	Roles        []*rbac.RoleView
	RoleBindings []*rbac.BindingView
	// Unseen says what cannot be read that ways to cluster-admin may lead over; nil if nothing.
	Unseen *Unavailable
	// UIDOf returns the UID of one of them, or "" if it is not there any more. It may be nil.
	UIDOf func(kind, name string) UID
	// Exceptions are those of the cluster.
	Exceptions []*ExceptionRecord
	// FromManifests says that manifests are all that is known: what they lack, a cluster may have.
	FromManifests bool
	// Unavailable resources, by name. What they would hold is unknown, not empty.
	Unavailable map[Resource]*Unavailable
}

// SystemNamespace is where the Pods of the control plane are.
const SystemNamespace = "kube-system"

// Missing returns the first of those resources that is unavailable, or nil.
func (i *ClusterInventory) Missing(resources ...Resource) *Unavailable {
	for _, r := range resources {
		if u := i.Unavailable[r]; u != nil {
			return u
		}
	}
	return nil
}

// Cluster is what checks see of the cluster: its inventory, sorted by name, with what it means.
type Cluster struct {
	ClusterInventory
	// Today is the day of the evaluation, at midnight UTC.
	Today time.Time
	// Components are the programs of the control plane that are seen, by program and Pod.
	Components []Component
	// Denying are the policies that may deny Pods.
	Denying []DenyingPolicy
	// OpenShift: nodes run builds of CRI-O that are made for it. InCloud: a node's provider may have load balancers.
	OpenShift, InCloud bool
	// Recheck is when the evaluation may come out differently without any event: the next day at the latest.
	Recheck time.Time

	inForce []*ExceptionRecord
	// reports on versions of Kubernetes, by name.
	reports map[string]*KubernetesReport
}

// KubernetesReport is what is known of a version of Kubernetes.
type KubernetesReport struct {
	Record *ImageRecord
	Report *v1alpha1.ImageReport
}

// Node is what checks see of a node.
type Node struct {
	*NodeRecord
	Cluster *Cluster
}

// EndpointRecord is what is kept of an EndpointSlice of the API server.
type EndpointRecord struct {
	Object
	// Addresses, sorted.
	Addresses []string
}

// Equal says whether nothing that is audited differs.
func (e *EndpointRecord) Equal(f *EndpointRecord) bool {
	return e.UID == f.UID && slices.Equal(e.Addresses, f.Addresses)
}

// NewCluster makes the cluster that checks see at a time.
func NewCluster(inventory ClusterInventory, now time.Time) *Cluster {
	const day = 24 * time.Hour
	c := &Cluster{ClusterInventory: inventory, Today: now.UTC().Truncate(day)}
	c.Recheck = c.Today.Add(day)
	c.Nodes, c.ControlPlane, c.Endpoints = byName(c.Nodes), byName(c.ControlPlane), byName(c.Endpoints)
	c.Namespaces, c.Validating, c.Mutating = byName(c.Namespaces), byName(c.Validating), byName(c.Mutating)
	c.Policies, c.Bindings = byName(c.Policies), byName(c.Bindings)
	c.Denying = denying(c.Policies, c.Bindings)
	c.reports = make(map[string]*KubernetesReport, len(c.Kubernetes))
	for _, r := range c.Kubernetes {
		c.reports[r.Name] = &KubernetesReport{r, r.Report()}
	}
	for _, n := range c.Nodes {
		c.OpenShift = c.OpenShift || strings.Contains(n.Runtime, "rhaos")
		c.InCloud = c.InCloud || !hasNoCloud[n.Provider]
	}
	for _, p := range c.ControlPlane {
		if !p.Finished && (c.FromManifests || p.Static()) {
			c.Components = append(c.Components, componentsOf(p)...)
		}
	}
	slices.SortStableFunc(c.Components, func(a, b Component) int {
		return cmp.Or(cmp.Compare(a.Program, b.Program), cmp.Compare(a.Pod, b.Pod))
	})
	c.inForce = inForce(c.Exceptions, now, func(e *ExceptionRecord) bool { return e.Cluster() && e.everywhere }, func(at time.Time) {
		if at.Before(c.Recheck) {
			c.Recheck = at
		}
	})
	return c
}

// hasNoCloud are the providers of nodes that have no load balancers.
var hasNoCloud = map[string]bool{"": true, "k3s": true, "kind": true, "rke2": true}

func byName[R interface{ Identity() *Object }](records []R) []R {
	records = slices.Clone(records)
	slices.SortFunc(records, func(a, b R) int { return cmp.Compare(a.Identity().Name, b.Identity().Name) })
	return records
}

// KubernetesReport returns what is known of the version of Kubernetes that a program has, or is made from; nil if there is no report.
func (c *Cluster) KubernetesReport(version string) *KubernetesReport {
	return c.reports[v1alpha1.KubernetesReportName(version)]
}

// Programs returns the components of one program.
func (c *Cluster) Programs(program string) []Component {
	start, _ := slices.BinarySearchFunc(c.Components, program, func(k Component, program string) int { return cmp.Compare(k.Program, program) })
	end := start
	for end < len(c.Components) && c.Components[end].Program == program {
		end++
	}
	return c.Components[start:end]
}

// Names of the reports on what the cluster has just one of.
const (
	reportControlPlane = "control-plane"
	reportAdmission    = "admission"
)

// EvaluateCluster judges what belongs to no namespace: the control plane, admission, and each node. The same cluster gives
// the same results in the same order. Another sort of subjects is one more function here. ClusterRoles and ClusterRoleBindings
// are judged one by one, for there are too many to judge all at each change: see EvaluateClusterRole.
func (s *Set) EvaluateCluster(c *Cluster) []Result {
	plane, nodes := s.evaluateControlPlane(c), s.evaluateNodes(c)
	plane.Skips = append(plane.Skips, s.takeSkips(c, nodes)...)
	slices.SortFunc(plane.Skips, compareSkips)
	results := make([]Result, 0, len(nodes)+2)
	results = append(results, plane, s.evaluateAdmission(c))
	return append(results, nodes...)
}

// takeSkips takes away why checks could not look at nodes that have no report, and returns one for each check and reason: nobody
// would see them there, and how many nodes it are is nothing that a report says.
func (s *Set) takeSkips(c *Cluster, nodes []Result) []Skip {
	var skips []Skip
	if u := c.Missing(Nodes); u != nil {
		for _, check := range s.node {
			skips = append(skips, Skip{Check: check.ID, Reason: u.Reason, Message: u.Message})
		}
	}
	for i := range nodes {
		if nodes[i].HasReport() {
			continue
		}
		for _, skip := range nodes[i].Skips {
			skip.Message = "on some nodes: " + skip.Message
			skips = append(skips, skip)
		}
		nodes[i].Skips = nil
	}
	slices.SortFunc(skips, compareSkips)
	return slices.CompactFunc(skips, func(a, b Skip) bool { return a.Check == b.Check && a.Reason == b.Reason })
}

func (s *Set) evaluateControlPlane(c *Cluster) Result {
	subject := Subject{APIVersion: v1alpha1.GroupVersion.String(), Kind: KindControlPlane, Name: reportControlPlane}
	return s.evaluateIn(c, subject, reportControlPlane, s.controlPlane, func(k *Check, r *Reporter) { k.ControlPlane(c, r) })
}

func (s *Set) evaluateAdmission(c *Cluster) Result {
	subject := Subject{APIVersion: v1alpha1.GroupVersion.String(), Kind: KindAdmission, Name: reportAdmission}
	return s.evaluateIn(c, subject, reportAdmission, s.admission, func(k *Check, r *Reporter) { k.Admission(c, r) })
}

func (s *Set) evaluateNodes(c *Cluster) []Result {
	if c.Missing(Nodes) != nil {
		return nil
	}
	results := make([]Result, 0, len(c.Nodes))
	for _, record := range c.Nodes {
		node := &Node{NodeRecord: record, Cluster: c}
		subject := Subject{APIVersion: "v1", Kind: KindNode, Name: record.Name, UID: record.UID}
		results = append(results, s.evaluateIn(c, subject, subject.ReportName(), s.node, func(k *Check, r *Reporter) { k.Node(node, r) }))
	}
	return results
}

// evaluateIn judges one subject of the cluster.
func (s *Set) evaluateIn(c *Cluster, subject Subject, report string, checks []*Check, call func(*Check, *Reporter)) Result {
	return s.resultIn(c, s.runIn(c, checks, call), subject, report, len(checks))
}

// resultIn sorts out what a number of checks have said of one subject of the cluster.
func (s *Set) resultIn(c *Cluster, r *Reporter, subject Subject, report string, checks int) Result {
	v := verdict{findings: r.findings, skips: r.skips}
	v.exempt(s, c.inForce, &candidate{kind: subject.Kind, name: subject.Name, objects: true})
	return v.result(subject, report, checks)
}

// HasReport says whether the subject has a report. Of what a cluster may have by the thousand, only what is found has one.
func (r *Result) HasReport() bool {
	return r.Kind == KindControlPlane || r.Kind == KindAdmission || len(r.Findings)+len(r.Exempted) > 0
}
