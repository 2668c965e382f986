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
	// of has the ServiceAccounts that bindings name, and those that stand for all others of a namespace; nil before it has been found out.
	of map[rbac.Subject]rbac.Power
	// dirty are the namespaces whose ServiceAccounts, or what mounts their tokens, may have changed; fresh those that are new.
	dirty, fresh map[string]bool
}

func newPowers() *powers {
	return &powers{cluster: rbac.NewCluster(false), wake: make(chan struct{}, 1), dirty: make(map[string]bool), fresh: make(map[string]bool)}
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
	return p.of != nil
}

// in returns those of the ServiceAccounts of a namespace.
func (p *powers) in(namespace string, accounts []*audit.ServiceAccountRecord) audit.Powers {
	p.mu.Lock()
	defer p.mu.Unlock()
	in := audit.Powers{Named: make(map[string]rbac.Power), Others: p.of[othersIn(namespace)]}
	for _, a := range accounts {
		if power, bound := p.of[rbac.ServiceAccount(namespace, a.Name)]; bound {
			in.Named[a.Name] = power
		}
	}
	return in
}

// othersIn stands for the ServiceAccounts of a namespace that no binding names: no name is empty.
func othersIn(namespace string) rbac.Subject { return rbac.ServiceAccount(namespace, "") }

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
		store.stored = func(b *audit.BindingRecord) { c.SetBinding(b.Binding) }
		store.removed = func(b *audit.BindingRecord) { c.DeleteBinding(rbac.BindingKey{Namespace: b.Namespace, Name: b.Name}) }
		Add(s, shard.Shard{}, k.resource, api, k.plural, k.example, store)
		store.notify = func(string) { s.powers.look() }
	}
	s.namespaces.stored = func(n *audit.NamespaceRecord) {
		c.SetNamespace(n.Name, rbac.HostPathAllowed(n.Labels))
		s.powers.mu.Lock()
		defer s.powers.mu.Unlock()
		s.powers.fresh[n.Name] = true
	}
	s.namespaces.removed = func(n *audit.NamespaceRecord) {
		c.DeleteNamespace(n.Name)
		s.powers.mu.Lock()
		defer s.powers.mu.Unlock()
		delete(s.powers.of, othersIn(n.Name))
	}
}

// roleRecord keeps no labels but those that tell where a role is from: the controller manager has put aggregated ones together.
func roleRecord(o runtime.Object) (*audit.RoleRecord, error) {
	var (
		r    *audit.RoleRecord
		role *rbac.Role
	)
	switch o := o.(type) {
	case *rbacv1.Role:
		r, role = &audit.RoleRecord{Object: audit.ObjectFrom(o)}, rbac.RoleFrom(o)
	case *rbacv1.ClusterRole:
		r, role = &audit.RoleRecord{Object: audit.ObjectFrom(o)}, rbac.ClusterRoleFrom(o)
	default:
		return nil, unexpected(o)
	}
	role.Labels = rbac.Origin(role.Labels)
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

// Finding out about powers waits for the changes that belong together, and then takes no more than a tenth of the time.
const (
	minPowerWindow = 5 * time.Millisecond
	maxPowerWindow = time.Second
)

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
		window = min(max(10*time.Since(begun), minPowerWindow), maxPowerWindow)
	}
}

// updatePowers finds out about powers, and tells of the namespaces that are concerned.
func (s *Sources) updatePowers() {
	p := s.powers
	p.mu.Lock()
	dirty := p.dirty
	p.dirty = make(map[string]bool)
	p.mu.Unlock()
	p.cluster.SetControlPlaneOnNodes(onNodes(s.nodes.List("")))
	for namespace := range dirty {
		s.setAccounts(namespace)
	}
	changes := p.cluster.TakeChanges()
	if !s.shard.Whole() {
		s.setAccountsElsewhere(&changes)
		changes.Paths = p.cluster.TakeChanges().Paths || changes.Paths
	}
	concerned, first := p.update(&changes)
	if first {
		s.tell(Event{Resource: audit.RoleBindings, StateChanged: true})
		return
	}
	for _, namespace := range slices.Sorted(maps.Keys(concerned)) {
		s.tell(Event{Resource: audit.RoleBindings, Namespace: namespace})
	}
}

// onNodes says whether the control plane runs on nodes of the cluster.
func onNodes(nodes []*audit.NodeRecord) bool {
	return slices.ContainsFunc(nodes, func(n *audit.NodeRecord) bool { return n.ControlPlane })
}

// update finds out about powers that may have changed, and returns the namespaces that are concerned.
func (p *powers) update(changes *rbac.Changes) (concerned map[string]bool, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first = p.of == nil; first {
		p.of = make(map[rbac.Subject]rbac.Power)
	}
	again := make(map[rbac.Subject]bool)
	for namespace := range p.fresh {
		again[othersIn(namespace)] = true
	}
	clear(p.fresh)
	for s := range changes.Subjects {
		again[s] = true
	}
	all := changes.Wide()
	if changes.Paths {
		leading, everybody := p.cluster.Leading()
		for _, s := range leading {
			again[s] = true
		}
		all = all || everybody
	}
	if all || changes.Paths {
		for s, power := range p.of {
			if all || power.Steps > 0 {
				again[s] = true
			}
		}
	}
	concerned = changes.Namespaces
	for s := range again {
		if s.Kind != rbacv1.ServiceAccountKind {
			continue
		}
		power := p.cluster.Power(s)
		if power != p.of[s] {
			concerned[s.Namespace] = true
		}
		if s.Name != "" && !p.cluster.IsBound(s) { // it is as others are
			delete(p.of, s)
		} else {
			p.of[s] = power
		}
	}
	return concerned, first
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
			s.powers.cluster.SetAccount(namespace, name, account)
		}
	}
	for _, name := range s.powers.cluster.Accounts(namespace) {
		if !exists[name] {
			s.powers.cluster.DeleteAccount(namespace, name)
		}
	}
}

// setAccountsElsewhere makes ServiceAccounts known whose namespaces belong to other shards. What is there is not read: who is bound
// is taken to exist, and to be mounted.
func (s *Sources) setAccountsElsewhere(changes *rbac.Changes) {
	for subject := range changes.Subjects {
		if subject.Kind != rbacv1.ServiceAccountKind || s.shard.Owns(subject.Namespace) {
			continue
		}
		if s.powers.cluster.IsBound(subject) {
			s.powers.cluster.SetAccount(subject.Namespace, subject.Name, rbac.Account{Mounted: true})
		} else {
			s.powers.cluster.DeleteAccount(subject.Namespace, subject.Name)
		}
	}
}
