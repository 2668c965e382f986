// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"unique"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
	"github.com/kubersafe/kubersafe/internal/shard"
)

// clusterStores are what belongs to no namespace and is judged once, by the first shard.
type clusterStores struct {
	// static are the static Pods of SystemNamespace, and staticChanged says that they have changed since anybody was told.
	static               *Store[*audit.PodRecord]
	staticChanged        atomic.Bool
	endpoints            *Store[*audit.EndpointRecord]
	validating, mutating *Store[*audit.WebhookRecord]
	policies             *Store[*audit.AdmissionPolicyRecord]
	bindings             *Store[*audit.AdmissionBindingRecord]
}

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations;mutatingwebhookconfigurations;validatingadmissionpolicies;validatingadmissionpolicybindings,verbs=get;list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch

// addCluster adds the resources that only judgements of the cluster read.
func (s *Sources) addCluster(client kubernetes.Interface, intern *interner) {
	c := &s.cluster
	c.static, c.endpoints = NewStore(intern.pod), NewStore(endpointRecord)
	c.validating, c.mutating = NewStore(validatingRecord), NewStore(mutatingRecord)
	c.policies, c.bindings = NewStore(admissionPolicyRecord), NewStore(admissionBindingRecord)
	if !s.shard.First() {
		return
	}
	all, admission := shard.Shard{}, client.AdmissionregistrationV1().RESTClient()
	Add(s, all, audit.ValidatingWebhooks, admission, "validatingwebhookconfigurations",
		&admissionregistrationv1.ValidatingWebhookConfiguration{}, c.validating)
	Add(s, all, audit.MutatingWebhooks, admission, "mutatingwebhookconfigurations",
		&admissionregistrationv1.MutatingWebhookConfiguration{}, c.mutating)
	Add(s, all, audit.AdmissionPolicies, admission, "validatingadmissionpolicies",
		&admissionregistrationv1.ValidatingAdmissionPolicy{}, c.policies)
	Add(s, all, audit.AdmissionPolicyBindings, admission, "validatingadmissionpolicybindings",
		&admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, c.bindings)
	addFrom(s, audit.EndpointSlices, cache.NewFilteredListWatchFromClient(
		client.DiscoveryV1().RESTClient(), "endpointslices", metav1.NamespaceDefault,
		func(o *metav1.ListOptions) { o.LabelSelector = discoveryv1.LabelServiceName + "=" + apiServerService },
	), &discoveryv1.EndpointSlice{}, c.endpoints)
	if s.shard.Owns(audit.SystemNamespace) {
		s.pickStatic()
		return
	}
	addFrom(s, audit.Pods, &shardedListWatcher{
		listWatcher: cache.NewFilteredListWatchFromClient(client.CoreV1().RESTClient(), "pods", audit.SystemNamespace, func(*metav1.ListOptions) {}),
		keeps:       isStatic,
	}, &corev1.Pod{}, c.static)
	c.static.notify = func(string) { s.tell(Event{Resource: audit.StaticPods}) }
}

// pickStatic keeps the static Pods of SystemNamespace apart from all others there, which concern nothing but their own namespace.
// It must be called after the Pods are added.
func (s *Sources) pickStatic() {
	c := &s.cluster
	drop := func(p *audit.PodRecord) {
		if _, ok := c.static.Get(p.Namespace, p.Name); ok {
			c.static.Forget(p.Namespace, p.Name)
			c.staticChanged.Store(true)
		}
	}
	s.pods.removed = drop
	s.pods.stored = func(p *audit.PodRecord) {
		switch {
		case p.Namespace != audit.SystemNamespace:
		case !p.Static():
			drop(p)
		case c.static.put(p):
			c.staticChanged.Store(true)
		}
	}
	changed := s.pods.notify
	s.pods.notify = func(namespace string) {
		changed(namespace)
		if c.staticChanged.Swap(false) {
			s.tell(Event{Resource: audit.StaticPods})
		}
	}
}

