// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"maps"
	"slices"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Cluster holds all roles and bindings, and what else decides who can become cluster-admin, and follows their changes one by
// one. Everything can be set in any order, and again. What is handed in must not be changed afterwards. All methods may be
// called from several goroutines.
type Cluster struct {
	mu sync.Mutex
	// aggregates says that rules of aggregated ClusterRoles are put together here.
	aggregates bool
	// stale: those rules are not those of the ClusterRoles any more.
	stale bool

	// roles by namespace, those of the cluster under "", and by name; bindings sorted by name.
	roles    map[string]map[string]*role
	bindings map[string][]*binding
	// Bindings by whom and what they bind, sorted.
	bySubject map[Subject][]*binding
	byRole    map[RoleKey][]*binding
	// Lists of rules are kept once, by their text: roles of many namespaces have the same.
	sets map[string]*ruleSet

	// namespaces that are known, and whether Pods in them may mount folders of their node.
	namespaces map[string]bool
	accounts   map[string]map[string]*Account
	// controlPlaneOnNodes says that Pods can be put on the nodes of the control plane.
	controlPlaneOnNodes bool

	// reaches has where subjects get in one step, without those that get nowhere. changed are those of whom it has to be found
	// out again. derived counts how often it was.
	reaches map[Subject][]step
	changed map[Subject]bool
	derived int
	// graph is nil if anything has changed that it is made of. places is how many the last one had, and told is the one that was
	// there when changes were taken.
	graph, told *graph
	places      int
	// ways are how far groups were then that others are in by being what they are, of those that lead somewhere.
	ways map[Subject]distance
	// touched are whom changes since may concern, and touchedIn is where they were: see Changes.
	touched   map[Subject]bool
	touchedIn map[string]bool

	// roleWays are those from roles that are bound, in their scopes.
	roleWays map[place]roleWay
	// unreviewed are bindings, and ClusterRoles by name, that are to be looked at before they are judged: see review.
	unreviewed      map[BindingKey]bool
	unreviewedRoles map[string]bool
	// gone says that some ClusterRole or ClusterRoleBinding is not there any more.
	gone bool
	// aggregating are the aggregated ClusterRoles, in no order.
	aggregating []*role
	// admins is how many may do everything, and adminRole of which ClusterRole that is told.
	admins    int
	adminRole string
}

type role struct {
	RoleKey
	// labels of a ClusterRole.
	labels map[string]string
	// stored rules are only kept where roles are aggregated here.
	stored      *ruleSet
	aggregation []metav1.LabelSelector
	// selectors are those of the aggregation; nil if it has none, or one that is not valid.
	selectors []labels.Selector
	// rules that count.
	rules *ruleSet
	// standard says that it is one of Kubernetes' own, as it was made.
	standard bool
	// view of a ClusterRole, as it was reviewed last.
	view *RoleView
}

// roleWay is where one gets with a role in a scope.
type roleWay struct {
	// steps are those that one can take first.
	steps []step
	// told tells the steps to cluster-admin from a role that is bound in the cluster, and far how many they are, as it was in a graph.
	told []string
	far  distance
	in   *graph
}

type binding struct {
	BindingKey
	role     RoleKey
	subjects []Subject
	standard bool
	// far is how far its role is from cluster-admin, and view is that of a ClusterRoleBinding, as they were reviewed last.
	far  distance
	view *BindingView
}

// ruleSet is a list of rules, which several roles may have.
type ruleSet struct {
	list   []rbacv1.PolicyRule
	powers powers
	text   string
	uses   int
}

// allow says whether any of the rules allows a request.
func (s *ruleSet) allow(r *Request) bool {
	for i := range s.list {
		if allows(&s.list[i], r) {
			return true
		}
	}
	return false
}

// NewCluster returns an empty cluster. aggregate says to put the rules of aggregated ClusterRoles together, as the
// controller manager does in a live cluster; otherwise they have the rules that they come with.
func NewCluster(aggregate bool) *Cluster {
	return &Cluster{
		aggregates: aggregate,
		roles:      make(map[string]map[string]*role), bindings: make(map[string][]*binding),
		bySubject: make(map[Subject][]*binding), byRole: make(map[RoleKey][]*binding), sets: make(map[string]*ruleSet),
		namespaces: make(map[string]bool), accounts: make(map[string]map[string]*Account), reaches: make(map[Subject][]step),
		changed: make(map[Subject]bool), touched: make(map[Subject]bool), touchedIn: make(map[string]bool),
		roleWays: make(map[place]roleWay), unreviewed: make(map[BindingKey]bool), unreviewedRoles: make(map[string]bool),
	}
}

func (r *Role) key() RoleKey { return RoleKey{r.Namespace, r.Name} }

