// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package custom

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

func docs(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/custom-checks.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestExamplesOfTheDocs judges what each of them allows, and what it does not.
func TestExamplesOfTheDocs(t *testing.T) {
	_, rest, _ := strings.Cut(docs(t), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	var configuration v1alpha1.AuditConfiguration
	if err := yaml.UnmarshalStrict([]byte(example), &configuration); err != nil {
		t.Fatal(err)
	}
	image := func(images ...string) func(*audit.Inventory) {
		return func(i *audit.Inventory) {
			spec := corev1.PodSpec{Containers: []corev1.Container{{Image: images[0]}}}
			for _, init := range images[1:] {
				spec.InitContainers = append(spec.InitContainers, corev1.Container{Image: init})
			}
			i.Pods[0].Shape = audit.NewShape(&audit.Pod{Spec: spec})
		}
	}
	labels := func(set map[string]string) func(*audit.Inventory) {
		return func(i *audit.Inventory) { i.Pods[0].Labels = audit.NewLabels(set) }
	}
	limits := func(of corev1.ResourceList) func(*audit.Inventory) {
		return func(i *audit.Inventory) {
			spec := corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Limits: of}}}}
			i.Pods[0].Shape = audit.NewShape(&audit.Pod{Spec: spec})
		}
	}
	in := func(env string, change func(*audit.Inventory)) func(*audit.Inventory) {
		return func(i *audit.Inventory) {
			i.Namespace.Labels = map[string]string{"env": env}
			change(i)
		}
	}
	balancer := func(t corev1.ServiceType, ranges ...string) func(*audit.Inventory) {
		return func(i *audit.Inventory) {
			i.Services = []*audit.ServiceRecord{{Object: object("web"), ServiceFacts: audit.ServiceFacts{Type: t, SourceRanges: ranges}}}
		}
	}
	hard := func(usage ...audit.QuotaUsage) func(*audit.Inventory) {
		return func(i *audit.Inventory) { i.Quotas = []*audit.QuotaRecord{{Object: object("all"), Usage: usage}} }
	}
	const own, digest = "registry.example.com/web:1", "web@sha256:0a"
	type changes []func(*audit.Inventory)
	cases := map[string]struct{ allowed, found changes }{
		"own-registry": {changes{image(own), image(own, own)}, changes{image("web:1"), image(own, "web:1"), image("registry.example.com.evil/web")}},
		"team-label":   {changes{labels(map[string]string{"team": "a"})}, changes{labels(nil), labels(map[string]string{"app": "web"})}},
		"small-memory-limit": {
			changes{limits(corev1.ResourceList{"memory": resource.MustParse("4096Mi")})},
			changes{
				limits(nil), limits(corev1.ResourceList{"cpu": resource.MustParse("1")}), limits(corev1.ResourceList{"memory": resource.MustParse("4097Mi")}),
			},
		},
		"production-digests": {
			changes{in("test", image("web:1")), in("production", image(digest)), image("web:1"), func(i *audit.Inventory) { i.Namespace.Labels = nil }},
			changes{in("production", image("web:1"))},
		},
		"narrow-load-balancer": {
			changes{balancer("ClusterIP"), balancer("LoadBalancer", "192.0.2.0/24", "192.0.2.1/32"), func(*audit.Inventory) {}},
			changes{balancer("LoadBalancer"), balancer("LoadBalancer", "192.0.2.0/24", "10.0.0.0/8")},
		},
		"quota-share": {
			changes{hard(audit.QuotaUsage{Resource: "limits.memory", Hard: "64Gi"}), func(*audit.Inventory) {}},
			changes{hard(audit.QuotaUsage{Resource: "limits.memory", Hard: "1Ti"}), hard(audit.QuotaUsage{Resource: "pods", Hard: "1"}), hard()},
		},
	}
	for _, c := range configuration.Spec.CustomChecks {
		if len(cases[c.ID].allowed) == 0 || len(cases[c.ID].found) == 0 {
			t.Errorf("%s has no cases", c.ID)
		}
		for wanted, all := range map[int]changes{0: cases[c.ID].allowed, 1: cases[c.ID].found} {
			for n, change := range all {
				i := withPod(nil, corev1.PodSpec{Containers: []corev1.Container{{Image: "web:1"}}})
				change(&i)
				findings := 0
				for _, r := range results(t, i, &c) {
					findings += len(r.Findings)
					if len(r.Skips) > 0 {
						t.Errorf("%s, %d of those with %d findings: %v", c.ID, n, wanted, r.Skips)
					}
				}
				if findings != wanted {
					t.Errorf("%s, %d of those with %d findings: %d", c.ID, n, wanted, findings)
				}
			}
		}
		delete(cases, c.ID)
	}
	if len(cases) > 0 {
		t.Errorf("the docs do not have %v", cases)
	}
}

// TestDocsNameWhatIsKept: every field that is listed in kinds, and every label that is left out, is in the docs.
func TestDocsNameWhatIsKept(t *testing.T) {
	page := docs(t)
	var missing []string
	named := func(name string) {
		if !strings.Contains(page, "`"+name+"`") {
			missing = append(missing, name)
		}
	}
	for _, k := range kinds {
		for _, listed := range []map[string]string{k.only, k.but} {
			for _, names := range listed {
				for _, name := range strings.Fields(names) {
					named(name)
				}
			}
		}
	}
	for _, label := range audit.ReplicaLabels() {
		named(label)
	}
	if diff := cmp.Diff([]string(nil), missing); diff != "" {
		t.Errorf("missing:\n%s", diff)
	}
}
