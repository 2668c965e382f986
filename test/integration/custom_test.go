// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	intstrutil "k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/custom"
	"github.com/kubersafe/kubersafe/internal/source"
)

// expressions that both the API server and custom checks are asked. Verdicts must agree on every object: true, false, or error.
// They may not depend on whether a Pod has what admission gives nearly all Pods: a volume, its mounts, and tolerations.
var expressions = map[v1alpha1.CustomCheckKind][]string{
	v1alpha1.CustomCheckPod: {
		`object.kind == 'Pod' && object.apiVersion == 'v1'`,
		`object.metadata.namespace == namespaceObject.metadata.name`,
		`namespaceObject.metadata.labels.team == 'a'`,
		`has(namespaceObject.metadata.labels.owner)`,
		`namespaceObject.metadata.labels.owner == 'b'`,
		`has(object.metadata.labels.team)`,
		`object.metadata.labels['team'] == 'a'`,
		`object.metadata.labels.all(k, k.matches('^[a-z-]+$'))`,
		`has(object.spec.hostNetwork)`,
		`!has(object.spec.hostNetwork) || !object.spec.hostNetwork`,
		`object.spec.hostNetwork == true`,
		`object.spec.?hostNetwork.orValue(false) == true`,
		`has(object.spec.securityContext)`,
		`has(object.spec.securityContext.runAsNonRoot)`,
		`object.spec.securityContext.runAsNonRoot == true`,
		`object.spec.containers.all(c, has(c.securityContext) && has(c.securityContext.runAsNonRoot) && c.securityContext.runAsNonRoot)`,
		`object.spec.containers.all(c, c.?securityContext.?allowPrivilegeEscalation.orValue(true) == false)`,
		`object.spec.containers.exists(c, c.?securityContext.?capabilities.?drop.orValue([]).exists(d, d == 'ALL'))`,
		`object.spec.containers.all(c, c.image.startsWith('registry.example.com/'))`,
		`object.spec.containers.all(c, c.image.find('@sha256:[0-9a-f]+$') != '')`,
		`object.spec.containers.all(c, has(c.resources))`,
		`object.spec.containers.all(c, has(c.resources.limits))`,
		`object.spec.containers.all(c, 'memory' in c.resources.limits)`,
		`object.spec.containers.all(c, quantity(c.resources.limits.memory).isLessThan(quantity('1Gi')))`,
		`object.spec.containers.all(c, c.resources.limits.memory == '512Mi')`,
		`object.spec.containers.all(c, c.resources.limits.all(k, v, isQuantity(v)))`,
		`object.spec.containers.all(c, c.imagePullPolicy == 'Always')`,
		`object.spec.containers[1].name == 'b'`,
		`object.spec.containers.map(c, c.name) == ['a', 'b']`,
		`sets.contains(['a', 'b'], object.spec.containers.map(c, c.name))`,
		`object.spec.containers[0].ports[0].containerPort == 8080 && object.spec.containers[0].ports[0].protocol == 'TCP'`,
		`object.spec.containers[0].ports[0].hostPort == 80`,
		`object.spec.containers[0].env.all(e, has(e.valueFrom) && e.name != '')`,
		`object.spec.containers[0].command == ['sh', '-c', 'sleep 1']`,
		`size(object.spec.initContainers) == 1`,
		`(object.spec.containers + object.spec.initContainers).all(c, c.name != 'init')`,
		`has(object.spec.initContainers) && object.spec.initContainers.exists(c, has(c.restartPolicy) && c.restartPolicy == 'Always')`,
		`!has(object.spec.volumes) || object.spec.volumes.filter(v, has(v.hostPath)).size() == 0`,
		`has(object.spec.volumes) && object.spec.volumes.exists(v, has(v.emptyDir) && quantity(v.emptyDir.sizeLimit).compareTo(quantity('1Gi')) == 0)`,
		`object.spec.restartPolicy == 'Always'`,
		`object.spec.serviceAccountName == 'default'`,
		`object.spec.automountServiceAccountToken == true`,
		`object.spec.nodeSelector == {'pool': 'a'}`,
		`has(object.spec.tolerations) && object.spec.tolerations.exists(t, t.key == 'pool')`,
		`dyn(object.spec.containers[0].ports[0].containerPort) == 8080.0`,
		`1 / object.spec.containers[0].ports[0].containerPort == 0`,
		`object.spec.containers.all(c, cidr(c.image).prefixLength() == 1)`,
		`object.spec.containers.all(c, c.securityContext.runAsUser >= 1000)`,
	},
	v1alpha1.CustomCheckService: {
		`object.kind == 'Service' && object.metadata.name == 'web' && object.metadata.namespace == namespaceObject.metadata.name`,
		`object.spec.type == 'ClusterIP'`,
		`has(object.spec.selector) && object.spec.selector.app == 'web'`,
		`object.spec.ports.all(p, p.port == 80)`,
		`object.spec.ports.all(p, p.targetPort == 80)`,
		`object.spec.ports.all(p, p.targetPort == 'http')`,
		`object.spec.ports.all(p, type(p.targetPort) == int)`,
		`has(object.spec.externalName)`,
		`object.spec.externalIPs[0] == '192.0.2.1'`,
		`object.spec.loadBalancerSourceRanges.all(r, cidr(r).prefixLength() >= 24)`,
	},
	v1alpha1.CustomCheckIngress: {
		`object.apiVersion == 'networking.k8s.io/v1' && object.metadata.name == 'web'`,
		`object.spec.rules.all(r, has(r.host))`,
		`object.spec.rules.all(r, r.host.endsWith('.example.com'))`,
		`has(object.spec.rules)`,
	},
	v1alpha1.CustomCheckNetworkPolicy: {
		`object.apiVersion == 'networking.k8s.io/v1' && object.metadata.name == 'web'`,
		`object.spec.policyTypes == ['Ingress']`,
		`has(object.spec.podSelector)`,
		`has(object.spec.podSelector.matchLabels)`,
		`object.spec.ingress.all(r, r.ports.all(p, p.port == 80))`,
		`object.spec.ingress.all(r, r.from.all(f, cidr(f.ipBlock.cidr).prefixLength() > 8))`,
		`has(object.spec.ingress[0].from)`,
	},
	v1alpha1.CustomCheckResourceQuota: {
		`object.kind == 'ResourceQuota' && object.metadata.name == 'web'`,
		`quantity(object.spec.hard['limits.memory']).isLessThan(quantity('32Gi'))`,
		`object.spec.hard.pods == '10'`,
		`object.spec.hard['limits.cpu'] == '1'`,
		`object.spec.scopes == ['NotTerminating']`,
		`has(object.spec.scopeSelector)`,
	},
}

