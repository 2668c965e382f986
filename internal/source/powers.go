// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
	"github.com/kubersafe/kubersafe/internal/shard"
)

// powers know what ServiceAccounts may do. Roles and bindings go into the engine as they come. What follows from them is found
// out behind them, by one goroutine: many changes cost once. What is told of a namespace is what was found out last.
type powers struct {
	cluster *rbac.Cluster
	wake    chan struct{}

	mu sync.Mutex
	// of has those of the ServiceAccounts that bindings name, by namespace and name, and under "" those of all others.
	of map[string]map[string]rbac.Power
	// covers are the resources that could be read when it was found out last; nil before the first time.
	covers map[audit.Resource]bool
	// dirty are the namespaces whose ServiceAccounts, or what mounts their tokens, may have changed.
	dirty map[string]bool
	// fresh are whom bindings name that came since it was begun to find out; begun those of before, until it has been found out.
	fresh, begun map[rbac.Subject]bool
}

func newPowers() *powers {
	return &powers{
		cluster: rbac.NewCluster(false), wake: make(chan struct{}, 1),
		of: make(map[string]map[string]rbac.Power), dirty: make(map[string]bool), fresh: make(map[rbac.Subject]bool),
	}
}

func (p *powers) look() {
	select {
	case p.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

func (p *powers) ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.covers != nil
}

// waysOver are the resources besides audit.PowerResources that ways to cluster-admin lead over.
var waysOver = append([]audit.Resource{audit.Namespaces, audit.Nodes, audit.ServiceAccounts, audit.Pods}, mounting...)

// mounting are the resources that say which Pods are made, and so what mounts a token.
var mounting = []audit.Resource{
	audit.Deployments, audit.ReplicaSets, audit.StatefulSets, audit.DaemonSets, audit.Jobs, audit.CronJobs, audit.ReplicationControllers,
}

// add adds to an inventory what its ServiceAccounts may do. A resource that can be read only since that was found out has not been
// read yet, as far as that goes.
func (p *powers) add(i *audit.Inventory) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.await(i.Unavailable, audit.PowerResources...)
	if i.Missing(audit.PowerResources...) != nil {
		return
	}
	others, known := p.of[i.Name][""]
	i.Powers = audit.Powers{Named: maps.Clone(p.of[i.Name]), Others: others, OthersPending: !known, Pending: make(map[string]bool)}
	for _, pending := range []map[rbac.Subject]bool{p.fresh, p.begun} {
		for s := range pending {
			if _, named := i.Powers.Named[s.Name]; s.Namespace == i.Name && !named {
				i.Powers.Pending[s.Name] = true
			}
		}
	}
	i.Powers.Unseen = p.unseen(i.Unavailable)
}

// addToCluster adds to an inventory what its ClusterRoles and ClusterRoleBindings are judged by, as add does.
func (p *powers) addToCluster(i *audit.ClusterInventory) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.await(i.Unavailable, append([]audit.Resource{audit.ServiceAccounts}, audit.PowerResources...)...)
	if i.Missing(audit.PowerResources...) == nil {
		i.Roles, i.RoleBindings = p.cluster.Views()
		i.Unseen = p.unseen(i.Unavailable)
	}
}

// await makes resources unavailable that can be read only since it was found out what follows from them.
func (p *powers) await(missing map[audit.Resource]*audit.Unavailable, resources ...audit.Resource) {
	for _, r := range resources {
		if missing[r] == nil && !p.covers[r] {
			missing[r] = unavailable(r, v1alpha1.SourceSyncing)
		}
	}
}

// unseen returns what cannot be read that ways to cluster-admin may lead over; nil if nothing.
func (p *powers) unseen(missing map[audit.Resource]*audit.Unavailable) *audit.Unavailable {
	for _, r := range waysOver {
		if u := missing[r]; u != nil {
			return u
		}
		if !p.covers[r] {
			return unavailable(r, v1alpha1.SourceSyncing)
		}
	}
	return nil
}

// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=roles;clusterroles;rolebindings;clusterrolebindings,verbs=get;list;watch

