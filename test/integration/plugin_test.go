// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// TestKubectlPlugin: kubectl finds the command as its plugin, and that tells what the operator has found.
func TestKubectlPlugin(t *testing.T) {
	bin := t.TempDir()
	if err := os.Symlink(replica.Binary, filepath.Join(bin, "kubectl-kubersafe")); err != nil {
		t.Fatal(err)
	}
	kubectl := func(wantCode int, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), cluster.KubectlPath(), append([]string{"kubersafe"}, args...)...)
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "KUBERC=off", "KUBECONFIG="+cluster.Kubeconfig)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		code := 0
		if exit := (*exec.ExitError)(nil); errors.As(cmd.Run(), &exit) {
			code = exit.ExitCode()
		}
		if code != wantCode {
			t.Fatalf("kubectl kubersafe %q: code %d, want %d\n%s%s", args, code, wantCode, stdout.String(), stderr.String())
		}
		return stdout.String() + stderr.String()
	}
	namespace := newNamespace(t)
	workload := deployment(namespace, "checkout", 0, corev1.Container{Name: "app", Image: "registry.example.com/app:1"})
	create(t, workload)
	found := func(check string) func(context.Context) (bool, string) {
		return func(ctx context.Context) (bool, string) {
			list := &v1alpha1.SecurityReportList{}
			if err := admin.List(ctx, list); err != nil {
				return false, err.Error()
			}
			text := ""
			for _, r := range list.Items {
				if r.Namespace == namespace && r.Name == "deployment-checkout" {
					for _, f := range r.Findings {
						text += f.Check + " "
					}
				}
			}
			return strings.Contains(text, check), text
		}
	}
	eventually(t, "a report", found("no-memory-limit"))

	if text := kubectl(0, "report", "deploy/checkout", "-n", namespace); !strings.Contains(text, namespace+"/Deployment/checkout   score ") || !strings.Contains(text, "fix  ") {
		t.Error(text)
	}
	if text := kubectl(2, "report", "deploy/nope", "-n", namespace); !strings.Contains(text, "there is no report on deploy/nope in namespace ") {
		t.Error(text)
	}
	saved := filepath.Join(bin, "saved.json")
	if err := os.WriteFile(saved, []byte(kubectl(0, "report", "-n", namespace, "-o", "json")), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := kubectl(0, "diff", saved, "-n", namespace); !strings.HasPrefix(text, "0 new, 0 fixed, ") {
		t.Error(text)
	}
	change(t, workload, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers = []corev1.Container{container("app", "registry.example.com/app:1", true)}
	})
	eventually(t, "a privileged container to be found", found("privileged-container"))
	if text := kubectl(1, "diff", saved, "-n", namespace); !slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool {
		return strings.HasPrefix(strings.Join(strings.Fields(line), " "), "New Critical privileged-container "+namespace+"/Deployment/checkout")
	}) {
		t.Error(text)
	}
	if text := kubectl(1, "audit", "-n", namespace, "-o", "json"); !strings.Contains(text, `"name": "deployment-checkout"`) ||
		strings.Contains(text, `"namespace": "kube-system"`) || strings.Contains(text, "ClusterSecurityReport") {
		t.Error(text)
	}
	if text := kubectl(2, "audit", "-n", "no-such-namespace"); !strings.Contains(text, `there is no namespace "no-such-namespace"`) {
		t.Error(text)
	}
	if text := kubectl(2, "rbac", "can-reach-admin", "--as", "nobody"); !strings.Contains(text, `"nobody" cannot list`) {
		t.Error(text)
	}
	if text := kubectl(0, "top", "workloads", "-n", namespace); !strings.Contains(text, "Deployment/checkout") {
		t.Error(text)
	}
	eventually(t, "an overview", func(context.Context) (bool, string) {
		text := kubectl(0)
		return strings.HasPrefix(text, "Cluster   score ") && strings.Contains(text, "CIS Kubernetes Benchmark") && strings.Contains(text, "\nNAMESPACE "), text
	})
	if text := kubectl(0, "report", "-A", "-o", "html"); !strings.Contains(text, "Deployment/checkout") || !strings.Contains(text, "OWASP Kubernetes Top Ten 2022</span>") {
		t.Error("the page lacks the workload or compliance")
	}
}