// asked are the objects of each kind.
func asked() map[v1alpha1.CustomCheckKind][]client.Object {
	yes, no, thousand, pathType := true, false, int64(1000), networkingv1.PathTypePrefix
	always, gibibyte := corev1.ContainerRestartPolicyAlways, resource.MustParse("1024Mi")
	backend := networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}}}
	route := networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
		Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: &pathType, Backend: backend}},
	}}
	tcp := corev1.ProtocolTCP
	port := func(p int32, target any) corev1.ServicePort {
		s := corev1.ServicePort{Port: p}
		switch target := target.(type) {
		case int:
			s.TargetPort = intstr(target)
		case string:
			s.TargetPort = intstrutil.FromString(target)
		}
		return s
	}
	meta := metav1.ObjectMeta{Name: "web"}
	return map[v1alpha1.CustomCheckKind][]client.Object{
		v1alpha1.CustomCheckPod: {
			&corev1.Pod{ObjectMeta: meta, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "nginx"}}}},
			&corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{"team": "a", "app": "web"}},
				Spec: corev1.PodSpec{
					AutomountServiceAccountToken: &no, SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes}, NodeSelector: map[string]string{"pool": "a"},
					Containers: []corev1.Container{{
						Name: "a", Image: "registry.example.com/a@sha256:" + strings.Repeat("0a", 32), Command: []string{"sh", "-c", "sleep 1"},
						Env: []corev1.EnvVar{{Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}}},
						SecurityContext: &corev1.SecurityContext{
							RunAsNonRoot: &yes, RunAsUser: &thousand, AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
						},
						Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"memory": resource.MustParse("524288Ki"), "cpu": resource.MustParse("1500m")}},
						Ports:     []corev1.ContainerPort{{ContainerPort: 8080}},
					}},
					Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &gibibyte}}}},
				},
			},
			&corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{"team": "b", "example.com/x": "y"}},
				Spec: corev1.PodSpec{
					HostNetwork: true, Tolerations: []corev1.Toleration{{Key: "pool", Operator: corev1.TolerationOpExists}},
					AutomountServiceAccountToken: &no, RestartPolicy: corev1.RestartPolicyNever,
					SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &no},
					InitContainers:  []corev1.Container{{Name: "init", Image: "init:1", RestartPolicy: &always}},
					Containers: []corev1.Container{
						{Name: "a", Image: "registry.example.com/a:latest", Ports: []corev1.ContainerPort{{ContainerPort: 80, HostPort: 80}}},
						{Name: "b", Image: "b:1", SecurityContext: &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}},
					},
					Volumes: []corev1.Volume{{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}},
				},
			},
		},
		v1alpha1.CustomCheckService: {
			&corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{port(80, nil)}}},
			&corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
				Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{port(80, "http")},
				LoadBalancerSourceRanges: []string{"192.0.2.0/24", "10.0.0.0/8"}, ExternalIPs: []string{"192.0.2.1"},
			}},
			&corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "x.example.com"}},
		},
		v1alpha1.CustomCheckIngress: {
			&networkingv1.Ingress{ObjectMeta: meta, Spec: networkingv1.IngressSpec{DefaultBackend: &backend}},
			&networkingv1.Ingress{ObjectMeta: meta, Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{
				{Host: "shop.example.com", IngressRuleValue: route}, {IngressRuleValue: route},
			}}},
			&networkingv1.Ingress{ObjectMeta: meta, Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{Host: "a.example.com", IngressRuleValue: route}}}},
		},
		v1alpha1.CustomCheckNetworkPolicy: {
			&networkingv1.NetworkPolicy{ObjectMeta: meta},
			&networkingv1.NetworkPolicy{ObjectMeta: meta, Spec: networkingv1.NetworkPolicySpec{
				PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
				Ingress: []networkingv1.NetworkPolicyIngressRule{{
					Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr(80)), Protocol: &tcp}},
					From:  []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}}},
				}},
				Egress: []networkingv1.NetworkPolicyEgressRule{{}}, PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"},
			}},
			&networkingv1.NetworkPolicy{ObjectMeta: meta, Spec: networkingv1.NetworkPolicySpec{
				Ingress: []networkingv1.NetworkPolicyIngressRule{{Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstrutil.FromString("http"))}}}},
			}},
		},
		v1alpha1.CustomCheckResourceQuota: {
			&corev1.ResourceQuota{ObjectMeta: meta},
			&corev1.ResourceQuota{ObjectMeta: meta, Spec: corev1.ResourceQuotaSpec{
				Hard:   corev1.ResourceList{"pods": resource.MustParse("10"), "limits.memory": resource.MustParse("65536Mi"), "limits.cpu": resource.MustParse("1000m")},
				Scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeNotTerminating},
			}},
		},
	}
}

