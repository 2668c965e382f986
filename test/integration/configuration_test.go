// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// configure makes the AuditConfiguration for one test, and returns once the operator has told what it makes of it.
func configure(t *testing.T, spec *v1alpha1.AuditConfigurationSpec) *v1alpha1.AuditConfiguration {
	t.Helper()
	c := &v1alpha1.AuditConfiguration{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.AuditConfigurationName}, Spec: *spec}
	create(t, c)
	t.Cleanup(func() { removeAfterwards(t, c) })
	waitForValid(t, c)
	return c
}

// waitForValid waits for the condition Valid of the configuration as it is now.
func waitForValid(t *testing.T, c *v1alpha1.AuditConfiguration) *metav1.Condition {
	t.Helper()
	var valid *metav1.Condition
	eventually(t, "the condition Valid", func(ctx context.Context) (bool, string) {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return false, err.Error()
		}
		valid = meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionValid)
		return valid != nil && valid.ObservedGeneration == c.Generation, fmt.Sprint(c.Status)
	})
	return valid
}

// TestSettingsAreValidated: what makes no sense is refused, with what to write instead.
func TestSettingsAreValidated(t *testing.T) {
	ns := newNamespace(t)
	const configuration, exception, clusterException = "AuditConfiguration", "SecurityException", "ClusterSecurityException"
	rest := "checks: [host-pid], reason: r"
	for name, tc := range map[string]struct {
		kind, name, spec string
		want             string // in the error; "" for what is valid
	}{
		"a configuration":     {configuration, "default", "{}", ""},
		"a full one":          {configuration, "default", fullConfiguration, ""},
		"another name":        {configuration, "other", "{}", `its metadata.name must be "default"`},
		"a rule of nothing":   {configuration, "default", "{checks: [{names: [host-pid]}]}", "set state (Enabled or Disabled), severity, or both"},
		"a rule for nothing":  {configuration, "default", "{checks: [{names: [], state: Disabled}]}", "spec.checks[0].names"},
		"a severity of none":  {configuration, "default", "{checks: [{names: [a], severity: None}]}", "must be Critical, High, Medium or Low"},
		"graded and disabled": {configuration, "default", "{checks: [{names: [a], severity: Low, state: Disabled}]}", "a check that is Disabled has no findings"},
		"nothing selected":    {configuration, "default", "{namespaces: {excluded: {}}}", "set names, selector, or both"},
		"a repository":        {configuration, "default", "{images: {allowedRepositories: ['ghcr.io/*']}}", "spec.images.allowedRepositories[0]"},
		"no size":             {configuration, "default", "{images: {maxSize: 0}}", "must be greater than 0, such as 1Gi"},
		"no size at all":      {configuration, "default", "{images: {maxSize: '-1Gi'}}", "must be greater than 0, such as 1Gi"},
		"a signer of nobody":  {configuration, "default", "{images: {requiredSignatures: [{images: ['*']}]}}", "nobody could sign what has neither"},
		"a key that is none":  {configuration, "default", "{images: {requiredSignatures: [{images: ['*'], keys: [{name: k, publicKey: 'ssh-rsa AAAA'}]}]}}", "publicKey"},
		"anybody's signature": {configuration, "default", "{images: {requiredSignatures: [{images: ['*'], identities: [{issuer: 'https://e', subject: '*'}]}]}}", "subject"},
		"ignored for nothing": {configuration, "default", "{images: {ignoredVulnerabilities: [{id: CVE-2024-1, status: Fixed, reason: ' '}]}}", "reason"},
		"ignored by nobody":   {configuration, "default", "{images: {ignoredVulnerabilities: [{id: CVE-2024-1, status: Affected, reason: r}]}}", "NotAffected"},
		"scanned nowhere":     {configuration, "default", "{images: {scannedRepositories: [{name: 'registry.example.com'}]}}", "scannedRepositories"},
		"exceptions of none":  {configuration, "default", "{exceptions: {namespaced: {severities: [None, Low]}}}", "must be of Critical, High, Medium and Low"},
		"a percentage":        {configuration, "default", "{quotas: {nearlyExhaustedPercent: 77}}", "multiple of 5"},
		"bounds of nothing": {
			configuration, "default", "{exceptions: {namespaced: {allowed: false, maxDays: 3}}}", "allowed is false, so no SecurityException holds",
		},
		"a check twice": {
			configuration, "default", "{customChecks: [" + strings.Repeat("{id: a, severity: Low, message: m, kinds: [Pod], expression: 'true'},", 2) + "]}",
			"Duplicate value",
		},
		"an exception":            {exception, "e", "{" + rest + ", subjects: [{kind: Deployment}]}", ""},
		"one without a reason":    {exception, "e", "{checks: [host-pid], reason: ' ', subjects: [{kind: Deployment}]}", "spec.reason"},
		"one for nobody":          {exception, "e", "{" + rest + ", subjects: [{}]}", `for everything, set name to "*"`},
		"one without subjects":    {exception, "e", "{" + rest + ", subjects: []}", "spec.subjects"},
		"one without checks":      {exception, "e", "{checks: [], reason: r, subjects: [{name: '*'}]}", "spec.checks"},
		"an end that is no time":  {exception, "e", "{" + rest + ", subjects: [{kind: Pod}], expirationTime: '2027-01-31T00:00:00ZTgarbage'}", "spec.expirationTime"},
		"an end after all time":   {exception, "e", "{" + rest + ", subjects: [{kind: Pod}], expirationTime: '9999-12-31T23:59:59-14:00'}", "spec.expirationTime"},
		"an end":                  {exception, "e", "{" + rest + ", subjects: [{kind: Rollout.argoproj.io}], expirationTime: '2027-01-31T00:00:00.5+01:00'}", ""},
		"an empty selector":       {exception, "e", "{" + rest + ", subjects: [{selector: {}}]}", "selector must not be empty"},
		"all namespaces left out": {configuration, "default", "{namespaces: {excluded: {selector: {}}}}", "selector must not be empty"},
		"all Pods sensitive":      {configuration, "default", "{sensitiveWorkloads: {selector: {}}}", "selector must not be empty"},
		"bounded and not":         {configuration, "default", "{exceptions: {namespaced: {allowUnlimited: true, maxDays: 3}}}", "remove maxDays or allowUnlimited"},
		"labels of a Service":     {exception, "e", "{" + rest + ", subjects: [{kind: Service, selector: {matchLabels: {a: b}}}]}", "select this kind by name"},
		"one of the cluster":      {clusterException, "e", "{" + rest + ", subjects: [{name: '*'}], namespaces: {names: [a]}}", ""},
		"one for no namespace":    {clusterException, "e", "{" + rest + ", subjects: [{name: '*'}], namespaces: {}}", "set names, selector, or both"},
		"a field that is not one": {configuration, "default", "{image: {}}", `unknown field "spec.image"`},
	} {
		t.Run(name, func(t *testing.T) {
			o := &unstructured.Unstructured{}
			var spec map[string]any
			if err := yaml.Unmarshal([]byte(tc.spec), &spec); err != nil {
				t.Fatal(err)
			}
			o.Object = map[string]any{"spec": spec}
			o.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(tc.kind))
			o.SetName(tc.name)
			if tc.kind == exception {
				o.SetNamespace(ns)
			}
			err := admin.Create(t.Context(), o, client.DryRunAll, client.FieldValidation("Strict"))
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// fullConfiguration sets everything.
const fullConfiguration = `
checks:
- {names: [no-cpu-limit], state: Disabled}
- {names: [host-pid], severity: Critical, namespaces: {names: [shop-*], selector: {matchLabels: {team: shop}}}}
customChecks: [{id: team, severity: Low, message: must have a team, kinds: [Namespace], expression: "has(object.metadata.labels.team)"}]
namespaces: {excluded: {names: [old-*]}, system: [mesh]}
images:
  allowedRepositories: [registry.example.com:5000/shop]
  requireDigests: true
  maxSize: 500Mi
  maxPackages: 250
  maxAgeDays: 90
  maxScanAgeDays: 3
  ignoredVulnerabilities:
  - {id: CVE-2024-0001, status: NotAffected, reason: not linked}
  - id: GHSA-ppp9-7jff-5vj2
    status: Accepted
    reason: until the next release
    packages: [golang.org/x/*]
    images: [registry.example.com:5000/shop/*]
    expirationTime: "2099-01-31T00:00:00Z"
  scannedRepositories: [{name: registry.example.com:5000/shop/cart, tags: ["v*"], maxTags: 5}]
  requiredSignatures:
  - images: ["registry.example.com:5000/*"]
    keys:
    - name: release-2026
      publicKey: |
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWsSa/+6UPcZ8ZSjbQqcPMhLGYvxX
        NB4WXgZvSAXx3uGmJS9Xl8tNg/8vpqYyQcpsWjM0PfDJS2VzVcP4mpYqLg==
        -----END PUBLIC KEY-----
    identities:
    - {issuer: "https://token.actions.githubusercontent.com", subject: "https://github.com/example/shop/*"}
sensitiveWorkloads:
  selector: {matchLabels: {tier: sensitive}}
  namespaces: {names: [payment]}
  sandboxRuntimeClasses: [runsc]
  dedicatedNodeKeys: [example.com/pool]
quotas: {requiredResources: [pods], nearlyExhaustedPercent: 75}
exceptions: {cluster: {allowUnlimited: true}, namespaced: {maxDays: 7, severities: [Low], namespaces: {names: [shop]}}}
`

// finds says whether a report has a finding of a check.
func finds(r *v1alpha1.SecurityReport, check string) bool {
	return slices.ContainsFunc(r.Findings, func(f v1alpha1.Finding) bool { return f.Check == check })
}

// TestConfigurationTakesEffect: at once, on exactly the reports that it touches, and in the same way after a restart. What is
// not valid is told, and the rest holds.
func TestConfigurationTakesEffect(t *testing.T) {
	one, other := newNamespace(t), newNamespace(t)
	app := container("app", "example.com/web:latest", true)
	for _, ns := range []string{one, other} {
		create(t, deployment(ns, "web", 1, app))
		create(t, deployment(ns, "plain", 1, restrictedContainer("app", "example.com/plain:1")))
		waitForPods(t, ns, "web", 1)
		waitForReport(t, ns, "deployment-plain")
		settle(t, ns)
	}
	marks := map[string]int{one: len(writes(t, one)), other: len(writes(t, other))}
	c := configure(t, &v1alpha1.AuditConfigurationSpec{Checks: []v1alpha1.CheckRule{
		{Names: []string{"privileged-container", "nope"}, State: v1alpha1.CheckDisabled, Namespaces: &v1alpha1.NamespaceSelector{Names: []string{one}}},
	}})
	if valid := waitForValid(t, c); valid.Status != metav1.ConditionFalse || valid.Reason != v1alpha1.ReasonPartlyIgnored ||
		!strings.Contains(valid.Message, `spec.checks[0].names[1]: no check is called "nope"`) {
		t.Errorf("condition %+v", valid)
	}
	disabled := func(r *v1alpha1.SecurityReport) bool {
		return !finds(r, "privileged-container") && finds(r, "image-tag-latest")
	}
	waitFor(t, one, "deployment-web", disabled)
	settle(t, one)
	settle(t, other)
	if w := since(t, one, marks[one]); !slices.Contains(w, "update deployment-web") || !slices.Contains(w, "update deployment-plain") {
		t.Errorf("written where a check was disabled: %v", w)
	}
	if w := since(t, other, marks[other]); len(w) > 0 {
		t.Errorf("written where nothing has changed: %v", w)
	}

	// A restart decides the same.
	mark := len(writes(t, one))
	stop(t)
	start(t)
	waitForSeries(t, one, `check="image-tag-latest"`, 1)
	if w := since(t, one, mark); len(w) > 0 {
		t.Errorf("a restart caused writes: %v", w)
	}

	// An edit, with all mended.
	change(t, c, func(c *v1alpha1.AuditConfiguration) {
		c.Spec.Checks = []v1alpha1.CheckRule{{Names: []string{"privileged-container"}, Severity: v1alpha1.SeverityLow}}
	})
	if valid := waitForValid(t, c); valid.Status != metav1.ConditionTrue || valid.Reason != v1alpha1.ReasonAllHolds || valid.Message != "" {
		t.Errorf("condition %+v", valid)
	}
	for _, ns := range []string{one, other} {
		waitFor(t, ns, "deployment-web", func(r *v1alpha1.SecurityReport) bool {
			return r.Summary.Critical == 0 && finds(r, "privileged-container")
		})
	}
	remove(t, c)
	for _, ns := range []string{one, other} {
		waitFor(t, ns, "deployment-web", func(r *v1alpha1.SecurityReport) bool { return r.Summary.Critical == 1 })
	}
}

// TestNamespacesAreLeftOut: their report says so, they are counted, and nothing else is told of them.
func TestNamespacesAreLeftOut(t *testing.T) {
	ns := newLabelledNamespace(t, map[string]string{"audit": "no"})
	create(t, deployment(ns, "web", 1, container("app", "example.com/web:latest", true)))
	waitForReport(t, ns, "deployment-web")
	configure(t, &v1alpha1.AuditConfigurationSpec{Namespaces: v1alpha1.NamespaceSettings{
		Excluded: &v1alpha1.NamespaceSelector{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"audit": "no"}}},
	}})
	waitForNoReport(t, ns, "deployment-web")
	waitFor(t, ns, "namespace-"+ns, func(r *v1alpha1.SecurityReport) bool {
		return len(r.Findings) == 0 && r.Summary.Passed == 0 && len(r.Skips) > 0 && r.Skips[0].Reason == v1alpha1.SkipNamespaceExcluded
	})
	if s := series(t, ns); len(s) > 0 {
		t.Errorf("metrics of what is left out: %v", s)
	}
	if !slices.Contains(scrape(t), "kubersafe_excluded_namespaces 1") {
		t.Error("it is not counted")
	}
	// It is judged again once its labels do not say so any more.
	change(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, func(n *corev1.Namespace) { delete(n.Labels, "audit") })
	waitForReport(t, ns, "deployment-web")
}

// activeOf waits until an exception's condition has a reason.
func activeOf(t *testing.T, e client.Object, status *v1alpha1.ExceptionStatus, reason string) *metav1.Condition {
	t.Helper()
	var active *metav1.Condition
	eventually(t, e.GetName()+" to be "+reason, func(ctx context.Context) (bool, string) {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(e), e); err != nil {
			return false, err.Error()
		}
		active = meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionActive)
		return active != nil && active.Reason == reason && active.ObservedGeneration == e.GetGeneration(), fmt.Sprintf("%+v", status)
	})
	return active
}

