// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Static holds objects that come from anywhere but a watch. It makes the very same records of them as Sources do.
type Static struct {
	intern          *interner
	inventories     map[string]*audit.Inventory
	clusterPolicies []*audit.ClusterPolicyRecord
	nodes           []*audit.NodeRecord
	exceptions      []*audit.ExceptionRecord
	images          *images
	imageReports    *imageReports
	cluster         audit.ClusterInventory
	roles           []*rbac.Role
	bindings        []*rbac.Binding
	// access is what the roles and bindings make of it, and powers are those that follow; nil until it is asked for.
	access *rbac.Cluster
	powers map[rbac.Subject]rbac.Power
}

// NewStatic returns an empty Static.
func NewStatic() *Static {
	return &Static{intern: &interner{keepAll: true}, inventories: make(map[string]*audit.Inventory), images: newImages(), imageReports: newImageReports()}
}

// Object is an object of the API.
type Object interface {
	runtime.Object
	metav1.Object
}

// staticKinds are the kinds that Static takes in.
var staticKinds = map[schema.GroupVersionKind]func() Object{
	corev1.SchemeGroupVersion.WithKind("Namespace"):             func() Object { return &corev1.Namespace{} },
	corev1.SchemeGroupVersion.WithKind("Node"):                  func() Object { return &corev1.Node{} },
	corev1.SchemeGroupVersion.WithKind("Pod"):                   func() Object { return &corev1.Pod{} },
	corev1.SchemeGroupVersion.WithKind("ReplicationController"): func() Object { return &corev1.ReplicationController{} },
	corev1.SchemeGroupVersion.WithKind("ResourceQuota"):         func() Object { return &corev1.ResourceQuota{} },
	corev1.SchemeGroupVersion.WithKind("LimitRange"):            func() Object { return &corev1.LimitRange{} },
	corev1.SchemeGroupVersion.WithKind("ServiceAccount"):        func() Object { return &corev1.ServiceAccount{} },
	corev1.SchemeGroupVersion.WithKind("Service"):               func() Object { return &corev1.Service{} },
	appsv1.SchemeGroupVersion.WithKind("Deployment"):            func() Object { return &appsv1.Deployment{} },
	appsv1.SchemeGroupVersion.WithKind("ReplicaSet"):            func() Object { return &appsv1.ReplicaSet{} },
	appsv1.SchemeGroupVersion.WithKind("StatefulSet"):           func() Object { return &appsv1.StatefulSet{} },
	appsv1.SchemeGroupVersion.WithKind("DaemonSet"):             func() Object { return &appsv1.DaemonSet{} },
	batchv1.SchemeGroupVersion.WithKind("Job"):                  func() Object { return &batchv1.Job{} },
	batchv1.SchemeGroupVersion.WithKind("CronJob"):              func() Object { return &batchv1.CronJob{} },
	discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"):    func() Object { return &discoveryv1.EndpointSlice{} },
	networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"):   func() Object { return &networkingv1.NetworkPolicy{} },
	clusterPolicyVersion.WithKind("ClusterNetworkPolicy"):       func() Object { return &v1alpha2.ClusterNetworkPolicy{} },
	networkingv1.SchemeGroupVersion.WithKind("Ingress"):         func() Object { return &networkingv1.Ingress{} },
	gatewayVersion.WithKind("Gateway"):                          func() Object { return &gatewayv1.Gateway{} },
	gatewayVersion.WithKind("HTTPRoute"):                        func() Object { return &gatewayv1.HTTPRoute{} },
	rbacv1.SchemeGroupVersion.WithKind("Role"):                  func() Object { return &rbacv1.Role{} },
	rbacv1.SchemeGroupVersion.WithKind("ClusterRole"):           func() Object { return &rbacv1.ClusterRole{} },
	rbacv1.SchemeGroupVersion.WithKind("RoleBinding"):           func() Object { return &rbacv1.RoleBinding{} },
	rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"):    func() Object { return &rbacv1.ClusterRoleBinding{} },
	v1alpha1.GroupVersion.WithKind("ImageReport"):               func() Object { return &v1alpha1.ImageReport{} },
	v1alpha1.GroupVersion.WithKind("SecurityException"):         func() Object { return &v1alpha1.SecurityException{} },
	v1alpha1.GroupVersion.WithKind("ClusterSecurityException"):  func() Object { return &v1alpha1.ClusterSecurityException{} },

	admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"): func() Object {
		return &admissionregistrationv1.ValidatingWebhookConfiguration{}
	},
	admissionregistrationv1.SchemeGroupVersion.WithKind("MutatingWebhookConfiguration"): func() Object {
		return &admissionregistrationv1.MutatingWebhookConfiguration{}
	},
	admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicy"): func() Object {
		return &admissionregistrationv1.ValidatingAdmissionPolicy{}
	},
	admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicyBinding"): func() Object {
		return &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
	},
}