var resourceNames = map[v1alpha1.CustomCheckKind]struct{ group, resource string }{
	v1alpha1.CustomCheckPod: {"", "pods"}, v1alpha1.CustomCheckService: {"", "services"}, v1alpha1.CustomCheckResourceQuota: {"", "resourcequotas"},
	v1alpha1.CustomCheckIngress: {"networking.k8s.io", "ingresses"}, v1alpha1.CustomCheckNetworkPolicy: {"networking.k8s.io", "networkpolicies"},
}

// The verdicts on an object.
const (
	saysTrue  = "true"
	saysFalse = "false"
	saysError = "error"
)

// TestCustomChecksAgreeWithAdmission asks the API server's own ValidatingAdmissionPolicy, and custom checks of what it would
// have stored.
func TestCustomChecksAgreeWithAdmission(t *testing.T) {
	namespace := newLabelledNamespace(t, map[string]string{"team": "a"})
	around := &corev1.Namespace{}
	if err := admin.Get(t.Context(), client.ObjectKey{Name: namespace}, around); err != nil {
		t.Fatal(err)
	}
	// All policies at first: the API server takes about a second to notice one.
	admission := make(map[string]func(client.Object) string) // by kind and expression
	for kind, all := range expressions {
		for n, expression := range all {
			name := fmt.Sprintf("%s-%s-%d", namespace, strings.ToLower(string(kind)), n)
			admission[string(kind)+expression] = admissionBy(t, name, namespace, kind, expression)
		}
	}
	said := make(map[string]int)
	for kind, objects := range asked() {
		for _, expression := range expressions[kind] {
			for _, o := range objects {
				o.SetNamespace(namespace)
				want := admission[string(kind)+expression](o)
				stored, err := dryRun(t.Context(), o, "none")
				if err != nil {
					t.Fatal(err)
				}
				got := verdict(t, kind, expression, around, stored)
				if got != want {
					t.Errorf("%s of %v: %s, and by admission %s", expression, o, got, want)
				}
				said[want]++
			}
		}
	}
	t.Logf("verdicts: %v", said)
	for _, verdict := range []string{saysTrue, saysFalse, saysError} {
		if said[verdict] == 0 {
			t.Errorf("nothing was %q", verdict)
		}
	}
}

