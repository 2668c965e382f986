// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestReportName(t *testing.T) {
	long := strings.Repeat("a", 253)
	for name, tc := range map[string]struct {
		subject Subject
		want    string
	}{
		"a Pod":                 {Subject{APIVersion: "v1", Kind: "Pod", Name: "web"}, "pod-web"},
		"a Deployment":          {Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: "checkout"}, "deployment-checkout"},
		"a CronJob":             {Subject{APIVersion: "batch/v1", Kind: "CronJob", Name: "nightly"}, "cronjob-nightly"},
		"a Namespace":           {Subject{APIVersion: "v1", Kind: "Namespace", Name: "shop"}, "namespace-shop"},
		"a name with dots":      {Subject{APIVersion: "v1", Kind: "Pod", Name: "web.v1"}, "pod-web.v1"},
		"an old version":        {Subject{APIVersion: "apps/v1beta1", Kind: "Deployment", Name: "checkout"}, "deployment-checkout"},
		"another group's kind":  {Subject{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "checkout"}, "rollout.argoproj.io-checkout"},
		"another Deployment":    {Subject{APIVersion: "example.com/v1", Kind: "Deployment", Name: "checkout"}, "deployment.example.com-checkout"},
		"another core kind":     {Subject{APIVersion: "v1", Kind: "Thing", Name: "x"}, "thing.core-x"},
		"a name that just fits": {Subject{APIVersion: "v1", Kind: "Pod", Name: long[:248]}, "pod-" + long[:248]},
		"a name that is too long": {
			Subject{APIVersion: "v1", Kind: "Pod", Name: long}, "pod-" + long[:238] + "-d3a08a28d4",
		},
		"an upper-case name":    {Subject{APIVersion: "argoproj.io/v1", Kind: "Rollout", Name: "Web"}, "rollout.argoproj.io-web-7a12fb0658"},
		"a name of odd runes":   {Subject{APIVersion: "argoproj.io/v1", Kind: "Rollout", Name: "…"}, "rollout.argoproj.io-x-6cfe76cd11"},
		"a kind with a dash":    {Subject{APIVersion: "v1", Kind: "Pod-x", Name: "y"}, "podx.core-y-4d7bf2d409"},
		"a group that is odd":   {Subject{APIVersion: "../v1", Kind: "Pod", Name: "y"}, "pod.x-y-3032fa82ad"},
		"nothing at all":        {Subject{}, "x.core-x-96a296d224"},
		"an API version astray": {Subject{APIVersion: "apps/v1/x", Kind: "Deployment", Name: "y"}, "deployment-y"},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.subject.ReportName()
			if got != tc.want {
				t.Errorf("ReportName() = %q, want %q", got, tc.want)
			}
			checkReportName(t, tc.subject)
		})
	}
}

// checkReportName checks what holds for the report of any subject.
func checkReportName(t *testing.T, s Subject) {
	t.Helper()
	name := s.ReportName()
	if errs := validation.IsDNS1123Subdomain(name); errs != nil {
		t.Errorf("%#v: report name %q: %v", s, name, errs)
	}
	kind, _, found := strings.Cut(name, "-")
	if !found {
		t.Errorf("%#v: report name %q has no dash", s, name)
	}
	cut := len(s.Kind) > len("replicationcontroller")
	if dot := strings.Contains(kind, "."); dot != (s.KindLabel() == KindOther) && !cut {
		t.Errorf("%#v with label %q: report name %q; a dot before the first dash stands for other kinds", s, s.KindLabel(), name)
	}
	if s.KindLabel() == KindOther {
		for gk := range workloadKinds {
			if kind == strings.ToLower(gk.Kind) {
				t.Errorf("%#v: report name %q could be a %s's", s, name, gk.Kind)
			}
		}
	}
}

func FuzzReportName(f *testing.F) {
	for _, s := range []Subject{
		{},
		{APIVersion: "v1", Kind: "Pod", Name: "web"},
		{APIVersion: "apps/v1", Kind: "Deployment", Name: strings.Repeat("a", 300)},
		{APIVersion: "apps/v1", Kind: "Deployment", Name: strings.Repeat("a-.", 100)},
		{APIVersion: "argoproj.io/v1", Kind: "Rollout", Name: "ÄÖ"},
		{APIVersion: "v1", Kind: "pod-a", Name: "b"},
		{APIVersion: "pod-a/v1", Kind: "-", Name: "\xff\x00"},
		{APIVersion: strings.Repeat("g", 400) + "/v1", Kind: strings.Repeat("K", 400), Name: "x"},
		{APIVersion: "a..b/v1", Kind: "Pod", Name: "-"},
	} {
		f.Add(s.APIVersion, s.Kind, s.Name)
	}
	f.Fuzz(func(t *testing.T, apiVersion, kind, name string) {
		s := Subject{APIVersion: apiVersion, Kind: kind, Name: name}
		checkReportName(t, s)
		if again := (Subject{APIVersion: apiVersion, Kind: kind, Name: name, UID: "x"}).ReportName(); again != s.ReportName() {
			t.Errorf("report name %q with a UID, %q without", again, s.ReportName())
		}
	})
}