func TestExceptions(t *testing.T) {
	ns := newNamespace(t)
	create(t, deployment(ns, "web", 1, container("app", "example.com/web:latest", true)))
	waitForReport(t, ns, "deployment-web")
	settle(t, ns)
	exception := func(name string, ends time.Duration, checks ...string) *v1alpha1.SecurityException {
		return &v1alpha1.SecurityException{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: v1alpha1.SecurityExceptionSpec{
			Checks: checks, Subjects: []v1alpha1.ExceptionSubject{{Kind: "Deployment", Name: "w*"}}, Reason: "until it is built anew",
			ExpirationTime: &metav1.Time{Time: time.Now().Add(ends)},
		}}
	}
	mark := len(writes(t, ns))
	latest := exception("latest", time.Hour, "image-tag-latest")
	create(t, latest)
	r := waitFor(t, ns, "deployment-web", func(r *v1alpha1.SecurityReport) bool { return r.Summary.Exempted == 1 })
	if x := r.Exemptions[0]; finds(r, "image-tag-latest") || x.Check != "image-tag-latest" || x.Exception != "latest" ||
		x.ExceptionKind != v1alpha1.KindSecurityException || x.Reason != "until it is built anew" || x.Severity != v1alpha1.SeverityMedium ||
		x.ExpirationTime.Unix() != latest.Spec.ExpirationTime.Unix() {
		t.Errorf("exemption %+v", x)
	}
	if active := activeOf(t, latest, &latest.Status, v1alpha1.ReasonMatched); active.Status != metav1.ConditionTrue || latest.Status.Matches != 1 {
		t.Errorf("condition %+v, %d matches", active, latest.Status.Matches)
	}
	waitForSeries(t, ns, `kubersafe_exempted_violations{category="images",check="image-tag-latest",kind="Deployment",`, 1)
	settle(t, ns)
	if w := since(t, ns, mark); !slices.Equal(w, []string{"update deployment-web", "update namespace-" + ns}) {
		t.Errorf("an exception for one workload caused the writes %v", w)
	}

	// What is Critical, nobody in the namespace may exempt.
	privileged := exception("privileged", time.Hour, "privileged-container")
	create(t, privileged)
	if active := activeOf(t, privileged, &privileged.Status, v1alpha1.ReasonNotPermitted); active.Status != metav1.ConditionFalse {
		t.Errorf("condition %+v", active)
	}
	unused := exception("unused", time.Hour, "host-pid")
	create(t, unused)
	activeOf(t, unused, &unused.Status, v1alpha1.ReasonUnused)
	wrong := exception("wrong", time.Hour, "host-pids")
	create(t, wrong)
	activeOf(t, wrong, &wrong.Status, v1alpha1.ReasonInvalid)
	if r, err := getReport(t.Context(), ns, "deployment-web"); err != nil || r.Summary.Critical != 1 || r.Summary.Exempted != 1 {
		t.Errorf("summary %+v, %v", r.Summary, err)
	}

	// An administrator may. It ends by itself, without any event.
	csi := &v1alpha1.ClusterSecurityException{ObjectMeta: metav1.ObjectMeta{Name: "csi"}, Spec: v1alpha1.ClusterSecurityExceptionSpec{
		SecurityExceptionSpec: exception("", 5*time.Second, "privileged-container").Spec, Namespaces: &v1alpha1.NamespaceSelector{Names: []string{ns}},
	}}
	create(t, csi)
	t.Cleanup(func() { removeAfterwards(t, csi) })
	waitFor(t, ns, "deployment-web", func(r *v1alpha1.SecurityReport) bool { return r.Summary.Critical == 0 && r.Summary.Exempted == 2 })
	waitFor(t, ns, "deployment-web", func(r *v1alpha1.SecurityReport) bool { return r.Summary.Critical == 1 && r.Summary.Exempted == 1 })
	if now := time.Now(); now.Before(csi.Spec.ExpirationTime.Time) {
		t.Errorf("it ended at %v, before %v", now, csi.Spec.ExpirationTime)
	}
	if active := activeOf(t, csi, &csi.Status, v1alpha1.ReasonExpired); active.Status != metav1.ConditionFalse || csi.Status.Matches != 0 {
		t.Errorf("condition %+v, %d matches", active, csi.Status.Matches)
	}

	// Without the exception the finding is back.
	remove(t, latest)
	waitFor(t, ns, "deployment-web", func(r *v1alpha1.SecurityReport) bool { return r.Summary.Exempted == 0 && finds(r, "image-tag-latest") })
}