// apiServerService is the Service by which Pods reach the API server.
const apiServerService = "kubernetes"

// isStatic says whether a Pod mirrors a static one, as PodRecord.Static does.
func isStatic(m metav1.Object) bool {
	c := metav1.GetControllerOfNoCopy(m)
	return c != nil && c.Kind == "Node" && c.APIVersion == "v1" && isMirror(m)
}

// Cluster returns what is known of what belongs to no namespace.
func (s *Sources) Cluster() audit.ClusterInventory {
	i := audit.ClusterInventory{ServerVersion: s.version.Full(), Unavailable: s.unavailable()}
	i.Nodes = knownOf(&i, audit.Nodes, s.nodes, "")
	i.ControlPlane = knownOf(&i, audit.Pods, s.cluster.static, audit.SystemNamespace)
	i.Endpoints = knownOf(&i, audit.EndpointSlices, s.cluster.endpoints, metav1.NamespaceDefault)
	i.Validating = knownOf(&i, audit.ValidatingWebhooks, s.cluster.validating, "")
	i.Mutating = knownOf(&i, audit.MutatingWebhooks, s.cluster.mutating, "")
	i.Policies = knownOf(&i, audit.AdmissionPolicies, s.cluster.policies, "")
	i.Bindings = knownOf(&i, audit.AdmissionPolicyBindings, s.cluster.bindings, "")
	i.Exceptions = knownOf(&i, audit.ClusterSecurityExceptions, s.clusterExceptions, "")
	if i.Missing(audit.Namespaces) == nil {
		i.Namespaces = s.namespaces.All()
	}
	if i.Missing(audit.ImageReports) == nil {
		i.Kubernetes = s.imageReports.onKubernetes()
	}
	s.powers.addToCluster(&i)
	i.UIDOf = s.uidOf
	forgetOptional(i.Unavailable)
	return i
}

// knownOf returns what there is of a resource in a namespace, as far as that is known.
func knownOf[R Record[R]](i *audit.ClusterInventory, r audit.Resource, from *Store[R], namespace string) []R {
	if i.Missing(r) != nil {
		return nil
	}
	return from.List(namespace)
}

func endpointRecord(o runtime.Object) (*audit.EndpointRecord, error) {
	e, ok := o.(*discoveryv1.EndpointSlice)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.EndpointRecord{Object: audit.ObjectFrom(e)}
	for _, endpoint := range e.Endpoints {
		r.Addresses = append(r.Addresses, endpoint.Addresses...)
	}
	slices.Sort(r.Addresses)
	return r, nil
}

func validatingRecord(o runtime.Object) (*audit.WebhookRecord, error) {
	c, ok := o.(*admissionregistrationv1.ValidatingWebhookConfiguration)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.WebhookRecord{Object: audit.ObjectFrom(c), Generation: c.Generation}
	for i := range c.Webhooks {
		r.Webhooks = append(r.Webhooks, webhook(&c.Webhooks[i]))
	}
	return r, nil
}

func mutatingRecord(o runtime.Object) (*audit.WebhookRecord, error) {
	c, ok := o.(*admissionregistrationv1.MutatingWebhookConfiguration)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.WebhookRecord{Object: audit.ObjectFrom(c), Generation: c.Generation}
	for i := range c.Webhooks {
		w := &c.Webhooks[i]
		r.Webhooks = append(r.Webhooks, webhook(&admissionregistrationv1.ValidatingWebhook{
			Name: w.Name, FailurePolicy: w.FailurePolicy, Rules: w.Rules, ClientConfig: w.ClientConfig,
			NamespaceSelector: w.NamespaceSelector, ObjectSelector: w.ObjectSelector, MatchConditions: w.MatchConditions,
		}))
	}
	return r, nil
}

