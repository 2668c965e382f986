// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package custom

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

const (
	pod           = v1alpha1.CustomCheckPod
	namespace     = v1alpha1.CustomCheckNamespace
	service       = v1alpha1.CustomCheckService
	ingress       = v1alpha1.CustomCheckIngress
	networkPolicy = v1alpha1.CustomCheckNetworkPolicy
	resourceQuota = v1alpha1.CustomCheckResourceQuota
)

func custom(expression string, kinds ...v1alpha1.CustomCheckKind) *v1alpha1.CustomCheck {
	return &v1alpha1.CustomCheck{
		ID: "own", Severity: v1alpha1.SeverityMedium, Message: "it must be otherwise", Kinds: kinds, Expression: expression,
	}
}

// results judges a namespace by one check.
func results(t testing.TB, inventory audit.Inventory, c *v1alpha1.CustomCheck) []audit.Result {
	t.Helper()
	check, err := Compile(c)
	if err != nil {
		t.Fatalf("%s: %v", c.Expression, err)
	}
	set, err := audit.NewSet([]audit.Check{check})
	if err != nil {
		t.Fatalf("%s: %v", c.Expression, err)
	}
	return set.Evaluate(audit.Fold(inventory, inventoryTime))
}

var inventoryTime = time.Unix(0, 0)

// said is what was said in a namespace: a line for each finding and skip.
func said(results []audit.Result) string {
	var lines []string
	for _, r := range results {
		for _, f := range r.Findings {
			object := ""
			if f.Object != nil {
				object = " " + f.Object.Kind + "/" + f.Object.Name
			}
			lines = append(lines, fmt.Sprintf("%s%s %s %s %s: %s", r.Kind, object, f.Severity, f.Path, f.SeenIn, f.Message))
		}
		for _, s := range r.Skips {
			lines = append(lines, fmt.Sprintf("%s skipped %s: %s", r.Kind, s.Reason, s.Message))
		}
	}
	return strings.Join(lines, "\n")
}

func object(name string) audit.Object {
	return audit.Object{Namespace: "shop", Name: name, UID: audit.UID(name)}
}

func inventory() audit.Inventory {
	return audit.Inventory{
		Surroundings: audit.Surroundings{Name: "shop"},
		Namespace:    &audit.NamespaceRecord{Object: audit.Object{Name: "shop", UID: "shop"}, Labels: map[string]string{"team": "a"}},
	}
}

func withPod(labels map[string]string, spec corev1.PodSpec) audit.Inventory {
	i := inventory()
	i.Pods = []*audit.PodRecord{{Object: object("web"), Labels: audit.NewLabels(labels), Shape: audit.NewShape(&audit.Pod{Spec: spec})}}
	return i
}

func container() corev1.Container {
	return corev1.Container{
		Name: "api", Image: "registry.example.com/api:1",
		SecurityContext: &corev1.SecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(1000))},
		Resources:       corev1.ResourceRequirements{Limits: corev1.ResourceList{"memory": resource.MustParse("512Mi")}},
		Ports:           []corev1.ContainerPort{{ContainerPort: 8080}},
	}
}

// failed is what is said where the expression is false.
const failed = "it must be otherwise"

