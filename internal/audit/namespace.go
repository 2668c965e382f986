// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"iter"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/netpol"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Inventory is what is known of one namespace, as read from the API server or from manifests.
type Inventory struct {
	Surroundings
	// Namespace is nil where the object itself has not been seen.
	Namespace       *NamespaceRecord
	Pods            []*PodRecord
	Controllers     []*ControllerRecord
	Quotas          []*QuotaRecord
	NetworkPolicies []*NetworkPolicyRecord
	// ClusterPolicies are those that concern the namespace, in no order.
	ClusterPolicies []*ClusterPolicyRecord
	// CNI is the network of the cluster.
	CNI netpol.CNI
	// Nodes is what the nodes tell of it.
	Nodes Infrastructure
	// PodNodes are the nodes by name: those at least that Pods of the namespace are on.
	PodNodes map[string]*NodeRecord
	// Images are what the nodes tell of images: of those at least that Pods of the namespace run.
	Images map[ImageKey]ImageFacts
	// ImageReports are what is known of what is in images, by all keys of those at least that Pods and templates of the namespace
	// name, each list sorted by the records' names.
	ImageReports map[ImageKey][]*ImageRecord
	// NewestMatched is of when the newest change is in the newest database that any image of the cluster was matched against.
	NewestMatched Moment
	Services      []*ServiceRecord
	Ingresses     []*IngressRecord
	Gateways      []*GatewayRecord
	HTTPRoutes    []*HTTPRouteRecord
	// Roles and RoleBindings, sorted by name, where all PowerResources can be read.
	Roles        []*rbac.RoleView
	RoleBindings []*rbac.BindingView
	// ServerVersion is the API server's, such as "v1.37"; "" if it is not known, as with manifests.
	ServerVersion string
	// Unavailable resources, by name. What they would hold is unknown, not empty.
	Unavailable map[Resource]*Unavailable
	// Exceptions are those of the namespace and of the cluster, in no order.
	Exceptions []*ExceptionRecord
	// Gone returns when the object that a reference names was deleted, if that is not long ago. It may be nil.
	Gone func(Owner) (time.Time, bool)
}

// Surroundings are what is around the Pods of a namespace and decides over them.
type Surroundings struct {
	// Name of the namespace.
	Name string
	// FromManifests says that manifests are all that is known: nothing shows what a cluster makes of them, or what else it has.
	FromManifests   bool
	LimitRanges     []*LimitRangeRecord
	ServiceAccounts []*ServiceAccountRecord
	// Powers of its ServiceAccounts, where all PowerResources can be read.
	Powers Powers
}

// Namespace is what checks see of a namespace: its inventory, with Pods folded into workloads.
type Namespace struct {
	Inventory
	// Workloads, sorted by report name.
	Workloads []*Workload
	// Selectable are the Pods and templates that selectors choose among.
	Selectable []Selectable
	// Network is what network policies make of it.
	Network Network
	// Standing returns the severity at which a finding about the namespace stands in the previous report, or "". Checks
	// that must not flap use it. It may be nil.
	Standing func(Key) v1alpha1.Severity
	// Policies are the NetworkPolicies, decoded.
	Policies []*netpol.Policy
	// Recheck is when the evaluation would come out differently without any event, or zero.
	Recheck time.Time

	// inForce are the exceptions that hold here at the time of the evaluation, as far as the settings let them.
	inForce []*ExceptionRecord
	// doors are the ways into its Pods from outside of the cluster, the widest first.
	doors []door
	// around stands for the Surroundings and for what is Unavailable.
	around uint64
	// now is when it is evaluated.
	now time.Time
}

// Workload is a subject that makes Pods, with its template and its live Pods.
type Workload struct {
	Subject
	// Template is nil where the subject has none or its kind is not read.
	Template     *Shape
	TemplateHash string
	// TemplateLabels are the labels of Pods to come.
	TemplateLabels *Labels
	// Owned are the templates of active ReplicaSets and Jobs that it controls. Mostly they are its own template, as it is or
	// was; but anybody who may create them can say that they belong to it.
	Owned []*ControllerRecord
	// Pods are the live ones.
	Pods []*PodRecord
	// Static says that it is a static Pod.
	Static  bool
	Rollout Rollout
	// Created is set for subjects that may end by themselves soon after they began: bare Pods and Jobs.
	Created time.Time

	reportName string
}

// podLabels returns the labels of its Pods: of its template, and of those that live.
func (w *Workload) podLabels() iter.Seq[*Labels] {
	return func(yield func(*Labels) bool) {
		if w.Template != nil && !yield(w.TemplateLabels) {
			return
		}
		for _, p := range w.Pods {
			if !yield(p.Labels) {
				return
			}
		}
	}
}

// candidate returns the workload as exceptions see it. Where it has a template, that one's labels count.
func (w *Workload) candidate() *candidate {
	c := &candidate{kind: w.Kind, name: w.Name}
	if w.KindLabel() == KindOther {
		c.kind += "." + w.groupKind().Group
	}
	for l := range w.podLabels() {
		c.labels = append(c.labels, l)
		if w.Template != nil {
			break
		}
	}
	return c
}

// candidate returns the namespace as exceptions see it.
func (n *Namespace) candidate() *candidate {
	c := &candidate{kind: KindNamespace, name: n.Name, objects: true}
	if n.Namespace != nil {
		c.labels = []labels.Labels{labels.Set(n.Namespace.Labels)}
	}
	return c
}

// recheckAt notes that the evaluation comes out differently at a time without any event.
func (n *Namespace) recheckAt(at time.Time) {
	if n.Recheck.IsZero() || at.Before(n.Recheck) {
		n.Recheck = at
	}
}

// ReportName returns the name of the workload's report.
func (w *Workload) ReportName() string { return w.reportName }

// StandingSeverity returns the severity at which a finding of the running check stands already, or "".
func (n *Namespace) StandingSeverity(r *Reporter, f Finding) v1alpha1.Severity {
	if n.Standing == nil || r.check.Regraded { // of which the severity says nothing
		return ""
	}
	f.Check = r.check.ID
	return n.Standing(f.Key())
}

// Missing returns the first of those resources that is unavailable, or nil.
func (i *Inventory) Missing(resources ...Resource) *Unavailable {
	for _, r := range resources {
		if u := i.Unavailable[r]; u != nil {
			return u
		}
	}
	return nil
}

// MissingWorkloads returns the first of the resources that make workloads that is unavailable, or nil.
func (i *Inventory) MissingWorkloads() *Unavailable { return i.Missing(workloadResources...) }

// Subject returns the namespace as the subject of its own report.
func (i *Inventory) Subject() Subject {
	s := Subject{APIVersion: "v1", Kind: KindNamespace, Name: i.Name}
	if i.Namespace != nil {
		s.UID = i.Namespace.UID
	}
	return s
}