// SetRole adds a role, or takes it in place of the one of that name. Its rules become those of other roles that have the same.
func (c *Cluster) SetRole(r *Role) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key, rules := r.key(), c.intern(r.Rules)
	r.Rules = rules.list // whoever keeps the role shares them
	old := c.role(key)
	fresh := &role{RoleKey: key, rules: rules, aggregation: r.Aggregation, selectors: selectorsOf(r.Aggregation), standard: isDefaultRole(r)}
	if key.Namespace == "" {
		fresh.labels = r.Labels
		if c.aggregates {
			fresh.stored, c.stale = rules, true
			rules.uses++
		}
	}
	if old == nil {
		if c.roles[key.Namespace] == nil {
			c.roles[key.Namespace] = make(map[string]*role)
		}
	} else {
		fresh.view = old.view
		c.drop(old)
	}
	c.roles[key.Namespace][key.Name] = fresh
	c.aggregationChanged(old, fresh)
	if old == nil {
		c.roleChanged(key, powers{}, fresh.rules.powers)
	} else if old.rules != fresh.rules || old.standard != fresh.standard {
		c.roleChanged(key, old.rules.powers, fresh.rules.powers)
	}
}

// DeleteRole removes a role.
func (c *Cluster) DeleteRole(key RoleKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.role(key)
	if old == nil {
		return
	}
	c.drop(old)
	delete(c.roles[key.Namespace], key.Name)
	if len(c.roles[key.Namespace]) == 0 {
		delete(c.roles, key.Namespace)
	}
	c.stale = c.stale || c.aggregates && key.Namespace == ""
	c.aggregationChanged(old, nil)
	c.gone = c.gone || key.Namespace == ""
	c.roleChanged(key, old.rules.powers, powers{})
}

func (c *Cluster) role(key RoleKey) *role { return c.roles[key.Namespace][key.Name] }

func (c *Cluster) drop(r *role) {
	c.release(r.rules)
	if r.stored != nil {
		c.release(r.stored)
	}
}

// intern returns the list of rules as it is kept, and counts one more use.
func (c *Cluster) intern(rules []rbacv1.PolicyRule) *ruleSet {
	var text strings.Builder
	for i := range rules {
		for _, list := range [][]string{rules[i].Verbs, rules[i].APIGroups, rules[i].Resources, rules[i].ResourceNames, rules[i].NonResourceURLs} {
			for _, s := range list {
				text.WriteString(s)
				text.WriteByte(0)
			}
			text.WriteByte(1)
		}
	}
	set := c.sets[text.String()]
	if set == nil {
		set = &ruleSet{list: rules, powers: powersOf(rules), text: text.String()}
		c.sets[set.text] = set
	}
	set.uses++
	return set
}

func (c *Cluster) release(set *ruleSet) {
	if set.uses--; set.uses == 0 {
		delete(c.sets, set.text)
	}
}

// SetBinding adds a binding, or takes it in place of the one of that name.
func (c *Cluster) SetBinding(b *Binding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := &binding{BindingKey: b.key(), role: b.Role, subjects: b.Subjects, standard: isDefaultBinding(b)}
	if old := find(c.bindings[b.Namespace], fresh.BindingKey); old != nil {
		if old.role == fresh.role && old.standard == fresh.standard && slices.Equal(old.subjects, fresh.subjects) {
			return
		}
		fresh.far, fresh.view = old.far, old.view
		c.deleteBinding(old)
	}
	c.bindings[b.Namespace] = insert(c.bindings[b.Namespace], fresh)
	if fresh.role != (RoleKey{}) {
		c.byRole[fresh.role] = insert(c.byRole[fresh.role], fresh)
	}
	for _, s := range fresh.subjects {
		c.bySubject[s] = insert(c.bySubject[s], fresh)
	}
	c.bindingChanged(fresh)
}

// DeleteBinding removes a binding.
func (c *Cluster) DeleteBinding(key BindingKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := find(c.bindings[key.Namespace], key); old != nil {
		c.deleteBinding(old)
		c.gone = c.gone || key.Namespace == ""
	}
}

func (c *Cluster) deleteBinding(b *binding) {
	remove(c.bindings, b.Namespace, b)
	remove(c.byRole, b.role, b)
	for _, s := range b.subjects {
		remove(c.bySubject, s, b)
	}
	c.bindingChanged(b)
}

func locate(list []*binding, key BindingKey) (int, bool) {
	return slices.BinarySearchFunc(list, key, func(b *binding, key BindingKey) int { return b.compare(key) })
}

func find(list []*binding, key BindingKey) *binding {
	if i, found := locate(list, key); found {
		return list[i]
	}
	return nil
}

