// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package load makes a cluster's worth of realistic objects, and has an API server hold them. Nothing runs: what
// controllers, the scheduler and kubelets would have made is made here, as they leave it.
package load

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Options are the size of a load. The same options give the same objects.
type Options struct {
	Seed       uint64
	Pods       int
	Namespaces int
	// Policies is the number of NetworkPolicies.
	Policies int
}

// Hub is the namespace that a third of the network policies name.
const Hub = "hub"

// namePrefix is how the names of all other namespaces begin.
const namePrefix = "team-"

// Tree is an object and what it controls.
type Tree struct {
	Object   client.Object
	Children []Tree
}

// Namespace is a namespace with everything in it.
type Namespace struct {
	Namespace *corev1.Namespace
	// Accounts that Pods name, and what they may do: nothing that leads anywhere.
	Accounts []client.Object
	// Workloads with their Pods.
	Workloads []Tree
	// Bounds are Services, network policies, limit ranges and quotas.
	Bounds []client.Object
}

// Generate returns the namespaces one after the other, so that the load need never be in memory whole.
func Generate(o Options) iter.Seq[Namespace] {
	return func(yield func(Namespace) bool) {
		total, sum, pods, policies := 0.0, 0.0, 0, 0
		for i := range o.Namespaces {
			total += weight(i)
		}
		for i := range o.Namespaces {
			sum += weight(i)
			upTo := func(n int) int { return int(math.Round(float64(n) * sum / total)) }
			g := &generator{
				Rand:     rand.New(rand.NewPCG(o.Seed, uint64(i))), //nolint:gosec // the same each time is its purpose
				name:     nameOf(i),
				nodes:    max(3, o.Pods/podsPerNode),
				enforced: i%10 >= 7,
			}
			ns := g.namespace(upTo(o.Pods)-pods, o.Policies*(i+1)/o.Namespaces-policies)
			pods, policies = upTo(o.Pods), o.Policies*(i+1)/o.Namespaces
			if !yield(ns) {
				return
			}
		}
	}
}

// podsPerNode in the largest cluster that Kubernetes supports.
const podsPerNode = 30

// weight is how many Pods a namespace has, compared to others: few have many.
func weight(i int) float64 { return 1 / math.Sqrt(float64(i+1)) }

func nameOf(i int) string {
	if i == 0 {
		return Hub
	}
	return fmt.Sprintf("%s%05d", namePrefix, i)
}

// Holds says whether a namespace is of the load.
func Holds(namespace string) bool {
	return namespace == Hub || strings.HasPrefix(namespace, namePrefix)
}

// generator makes one namespace.
type generator struct {
	*rand.Rand
	name  string
	nodes int
	// enforced: Pod Security admission lets no Pod in that is not restricted.
	enforced bool
	apps     []string
	count    int
}

// chance is true in percent out of a hundred calls.
func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

func (g *generator) namespace(pods, policies int) Namespace {
	ns := Namespace{Namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: g.name, Labels: map[string]string{corev1.LabelMetadataName: g.name, "team": g.team(), "env": pick(g, environments)},
	}}}
	if g.enforced {
		for _, mode := range []string{"enforce", "warn", "audit"} {
			ns.Namespace.Labels["pod-security.kubernetes.io/"+mode] = "restricted"
		}
	}
	for _, name := range []string{defaultAccount, appAccount} {
		ns.Accounts = append(ns.Accounts, &corev1.ServiceAccount{ObjectMeta: g.meta(name, nil)})
	}
	ns.Accounts = append(ns.Accounts, g.role(), g.binding())
	for left := pods; left > 0; {
		tree, used := g.workload(left)
		ns.Workloads = append(ns.Workloads, tree)
		left -= used
	}
	for _, app := range g.apps {
		if g.chance(60) {
			ns.Bounds = append(ns.Bounds, g.service(app))
		}
	}
	for i := range policies {
		ns.Bounds = append(ns.Bounds, g.policy(i))
	}
	if g.chance(50) {
		ns.Bounds = append(ns.Bounds, g.limitRange())
	}
	if g.chance(70) {
		ns.Bounds = append(ns.Bounds, g.quota(pods))
	}
	return ns
}

var environments = []string{"dev", "staging", "prod"}

func (g *generator) team() string { return fmt.Sprintf("team-%d", g.IntN(100)) }

func (g *generator) meta(name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: g.name, Name: name, Labels: labels}
}