// bound returns a client for a user to whom a ClusterRole is bound in a namespace.
func bound(t *testing.T, ns, role string) client.Client {
	t.Helper()
	name := ns + "-" + role
	create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	})
	config := rest.CopyConfig(cluster.Config)
	config.Impersonate.UserName = name
	user, err := client.New(config, client.Options{Scheme: admin.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// TestNobodyMayWriteExceptionsByDefault: the roles that people are given in a namespace do not include it.
func TestNobodyMayWriteExceptionsByDefault(t *testing.T) {
	ns := newNamespace(t)
	for _, role := range []string{"admin", "edit", "view"} {
		user := bound(t, ns, role)
		e := &v1alpha1.SecurityException{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "e"}, Spec: v1alpha1.SecurityExceptionSpec{
			Checks: []string{"*"}, Subjects: []v1alpha1.ExceptionSubject{{Name: "*"}}, Reason: "r",
		}}
		if err := user.Create(t.Context(), e); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", role, err)
		}
	}
	user := bound(t, ns, "kubersafe-exception-editor")
	e := &v1alpha1.SecurityException{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "e"}, Spec: v1alpha1.SecurityExceptionSpec{
		Checks: []string{"*"}, Subjects: []v1alpha1.ExceptionSubject{{Name: "*"}}, Reason: "r",
	}}
	if err := user.Create(t.Context(), e); err != nil {
		t.Error(err)
	}
}
