// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// TestComponent: what the component image-scan adds is taken by an API server, may do what it must, and no more.
func TestComponent(t *testing.T) {
	w := newWorld(t) // on which it is installed
	dir, err := writeKustomization(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.Kubectl(t.Context(), nil, "kustomize", dir)
	if err != nil {
		t.Fatal(err)
	}
	var rules []rbacv1.PolicyRule
	var scanner appsv1.Deployment
	for document := range strings.SplitSeq(out, "\n---\n") {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			t.Fatal(err)
		}
		switch {
		case role.Kind == "Role" || role.Kind == "ClusterRole":
			for _, r := range role.Rules {
				if slices.ContainsFunc(r.Resources, func(r string) bool { return r == "*" || strings.HasPrefix(r, "secrets") }) {
					t.Errorf("%s %q may have to do with Secrets: %v", role.Kind, role.Name, r)
				}
			}
			if role.Name == "kubersafe-scanner" {
				rules = append(rules, role.Rules...)
			}
		case role.Kind == "Deployment" && role.Name == "kubersafe-scanner":
			if err := yaml.UnmarshalStrict([]byte(document), &scanner); err != nil {
				t.Fatal(err)
			}
		}
	}
	rule := func(group, resources, verbs string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: strings.Fields(resources), Verbs: strings.Fields(verbs)}
	}
	want := []rbacv1.PolicyRule{
		rule("", "nodes pods", "list watch"), rule("apps", "daemonsets deployments statefulsets", "list watch"), rule("batch", "cronjobs jobs", "list watch"),
		rule("", "serviceaccounts", "get"), rule("audit.kubersafe.io", "auditconfigurations", "list watch"),
		rule("audit.kubersafe.io", "imagereports", "create delete get list update watch"),
		rule("authentication.k8s.io", "tokenreviews", "create"), rule("authorization.k8s.io", "subjectaccessreviews", "create"),
	}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Errorf("what the scanner may do (-want +got):\n%s", diff)
	}
	spec := &scanner.Spec.Template.Spec
	container := &spec.Containers[0]
	if c := container.SecurityContext; !*c.ReadOnlyRootFilesystem || *c.AllowPrivilegeEscalation || c.Capabilities.Drop[0] != "ALL" || !*spec.SecurityContext.RunAsNonRoot {
		t.Errorf("the scanner may do too much on its node: %+v", c)
	}
	for i := range spec.Volumes {
		if v := &spec.Volumes[i]; v.EmptyDir == nil || v.EmptyDir.SizeLimit.IsZero() {
			t.Errorf("volume %q has no limit", v.Name)
		}
	}
	// The command takes these arguments.
	cmd, _, err := newCommand().Find(container.Args)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.ParseFlags(container.Args[1:]); err != nil {
		t.Error(err)
	}
}

// TestPrometheusComponent: what Prometheus asks for is what the scanner's Deployment and Service serve.
func TestPrometheusComponent(t *testing.T) {
	w := newWorld(t)
	dir, err := writeKustomization(t.TempDir(), "image-scan-prometheus")
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.Kubectl(t.Context(), nil, "kustomize", dir)
	if err != nil {
		t.Fatal(err)
	}
	var monitor struct {
		Kind string
		Spec struct {
			Selector  metav1.LabelSelector
			Endpoints []struct {
				Port      string
				TLSConfig struct {
					ServerName string
					CA         struct{ Secret struct{ Name string } }
				}
			}
		}
	}
	var scanner appsv1.Deployment
	var service corev1.Service
	for document := range strings.SplitSeq(out, "\n---\n") {
		var kind metav1.PartialObjectMetadata
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatal(err)
		}
		var into any
		switch kind.Kind + "/" + kind.Name {
		case "ServiceMonitor/kubersafe-scanner":
			into = &monitor
		case "Deployment/kubersafe-scanner":
			into = &scanner
		case "Service/kubersafe-scanner-metrics":
			into = &service
		default:
			continue
		}
		if err := yaml.Unmarshal([]byte(document), into); err != nil {
			t.Fatal(err)
		}
		if into == &scanner {
			if _, err := w.Kubectl(t.Context(), strings.NewReader(document), "apply", "--dry-run=server", "-f", "-"); err != nil {
				t.Error(err)
			}
		}
	}
	if len(monitor.Spec.Endpoints) != 1 || len(service.Spec.Ports) != 1 {
		t.Fatalf("%+v, %+v", monitor, service.Spec)
	}
	e := &monitor.Spec.Endpoints[0]
	selector, err := metav1.LabelSelectorAsSelector(&monitor.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	if !selector.Matches(labels.Set(service.Labels)) || e.Port != service.Spec.Ports[0].Name || e.TLSConfig.ServerName != service.Name+"."+service.Namespace+".svc" {
		t.Errorf("Prometheus asks for %+v, the Service is %+v", monitor.Spec, service)
	}
	pod := &scanner.Spec.Template.Spec
	volume := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool {
		return v.Secret != nil && v.Secret.SecretName == e.TLSConfig.CA.Secret.Name
	})
	if volume < 0 {
		t.Fatalf("the Secret %q is not mounted", e.TLSConfig.CA.Secret.Name)
	}
	c := &pod.Containers[0]
	mount := slices.IndexFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == pod.Volumes[volume].Name })
	if mount < 0 || !slices.Contains(c.Args, "--metrics-cert-path="+c.VolumeMounts[mount].MountPath) {
		t.Errorf("the certificate is not served: %q, %+v", c.Args, c.VolumeMounts)
	}
}

// TestComponentCRD: the component has the CRD as it is generated.
func TestComponentCRD(t *testing.T) {
	config := filepath.Join("..", "..", "config")
	generated, err := os.ReadFile(filepath.Join(config, "crd", "bases", "audit.kubersafe.io_imagereports.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	installed, err := os.ReadFile(filepath.Join(config, "components", "image-scan", "crd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(generated), string(installed)); diff != "" {
		t.Errorf("run make manifests (-generated +in the component):\n%s", diff)
	}
}