// caseLabel is the label of the objects that one policy is about.
const caseLabel = "case"

// admissionBy makes a ValidatingAdmissionPolicy of an expression, and returns what it says of an object.
func admissionBy(t *testing.T, name, namespace string, kind v1alpha1.CustomCheckKind, expression string) func(client.Object) string {
	t.Helper()
	const message = "it must be otherwise"
	of := resourceNames[kind]
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
				ObjectSelector:    &metav1.LabelSelector{MatchLabels: map[string]string{caseLabel: name}},
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule: admissionregistrationv1.Rule{
						APIGroups: []string{of.group}, APIVersions: []string{"v1"}, Resources: []string{of.resource},
					},
				}}},
			},
			Validations: []admissionregistrationv1.Validation{
				{Expression: `object.metadata.name != 'canary'`, Message: "canary"},
				{Expression: expression, Message: message},
			},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
	for _, o := range []client.Object{policy, binding} {
		create(t, o)
		t.Cleanup(func() { removeAfterwards(t, o) })
	}
	ready := false
	return func(o client.Object) string {
		t.Helper()
		if !ready {
			canary := copyOf(o)
			canary.SetName("canary")
			eventually(t, "policy "+name, func(ctx context.Context) (bool, string) {
				_, err := dryRun(ctx, canary, name)
				return err != nil && strings.Contains(err.Error(), "canary"), fmt.Sprint(err)
			})
			ready = true
		}
		_, err := dryRun(t.Context(), o, name)
		switch {
		case err == nil:
			return saysTrue
		case strings.HasSuffix(err.Error(), "denied request: "+message):
			return saysFalse
		case strings.Contains(err.Error(), "resulted in error"):
			return saysError
		}
		t.Fatalf("%s: %v", expression, err)
		return ""
	}
}

// dryRun returns an object as the API server would store it.
func dryRun(ctx context.Context, o client.Object, caseName string) (client.Object, error) {
	o = copyOf(o)
	labels := map[string]string{caseLabel: caseName}
	maps.Copy(labels, o.GetLabels())
	o.SetLabels(labels)
	return o, admin.Create(ctx, o, client.DryRunAll)
}

func copyOf(o client.Object) client.Object {
	return o.DeepCopyObject().(client.Object) //nolint:forcetypeassert // what is copied is one
}

// verdict returns what a custom check says of an object.
func verdict(t *testing.T, kind v1alpha1.CustomCheckKind, expression string, namespace *corev1.Namespace, o client.Object) string {
	t.Helper()
	check, err := custom.Compile(&v1alpha1.CustomCheck{
		ID: "own", Severity: v1alpha1.SeverityLow, Message: "m", Kinds: []v1alpha1.CustomCheckKind{kind}, Expression: expression,
	})
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	set, err := audit.NewSet([]audit.Check{check})
	if err != nil {
		t.Fatal(err)
	}
	static := source.NewStatic()
	for _, o := range []client.Object{namespace.DeepCopy(), o} {
		if err := static.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	results := set.Evaluate(audit.Fold(*static.Inventories()[namespace.Name], time.Now()))
	switch r := results[0]; {
	case len(r.Findings) == 1:
		return saysFalse
	case len(r.Skips) == 1 && r.Skips[0].Reason == v1alpha1.SkipExpressionFailed:
		return saysError
	case r.Passed == 1 && len(r.Skips) == 0:
		return saysTrue
	}
	t.Fatalf("%s: %+v", expression, results)
	return ""
}
