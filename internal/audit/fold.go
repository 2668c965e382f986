// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"slices"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// How long an owner reference that leads nowhere is given the benefit of the doubt. Each kind comes over a watch of its
// own, so a new Pod may be seen before its ReplicaSet; and what a deleted workload leaves behind goes in steps, its Pods
// last, after 30 seconds of grace unless they ask for more.
const (
	arrivalGrace   = 10 * time.Second
	departureGrace = 60 * time.Second
)

// parents says which kinds that are read may control what, by rights. Any other reference to a kind that is read is
// forged: no controller of Kubernetes writes it.
var parents = map[string][]string{
	"Pod":        {"ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job", "Deployment", "CronJob"},
	"ReplicaSet": {"Deployment"},
	"Job":        {"CronJob"},
}

// notOwners are kinds that control no Pods, whatever an owner reference says.
var notOwners = map[schema.GroupKind]bool{
	{Kind: "Node"}:      true, // a static Pod is its own subject
	{Kind: "Namespace"}: true, {Kind: "ResourceQuota"}: true, {Kind: "LimitRange"}: true, {Kind: "Service"}: true,
	{Kind: "ServiceAccount"}: true, {Group: "networking.k8s.io", Kind: "NetworkPolicy"}: true,
	{Group: "policy.networking.k8s.io", Kind: "ClusterNetworkPolicy"}: true,
	// What the cluster and its parts are called as subjects.
	{Group: v1alpha1.GroupVersion.Group, Kind: KindCluster}: true, {Group: v1alpha1.GroupVersion.Group, Kind: KindControlPlane}: true,
	{Group: v1alpha1.GroupVersion.Group, Kind: KindAdmission}: true,
	// What is judged of access.
	{Group: rbacv1.GroupName, Kind: rbac.KindRole}: true, {Group: rbacv1.GroupName, Kind: rbac.KindRoleBinding}: true,
	{Group: rbacv1.GroupName, Kind: KindClusterRole}: true, {Group: rbacv1.GroupName, Kind: KindClusterRoleBinding}: true,
	// What is judged of how traffic comes in.
	{Group: "networking.k8s.io", Kind: "Ingress"}: true, {Group: "gateway.networking.k8s.io", Kind: "Gateway"}: true,
	{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"}: true,
}

// Folds says whether the object that an object of that kind names as its controller would take its place as a subject. If
// not, its own Pod template counts.
func Folds(kind string, owner *Owner) bool {
	if owner == nil {
		return false
	}
	gk := Subject{APIVersion: owner.APIVersion, Kind: owner.Kind}.groupKind()
	_, read := workloadKinds[gk]
	switch {
	case notOwners[gk] || parents[kind] == nil:
		return false
	case read:
		return slices.Contains(parents[kind], gk.Kind)
	}
	return true
}

var kindResources = map[string]Resource{
	"Deployment": Deployments, "ReplicaSet": ReplicaSets, "StatefulSet": StatefulSets, "DaemonSet": DaemonSets,
	"Job": Jobs, "CronJob": CronJobs, "ReplicationController": ReplicationControllers,
}

// Fold makes the namespace that checks see: every live Pod is in exactly one workload, that of its topmost controller.
// References to kinds that are read count only if the object is there with that UID.
func Fold(inventory Inventory, now time.Time) *Namespace {
	f := &folder{
		ns:          &Namespace{Inventory: inventory, around: inventory.hash(), now: now},
		now:         now,
		controllers: make(map[UID]*ControllerRecord, len(inventory.Controllers)),
		workloads:   make(map[string]*Workload, len(inventory.Controllers)),
		byOwner:     make(map[*Owner]*Workload),
	}
	for _, c := range inventory.Controllers {
		f.controllers[c.UID] = c
	}
	for _, c := range inventory.Controllers {
		f.foldController(c)
	}
	for _, p := range inventory.Pods {
		f.foldPod(p)
	}
	for _, w := range f.workloads {
		f.ns.Workloads = append(f.ns.Workloads, w)
	}
	slices.SortFunc(f.ns.Workloads, func(a, b *Workload) int { return cmp.Compare(a.reportName, b.reportName) })
	f.ns.hold(now)
	f.ns.Selectable = f.ns.selectable()
	f.ns.look()
	return f.ns
}

type folder struct {
	ns          *Namespace
	now         time.Time
	controllers map[UID]*ControllerRecord
	workloads   map[string]*Workload
	// byOwner are the workloads that Pods have been found to belong to, by their owners: replicas share one.
	byOwner map[*Owner]*Workload
}

func (f *folder) foldController(c *ControllerRecord) {
	if c.Shape == nil {
		return // no more than a link between Pods and what it names as its controller
	}
	subject, own, settled := f.resolve(c.Kind, c.Owner, c.Created, c.Reowned)
	switch {
	case !settled:
	case !own && c.Active:
		w := f.workload(subject)
		w.Owned = append(w.Owned, c)
	case own:
		subject = ownSubject(c.Kind, &c.Object)
		if w := f.workload(subject); w.Subject == subject {
			w.Template, w.TemplateHash, w.TemplateLabels = c.Shape, c.TemplateHash, c.Labels
			w.Rollout = c.Rollout
			if c.Kind == "Job" {
				w.Created = c.Created.Time()
			}
		}
	}
}

func (f *folder) foldPod(p *PodRecord) {
	w, own := f.workloadOf(p)
	if w == nil {
		return
	}
	w.Pods = append(w.Pods, p)
	for _, at := range recoveries(p.Running) {
		if at.After(f.now) {
			f.ns.recheckAt(at)
		}
	}
	if own {
		w.Static, w.Created = w.Static || p.Static(), p.Created.Time()
	}
}

// workloadOf returns the workload that a Pod belongs to, and whether it is the Pod's own; nil if none is to be judged for it.
func (f *folder) workloadOf(p *PodRecord) (w *Workload, own bool) {
	if w := f.byOwner[p.Owner]; w != nil && !p.Finished {
		return w, false
	}
	subject, own, settled := f.resolve("Pod", p.Owner, p.Created, p.Reowned)
	if !settled || p.Finished && (own || !f.ownedByJob(p)) {
		return nil, false
	}
	if own {
		return f.workload(ownSubject("Pod", &p.Object)), true
	}
	w = f.workload(subject)
	f.byOwner[p.Owner] = w
	return w, false
}

// ownedByJob says whether what the Pod did is still to be judged although it has ended.
func (f *folder) ownedByJob(p *PodRecord) bool {
	return p.Owner != nil && p.Owner.Kind == "Job" && Subject{APIVersion: p.Owner.APIVersion, Kind: "Job"}.KindLabel() == "Job"
}

// resolve follows an owner reference of an object of that kind to the topmost controller. own means that the object is
// its own subject. settled is false while that may only look so, because owners arrive late and leave early.
func (f *folder) resolve(kind string, owner *Owner, created Moment, reowned bool) (subject Subject, own, settled bool) {
	if !Folds(kind, owner) {
		return Subject{}, true, true
	}
	subject = Subject{APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name}
	gk := subject.groupKind()
	if _, read := workloadKinds[gk]; !read || f.ns.Unavailable[kindResources[gk.Kind]] != nil {
		// It cannot be verified, and better one report than one for each Pod.
		return subject, false, true
	}
	c := f.controllers[owner.UID]
	if c == nil || c.Kind != gk.Kind || c.Name != owner.Name {
		return Subject{}, true, reowned || f.settled(*owner, created.Time())
	}
	top, own, settled := f.resolve(c.Kind, c.Owner, c.Created, c.Reowned)
	if own {
		top = ownSubject(c.Kind, &c.Object)
	}
	return top, false, settled
}

// settled says whether a reference to nothing will stay one, and notes when to look again if that is not sure yet. It is not to be
// asked of what has named another controller before, or whoever may edit a Pod could make it look new again and again.
func (f *folder) settled(owner Owner, created time.Time) bool {
	until := created.Add(arrivalGrace)
	if gone, ok := f.gone(owner); ok {
		if left := gone.Add(departureGrace); left.After(until) {
			until = left
		}
	}
	if !until.After(f.now) {
		return true
	}
	f.ns.recheckAt(until)
	return false
}

func (f *folder) gone(owner Owner) (time.Time, bool) {
	if f.ns.Gone == nil {
		return time.Time{}, false
	}
	return f.ns.Gone(owner)
}

// workload returns the workload of that subject. Subjects whose reports have the same name are one: better two subjects
// in one report than one of them in none. It is named after the first of them, one that the audit has seen if there is any,
// whichever comes first.
func (f *folder) workload(s Subject) *Workload {
	name := s.ReportName()
	w := f.workloads[name]
	if w == nil {
		w = &Workload{Subject: s, reportName: name}
		f.workloads[name] = w
	} else if compareSubjects(s, w.Subject) < 0 {
		w.Subject = s
	}
	return w
}

func compareSubjects(a, b Subject) int {
	if seen := a.UID != ""; seen != (b.UID != "") {
		if seen {
			return -1
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(a.APIVersion, b.APIVersion), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
}

func ownSubject(kind string, o *Object) Subject {
	for gk, k := range workloadKinds {
		if gk.Kind == kind {
			return Subject{APIVersion: k.version, Kind: kind, Name: o.Name, UID: o.UID}
		}
	}
	return Subject{Kind: kind, Name: o.Name, UID: o.UID}
}