// Namespaced says whether objects of a kind that Static takes in are in a namespace.
func Namespaced(o runtime.Object) bool {
	switch o.(type) {
	case *corev1.Namespace, *corev1.Node, *v1alpha2.ClusterNetworkPolicy, *v1alpha1.ClusterSecurityException, *v1alpha1.ImageReport,
		*admissionregistrationv1.ValidatingWebhookConfiguration, *admissionregistrationv1.MutatingWebhookConfiguration,
		*admissionregistrationv1.ValidatingAdmissionPolicy, *admissionregistrationv1.ValidatingAdmissionPolicyBinding,
		*rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding:
		return false
	}
	return true
}

// NewObject returns an empty object of a kind that Static takes in, or nil for any other kind.
func NewObject(gvk schema.GroupVersionKind) Object {
	if gvk.Group == gatewayVersion.Group && gvk.Version == "v1beta1" {
		gvk.Version = gatewayVersion.Version // the same, and served beside it
	}
	if fresh := staticKinds[gvk]; fresh != nil {
		return fresh()
	}
	return nil
}

// VersionOf returns the version in which Static takes a kind in, or "" if it does not.
func VersionOf(gk schema.GroupKind) string {
	for gvk := range staticKinds {
		if gvk.GroupKind() == gk {
			return gvk.Version
		}
	}
	return ""
}

// PodTemplateOf returns the Pod template of an object that makes Pods, or nil.
func PodTemplateOf(o runtime.Object) *corev1.PodTemplateSpec {
	_, template, _ := podTemplate(o)
	return template
}

// Add takes an object in, which the caller gives up. Objects of kinds that no check reads are left out.
func (s *Static) Add(o runtime.Object) error {
	m, err := meta.Accessor(o)
	if err != nil {
		return fmt.Errorf("%T is no API object: %w", o, err)
	}
	namespace := m.GetNamespace()
	switch o.(type) {
	case *v1alpha1.ImageReport:
		return s.imageReports.store.Add(o)
	case *v1alpha1.SecurityException, *v1alpha1.ClusterSecurityException:
		return add(o, exceptionRecord, func(r *audit.ExceptionRecord) {
			if created := m.GetCreationTimestamp(); created.IsZero() {
				r.Created = audit.MomentOf(time.Now()) // it is yet to be created
			}
			s.exceptions = append(s.exceptions, r)
		})
	}
	// What is not here does not arrive later: no owner reference is given time.
	m.SetCreationTimestamp(metav1.Time{})
	switch o := o.(type) {
	case *corev1.Namespace:
		return add(o, namespaceRecord, func(r *audit.NamespaceRecord) { s.inventory(r.Name).Namespace = r })
	case *corev1.Pod:
		i := s.inventory(namespace)
		return add(o, s.intern.pod, func(r *audit.PodRecord) { i.Pods = append(i.Pods, r) })
	case *corev1.ResourceQuota:
		i := s.inventory(namespace)
		return add(o, quotaRecord, func(r *audit.QuotaRecord) { i.Quotas = append(i.Quotas, r) })
	case *corev1.LimitRange:
		i := s.inventory(namespace)
		return add(o, limitRangeRecord, func(r *audit.LimitRangeRecord) { i.LimitRanges = append(i.LimitRanges, r) })
	case *corev1.ServiceAccount:
		i := s.inventory(namespace)
		return add(o, serviceAccountRecord, func(r *audit.ServiceAccountRecord) { i.ServiceAccounts = append(i.ServiceAccounts, r) })
	case *networkingv1.NetworkPolicy:
		i := s.inventory(namespace)
		return add(o, networkPolicyRecord, func(r *audit.NetworkPolicyRecord) { i.NetworkPolicies = append(i.NetworkPolicies, r) })
	case *v1alpha2.ClusterNetworkPolicy:
		return add(o, clusterPolicyRecord, func(r *audit.ClusterPolicyRecord) { s.clusterPolicies = append(s.clusterPolicies, r) })
	case *corev1.Node:
		return add(o, s.intern.node, func(r *audit.NodeRecord) {
			s.nodes = append(s.nodes, r)
			s.images.change(nil, r.Images)
		})
	case *discoveryv1.EndpointSlice:
		if namespace != metav1.NamespaceDefault || o.Labels[discoveryv1.LabelServiceName] != apiServerService {
			return nil
		}
		return add(o, endpointRecord, func(r *audit.EndpointRecord) { s.cluster.Endpoints = append(s.cluster.Endpoints, r) })
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		return add(o, validatingRecord, func(r *audit.WebhookRecord) { s.cluster.Validating = append(s.cluster.Validating, r) })
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		return add(o, mutatingRecord, func(r *audit.WebhookRecord) { s.cluster.Mutating = append(s.cluster.Mutating, r) })
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		return add(o, admissionPolicyRecord, func(r *audit.AdmissionPolicyRecord) { s.cluster.Policies = append(s.cluster.Policies, r) })
	case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
		return add(o, admissionBindingRecord, func(r *audit.AdmissionBindingRecord) { s.cluster.Bindings = append(s.cluster.Bindings, r) })
	case *rbacv1.Role:
		s.inventory(namespace)
		s.roles = append(s.roles, rbac.RoleFrom(o))
		return nil
	case *rbacv1.ClusterRole:
		s.roles = append(s.roles, rbac.ClusterRoleFrom(o))
		return nil
	case *rbacv1.RoleBinding:
		s.inventory(namespace)
		s.bindings = append(s.bindings, rbac.BindingFrom(&o.ObjectMeta, o.RoleRef, o.Subjects))
		return nil
	case *rbacv1.ClusterRoleBinding:
		s.bindings = append(s.bindings, rbac.BindingFrom(&o.ObjectMeta, o.RoleRef, o.Subjects))
		return nil
	case *corev1.Service:
		i := s.inventory(namespace)
		return add(o, serviceRecord, func(r *audit.ServiceRecord) { i.Services = append(i.Services, r) })
	case *networkingv1.Ingress:
		i := s.inventory(namespace)
		return add(o, ingressRecord, func(r *audit.IngressRecord) { i.Ingresses = append(i.Ingresses, r) })
	case *gatewayv1.Gateway:
		i := s.inventory(namespace)
		return add(o, gatewayRecord, func(r *audit.GatewayRecord) { i.Gateways = append(i.Gateways, r) })
	case *gatewayv1.HTTPRoute:
		i := s.inventory(namespace)
		return add(o, httpRouteRecord, func(r *audit.HTTPRouteRecord) { i.HTTPRoutes = append(i.HTTPRoutes, r) })
	}
	if _, _, ok := podTemplate(o); !ok {
		return nil
	}
	i := s.inventory(namespace)
	return add(o, s.intern.controller, func(r *audit.ControllerRecord) { i.Controllers = append(i.Controllers, r) })
}