// addRBAC adds roles and bindings to the sources. Every shard reads all of them: they decide over workloads everywhere.
func (s *Sources) addRBAC(client kubernetes.Interface) {
	c, api := s.powers.cluster, client.RbacV1().RESTClient()
	for _, k := range []struct {
		resource audit.Resource
		plural   string
		example  runtime.Object
	}{{audit.Roles, "roles", &rbacv1.Role{}}, {audit.ClusterRoles, "clusterroles", &rbacv1.ClusterRole{}}} {
		store := NewStore(roleRecord)
		s.roles[k.resource] = store
		store.stored = func(r *audit.RoleRecord) { c.SetRole(r.Role) }
		store.share = func(fresh, old *audit.RoleRecord) { fresh.Name, fresh.Role = old.Name, old.Role }
		store.removed = func(r *audit.RoleRecord) { c.DeleteRole(rbac.RoleKey{Namespace: r.Namespace, Name: r.Name}) }
		Add(s, shard.Shard{}, k.resource, api, k.plural, k.example, store)
		store.notify = func(string) { s.powers.look() }
	}
	for _, k := range []struct {
		resource audit.Resource
		plural   string
		example  runtime.Object
	}{{audit.RoleBindings, "rolebindings", &rbacv1.RoleBinding{}}, {audit.ClusterRoleBindings, "clusterrolebindings", &rbacv1.ClusterRoleBinding{}}} {
		store := NewStore(bindingRecord)
		s.bindings[k.resource] = store
		store.stored = func(b *audit.BindingRecord) {
			c.SetBinding(b.Binding)
			s.powers.note(b.Binding.Subjects)
		}
		store.share = func(fresh, old *audit.BindingRecord) { fresh.Name, fresh.Binding = old.Name, old.Binding }
		store.removed = func(b *audit.BindingRecord) { c.DeleteBinding(rbac.BindingKey{Namespace: b.Namespace, Name: b.Name}) }
		Add(s, shard.Shard{}, k.resource, api, k.plural, k.example, store)
		store.notify = func(string) { s.powers.look() }
	}
	s.namespaces.stored = func(n *audit.NamespaceRecord) { c.SetNamespace(n.Name, rbac.HostPathAllowed(n.Labels)) }
	s.namespaces.removed = func(n *audit.NamespaceRecord) { c.DeleteNamespace(n.Name) }
}

// uidOf returns the UID of a ClusterRole or ClusterRoleBinding, or "" if it is not there.
func (s *Sources) uidOf(kind, name string) audit.UID {
	if kind == rbac.KindClusterRole {
		if r, ok := s.roles[audit.ClusterRoles].Get("", name); ok {
			return r.UID
		}
	} else if b, ok := s.bindings[audit.ClusterRoleBindings].Get("", name); ok {
		return b.UID
	}
	return ""
}

// roleRecord keeps no labels of Roles but those that tell where they are from. By others ClusterRoles are aggregated.
func roleRecord(o runtime.Object) (*audit.RoleRecord, error) {
	var (
		r    *audit.RoleRecord
		role *rbac.Role
	)
	switch o := o.(type) {
	case *rbacv1.Role:
		r, role = &audit.RoleRecord{Object: audit.ObjectFrom(o)}, rbac.RoleFrom(o)
		role.Labels = rbac.Origin(role.Labels)
	case *rbacv1.ClusterRole:
		r, role = &audit.RoleRecord{Object: audit.ObjectFrom(o)}, rbac.ClusterRoleFrom(o)
	default:
		return nil, unexpected(o)
	}
	r.Role = role
	return r, nil
}

func bindingRecord(o runtime.Object) (*audit.BindingRecord, error) {
	var (
		r       *audit.BindingRecord
		binding *rbac.Binding
	)
	switch o := o.(type) {
	case *rbacv1.RoleBinding:
		r, binding = &audit.BindingRecord{Object: audit.ObjectFrom(o)}, rbac.BindingFrom(&o.ObjectMeta, o.RoleRef, o.Subjects)
	case *rbacv1.ClusterRoleBinding:
		r, binding = &audit.BindingRecord{Object: audit.ObjectFrom(o)}, rbac.BindingFrom(&o.ObjectMeta, o.RoleRef, o.Subjects)
	default:
		return nil, unexpected(o)
	}
	binding.Labels = rbac.Origin(binding.Labels)
	r.Binding = binding
	return r, nil
}

// noteAccounts notes a change that powers may depend on.
func (s *Sources) noteAccounts(e Event) {
	switch e.Resource { //nolint:exhaustive // the others tell nothing of ServiceAccounts
	case audit.Pods, audit.ServiceAccounts, audit.Deployments, audit.ReplicaSets, audit.StatefulSets, audit.DaemonSets, audit.Jobs, audit.CronJobs, audit.ReplicationControllers:
		if e.Namespace == "" {
			break
		}
		s.powers.mu.Lock()
		s.powers.dirty[e.Namespace] = true
		s.powers.mu.Unlock()
		s.powers.look()
		return
	case audit.Namespaces:
		s.powers.look()
		return
	}
	if e.StateChanged {
		s.powers.look()
	}
}