func insert(list []*binding, b *binding) []*binding {
	i, _ := locate(list, b.BindingKey)
	return slices.Insert(list, i, b)
}

func remove[K comparable](lists map[K][]*binding, key K, b *binding) {
	i, found := locate(lists[key], b.BindingKey)
	if !found {
		return
	}
	if lists[key] = slices.Delete(lists[key], i, i+1); len(lists[key]) == 0 {
		delete(lists, key)
	}
}

// SetNamespace makes a namespace known, and whether Pod Security lets its Pods mount folders of their node.
func (c *Cluster) SetNamespace(name string, hostPathAllowed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, known := c.namespaces[name]; !known || old != hostPathAllowed {
		c.touchAccounts(name, func() { c.namespaces[name] = hostPathAllowed })
		c.graph = nil
	}
}

// touchAccounts makes a change by which a namespace may come to be known, or no longer be, and touches its ServiceAccounts then.
func (c *Cluster) touchAccounts(namespace string, change func()) {
	known := c.isKnown(namespace)
	change()
	if c.isKnown(namespace) != known {
		c.touched[Others(namespace)], c.touched[Group(accountsPrefix+namespace)] = true, true
	}
}

// DeleteNamespace makes a namespace unknown. What is in it stays until it is deleted itself.
func (c *Cluster) DeleteNamespace(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touchAccounts(name, func() { delete(c.namespaces, name) })
	c.graph = nil
}

// SetAccount adds a ServiceAccount, or takes it in place of the one of that name.
func (c *Cluster) SetAccount(namespace, name string, a Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.accounts[namespace][name]; old != nil && old.Mounted == a.Mounted && old.Unseen == a.Unseen && old.Assumed == a.Assumed &&
		slices.Equal(old.TokenSecrets, a.TokenSecrets) {
		return
	}
	c.accountChanged(ServiceAccount(namespace, name), func() {
		if c.accounts[namespace] == nil {
			c.accounts[namespace] = make(map[string]*Account)
		}
		c.accounts[namespace][name] = &a
	})
}

// DeleteAccount removes a ServiceAccount.
func (c *Cluster) DeleteAccount(namespace, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accountChanged(ServiceAccount(namespace, name), func() {
		delete(c.accounts[namespace], name)
		if len(c.accounts[namespace]) == 0 {
			delete(c.accounts, namespace)
		}
	})
}

// Accounts returns the names of the ServiceAccounts of a namespace that are known, in no order.
func (c *Cluster) Accounts(namespace string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.accounts[namespace]))
}

// accountChanged changes a ServiceAccount. One that leads nowhere only matters where somebody may change templates of Pods, as
// far as it tells that there are any.
func (c *Cluster) accountChanged(s Subject, change func()) {
	ran, before := c.runs(s.Namespace), c.accounts[s.Namespace][s.Name]
	c.touchAccounts(s.Namespace, change)
	if now := c.accounts[s.Namespace][s.Name]; before == nil || now == nil || before.Assumed != now.Assumed {
		for _, b := range c.bySubject[s] {
			if b.Namespace == "" { // of others it is not told who is missing
				c.unreviewed[b.BindingKey] = true
			}
		}
	}
	if c.graph != nil && (c.leads(s) || c.runs(s.Namespace) != ran && c.graph.leadsToTemplates(s.Namespace)) {
		c.graph = nil
	}
}

// SetControlPlaneOnNodes says whether the control plane runs on nodes of the cluster, so that a Pod can be put beside it.
func (c *Cluster) SetControlPlaneOnNodes(is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.controlPlaneOnNodes != is {
		c.controlPlaneOnNodes, c.graph = is, nil
	}
}

// bindingChanged forgets what depended on a binding. The graph does not, as long as nobody gets elsewhere by it: see paths.
func (c *Cluster) bindingChanged(b *binding) {
	c.unreviewed[b.BindingKey] = true
	delete(c.roleWays, roleAt(b.role, b.Namespace)) // the same powers can be by other permissions
	if b.role.Namespace == "" {
		c.unreviewedRoles[b.role.Name] = true
	}
	if b.Namespace != "" {
		c.touchedIn[b.Namespace] = true
	}
	for _, s := range b.subjects {
		c.changed[s], c.touched[s] = true, true
	}
}

// roleChanged forgets what depended on a role. In the graph are roles that lead somewhere.
func (c *Cluster) roleChanged(key RoleKey, before, now powers) {
	if !before.equal(&now) {
		c.graph = nil
	}
	if key.Namespace != "" {
		c.touchedIn[key.Namespace] = true
	} else {
		c.unreviewedRoles[key.Name] = true
	}
	for _, b := range c.byRole[key] {
		c.bindingChanged(b)
	}
}
