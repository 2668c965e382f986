// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package configuration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
)

func builtin(t testing.TB) []audit.Check {
	t.Helper()
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	return set.Checks()
}

// spec reads a spec as it stands in a manifest.
func spec(t testing.TB, text string) *v1alpha1.AuditConfigurationSpec {
	t.Helper()
	var s v1alpha1.AuditConfigurationSpec
	if err := yaml.UnmarshalStrict([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// how a check runs in a set: "off", or its severity, with "!" where it is the same for all findings.
func how(set *audit.Set, id string) string {
	c := set.Check(id)
	switch {
	case !set.Runs(c):
		return "off"
	case c.Regraded:
		return string(c.Severity) + "!"
	}
	return string(c.Severity)
}

func TestRules(t *testing.T) {
	const rules = `
checks:
- {names: [no-cpu-limit, host-network], state: Disabled}
- {names: [host-network], state: Enabled, severity: Critical, namespaces: {names: [shop-*]}}
- {names: [no-user-namespace], state: Enabled, namespaces: {selector: {matchLabels: {pci: "true"}}}}
- {names: [host-network], severity: Low, namespaces: {names: [shop-b, blog], selector: {matchExpressions: [{key: team, operator: Exists}]}}}
`
	c := New(builtin(t), spec(t, rules), nil)
	if len(c.Problems) > 0 {
		t.Fatal(c.Problems)
	}
	for _, tc := range []struct {
		namespace string
		labels    map[string]string
		want      string // no-cpu-limit, host-network, no-user-namespace, host-pid
	}{
		{"default", nil, "off off off High"},
		{"shop-a", nil, "off Critical! off High"},
		{"shop-b", nil, "off Critical! off High"},
		{"shop-b", map[string]string{"team": "b"}, "off Low! off High"},
		{"blog", map[string]string{"team": "c"}, "off off off High"}, // a severity enables nothing
		{"default", map[string]string{"pci": "true"}, "off off Low High"},
		{"shop-a", map[string]string{"pci": "false"}, "off Critical! off High"},
	} {
		set := c.SetFor(tc.namespace, tc.labels)
		got := strings.Join([]string{how(set, "no-cpu-limit"), how(set, "host-network"), how(set, "no-user-namespace"), how(set, "host-pid")}, " ")
		if got != tc.want {
			t.Errorf("%s %v: %s, want %s", tc.namespace, tc.labels, got, tc.want)
		}
	}
	if c.SetFor("default", nil) != c.SetFor("kube-system", nil) || c.SetFor("shop-a", nil) == c.SetFor("default", nil) {
		t.Error("namespaces share a set if and only if the same is said of them")
	}
}

func TestSettings(t *testing.T) {
	c := New(builtin(t), spec(t, `
namespaces: {excluded: {names: [old-*]}, system: [mesh]}
images: {allowedRepositories: [registry.example.com/shop, ghcr.io], requireDigests: true, maxSize: 500Mi}
sensitiveWorkloads:
  selector: {matchLabels: {tier: sensitive}}
  namespaces: {names: [payment]}
  sandboxRuntimeClasses: [runsc]
  dedicatedNodeKeys: [pool]
quotas: {requiredResources: [pods], nearlyExhaustedPercent: 75}
rbac: {maxAdmins: 3}
exceptions: {namespaced: {maxDays: 7, severities: [Low], namespaces: {names: [shop]}}}
`), nil)
	if len(c.Problems) > 0 {
		t.Fatal(c.Problems)
	}
	shop, payment, old := c.SetFor("shop", nil).Settings(), c.SetFor("payment", nil).Settings(), c.SetFor("old-shop", nil).Settings()
	if shop.Excluded || !old.Excluded || shop.AllSensitive || !payment.AllSensitive || !shop.Exceptions.Namespaced || payment.Exceptions.Namespaced {
		t.Errorf("of shop %+v, of payment %+v, of old-shop %+v", shop, payment, old)
	}
	if !shop.SystemNamespaces["mesh"] || !shop.SystemNamespaces["kube-system"] || shop.SystemNamespaces["shop"] {
		t.Errorf("of the system: %v", shop.SystemNamespaces)
	}
	if diff := cmp.Diff([]audit.Repository{{Registry: "registry.example.com", Folder: "shop"}, {Registry: "ghcr.io"}}, shop.AllowedRepositories); diff != "" {
		t.Error(diff)
	}
	if !shop.RequireDigests || shop.MaxImageSize != 500<<20 || !shop.SandboxRuntimeClasses["runsc"] || shop.SandboxRuntimeClasses["gvisor"] ||
		!shop.DedicatedNodeKeys["pool"] || len(shop.QuotaResources) != 1 || shop.QuotaNearlyExhausted != 75 || shop.MaxAdmins != 3 {
		t.Errorf("settings %+v", shop)
	}
	if e := shop.Exceptions; e.MaxAge != 7*24*time.Hour || e.ClusterUnlimited || !e.Severities["Low"] || e.Severities["Medium"] {
		t.Errorf("limits of exceptions %+v", e)
	}
}

// TestCustomChecks: they run beside the built-in ones, and rules may name them.
func TestCustomChecks(t *testing.T) {
	c := New(builtin(t), spec(t, `
customChecks:
- {id: team, severity: Medium, message: must have a team., kinds: [Namespace], expression: "has(object.metadata.labels) && 'team' in object.metadata.labels"}
checks:
- {names: [team], severity: High, namespaces: {names: [shop]}}
- {names: [team], state: Disabled, namespaces: {names: [blog]}}
`), nil)
	if len(c.Problems) > 0 {
		t.Fatal(c.Problems)
	}
	for namespace, want := range map[string]string{"default": "Medium", "shop": "High!", "blog": "off"} {
		set := c.SetFor(namespace, nil)
		if got := how(set, "team"); got != want || how(set, "host-pid") != "High" {
			t.Errorf("in %s it is %s, want %s", namespace, got, want)
		}
	}
	if c.Check("team") == nil || len(c.Checks()) != len(builtin(t))+1 {
		t.Error("it is not among the checks")
	}
	found := func(labels map[string]string) bool {
		ns := audit.Fold(audit.Inventory{
			Surroundings: audit.Surroundings{Name: "default"}, Namespace: &audit.NamespaceRecord{Object: audit.Object{Name: "default"}, Labels: labels},
		}, time.Now())
		result := c.SetFor("default", labels).EvaluateNamespace(ns)
		return slices.ContainsFunc(result.Findings, func(f audit.Finding) bool { return f.Check == "team" && f.Message == "must have a team." })
	}
	if !found(nil) || found(map[string]string{"team": "a"}) {
		t.Error("it finds the wrong namespaces")
	}
}

// TestDefaults: no configuration, an empty one, and none of what there is say the same.
func TestDefaults(t *testing.T) {
	none := New(builtin(t), nil, nil)
	want := audit.DefaultSettings()
	want.DedicatedNodeKeys = map[string]bool{}
	if diff := cmp.Diff(&want, none.SetFor("shop", nil).Settings()); diff != "" {
		t.Errorf("settings (-default +none):\n%s", diff)
	}
	if New(builtin(t), &v1alpha1.AuditConfigurationSpec{}, none).SetFor("shop", nil) != none.SetFor("shop", nil) {
		t.Error("an empty configuration changes something")
	}
	if changed := audit.DefaultSettings(); len(changed.SystemNamespaces) != 3 {
		t.Error("a configuration changed the defaults")
	}
}

func TestUnlimitedExceptions(t *testing.T) {
	for text, want := range map[string]audit.ExceptionLimits{
		"{cluster: {allowUnlimited: true}}":    {Namespaced: true, ClusterUnlimited: true, MaxAge: 90 * 24 * time.Hour},
		"{namespaced: {allowUnlimited: true}}": {Namespaced: true},
		"{namespaced: {maxDays: 30}}":          {Namespaced: true, MaxAge: 30 * 24 * time.Hour},
		"{namespaced: {allowed: false}}":       {MaxAge: 90 * 24 * time.Hour},
	} {
		got := New(builtin(t), spec(t, "exceptions: "+text), nil).SetFor("shop", nil).Settings().Exceptions
		got.Severities = nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// TestProblems: what is not valid is told by its path, leaves what is beside it alone, and gives nobody more room.
func TestProblems(t *testing.T) {
	badSelector := `{matchExpressions: [{key: a, operator: Is}]}`
	for name, tc := range map[string]struct {
		spec  string
		want  string // the only problem
		holds func(*audit.Set) bool
	}{
		"a check that there is not": {
			"checks: [{names: [nope, host-pid], state: Disabled}]", `spec.checks[0].names[0]: no check is called "nope"; 'kubersafe checks' lists them`,
			func(s *audit.Set) bool { return how(s, "host-pid") == "off" },
		},
		"a state": {
			"checks: [{names: [host-pid], state: Maybe, severity: Low}]", `spec.checks[0].state: "Maybe" must be Enabled or Disabled`,
			func(s *audit.Set) bool { return how(s, "host-pid") == "Low!" },
		},
		"a severity": {
			"checks: [{names: [host-pid], severity: None}]", `spec.checks[0].severity: "None" must be Critical, High, Medium or Low`,
			func(s *audit.Set) bool { return how(s, "host-pid") == "High" },
		},
		"a rule's selector": {
			"checks: [{names: [host-pid], state: Disabled, namespaces: {selector: " + badSelector + "}}, {names: [host-ipc], state: Disabled}]",
			`spec.checks[0].namespaces.selector: "Is" is not a valid label selector operator; the rule has no effect`,
			func(s *audit.Set) bool { return how(s, "host-pid") == "High" && how(s, "host-ipc") == "off" },
		},
		"what is left out": {
			"namespaces: {excluded: {selector: " + badSelector + "}}",
			`spec.namespaces.excluded.selector: "Is" is not a valid label selector operator; no namespace is left out`,
			func(s *audit.Set) bool { return !s.Settings().Excluded },
		},
		"a repository": {
			"images: {allowedRepositories: ['ghcr.io/*']}",
			`spec.images.allowedRepositories[0]: "ghcr.io/*" must be a registry, or a registry and a path, such as registry.example.com/shop`,
			func(s *audit.Set) bool { return how(s, "image-registry-not-allowed") == "High" }, // not everything is allowed instead
		},
		"a size": {
			"images: {maxSize: '0', requireDigests: true}", `spec.images.maxSize: "0" must be greater than 0`,
			func(s *audit.Set) bool { return s.Settings().MaxImageSize == 1<<30 && s.Settings().RequireDigests },
		},
		"packages": {
			"images: {maxPackages: 0}", "spec.images.maxPackages: 0 must be greater than 0",
			func(s *audit.Set) bool { return s.Settings().MaxPackages == 500 },
		},
		"the age of images": {
			"images: {maxAgeDays: 3651, maxScanAgeDays: 3}", "spec.images.maxAgeDays: 3651 must be from 1 to 3650",
			func(s *audit.Set) bool {
				return s.Settings().MaxImageAge == 180*24*time.Hour && s.Settings().MaxScanAge == 3*24*time.Hour
			},
		},
		"the age of scans": {
			"images: {maxScanAgeDays: 366, maxPackages: 3}", "spec.images.maxScanAgeDays: 366 must be from 1 to 365",
			func(s *audit.Set) bool {
				return s.Settings().MaxScanAge == 7*24*time.Hour && s.Settings().MaxPackages == 3
			},
		},
		"sensitive labels": {
			"sensitiveWorkloads: {selector: " + badSelector + ", namespaces: {names: [shop]}}",
			`spec.sensitiveWorkloads.selector: "Is" is not a valid label selector operator; it selects no workload`,
			func(s *audit.Set) bool { return s.Settings().AllSensitive },
		},
		"a percentage": {
			"quotas: {nearlyExhaustedPercent: 77}", "spec.quotas.nearlyExhaustedPercent: 77 must be a multiple of 5 from 50 to 95",
			func(s *audit.Set) bool { return s.Settings().QuotaNearlyExhausted == 90 },
		},
		"a number of administrators": {
			"rbac: {maxAdmins: 0}", "spec.rbac.maxAdmins: 0 must be from 1 to 1000",
			func(s *audit.Set) bool {
				return s.Settings().MaxAdmins == 0 && !s.Runs(s.Check("rbac-too-many-admins"))
			},
		},
		"a custom check of a built-in one's name": {
			"customChecks: [{id: host-pid, severity: Low, message: m, kinds: [Pod], expression: 'true'}]",
			`spec.customChecks[0].id: there is a check called "host-pid" already`,
			func(s *audit.Set) bool { return how(s, "host-pid") == "High" },
		},
		"a custom check twice": {
			"customChecks: [{id: a, severity: Low, message: m, kinds: [Pod], expression: 'true'}, {id: a, severity: High, message: m, kinds: [Pod], expression: 'true'}]",
			`spec.customChecks[1].id: there is a check called "a" already`,
			func(s *audit.Set) bool { return how(s, "a") == "Low" },
		},
		"an expression": {
			"customChecks: [{id: a, severity: Low, message: m, kinds: [Pod], expression: 'object.spec.nodeName == \"\"'}, {id: b, severity: Low, message: m, kinds: [Pod], expression: 'true'}]",
			`spec.customChecks[0]: check "a": line 1, column 12: the audit does not keep the field "object.spec.nodeName"`,
			func(s *audit.Set) bool { return s.Check("a") == nil && how(s, "b") == "Low" },
		},
		"days": {
			"exceptions: {namespaced: {maxDays: 0}}", "spec.exceptions.namespaced.maxDays: 0 must be from 1 to 3650; no SecurityException holds",
			func(s *audit.Set) bool { return !s.Settings().Exceptions.Namespaced },
		},
		"severities": {
			"exceptions: {namespaced: {severities: [High, Highest]}}",
			`spec.exceptions.namespaced.severities[1]: "Highest" must be Critical, High, Medium or Low`,
			func(s *audit.Set) bool {
				return cmp.Equal(s.Settings().Exceptions.Severities, map[v1alpha1.Severity]bool{"High": true})
			},
		},
		"where exceptions hold": {
			"exceptions: {namespaced: {namespaces: {selector: " + badSelector + "}}}",
			`spec.exceptions.namespaced.namespaces.selector: "Is" is not a valid label selector operator; no SecurityException holds`,
			func(s *audit.Set) bool { return !s.Settings().Exceptions.Namespaced },
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(builtin(t), spec(t, tc.spec), nil)
			if got := fmt.Sprint(c.Problems); got != "["+tc.want+"]" {
				t.Errorf("problems %s\nwant [%s]", got, tc.want)
			}
			if !tc.holds(c.SetFor("shop", nil)) {
				t.Error("what is valid does not hold")
			}
		})
	}
}

// TestSetsAreKept: a change touches only the namespaces of which something else is said now.
func TestSetsAreKept(t *testing.T) {
	before := New(builtin(t), spec(t, "checks: [{names: [host-pid], state: Disabled, namespaces: {names: [shop]}}]"), nil)
	shop, blog := before.SetFor("shop", nil), before.SetFor("blog", nil)
	after := New(builtin(t), spec(t, `checks:
- {names: [host-pid], state: Disabled, namespaces: {names: [shop, legacy]}}
- {names: [host-ipc], severity: Low, namespaces: {names: [blog]}}`), before)
	if after.SetFor("shop", nil) != shop || after.SetFor("legacy", nil) != shop {
		t.Error("what is said of shop has not changed, but its set has")
	}
	if after.SetFor("blog", nil) == blog || after.SetFor("default", nil) != blog {
		t.Error("what is said of blog has changed, and of default it has not")
	}
	last := New(builtin(t), spec(t, "images: {requireDigests: true}"), after)
	if slices.Contains([]*audit.Set{shop, blog}, last.SetFor("shop", nil)) {
		t.Error("a setting for all changes nothing")
	}
}

func TestLive(t *testing.T) {
	var stored *audit.ConfigurationRecord
	live := NewLive(builtin(t), func() (*audit.ConfigurationRecord, bool) { return stored, stored != nil })
	first := live.Current()
	if first.Of != nil || live.Current() != first {
		t.Error("without a configuration it changes")
	}
	record := func(generation int64, text string) *audit.ConfigurationRecord {
		return &audit.ConfigurationRecord{Object: audit.Object{UID: "u"}, Generation: generation, Spec: spec(t, text)}
	}
	stored = record(1, "checks: [{names: [host-pid], state: Disabled}]")
	second := live.Current()
	if second == first || how(second.SetFor("shop", nil), "host-pid") != "off" || second.Of != stored {
		t.Error("a configuration has no effect")
	}
	stored = record(1, "checks: [{names: [host-pid], state: Disabled}]")
	stored.Status.Conditions = []metav1.Condition{{Type: "Valid"}}
	if live.Current() != second {
		t.Error("a status is a change")
	}
	stored = record(2, "{}")
	if how(live.Current().SetFor("shop", nil), "host-pid") != "High" {
		t.Error("an edit has no effect")
	}
	stored = nil
	if c := live.Current(); c.Of != nil {
		t.Error("a configuration that is gone holds")
	}
}

func BenchmarkSetFor(b *testing.B) {
	c := New(builtin(b), spec(b, "checks: [{names: [host-pid], state: Disabled, namespaces: {selector: {matchLabels: {a: b}}}}]"), nil)
	labels := map[string]string{"a": "b", "c": "d"}
	b.ReportAllocs()
	for b.Loop() {
		c.SetFor("shop", labels)
	}
}

// TestSetForCluster: rules that are limited to namespaces say nothing of what belongs to none, and nothing leaves it out.
func TestSetForCluster(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	all := &v1alpha1.NamespaceSelector{Names: []string{"*"}}
	c := New(set.Checks(), &v1alpha1.AuditConfigurationSpec{
		Checks: []v1alpha1.CheckRule{
			{Names: []string{"node-public-ip"}, Severity: v1alpha1.SeverityLow},
			{Names: []string{"node-public-ip"}, State: v1alpha1.CheckDisabled, Namespaces: all},
		},
		Namespaces:         v1alpha1.NamespaceSettings{Excluded: all},
		SensitiveWorkloads: v1alpha1.SensitiveWorkloadSettings{DedicatedNodeKeys: []string{"pool"}},
	}, nil)
	if len(c.Problems) > 0 {
		t.Fatal(c.Problems)
	}
	of := c.SetForCluster()
	if check := of.Check("node-public-ip"); !of.Runs(check) || check.Severity != v1alpha1.SeverityLow || of.Settings().Excluded {
		t.Errorf("runs %v at severity %s, excluded %v", of.Runs(check), check.Severity, of.Settings().Excluded)
	}
	if !of.Runs(of.Check("sensitive-pool-not-tainted")) || c.SetForCluster() != of {
		t.Error("the set lacks settings, or is made anew each time")
	}
	if !c.Excludes("shop", nil) || New(set.Checks(), nil, nil).Excludes("shop", nil) {
		t.Error("what is left out is wrong")
	}
	if without := New(set.Checks(), nil, nil).SetForCluster(); without.Runs(without.Check("sensitive-pool-not-tainted")) {
		t.Error("a check runs that nothing is configured for")
	}
}
