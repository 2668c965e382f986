// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the operator as its users run it: from its image, in Pods, installed with dist/install.yaml, and looked at with
// kubectl and through its metrics only.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/test/controlplane"
)

const (
	operatorNamespace = "kubersafe-system"
	operatorUser      = "system:serviceaccount:" + operatorNamespace + ":kubersafe"
	// testNamespace is where the tests have what is audited.
	testNamespace = "kubersafe-e2e"
	// operatorUID is the user that the Deployment says.
	operatorUID = "65532"
	// fixed is how long a report may take to tell of a mended workload, its rollout included. Measured: 2 to 3 s.
	fixed = 30 * time.Second
)

// installation is what is under test.
type installation struct {
	// image of the operator, which the cluster has or can pull.
	image string
	// auditLog is the path of the API server's audit log, or "" if the cluster is not ours.
	auditLog string
	// manifest is dist/install.yaml with that image.
	manifest string
	// before is what there was in the cluster.
	before map[string]bool
}

// TestInstallation goes the way of a user from the installation to the removal. Each step needs those before.
func TestInstallation(t *testing.T) {
	i := &installation{image: os.Getenv("KUBERSAFE_E2E_IMAGE"), auditLog: os.Getenv("NODE_AUDIT_LOG")}
	if i.image == "" {
		t.Skip("needs a cluster with an image of the operator: run make test-e2e")
	}
	i.prepare(t)
	t.Cleanup(func() { i.cleanUp(t) })
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"the installation becomes ready", i.install},
		{"the Pods are confined", i.confined},
		{"a broken workload is reported", i.broken},
		{"metrics are for those who may read them", i.scraped},
		{"metrics say what reports do", checkMetrics},
		{"a mended workload is reported", i.mended},
		{"another replica takes over from a killed leader", i.takeover},
		{"metrics say what reports do after that", checkMetrics},
		{"a restart writes nothing", i.restart},
		{"requests are those that the manifests allow", i.requests},
		{"nothing is left after the removal", i.uninstall},
	} {
		began := time.Now()
		if !t.Run(step.name, step.do) {
			t.FailNow()
		}
		t.Logf("%s: %.1f s", step.name, time.Since(began).Seconds())
	}
}