func TestReportNamesDiffer(t *testing.T) {
	long := strings.Repeat("a", 260)
	dashes := strings.Repeat("a", 200) + strings.Repeat("-", 50) + "a"
	for name, tc := range map[string]struct{ a, b Subject }{
		"by the case of a name": {
			Subject{APIVersion: "argoproj.io/v1", Kind: "Rollout", Name: "web"}, Subject{APIVersion: "argoproj.io/v1", Kind: "Rollout", Name: "Web"},
		},
		"by the case of a name, both odd": {
			Subject{APIVersion: "argoproj.io/v1", Kind: "Rollout", Name: "WEB"}, Subject{APIVersion: "argoproj.io/v1", Kind: "Rollout", Name: "Web"},
		},
		"by the end of long names": {
			Subject{APIVersion: "v1", Kind: "Pod", Name: long + "a"}, Subject{APIVersion: "v1", Kind: "Pod", Name: long + "b"},
		},
		"where one is called like the other's report, which was cut": {
			Subject{APIVersion: "v1", Kind: "Pod", Name: strings.TrimPrefix(Subject{APIVersion: "v1", Kind: "Pod", Name: long}.ReportName(), "pod-")},
			Subject{APIVersion: "v1", Kind: "Pod", Name: long},
		},
		"where one is called like the other's report, which was cut at dashes": {
			Subject{APIVersion: "v1", Kind: "Pod", Name: strings.TrimPrefix(Subject{APIVersion: "v1", Kind: "Pod", Name: dashes}.ReportName(), "pod-")},
			Subject{APIVersion: "v1", Kind: "Pod", Name: dashes},
		},
		"by the kind, where kind and name read the same together": {
			Subject{APIVersion: "v1", Kind: "Pod", Name: "x.core-y-4d7bf2d409"}, Subject{APIVersion: "v1", Kind: "Pod-x", Name: "y"},
		},
		"by the group": {
			Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: "x"}, Subject{APIVersion: "v1", Kind: "Deployment", Name: "x"},
		},
		"by the group, where a name reads like one": {
			Subject{APIVersion: "a/v1", Kind: "Thing", Name: "b-c"}, Subject{APIVersion: "a-b/v1", Kind: "Thing", Name: "C"},
		},
		"by whose kind it is": {
			Subject{APIVersion: "v1", Kind: "Pod", Name: "example.com-x"}, Subject{APIVersion: "example.com/v1", Kind: "Pod", Name: "x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if a, b := tc.a.ReportName(), tc.b.ReportName(); a == b {
				t.Errorf("both are %q", a)
			}
		})
	}
}

func TestKindLabel(t *testing.T) {
	for name, tc := range map[string]struct {
		subject Subject
		want    string
	}{
		"a Pod":                       {Subject{APIVersion: "v1", Kind: "Pod"}, "Pod"},
		"a Pod of no version":         {Subject{Kind: "Pod"}, "Pod"},
		"a Pod of another group":      {Subject{APIVersion: "example.com/v1", Kind: "Pod"}, KindOther},
		"a Namespace":                 {Subject{APIVersion: "v1", Kind: "Namespace"}, KindNamespace},
		"the cluster":                 {Subject{APIVersion: "audit.kubersafe.io/v1alpha1", Kind: "Cluster"}, KindCluster},
		"a Cluster of somebody else":  {Subject{APIVersion: "cluster.x-k8s.io/v1", Kind: "Cluster"}, KindOther},
		"a Rollout":                   {Subject{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout"}, KindOther},
		"a kind that says it is one":  {Subject{APIVersion: "v1", Kind: "Other"}, KindOther},
		"a kind in another case":      {Subject{APIVersion: "v1", Kind: "pod"}, KindOther},
		"a Deployment, old version":   {Subject{APIVersion: "apps/v1beta1", Kind: "Deployment"}, "Deployment"},
		"a Deployment, without group": {Subject{APIVersion: "v1", Kind: "Deployment"}, KindOther},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.subject.KindLabel(); got != tc.want {
				t.Errorf("KindLabel() = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestResourceOfSubject(t *testing.T) {
	for label, want := range map[string]Resource{
		"Pod": Pods, "Deployment": Deployments, "ReplicaSet": ReplicaSets, "StatefulSet": StatefulSets, "DaemonSet": DaemonSets,
		"Job": Jobs, "CronJob": CronJobs, "ReplicationController": ReplicationControllers, KindNamespace: Namespaces, KindOther: Pods, "": Pods,
	} {
		if got := ResourceOfSubject(label); got != want {
			t.Errorf("ResourceOfSubject(%q) = %q, want %q", label, got, want)
		}
	}
}