func TestKinds(t *testing.T) {
	i := withPod(map[string]string{"app": "web"}, corev1.PodSpec{Containers: []corev1.Container{container()}})
	i.Services = []*audit.ServiceRecord{
		{Object: object("db"), ServiceFacts: audit.ServiceFacts{Type: corev1.ServiceTypeClusterIP, Ports: []audit.ServicePort{{Port: 80, TargetName: "http"}}}},
		{Object: object("web"), ServiceFacts: audit.ServiceFacts{
			Type: corev1.ServiceTypeLoadBalancer, Selector: audit.NewLabels(map[string]string{"app": "web"}), ExternalIPs: []string{"192.0.2.1"},
			Ports: []audit.ServicePort{{Port: 443, TargetPort: 8443}}, SourceRanges: []string{"192.0.2.0/24"},
		}},
		{Object: object("x"), ServiceFacts: audit.ServiceFacts{Type: corev1.ServiceTypeExternalName, ExternalName: "x.example.com"}},
	}
	i.Ingresses = []*audit.IngressRecord{{Object: object("web"), IngressFacts: audit.IngressFacts{Hosts: []string{"shop.example.com", ""}}}}
	i.NetworkPolicies = []*audit.NetworkPolicyRecord{audit.NewNetworkPolicyRecord(object("deny"), &networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, PolicyTypes: []networkingv1.PolicyType{"Ingress"},
		Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}}}}},
	})}
	i.Quotas = []*audit.QuotaRecord{{
		Object: object("all"), Usage: []audit.QuotaUsage{{Resource: "limits.memory", Hard: "64Gi"}, {Resource: "pods", Hard: "10"}},
		Scopes: []corev1.ResourceQuotaScope{"NotTerminating"},
	}}
	for _, tc := range []struct {
		kind       v1alpha1.CustomCheckKind
		expression string
		want       string
	}{
		{pod, `object.spec.containers.all(c, c.image.startsWith('registry.example.com/'))`, ""},
		{pod, `object.spec.containers.all(c, c.image.startsWith('other.example.com/'))`, "Pod Medium spec : " + failed},
		{pod, `object.kind == 'Pod' && object.apiVersion == 'v1'`, ""},
		{pod, `object.metadata.namespace == 'shop'`, ""},
		{pod, `object.metadata.namespace != namespaceObject.metadata.name`, "Pod Medium spec : " + failed},
		{pod, `object.metadata.labels['app'] == 'web'`, ""},
		{pod, `has(object.metadata.labels.team) && object.metadata.labels.team != ''`, "Pod Medium spec : " + failed},
		{pod, `namespaceObject.metadata.labels.team == 'a'`, ""},
		{pod, `namespaceObject.metadata.labels.team == 'b'`, "Pod Medium spec : " + failed},
		{namespace, `object.metadata.name == 'shop' && object.metadata.labels.team == 'a' && object.kind == 'Namespace'`, ""},
		{namespace, `has(object.metadata.labels.owner)`, "Namespace Medium metadata : " + failed},
		{service, `object.apiVersion == 'v1' && object.kind == 'Service' && object.metadata.namespace == 'shop'`, ""},
		{service, `object.spec.type != 'LoadBalancer' || object.spec.loadBalancerSourceRanges.all(r, cidr(r).prefixLength() >= 24)`, ""},
		{service, `object.spec.type != 'LoadBalancer'`, "Namespace Service/web Medium spec : " + failed},
		{service, `!has(object.spec.selector) || object.spec.selector.app == 'db'`, "Namespace Service/web Medium spec : " + failed},
		{service, `object.metadata.name == 'x' ? object.spec.externalName.endsWith('.example.com') : !has(object.spec.externalName)`, ""},
		{service, `!has(object.spec.externalIPs)`, "Namespace Service/web Medium spec : " + failed},
		{service, `!has(object.spec.ports) || object.spec.ports.all(p, p.port == 80 ? p.targetPort == 'http' : p.targetPort == 8443)`, ""},
		{service, `namespaceObject.metadata.labels.team == 'a'`, ""},
		{ingress, `object.apiVersion == 'networking.k8s.io/v1' && object.kind == 'Ingress' && object.metadata.name == 'web'`, ""},
		{ingress, `object.spec.rules.all(r, has(r.host) && r.host.endsWith('.example.com'))`, "Namespace Ingress/web Medium spec : " + failed},
		{ingress, `object.spec.rules[0].host == 'shop.example.com' && object.spec.rules.size() == 2`, ""},
		{networkPolicy, `object.apiVersion == 'networking.k8s.io/v1' && object.kind == 'NetworkPolicy' && object.metadata.name == 'deny'`, ""},
		{networkPolicy, `object.spec.podSelector.matchLabels == {'app': 'web'} && 'Ingress' in object.spec.policyTypes`, ""},
		{
			networkPolicy, `object.spec.ingress.all(r, r.from.all(p, !has(p.ipBlock) || cidr(p.ipBlock.cidr).prefixLength() >= 16))`,
			"Namespace NetworkPolicy/deny Medium spec : " + failed,
		},
		{resourceQuota, `object.apiVersion == 'v1' && object.kind == 'ResourceQuota' && object.metadata.name == 'all'`, ""},
		{resourceQuota, `quantity(object.spec.hard['limits.memory']).compareTo(quantity('64Gi')) == 0 && object.spec.hard.pods == '10'`, ""},
		{
			resourceQuota, `!has(object.spec.scopeSelector) && object.spec.scopes == ['Terminating']`,
			"Namespace ResourceQuota/all Medium spec : " + failed,
		},
	} {
		t.Run(string(tc.kind)+" "+tc.expression, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, said(results(t, i, custom(tc.expression, tc.kind)))); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpressionsOnPods(t *testing.T) {
	i := withPod(nil, corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "init", Image: "init:1"}}, Containers: []corev1.Container{container()},
		Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	})
	const skipped = "Pod skipped ExpressionFailed: the expression cannot be evaluated on the Pod: "
	for expression, want := range map[string]string{
		// Unset is absent, as in ValidatingAdmissionPolicy.
		`has(object.spec.containers[0].securityContext) && !has(object.spec.initContainers[0].securityContext)`: "",
		`!has(object.spec.hostNetwork) && !has(object.spec.securityContext) && !has(object.metadata.labels)`:    "",
		`has(object.spec.containers[0].resources) && !has(object.spec.containers[0].resources.requests)`:        "",
		`object.spec.?hostNetwork.orValue(false)`:                                                               "Pod Medium spec : " + failed,
		`object.spec.containers[0].securityContext.?runAsNonRoot.orValue(false)`:                                "",
		`has(object.spec.volumes[0].emptyDir) && !has(object.spec.volumes[0].hostPath)`:                         "",
		// The libraries of the dialect.
		`quantity(object.spec.containers[0].resources.limits.memory).isLessThan(quantity('1Gi'))`:                                           "",
		`object.spec.containers[0].resources.limits.all(k, v, k == 'memory' && v == '512Mi')`:                                               "",
		`object.spec.containers[0].image.find('[^/]+$') == 'api:1'`:                                                                         "",
		`sets.contains(['api', 'web'], object.spec.containers.map(c, c.name))`:                                                              "",
		`url('https://' + object.spec.containers[0].image.split(':')[0]).getHost() == 'registry.example.com'`:                               "",
		`(object.spec.containers + object.spec.initContainers).exists_one(c, c.name == 'init') && ip('::1').isLoopback()`:                   "",
		`object.spec.containers.filter(c, c.name == 'api')[0].ports[0].containerPort == 8080`:                                               "",
		`object.spec.containers.all(c, c.name.matches('^[a-z]+$')) && isSemver('1.2.3') && !format.dns1123Label().validate('a').hasValue()`: "",
		`{'b': 1, 'a': 2}.map(k, k) == ['a', 'b'] && {'b': 1, 'a': 2}.transformList(k, v, v) == [2, 1]`:                                     "",
		// What goes wrong has not passed.
		`object.spec.containers[5].name == ''`:                              skipped + "index out of bounds: 5",
		`object.spec.securityContext.runAsNonRoot`:                          skipped + "no such key: securityContext",
		`object.spec.initContainers.all(c, c.securityContext.runAsNonRoot)`: skipped + "no such key: securityContext",
		`quantity(object.spec.containers[0].image).isInteger()`:             skipped + "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
		`int(object.spec.containers[0].name) == 1`:                          skipped + "type conversion error from 'string' to 'int'",
		`1 / object.spec.containers[0].ports[0].?hostPort.orValue(0) == 1`:  skipped + "division by zero",
		// What is true or false whatever the rest is, is.
		`true || object.spec.containers[5].name == ''`:  "",
		`false && object.spec.containers[5].name == ''`: "Pod Medium spec : " + failed,
	} {
		t.Run(expression, func(t *testing.T) {
			if diff := cmp.Diff(want, said(results(t, i, custom(expression, pod)))); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	const nothing = "what is stored is judged, and there is no request"
	for expression, want := range map[string]string{
		`object.spec.nodeName == 'n1'`:                                        `line 1, column 12: the audit does not keep the field "object.spec.nodeName"`,
		`has(object.spec.nodeName)`:                                           `line 1, column 4: the audit does not keep the field "object.spec.nodeName"`,
		`object.spec.?nodeName.orValue('') == ''`:                             `line 1, column 12: the audit does not keep the field "object.spec.nodeName"`,
		`object.?spec.?nodeName.orValue('') == ''`:                            `line 1, column 13: the audit does not keep the field "object.spec.nodeName"`,
		"true &&\n  object.spec.containers[0].env[0].value == ''":             `line 2, column 35: the audit does not keep the field "object.spec.containers[0].env[0].value"`,
		`object.spec.containers.all(c, has(c.livenessProbe))`:                 `line 1, column 34: the audit does not keep the field "c.livenessProbe"`,
		`object.spec.containers.filter(c, c.name == 'a')[0].workingDir == ''`: `line 1, column 51: the audit does not keep the field "…[0].workingDir"`,
		`object.metadata.name == 'a'`:                                         `line 1, column 16: the audit does not keep the field "object.metadata.name"`,
		`object.metadata.annotations.a == 'a'`:                                `line 1, column 16: the audit does not keep the field "object.metadata.annotations"`,
		`namespaceObject.metadata.annotations.a == 'a'`:                       `line 1, column 25: the audit does not keep the field "namespaceObject.metadata.annotations"`,
		`has(object.status)`:                                                  `line 1, column 4: the audit does not keep the field "object.status"`,
		`'pod-template-hash' in object.metadata.labels`:                       `line 1, column 1: the audit does not keep the label "pod-template-hash" of Pods: it differs between replicas`,
		`object.spec.nodeNames == 'n1'`:                                       `line 1, column 12: undefined field 'nodeNames'`,
		`object.spec['nodeName'] == 'n1'`:                                     `line 1, column 12: found no matching overload for '_[_]' applied to '(object/PodSpec, string)'`,
		`[object][0].spec.nodeName == 'n1'`:                                   `line 1, column 17: the audit does not keep the field "…[0].spec.nodeName"`,
		`[1].map(x, object)[0].spec.nodeName == 'n1'`:                         `line 1, column 27: the audit does not keep the field "…[0].spec.nodeName"`,
		`{'a': object}.a.spec.nodeName == 'n1'`:                               `line 1, column 21: the audit does not keep the field "….a.spec.nodeName"`,
		`{'a': 1}.transformMap(k, v, object).a.spec.nodeName == 'n1'`:         `line 1, column 43: the audit does not keep the field "….a.spec.nodeName"`,
		`optional.of(object).value().spec.nodeName == 'n1'`:                   `line 1, column 33: the audit does not keep the field "….spec.nodeName"`,
		// No way around the types.
		`dyn(object).spec.nodeName == 'n1'`:                             `line 1, column 4: "dyn" would look at all of "object", and the audit does not keep all of it: use single fields`,
		`object.spec.containers[0] == object.spec.containers[1]`:        `line 1, column 27: "==" would look at all of "object.spec.containers[0]", and the audit does not keep all of it: use single fields; line 1, column 27: "==" would look at all of "object.spec.containers[1]", and the audit does not keep all of it: use single fields`,
		`[object, dyn(1)][0].spec.nodeName == 'n1'`:                     `line 1, column 13: expected type 'object/Pod' but found 'dyn'`,
		`(true ? object : dyn(1)).spec.nodeName == 'n1'`:                `line 1, column 7: "object" must not be mixed with values of other types: the audit does not keep all of it`,
		`optional.of(dyn(1)).orValue(object).spec.nodeName == 'n1'`:     `line 1, column 28: "object" must not be mixed with values of other types: the audit does not keep all of it`,
		`[1].map(x, x == 1 ? dyn(x) : object)[0].spec.nodeName == 'n1'`: `line 1, column 19: "object" must not be mixed with values of other types: the audit does not keep all of it`,
		// What there is not.
		`request.operation == 'CREATE'`:                `line 1, column 1: "request" is not available: ` + nothing,
		`oldObject == null`:                            `line 1, column 1: "oldObject" is not available: ` + nothing,
		`authorizer.path('/x').check('get').allowed()`: `line 1, column 1: "authorizer" is not available: ` + nothing,
		`true || params.a`:                             `line 1, column 9: "params" is not available: custom checks have no parameters`,
		`variables.a`:                                  `line 1, column 1: "variables" is not available: custom checks have no other expressions: write it out`,
		`self.a`:                                       `line 1, column 1: undeclared reference to 'self' (in container '')`,
		// What is no expression, or none of use.
		`object.spec.`:                       `line 1, column 13: Syntax error: no viable alternative at input '.'`,
		"true &&\n(":                         `line 2, column 2: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}`,
		`'a'`:                                `the expression must be a bool, and is a string`,
		`object.spec.containers[0].ports[0]`: `the expression must be a bool, and is a object/ContainerPort`,
		`object.spec.volumes.map(v, v.name)`: `the expression must be a bool, and is a list(string)`,
		`'a'.matches('(')`:                   `line 1, column 13: invalid matches argument`,
		`object.spec.containers.all(a, object.spec.containers.all(b, object.spec.containers.all(c, object.spec.containers.all(d, a.name.contains(d.name)))))`: `the expression is too expensive: where lists have 16 items, it may cost 3700596, and 1000000 is the limit; nest fewer loops`,
	} {
		t.Run(expression, func(t *testing.T) {
			_, err := Compile(custom(expression, pod))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorsOfOtherKinds(t *testing.T) {
	for name, tc := range map[string]struct {
		check *v1alpha1.CustomCheck
		want  string
	}{
		"a namespace's own namespace": {
			custom(`namespaceObject.metadata.name == 'shop'`, namespace), `line 1, column 1: "namespaceObject" is not available: "object" is the namespace`,
		},
		"a field of some kinds only": {
			custom(`!has(object.spec.hostNetwork)`, service, pod), `for kind Service: line 1, column 5: undefined field 'hostNetwork'`,
		},
		"a field that is kept of some kinds only": {
			custom(`object.metadata.name != 'a'`, service, pod), `for kind Pod: line 1, column 16: the audit does not keep the field "object.metadata.name"`,
		},
		"labels of a Service":      {custom(`has(object.metadata.labels)`, service), `line 1, column 4: the audit does not keep the field "object.metadata.labels"`},
		"the status of a quota":    {custom(`has(object.status)`, resourceQuota), `line 1, column 4: the audit does not keep the field "object.status"`},
		"the backends of hosts":    {custom(`has(object.spec.rules[0].http)`, ingress), `line 1, column 4: the audit does not keep the field "object.spec.rules[0].http"`},
		"ports of nodes":           {custom(`has(object.spec.ports[0].nodePort)`, service), `line 1, column 4: the audit does not keep the field "object.spec.ports[0].nodePort"`},
		"the phase of a namespace": {custom(`object.status.phase == 'Active'`, namespace), `line 1, column 7: the audit does not keep the field "object.status"`},
		"no kinds":                 {custom(`true`), `kinds must not be empty`},
		"an unknown kind":          {custom(`true`, "Secret"), `custom checks cannot judge kind "Secret"`},
		"an id in capitals": {
			&v1alpha1.CustomCheck{ID: "Own", Severity: v1alpha1.SeverityLow, Message: "m", Kinds: []v1alpha1.CustomCheckKind{pod}, Expression: "true"},
			`id must be kebab-case of at most 63 characters`,
		},
		"an unknown severity": {
			&v1alpha1.CustomCheck{ID: "own", Severity: "Bad", Message: "m", Kinds: []v1alpha1.CustomCheckKind{pod}, Expression: "true"},
			`severity "Bad" is none of [Critical High Medium Low]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(tc.check)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsWholeMayBeComparedAsAWhole(t *testing.T) {
	i := withPod(nil, corev1.PodSpec{Containers: []corev1.Container{container(), container()}})
	for expression, want := range map[string]string{
		`object.spec.containers[0].securityContext == object.spec.containers[1].securityContext`:        "",
		`object.spec.containers[0].securityContext in object.spec.containers.map(c, c.securityContext)`: "",
		`dyn(object.spec.containers[0].securityContext) == {'runAsNonRoot': true}`:                      "Pod Medium spec : " + failed,
		`object.spec.containers[0].securityContext == null`:                                             "Pod Medium spec : " + failed,
	} {
		if diff := cmp.Diff(want, said(results(t, i, custom(expression, pod)))); diff != "" {
			t.Errorf("%s said (-want +got):\n%s", expression, diff)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		check *v1alpha1.CustomCheck
		want  audit.Check
		// wantFunctions are those that are set.
		wantFunctions string
	}{
		"on specs of Pods alone, which are judged once for all that are equal": {
			custom(`!has(object.spec.hostNetwork)`, pod), audit.Check{}, "Pod",
		},
		"on a name of the namespace": {custom(`object.metadata.namespace == 'a'`, pod), audit.Check{}, "Placed"},
		"on labels":                  {custom(`has(object.metadata.labels)`, pod), audit.Check{Labelled: true}, "Placed"},
		"on labels of the namespace": {
			custom(`has(namespaceObject.metadata.labels)`, pod), audit.Check{Labelled: true, Needs: []audit.Resource{audit.Namespaces}}, "Placed",
		},
		"on other objects":       {custom(`object.spec.type == 'a'`, service), audit.Check{}, "Namespace"},
		"on Pods and other ones": {custom(`object.kind == 'Pod'`, pod, namespace, pod), audit.Check{}, "Pod Namespace"},
		"on Pods and other ones in a namespace": {
			custom(`object.metadata.namespace == 'a'`, service, pod), audit.Check{}, "Placed Namespace",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Compile(tc.check)
			if err != nil {
				t.Fatal(err)
			}
			tc.want.ID, tc.want.Title, tc.want.Severity, tc.want.Category = "own", failed, v1alpha1.SeverityMedium, audit.CategoryCustom
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(audit.Check{}, "Pod", "Placed", "Namespace")); diff != "" {
				t.Errorf("check (-want +got):\n%s", diff)
			}
			var functions []string
			for _, function := range []string{"Pod", "Image", "Placed", "Connected", "Namespace"} {
				if !reflect.ValueOf(got).FieldByName(function).IsNil() {
					functions = append(functions, function)
				}
			}
			if got := strings.Join(functions, " "); got != tc.wantFunctions {
				t.Errorf("functions %s, want %s", got, tc.wantFunctions)
			}
			if _, err := audit.NewSet([]audit.Check{got}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTitle(t *testing.T) {
	for message, want := range map[string]string{
		"Pods must name their team.": "Pods must name their team", "one\n  line": "one line", "…": "…", " . ": "own", "e.g. so...": "e.g. so",
	} {
		c := custom("true", pod)
		c.Message = message
		if got, err := Compile(c); err != nil || got.Title != want {
			t.Errorf("%q: title %q, error %v, want %q", message, got.Title, err, want)
		}
	}
}

// TestSkips: what could not be looked at has not passed, and the rest is judged.
func TestSkips(t *testing.T) {
	unavailable := func(r audit.Resource) map[audit.Resource]*audit.Unavailable {
		return map[audit.Resource]*audit.Unavailable{r: {Resource: r, Reason: v1alpha1.SkipSourceForbidden, Message: string(r) + " cannot be read"}}
	}
	for name, tc := range map[string]struct {
		check  *v1alpha1.CustomCheck
		change func(*audit.Inventory)
		want   string
	}{
		"Services that cannot be read, and Pods": {
			custom(`object.kind == 'Node'`, pod, service), func(i *audit.Inventory) { i.Unavailable = unavailable(audit.Services) },
			"Pod Medium spec : " + failed + "\nNamespace skipped SourceForbidden: services cannot be read",
		},
		"namespaces that cannot be read, where only their name is used": {
			custom(`object.metadata.namespace == 'shop'`, pod, service), func(i *audit.Inventory) { i.Namespace, i.Unavailable = nil, unavailable(audit.Namespaces) }, "",
		},
		"namespaces that cannot be read": {
			custom(`has(namespaceObject.metadata.labels)`, pod, service), func(i *audit.Inventory) { i.Namespace, i.Unavailable = nil, unavailable(audit.Namespaces) },
			"Pod skipped SourceForbidden: namespaces cannot be read\nNamespace skipped SourceForbidden: namespaces cannot be read",
		},
		"a namespace that cannot be read itself": {
			custom(`has(object.metadata.labels)`, namespace), func(i *audit.Inventory) { i.Namespace, i.Unavailable = nil, unavailable(audit.Namespaces) },
			"Namespace skipped SourceForbidden: namespaces cannot be read",
		},
		"a namespace that has not been seen": {
			custom(`has(namespaceObject.metadata.labels)`, pod, service), func(i *audit.Inventory) { i.Namespace = nil },
			"Pod skipped DataMissing: namespace \"shop\" itself has not been seen\nNamespace skipped DataMissing: namespace \"shop\" itself has not been seen",
		},
		"a namespace that has not been seen itself": {
			custom(`has(object.metadata.labels)`, namespace), func(i *audit.Inventory) { i.Namespace = nil },
			"Namespace skipped DataMissing: namespace \"shop\" itself has not been seen",
		},
		"a namespace without labels": {
			custom(`has(namespaceObject.metadata.labels)`, pod), func(i *audit.Inventory) { i.Namespace.Labels = nil }, "Pod Medium spec : " + failed,
		},
		"an expression that fails on one object: the others are judged": {
			custom(`object.spec.ports[1].port == 2`, service), func(i *audit.Inventory) {
				two := audit.ServiceFacts{Ports: []audit.ServicePort{{Port: 1}, {Port: 3}}}
				i.Services = append(i.Services, &audit.ServiceRecord{Object: object("two"), ServiceFacts: two})
			}, "Namespace Service/two Medium spec : " + failed,
		},
		"an expression that fails": {
			custom(`object.spec.ports[1].port == 2`, service), func(*audit.Inventory) {},
			`Namespace skipped ExpressionFailed: the expression cannot be evaluated on service "web": index out of bounds: 1`,
		},
		"an expression that costs more than it may on a large object": {
			custom(`object.spec.ports.all(a, object.spec.ports.all(b, object.spec.ports.all(c, a.port + b.port + c.port > 0)))`, service), func(i *audit.Inventory) {
				for n := range int32(100) {
					i.Services[0].Ports = append(i.Services[0].Ports, audit.ServicePort{Port: n + 1})
				}
			}, `Namespace skipped ExpressionFailed: the expression cannot be evaluated on service "web": operation cancelled: actual cost limit exceeded`,
		},
		"an error that would show a credential": {
			custom(`cidr(object.spec.containers[0].args[0]).prefixLength() == 1`, pod), func(i *audit.Inventory) {
				spec := corev1.PodSpec{Containers: []corev1.Container{{Args: []string{"AKIAQ3EGRTWBZ7XKD5MP"}}}}
				i.Pods[0].Shape = audit.NewShape(&audit.Pod{Spec: spec})
			}, `Pod skipped ExpressionFailed: the expression cannot be evaluated on the Pod: the error quotes a credential`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := withPod(nil, corev1.PodSpec{})
			i.Services = []*audit.ServiceRecord{{Object: object("web"), ServiceFacts: audit.ServiceFacts{Ports: []audit.ServicePort{{Port: 1}}}}}
			tc.change(&i)
			if diff := cmp.Diff(tc.want, said(results(t, i, tc.check))); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTemplateAndPodsAreOneFinding: of custom checks as of others.
func TestTemplateAndPodsAreOneFinding(t *testing.T) {
	shape := func(host bool) *audit.Shape {
		return audit.NewShape(&audit.Pod{Spec: corev1.PodSpec{HostNetwork: host}})
	}
	labels := func(team string, own ...string) *audit.Labels {
		set := map[string]string{"team": team}
		for _, key := range own {
			set[key] = "x"
		}
		return audit.NewLabels(set)
	}
	const where = "Deployment Medium spec.template.spec "
	for name, tc := range map[string]struct {
		expression     string
		template, live *audit.Shape
		labels, others *audit.Labels
		want           string
	}{
		"in both":              {`!has(object.spec.hostNetwork)`, shape(true), shape(true), labels("a"), labels("a"), where + ": " + failed},
		"in the template":      {`!has(object.spec.hostNetwork)`, shape(true), shape(false), labels("a"), labels("a"), where + "Template: " + failed},
		"in Pods":              {`!has(object.spec.hostNetwork)`, shape(false), shape(true), labels("a"), labels("a"), where + "Pods: " + failed},
		"labels in both":       {`object.metadata.labels.team == 'b'`, shape(false), shape(false), labels("a"), labels("a", "pod-template-hash"), where + ": " + failed},
		"labels in the Pods":   {`object.metadata.labels.team == 'a'`, shape(false), shape(false), labels("a"), labels("b"), where + "Pods: " + failed},
		"labels of neither":    {`object.metadata.labels.all(k, k == 'team')`, shape(false), shape(false), labels("a"), labels("a", "pod-template-hash"), ""},
		"the name of the two":  {`object.metadata.namespace != 'shop'`, shape(false), shape(false), labels("a"), labels("a"), where + ": " + failed},
		"labels around both":   {`namespaceObject.metadata.labels.team != 'a'`, shape(false), shape(false), labels("a"), labels("a"), where + ": " + failed},
		"an expression fails":  {`object.spec.volumes[0].name == ''`, shape(false), shape(false), labels("a"), labels("a"), "Deployment skipped ExpressionFailed: the expression cannot be evaluated on the Pod: no such key: volumes"},
		"a finding and a fail": {`object.metadata.labels['a'] == ''`, shape(false), shape(false), audit.NewLabels(map[string]string{"a": "b"}), labels("a"), where + ": " + failed},
	} {
		t.Run(name, func(t *testing.T) {
			i := inventory()
			i.Controllers = []*audit.ControllerRecord{{Object: object("web"), Kind: "Deployment", Shape: tc.template, Labels: tc.labels, Active: true}}
			owner := &audit.Owner{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "web"}
			for n, l := range []*audit.Labels{tc.others, tc.others, tc.labels} {
				live := tc.live
				i.Pods = append(i.Pods, &audit.PodRecord{Object: object(fmt.Sprint("web-", n)), Owner: owner, Labels: l, Shape: live})
			}
			if diff := cmp.Diff(tc.want, said(results(t, i, custom(tc.expression, pod)))); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSchema: every name in kinds is one that Kubernetes has, and no two types share a name.
func TestSchema(t *testing.T) {
	for name, k := range kinds {
		l, err := languages[name]()
		if err != nil {
			t.Fatal(err)
		}
		for _, listed := range []map[string]string{k.only, k.but} {
			for of, names := range listed {
				for _, f := range strings.Fields(names) {
					if l.schema.structs["object/"+of] == nil || l.schema.structs["object/"+of].fields[f].celType == nil {
						t.Errorf("%s: there is no %s.%s", name, of, f)
					}
				}
			}
		}
		seen := make(map[string]reflect.Type)
		var visit func(reflect.Type)
		visit = func(of reflect.Type) {
			switch of.Kind() {
			case reflect.Pointer, reflect.Slice, reflect.Map:
				visit(of.Elem())
			case reflect.Struct:
				if other := seen[of.Name()]; other == of || valueTypes[of] != nil {
					return
				} else if other != nil {
					t.Errorf("%s: both %s and %s are called %s", name, of, other, of.Name())
				}
				seen[of.Name()] = of
				for i := range of.NumField() {
					visit(of.Field(i).Type)
				}
			}
		}
		visit(reflect.TypeOf(k.object))
	}
}

// TestOrder: maps have no order in Go, and the same objects must give the same verdict and message every time.
func TestOrder(t *testing.T) {
	labels := make(map[string]string)
	for c := 'a'; c <= 'z'; c++ {
		labels[string(c)] = string(c)
	}
	i := withPod(labels, corev1.PodSpec{NodeSelector: labels, Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
		Limits: corev1.ResourceList{"b": resource.MustParse("1"), "a": resource.MustParse("2"), "c": resource.MustParse("3")},
	}}}})
	i.Namespace.Labels = labels
	for expression, want := range map[string]string{
		`object.metadata.labels.map(k, k)[0] == 'a'`:                                        "",
		`object.metadata.labels.transformList(k, v, v)[25] == 'z'`:                          "",
		`namespaceObject.metadata.labels.map(k, k)[0] == 'a'`:                               "",
		`object.spec.nodeSelector.map(k, k)[0] == 'a'`:                                      "",
		`object.spec.?nodeSelector.orValue({}).map(k, k)[0] == 'a'`:                         "",
		`object.spec.containers.map(c, c.resources.limits)[0].map(k, k) == ['a', 'b', 'c']`: "",
		`[object.spec.nodeSelector].all(m, m.map(k, k)[0] == 'a')`:                          "",
		`object.spec.nodeSelector.transformMap(k, v, v).map(k, k)[0] == 'a'`:                "",
		`{3: 'c', 1: 'a', 2: 'b'}.map(k, k) == [1, 2, 3]`:                                   "",
		`object.spec.nodeSelector.all(k, cidr(k).prefixLength() > 0)`:                       `Pod skipped ExpressionFailed: the expression cannot be evaluated on the Pod: network address parse error during conversion from string: network address parse error during conversion from string: netip.ParsePrefix("a"): no '/'`,
	} {
		for range 20 {
			if diff := cmp.Diff(want, said(results(t, i, custom(expression, pod)))); diff != "" {
				t.Fatalf("%s said (-want +got):\n%s", expression, diff)
			}
		}
	}
}