// prepare reads what is to be installed, and refuses a cluster in which somebody else would miss it afterwards.
func (i *installation) prepare(t *testing.T) {
	if found := kubectl(t, "get", "namespace,crd", "--ignore-not-found", "-o", "name"); strings.Contains(found, "kubersafe") {
		t.Fatal("kubersafe is in this cluster: the test installs and removes it, with all reports and exceptions, and so needs another one")
	}
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(root, "dist/install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const released = "image: ghcr.io/kubersafe/kubersafe:"
	before, after, found := strings.Cut(string(manifest), released)
	_, after, ended := strings.Cut(after, "\n")
	if !found || !ended || strings.Contains(after, released) {
		t.Fatalf("dist/install.yaml must have %q once", released)
	}
	i.manifest = before + "image: " + i.image + "\n" + after
	i.before = inventory(t)
}

// cleanUp tells of a failure what its place was like, and leaves the cluster as it was found.
func (i *installation) cleanUp(t *testing.T) {
	ctx := context.Background() // that of the test is over
	if t.Failed() {
		for _, args := range [][]string{
			{"get", "pods", "-A", "-o", "wide"},
			{"get", "securityreports", "-A"},
			{"get", "events", "-A"},
			{"logs", "-n", operatorNamespace, "-l", "app.kubernetes.io/component=operator", "--prefix", "--tail=30"},
		} {
			out, err := tryKubectl(ctx, "", args...)
			t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	_, err := tryKubectl(ctx, i.manifest, "delete", "--ignore-not-found", "--wait=false", "-f", "-")
	_, testErr := tryKubectl(ctx, scrapers, "delete", "--ignore-not-found", "--wait=false", "-f", "-")
	_, namespaceErr := tryKubectl(ctx, "", "delete", "namespace", testNamespace, "--ignore-not-found", "--wait=false")
	if err := errors.Join(err, testErr, namespaceErr); err != nil {
		t.Error(err)
	}
}

func (i *installation) install(t *testing.T) {
	feed(t, i.manifest, "apply")
	took := eventually(t, "two replicas that are ready", func(ctx context.Context) error {
		pods, err := operatorPods(ctx)
		if err == nil && (len(pods) != 2 || !ready(&pods[0]) || !ready(&pods[1])) {
			err = errors.New("they are not")
		}
		return err
	})
	t.Logf("two replicas are ready after %s", took)
	eventually(t, "a report on every namespace and on the operator", func(ctx context.Context) error {
		return reported(ctx, "deployment-kubersafe")
	})
}

// reported returns an error if a namespace has no report, or if there is none with one of the names.
func reported(ctx context.Context, names ...string) error {
	stored, err := getReports(ctx)
	if err != nil {
		return err
	}
	namespaces, err := get[corev1.NamespaceList](ctx, "namespaces")
	if err != nil {
		return err
	}
	for _, n := range namespaces.Items {
		names = append(names, "namespace-"+n.Name)
	}
	for _, r := range stored.namespaced {
		names = slices.DeleteFunc(names, func(name string) bool { return name == r.Name })
	}
	if len(names) > 0 {
		return fmt.Errorf("no reports %s", strings.Join(names, ", "))
	}
	return nil
}

// confined looks at what keeps the operator within its bounds.
func (i *installation) confined(t *testing.T) {
	pods, err := operatorPods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		container := p.Status.ContainerStatuses[0]
		if container.RestartCount != 0 || !*p.Spec.SecurityContext.RunAsNonRoot {
			t.Errorf("Pod %s has restarted %d times, runAsNonRoot is %t", p.Name, container.RestartCount, *p.Spec.SecurityContext.RunAsNonRoot)
		}
		if i.auditLog == "" {
			continue // the processes are on another machine
		}
		status := process(t, container.ContainerID)
		for _, want := range []string{
			"Uid:\t" + strings.Join(slices.Repeat([]string{operatorUID}, 4), "\t"), "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2",
		} {
			if !strings.Contains(status, want+"\n") {
				t.Errorf("the process of Pod %s has no %q:\n%s", p.Name, want, status)
			}
		}
	}
	_, err = tryKubectl(t.Context(), "", "run", "intruder", "-n", operatorNamespace, "--image="+i.image, "--dry-run=server")
	if err == nil || !strings.Contains(err.Error(), `violates PodSecurity "restricted:latest"`) {
		t.Errorf("a Pod without restrictions beside the operator: %v", err)
	}
	policies := kubectl(t, "get", "networkpolicies", "-n", operatorNamespace, "-o", "name")
	if n := strings.Count(policies, "\n"); n != 3 {
		t.Errorf("the operator has %d network policies, want 3:\n%s", n, policies)
	}
}

// process returns what the kernel says of the process of a container, which must be on this machine.
func process(t *testing.T, container string) string {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid(t, container)), "status"))
	if err != nil {
		t.Fatal(err)
	}
	return string(status)
}

// pid is the first process of a container on this machine: the smallest number with the container's id in its cgroup.
func pid(t *testing.T, container string) int {
	t.Helper()
	_, id, _ := strings.Cut(container, "://")
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(content), id) {
			continue // it may have ended since
		}
		n, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, n)
	}
	if id == "" || len(pids) == 0 {
		t.Fatalf("container %q has no process on this machine", container)
	}
	return slices.Min(pids)
}

