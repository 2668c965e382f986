// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package custom

import (
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// FuzzCompile: whatever is written, Compile gives a check or an error, and the check says of a Pod what the API server's own
// evaluation without types says of it as an unstructured object. Where that fails, the check has not passed.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`object.spec.containers.all(c, c.image.startsWith('registry.example.com/'))`,
		`has(object.spec.securityContext) && object.spec.securityContext.runAsNonRoot`,
		`quantity(object.spec.containers[0].resources.limits.memory).isLessThan(quantity('1Gi'))`,
		`object.spec.containers[5].name == ''`, `object.metadata.labels.map(k, k)[0] == 'team'`,
		`namespaceObject.metadata.labels.?team.orValue('') == 'a'`, `object.spec.?hostNetwork.orValue(true)`,
		`dyn(object.spec.containers[0].ports[0].containerPort) == 1.0`, `object.spec.nodeName == 'a'`, `request.a`, "true &&\n(",
		`[1, 2].all(a, [3].exists(b, a < b)) && !('a' in {'a': 1})`, `object.spec.containers.transformMap(i, c, c.name)[0] == 'api'`,
		`optional.of(object).spec.hostNetwork.orValue(false)`, `type(object.kind) == string`, `cidr('::/0').containsIP('::1')`,
	} {
		f.Add(seed)
	}
	spec := corev1.PodSpec{
		Containers:   []corev1.Container{container(), {Name: "b", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("1")}}}},
		NodeSelector: map[string]string{"a": "b"},
	}
	labels := map[string]string{"team": "a"} // one: without order no others can be compared
	inventory := withPod(labels, spec)
	all := podObject(&audit.Pod{Spec: *spec.DeepCopy()}, "shop", audit.NewLabels(labels))
	all.Name, all.Spec.NodeName, all.Spec.Priority, all.Spec.DNSPolicy = "web", "node", new(int32(1)), corev1.DNSDefault
	all.Spec.Containers[0].WorkingDir, all.Spec.Containers[0].LivenessProbe = "/", &corev1.Probe{PeriodSeconds: 1}
	full, err := runtime.DefaultUnstructuredConverter.ToUnstructured(all)
	if err != nil {
		f.Fatal(err)
	}
	unstructured.RemoveNestedField(full, "status")
	around, err := runtime.DefaultUnstructuredConverter.ToUnstructured(namespaceObject("shop", inventory.Namespace.Labels))
	if err != nil {
		f.Fatal(err)
	}
	untyped, err := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()).StoredExpressionsEnv().
		Extend(cel.Variable(objectVariable, cel.DynType), cel.Variable(namespaceVariable, cel.DynType))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		check, err := Compile(custom(text, pod))
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
			return
		}
		set, err := audit.NewSet([]audit.Check{check})
		if err != nil {
			t.Fatal(err)
		}
		got := set.Evaluate(audit.Fold(inventory, inventoryTime))[0]
		compiled, issues := untyped.Compile(text)
		if issues.Err() != nil {
			t.Fatalf("without types it does not compile: %v", issues.Err())
		}
		program, err := untyped.Program(compiled)
		if err != nil {
			t.Fatal(err)
		}
		want, _, err := program.Eval(map[string]any{objectVariable: full, namespaceVariable: around})
		switch {
		case err != nil && (len(got.Skips) != 1 || got.Skips[0].Reason != v1alpha1.SkipExpressionFailed):
			t.Errorf("%+v, although there is an error: %v", got, err)
		case err == nil && want.Value() == true && got.Passed != 1:
			t.Errorf("%+v of what is true", got)
		case err == nil && want.Value() == false && len(got.Findings) != 1:
			t.Errorf("%+v of what is false", got)
		}
	})
}