// Exceptions returns the exceptions of all namespaces and of the cluster.
func (s *Static) Exceptions() []*audit.ExceptionRecord { return s.exceptions }

// Inventories returns what is known of every namespace, by its name.
func (s *Static) Inventories() map[string]*audit.Inventory {
	nodes := audit.InfrastructureOf(s.nodes)
	cni := netpol.SeeCNI(netpol.SeeAgents(s.agent), nodes.CNI)
	byName := make(map[string]*audit.NodeRecord, len(s.nodes))
	for _, n := range s.nodes {
		byName[n.Name] = n
	}
	s.empower()
	s.imageReports.look()
	for name, i := range s.inventories {
		i.ClusterPolicies, i.CNI = concerning(s.clusterPolicies, name, i.Namespace), cni
		i.Nodes, i.PodNodes, i.Images = nodes, byName, s.images.known(i.Pods)
		if s.imageReports.addTo(i); s.imageReports.none() {
			i.Unavailable[audit.ImageReports] = noImageReports
		}
		i.Exceptions = nil
		for _, e := range s.exceptions {
			if e.Cluster() || e.Namespace == name {
				i.Exceptions = append(i.Exceptions, e)
			}
		}
	}
	return s.inventories
}

var noImageReports = &audit.Unavailable{
	Resource: audit.ImageReports, Reason: v1alpha1.SkipDataMissing,
	Message: "manifests do not show what is in images: add ImageReports, such as \"kubersafe-scanner image -o json\" prints",
}

// noKubernetesReports is why nothing is known of the vulnerabilities of Kubernetes.
var noKubernetesReports = &audit.Unavailable{
	Resource: audit.ImageReports, Reason: v1alpha1.SkipDataMissing,
	Message: "manifests do not show the vulnerabilities of Kubernetes: add the ImageReports of a cluster",
}