// workload is a Deployment. What runs in it waits for manifests on a standard input that nobody writes to, from the one image that
// the cluster has.
func (i *installation) workload(name string, privileged bool) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: app, image: "%[3]s", args: [audit, -f, "-"], stdin: true, imagePullPolicy: IfNotPresent, securityContext: {privileged: %[4]t}}
`, name, testNamespace, i.image, privileged)
}

func (i *installation) broken(t *testing.T) {
	kubectl(t, "create", "namespace", testNamespace)
	began := time.Now()
	feed(t, i.workload("shop", true), "apply")
	awaitVerdict(t, "shop", true)
	t.Logf("the report is there %.2f s after the workload", time.Since(began).Seconds())
	awaitRollout(t, "shop")
}

// awaitVerdict waits for the report on a workload to say whether it is privileged, both in the count and in the findings.
func awaitVerdict(t *testing.T, name string, privileged bool) {
	t.Helper()
	eventually(t, "the report on "+name, func(ctx context.Context) error {
		r, err := get[v1alpha1.SecurityReport](ctx, "securityreport", "deployment-"+name, "-n", testNamespace)
		if err != nil {
			return err
		}
		found := slices.ContainsFunc(r.Findings, func(f v1alpha1.Finding) bool {
			return f.Check == "privileged-container" && f.Path == "spec.template.spec.containers[name=app].securityContext.privileged"
		})
		if found != privileged || (r.Summary.Critical > 0) != privileged {
			return fmt.Errorf("%d Critical, privileged-container: %t", r.Summary.Critical, found)
		}
		return nil
	})
}

// awaitRollout waits until the Pods of a workload run and those of its older revisions are gone.
func awaitRollout(t *testing.T, name string) {
	t.Helper()
	kubectl(t, "rollout", "status", "deployment/"+name, "-n", testNamespace, "--timeout", timeout.String())
	eventually(t, "one Pod of "+name, func(ctx context.Context) error {
		pods, err := get[corev1.PodList](ctx, "pods", "-n", testNamespace, "-l", "app="+name)
		if err == nil && len(pods.Items) != 1 {
			err = fmt.Errorf("there are %d", len(pods.Items))
		}
		return err
	})
}

func (i *installation) scraped(t *testing.T) {
	feed(t, scrapers, "apply")
	pods, err := operatorPods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for who, tc := range map[string]struct {
		token string
		want  int
	}{
		"nobody":                     {"", 401},
		"who was not given the role": {token(t, "stranger"), 403},
		"who the role was bound to":  {token(t, "prometheus"), 200},
	} {
		var code int
		eventually(t, "an answer to a scrape", func(ctx context.Context) error {
			var err error
			code, _, err = scrape(ctx, pods[0].Name, tc.token)
			return err
		})
		if code != tc.want {
			t.Errorf("%s is answered %d, want %d", who, code, tc.want)
		}
	}
}

func (i *installation) mended(t *testing.T) {
	began := time.Now()
	feed(t, i.workload("shop", false), "apply")
	awaitVerdict(t, "shop", false)
	took := time.Since(began)
	t.Logf("the report tells of the mended workload, its Pods replaced, %.2f s after it was applied", took.Seconds())
	if took > fixed {
		t.Errorf("that is more than %s", fixed)
	}
	awaitRollout(t, "shop")
}

// leader returns the process that holds the Lease, and its Pod.
func leader(ctx context.Context) (holder, pod string, err error) {
	lease, err := get[coordinationv1.Lease](ctx, "lease", "kubersafe.audit.kubersafe.io", "-n", operatorNamespace)
	if err == nil && (lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "") {
		err = errors.New("nobody holds the Lease")
	}
	if err != nil {
		return "", "", err
	}
	pod, _, _ = strings.Cut(*lease.Spec.HolderIdentity, "_")
	return *lease.Spec.HolderIdentity, pod, nil
}

// takeover kills the leader, so that it gives nothing back and writes nothing more, and changes workloads while there is none.
func (i *installation) takeover(t *testing.T) {
	feed(t, i.workload("steady", true), "apply")
	awaitVerdict(t, "steady", true)
	awaitRollout(t, "steady")
	checkMetrics(t) // all that is to be written has been
	killed, pod, err := leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, err := getReports(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	written := len(i.written(t))
	i.kill(t, pod)
	began := time.Now()
	feed(t, i.workload("shop", true), "apply")
	feed(t, i.workload("late", true), "apply")

	// The standby, or the one that has been started in place of the killed one.
	var successor string
	eventually(t, "another leader", func(ctx context.Context) error {
		holder, of, err := leader(ctx)
		if err == nil && holder == killed {
			err = fmt.Errorf("it is %s still", holder)
		}
		successor = of
		return err
	})
	t.Logf("%s holds the Lease %.1f s after the leader, in %s, was killed", successor, time.Since(began).Seconds(), pod)
	awaitVerdict(t, "shop", true)
	awaitVerdict(t, "late", true)
	t.Logf("reports tell of what changed meanwhile %.1f s after it", time.Since(began).Seconds())
	awaitRollout(t, "shop")
	awaitRollout(t, "late")
	checkMetrics(t)

	// Those that had to change, and those of their namespace and of the cluster, which sum them up.
	i.checkWrites(t, before, written, testNamespace+"/deployment-shop", testNamespace+"/deployment-late",
		testNamespace+"/namespace-"+testNamespace, "/"+v1alpha1.ClusterReportName)
}

// kill ends the process of a Pod at once. Where that is on another machine, the Pod is deleted without the time to end in order.
func (i *installation) kill(t *testing.T, pod string) {
	t.Helper()
	if i.auditLog == "" {
		kubectl(t, "delete", "pod", pod, "-n", operatorNamespace, "--force", "--grace-period=0")
		return
	}
	p := mustGet[corev1.Pod](t, "pod", pod, "-n", operatorNamespace)
	if err := syscall.Kill(pid(t, p.Status.ContainerStatuses[0].ContainerID), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// restart replaces all replicas, as an upgrade does: what has not changed is not written again.
func (i *installation) restart(t *testing.T) {
	before, err := getReports(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	written := len(i.written(t))
	kubectl(t, "rollout", "restart", "deployment/kubersafe", "-n", operatorNamespace)
	kubectl(t, "rollout", "status", "deployment/kubersafe", "-n", operatorNamespace, "--timeout", timeout.String())
	eventually(t, "two replicas, one of which leads", func(ctx context.Context) error {
		pods, err := operatorPods(ctx)
		if err != nil {
			return err
		}
		_, leading, err := leader(ctx)
		if err != nil {
			return err
		}
		if len(pods) != 2 || !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.Name == leading }) {
			return fmt.Errorf("%d replicas; %s leads", len(pods), leading)
		}
		return nil
	})
	checkMetrics(t) // by those that there are now, so everything has been judged again
	// The operator's own report says which template it has seen, and the restart has changed that.
	i.checkWrites(t, before, written, operatorNamespace+"/deployment-kubersafe")
	d := mustGet[appsv1.Deployment](t, "deployment", "kubersafe", "-n", operatorNamespace)
	if d.Status.ReadyReplicas != 2 {
		t.Errorf("%d replicas are ready, want 2", d.Status.ReadyReplicas)
	}
}

// uninstall removes everything the way that it came, and what the test made.
func (i *installation) uninstall(t *testing.T) {
	feed(t, i.manifest, "delete", "--timeout", timeout.String())
	feed(t, scrapers, "delete")
	kubectl(t, "delete", "namespace", testNamespace, "--timeout", timeout.String())
	eventually(t, "nothing to be left", func(context.Context) error {
		left := inventory(t)
		maps.DeleteFunc(left, func(name string, _ bool) bool { return i.before[name] })
		if len(left) > 0 {
			return errors.New(strings.Join(slices.Sorted(maps.Keys(left)), ", "))
		}
		return nil
	})
}