// service has no address of its own: each would be one more object in the API server's store.
func (g *generator) service(app string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: g.meta(app, map[string]string{labelName: app}),
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone, Selector: map[string]string{labelName: app}, Ports: []corev1.ServicePort{{Name: "http", Port: 8080}},
		},
	}
}

// policy denies everything, if it is the namespace's first, or lets the peers of one workload in.
func (g *generator) policy(i int) *networkingv1.NetworkPolicy {
	if i == 0 || len(g.apps) == 0 {
		return &networkingv1.NetworkPolicy{
			ObjectMeta: g.meta(fmt.Sprintf("default-deny-%d", i), nil),
			Spec: networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			},
		}
	}
	app := pick(g, g.apps)
	peers := map[string]string{"team": g.team()}
	if g.chance(33) {
		peers = map[string]string{corev1.LabelMetadataName: Hub}
	}
	return &networkingv1.NetworkPolicy{
		ObjectMeta: g.meta(fmt.Sprintf("allow-%d", i), nil),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{labelName: app}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{
				{NamespaceSelector: &metav1.LabelSelector{MatchLabels: peers}},
				{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelName: pick(g, g.apps)}}},
			}}},
		},
	}
}

// role lets Pods read their configuration again when it changes.
func (g *generator) role() *rbacv1.Role {
	return &rbacv1.Role{ObjectMeta: g.meta(appAccount, nil), Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch"}},
	}}
}

func (g *generator) binding() *rbacv1.RoleBinding {
	b := &rbacv1.RoleBinding{
		ObjectMeta: g.meta(appAccount, nil), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: appAccount},
	}
	for _, account := range []string{defaultAccount, appAccount} {
		b.Subjects = append(b.Subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: g.name, Name: account})
	}
	return b
}

func (g *generator) limitRange() *corev1.LimitRange {
	return &corev1.LimitRange{
		ObjectMeta: g.meta("defaults", nil),
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type:           corev1.LimitTypeContainer,
			Default:        amounts("500m", "512Mi", "1Gi"),
			DefaultRequest: amounts("100m", "128Mi", "256Mi"),
		}}},
	}
}

// quota counts the Pods; one in five is nearly used up. Nothing is in the bands in which a verdict stays what it was.
func (g *generator) quota(pods int) *corev1.ResourceQuota {
	hard := int64(pods)*2 + 10
	if g.chance(20) {
		hard = max(1, int64(pods))
	}
	q := &corev1.ResourceQuota{
		ObjectMeta: g.meta("bounds", nil),
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(hard, resource.DecimalSI)}},
	}
	used := corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(int64(pods), resource.DecimalSI)}
	if g.chance(50) {
		for _, name := range []corev1.ResourceName{
			corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory,
		} {
			q.Spec.Hard[name] = resource.MustParse("4000")
			used[name] = resource.MustParse("1000")
		}
	}
	q.Status = corev1.ResourceQuotaStatus{Hard: q.Spec.Hard, Used: used}
	return q
}

func amounts(cpu, memory, storage string) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
		corev1.ResourceEphemeralStorage: resource.MustParse(storage),
	}
}

// Objects returns everything in a namespace with UIDs and owner references, in the order in which it can be created: quotas
// and limit ranges bind what comes later only.
func (n *Namespace) Objects() []client.Object {
	objects := []client.Object{n.Namespace}
	objects = append(objects, n.Accounts...)
	for _, tree := range n.Workloads {
		objects = tree.appendTo(objects, nil)
	}
	objects = append(objects, n.Bounds...)
	for _, o := range objects {
		o.SetUID(uidOf(o))
	}
	return objects
}

func (t *Tree) appendTo(objects []client.Object, owner client.Object) []client.Object {
	o := t.Object
	o.SetUID(uidOf(o))
	own(o, owner)
	objects = append(objects, o)
	for i := range t.Children {
		objects = t.Children[i].appendTo(objects, o)
	}
	return objects
}

// uidOf is the same each time, and looks as the API server's do.
func uidOf(o client.Object) types.UID {
	sum := sha256.Sum256(fmt.Appendf(nil, "%T/%s/%s", o, o.GetNamespace(), o.GetName()))
	return types.UID(fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]))
}

// own makes owner, unless nil, the controller of o.
func own(o, owner client.Object) {
	if owner != nil {
		o.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(owner, kindOf(owner))})
	}
}