func webhook(w *admissionregistrationv1.ValidatingWebhook) audit.Webhook {
	r := audit.Webhook{Scope: scope(w.NamespaceSelector, w.ObjectSelector, w.MatchConditions), Name: w.Name, FailsOpen: ignores(w.FailurePolicy)}
	r.Pods = audit.CoverPods(w.Rules)
	if w.ClientConfig.Service != nil {
		r.ServiceNamespace = w.ClientConfig.Service.Namespace
	}
	return r
}

// scope returns what selectors and conditions leave of Pods.
func scope(namespaces, objects *metav1.LabelSelector, conditions []admissionregistrationv1.MatchCondition) audit.Scope {
	s := audit.Scope{Namespaces: selector(namespaces)}
	if of := selector(objects); !of.Empty() {
		s.Partial, s.OptOut = "objectSelector", of.Matches(labels.Set{})
	}
	if len(conditions) > 0 {
		s.Partial = "matchConditions"
	}
	return s
}

func ignores(failure *admissionregistrationv1.FailurePolicyType) bool {
	return failure != nil && *failure == admissionregistrationv1.Ignore
}

// selector compiles a selector of namespaces as admission does: absent, it selects all. The API server stores none that is
// not valid, and one out of a manifest selects nothing.
func selector(s *metav1.LabelSelector) labels.Selector {
	if s == nil {
		return labels.Everything()
	}
	compiled, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	return compiled
}

func admissionPolicyRecord(o runtime.Object) (*audit.AdmissionPolicyRecord, error) {
	p, ok := o.(*admissionregistrationv1.ValidatingAdmissionPolicy)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.AdmissionPolicyRecord{
		Object: audit.ObjectFrom(p), Generation: p.Generation, Validates: len(p.Spec.Validations) > 0,
		FailsOpen: ignores(p.Spec.FailurePolicy), Parameters: p.Spec.ParamKind != nil,
	}
	if m := p.Spec.MatchConstraints; m != nil && coverPods(m.ResourceRules) {
		r.Scope = narrowed(m, p.Spec.MatchConditions)
	}
	expressions := make([]string, 0, len(p.Spec.Validations)+len(p.Spec.Variables))
	for _, v := range p.Spec.Validations {
		expressions = append(expressions, v.Expression)
	}
	for _, v := range p.Spec.Variables {
		expressions = append(expressions, v.Expression)
	}
	for _, e := range expressions {
		fields := noField.ReplaceAllString(e, " ")
		r.Images = r.Images || imageField.MatchString(fields)
		r.Tolerations = r.Tolerations || tolerationsField.MatchString(fields)
	}
	return r, nil
}

// noField is what of an expression only looks like a field of a Pod: texts, comments, and keys of labels and annotations.
var noField = regexp.MustCompile(
	`(?s)"""(?:\\.|.)*?"""|'''(?:\\.|.)*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|//[^\n]*|\b(?:labels|annotations)\s*\.\s*\??\s*\w+`)

// The fields of Pods that are looked for, in what is left of an expression.
var (
	imageField       = regexp.MustCompile(`\.\s*\??\s*image\b`)
	tolerationsField = regexp.MustCompile(`\.\s*\??\s*tolerations\b`)
)

func admissionBindingRecord(o runtime.Object) (*audit.AdmissionBindingRecord, error) {
	b, ok := o.(*admissionregistrationv1.ValidatingAdmissionPolicyBinding)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.AdmissionBindingRecord{
		Object: audit.ObjectFrom(b), Generation: b.Generation, Policy: b.Spec.PolicyName,
		Scope:  audit.Scope{Pods: true, Namespaces: labels.Everything()},
		Denies: slices.Contains(b.Spec.ValidationActions, admissionregistrationv1.Deny),
	}
	if p := b.Spec.ParamRef; p != nil && p.ParameterNotFoundAction != nil {
		r.Lenient = *p.ParameterNotFoundAction == admissionregistrationv1.AllowAction
	}
	if m := b.Spec.MatchResources; m != nil {
		r.Scope = narrowed(m, nil)
		r.Pods = r.Pods && (len(m.ResourceRules) == 0 || coverPods(m.ResourceRules))
	}
	return r, nil
}