// unavailable returns what cannot be told from these objects: without any role or binding that is what they would say, for they
// can be elsewhere.
func (s *Static) unavailable() map[audit.Resource]*audit.Unavailable {
	missing := make(map[audit.Resource]*audit.Unavailable)
	if len(s.roles)+len(s.bindings) == 0 {
		for _, r := range audit.PowerResources {
			missing[r] = &audit.Unavailable{
				Resource: r, Reason: v1alpha1.SkipDataMissing, Message: "no manifest describes a role or binding",
			}
		}
	}
	return missing
}

// empower finds out what ServiceAccounts may do.
func (s *Static) empower() {
	for name, i := range s.inventories {
		if i.Unavailable = s.unavailable(); len(i.Unavailable) > 0 {
			continue
		}
		i.Roles, i.RoleBindings = s.accessible().ViewsIn(name)
		i.Powers = audit.Powers{Named: make(map[string]rbac.Power)}
	}
	for subject, power := range s.powers {
		switch i := s.inventories[subject.Namespace]; {
		case i == nil:
		case subject.Name == "":
			i.Powers.Others = power
		default:
			i.Powers.Named[subject.Name] = power
		}
	}
}

// accessible returns what the roles and bindings make of it. What an API server makes for itself is added, who is bound is taken to
// exist, and a namespace that nothing describes to be bare.
func (s *Static) accessible() *rbac.Cluster {
	if s.access != nil {
		return s.access
	}
	c := rbac.NewCluster(true)
	roles, bindings := rbac.Defaults()
	for _, r := range append(roles, s.roles...) {
		c.SetRole(r)
	}
	bindings = append(bindings, s.bindings...)
	for _, b := range bindings {
		c.SetBinding(b)
	}
	c.SetControlPlaneOnNodes(onNodes(s.nodes))
	c.SetNamespace(metav1.NamespaceSystem, true) // every cluster has it
	known := make(map[rbac.Subject]bool)
	for name, i := range s.inventories {
		hostPath := true
		if i.Namespace != nil {
			hostPath = rbac.HostPathAllowed(i.Namespace.Labels)
		}
		c.SetNamespace(name, hostPath)
		for account, a := range audit.AccountsIn(i.ServiceAccounts, i.Pods, i.Controllers) {
			known[rbac.ServiceAccount(name, account)] = true
			a.Assumed = !slices.ContainsFunc(i.ServiceAccounts, func(r *audit.ServiceAccountRecord) bool { return r.Name == account })
			c.SetAccount(name, account, a)
		}
	}
	for _, b := range bindings {
		for _, subject := range b.Subjects {
			if subject.Kind == rbacv1.ServiceAccountKind && !known[subject] {
				c.SetAccount(subject.Namespace, subject.Name, rbac.Account{Assumed: true})
				if s.inventories[subject.Namespace] == nil {
					c.SetNamespace(subject.Namespace, true)
				}
			}
		}
	}
	s.access, s.powers = c, c.TakeChanges().Powers
	return c
}

// agent returns the Pods of a network's DaemonSet, if it is there.
func (s *Static) agent(a netpol.Agent) *corev1.PodSpec {
	i := s.inventories[a.Namespace]
	if i == nil {
		return nil
	}
	for _, c := range i.Controllers {
		if c.Kind == "DaemonSet" && c.Name == a.Name {
			return &c.Shape.Pod().Spec
		}
	}
	return nil
}

// Cluster returns what is known of what belongs to no namespace.
func (s *Static) Cluster() audit.ClusterInventory {
	c := s.cluster
	c.Nodes, c.FromManifests = s.nodes, true
	if i := s.inventories[audit.SystemNamespace]; i != nil {
		c.ControlPlane = i.Pods
	}
	for _, i := range s.inventories {
		if i.Namespace != nil {
			c.Namespaces = append(c.Namespaces, i.Namespace)
		}
	}
	for _, e := range s.exceptions {
		if e.Cluster() {
			c.Exceptions = append(c.Exceptions, e)
		}
	}
	if c.Unavailable = s.unavailable(); len(c.Unavailable) == 0 {
		c.Roles, c.RoleBindings = s.accessible().Views()
	}
	if c.Kubernetes = s.imageReports.onKubernetes(); len(c.Kubernetes) == 0 {
		c.Unavailable[audit.ImageReports] = noKubernetesReports
	}
	return c
}

func (s *Static) inventory(namespace string) *audit.Inventory {
	i := s.inventories[namespace]
	if i == nil {
		i = &audit.Inventory{Surroundings: audit.Surroundings{Name: namespace}}
		s.inventories[namespace] = i
	}
	return i
}

func add[R any](o runtime.Object, convert func(runtime.Object) (R, error), keep func(R)) error {
	r, err := convert(o)
	if err == nil {
		keep(r)
	}
	return err
}