// minPowerWindow is how long finding out about powers waits at least for the changes that belong together. It takes no more than a
// tenth of the time.
const minPowerWindow = 5 * time.Millisecond

// followPowers finds out about powers whenever they may have changed, until the context ends.
func (s *Sources) followPowers(ctx context.Context) {
	window := minPowerWindow
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.powers.wake:
		}
		if !s.read() {
			continue // half of what there is tells nothing
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(window):
		}
		begun := time.Now()
		s.updatePowers()
		window = max(10*time.Since(begun), minPowerWindow)
	}
}

// updatePowers finds out about powers, and tells of the namespaces where any is another, or Roles or RoleBindings are to be judged
// again, and of the cluster where ClusterRoles or ClusterRoleBindings are.
func (s *Sources) updatePowers() {
	p, missing := s.powers, s.unavailable()
	covers := make(map[audit.Resource]bool)
	for _, r := range slices.Concat(audit.PowerResources, waysOver) {
		covers[r] = missing[r] == nil
	}
	for _, namespace := range p.begin() {
		s.setAccounts(namespace)
	}
	p.cluster.SetControlPlaneOnNodes(onNodes(s.nodes.List("")))
	changes := p.cluster.TakeChanges()
	differ, more := p.end(&changes, covers)
	if more {
		s.tell(Event{Resource: audit.RoleBindings, StateChanged: true})
		return
	}
	if changes.Views {
		s.tell(Event{Resource: audit.ClusterRoleBindings})
	}
	maps.Copy(differ, changes.Namespaces)
	for _, namespace := range slices.Sorted(maps.Keys(differ)) {
		s.tell(Event{Resource: audit.RoleBindings, Namespace: namespace})
	}
}

// onNodes says whether the control plane runs on nodes of the cluster.
func onNodes(nodes []*audit.NodeRecord) bool {
	return slices.ContainsFunc(nodes, func(n *audit.NodeRecord) bool { return n.ControlPlane })
}

// note notes whom a binding names that the engine has.
func (p *powers) note(subjects []rbac.Subject) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range subjects {
		if s.Kind == rbacv1.ServiceAccountKind {
			p.fresh[s] = true
		}
	}
}

// begin returns the namespaces whose ServiceAccounts may have changed.
func (p *powers) begin() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	dirty := slices.Collect(maps.Keys(p.dirty))
	clear(p.dirty)
	p.begun, p.fresh = p.fresh, make(map[rbac.Subject]bool)
	return dirty
}

// end takes in what has changed. It returns the namespaces of which some ServiceAccount may do anything else than before, and
// whether more is covered than was.
func (p *powers) end(changes *rbac.Changes, covers map[audit.Resource]bool) (differ map[string]bool, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r, covered := range covers {
		more = more || covered && !p.covers[r]
	}
	more = more || p.covers == nil
	p.covers, p.begun = covers, nil
	differ = make(map[string]bool)
	for s, power := range changes.Powers {
		of := p.of[s.Namespace]
		if of == nil {
			of = make(map[string]rbac.Power)
			p.of[s.Namespace] = of
		}
		if before, named := of[s.Name]; !named || before != power {
			of[s.Name], differ[s.Namespace] = power, true
		}
	}
	for _, s := range changes.Gone {
		of := p.of[s.Namespace]
		if before, named := of[s.Name]; named && before != of[""] {
			differ[s.Namespace] = true
		}
		if delete(of, s.Name); len(of) == 0 {
			delete(p.of, s.Namespace)
		}
	}
	return differ, more
}

// setAccounts makes the ServiceAccounts of a namespace known to the engine.
func (s *Sources) setAccounts(namespace string) {
	var controllers []*audit.ControllerRecord
	for _, c := range s.controllers {
		controllers = append(controllers, c.List(namespace)...)
	}
	records := s.serviceAccounts.List(namespace)
	exists := make(map[string]bool, len(records))
	for _, a := range records {
		exists[a.Name] = true
	}
	for name, account := range audit.AccountsIn(records, s.pods.List(namespace), controllers) {
		if exists[name] {
			account.Unseen = !s.shard.Owns(namespace) // but for DaemonSets, what mounts it is not read
			s.powers.cluster.SetAccount(namespace, name, account)
		}
	}
	for _, name := range s.powers.cluster.Accounts(namespace) {
		if !exists[name] {
			s.powers.cluster.DeleteAccount(namespace, name)
		}
	}
}