// narrowed returns what a policy or a binding leaves of Pods.
func narrowed(m *admissionregistrationv1.MatchResources, conditions []admissionregistrationv1.MatchCondition) audit.Scope {
	s := scope(m.NamespaceSelector, m.ObjectSelector, conditions)
	s.Pods = !coverPods(m.ExcludeResourceRules)
	if s.Partial == "" && slices.ContainsFunc(m.ExcludeResourceRules, namesPods) {
		s.Partial = "excludeResourceRules"
	}
	return s
}

// namesPods says whether a rule is about Pods of certain names.
func namesPods(r admissionregistrationv1.NamedRuleWithOperations) bool {
	return len(r.ResourceNames) > 0 && audit.CoverPods([]admissionregistrationv1.RuleWithOperations{r.RuleWithOperations})
}

// coverPods says whether rules are about all Pods that are created.
func coverPods(rules []admissionregistrationv1.NamedRuleWithOperations) bool {
	return slices.ContainsFunc(rules, func(r admissionregistrationv1.NamedRuleWithOperations) bool {
		return len(r.ResourceNames) == 0 && audit.CoverPods([]admissionregistrationv1.RuleWithOperations{r.RuleWithOperations})
	})
}

// nodeDetails returns what is judged of a node itself.
func nodeDetails(n *corev1.Node) audit.NodeDetails {
	d := audit.NodeDetails{
		KubeletVersion: unique.Make(n.Status.NodeInfo.KubeletVersion).Value(),
		Runtime:        unique.Make(n.Status.NodeInfo.ContainerRuntimeVersion).Value(),
	}
	d.Public, d.PublicType = publicAddress(n.Status.Addresses)
	d.Provider = providerOf(n.Spec.ProviderID)
	labelKeys := make([]string, 0, len(n.Labels))
	for key := range n.Labels {
		labelKeys = append(labelKeys, key)
	}
	var taintKeys []string
	for _, t := range n.Spec.Taints {
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !isOfCondition(t.Key) {
			taintKeys = append(taintKeys, t.Key)
		}
	}
	d.LabelKeys, d.TaintKeys = lines(labelKeys), lines(taintKeys)
	return d
}

// publicAddress returns the address of a node that tells most of whether the internet can reach it, if any is public: an external
// one, or else an internal one of version 4, or else one of version 6.
func publicAddress(addresses []corev1.NodeAddress) (address string, kind corev1.NodeAddressType) {
	best := 0
	for _, a := range addresses {
		ip, err := netip.ParseAddr(a.Address)
		if err != nil || !audit.IsPublic(a.Address) {
			continue
		}
		rank := 0
		switch {
		case a.Type == corev1.NodeExternalIP:
			rank = 3
		case a.Type == corev1.NodeInternalIP && ip.Is4():
			rank = 2
		case a.Type == corev1.NodeInternalIP:
			rank = 1
		}
		if rank > best {
			best, address, kind = rank, a.Address, a.Type
		}
	}
	return address, kind
}

// providerOf returns whom a providerID names, or "".
func providerOf(id string) string {
	scheme, _, _ := strings.Cut(id, "://")
	return unique.Make(cmp.Or(netpol.CloudOf(id), scheme)).Value()
}

// isOfCondition says whether a taint comes and goes with the node's condition, or with its end.
func isOfCondition(key string) bool {
	prefix, _, _ := strings.Cut(key, "/")
	return prefix == "node.kubernetes.io" || prefix == "node.cloudprovider.kubernetes.io" || strings.HasSuffix(key, "ClusterAutoscaler")
}

// lines makes one shared text of keys.
func lines(keys []string) string {
	slices.Sort(keys)
	return unique.Make(strings.Join(slices.Compact(keys), "\n")).Value()
}
