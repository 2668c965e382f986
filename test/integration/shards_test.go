// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/shard"
	"github.com/kubersafe/kubersafe/internal/source"
	"github.com/kubersafe/kubersafe/test/controlplane"
	"github.com/kubersafe/kubersafe/test/operator"
)

// startShard starts a replica of a shard, which may have to wait before it works.
func startShard(t *testing.T, part string) *operator.Operator {
	t.Helper()
	o := replica.Replica()
	o.Args = []string{"--shard=" + part}
	if err := startOperator(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := o.Process().Stop(15 * time.Second); err != nil { // however it has ended
			t.Error(err)
		}
	})
	return o
}

func stopShard(t *testing.T, o *operator.Operator) {
	t.Helper()
	if err := o.Stop(); err != nil {
		t.Fatalf("%v\n%s", err, o.LogTail())
	}
}

func scrapeOf(t *testing.T, o *operator.Operator) []string {
	t.Helper()
	lines, err := o.Scrape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// stateOf returns the state series of replicas together, as Prometheus has them. A series that two of them export is an error.
func stateOf(t *testing.T, replicas ...*operator.Operator) map[string]string {
	t.Helper()
	state := make(map[string]string)
	for _, o := range replicas {
		for _, line := range scrapeOf(t, o) {
			series, value, _ := strings.Cut(line, "} ")
			if !strings.HasPrefix(line, "kubersafe_") || !strings.Contains(line, "namespace=") &&
				!strings.HasPrefix(line, "kubersafe_cluster_") && !strings.HasPrefix(line, "kubersafe_compliance_") {
				continue
			}
			if _, ok := state[series]; ok {
				t.Errorf("two replicas export %s", series)
			}
			state[series] = value
		}
	}
	return state
}

func waitForShards(t *testing.T, replicas ...*operator.Operator) {
	t.Helper()
	for _, o := range replicas {
		eventually(t, "a shard's first complete audit", func(context.Context) (bool, string) {
			return slices.ContainsFunc(scrapeOf(t, o), func(l string) bool {
				return strings.HasPrefix(l, "kubersafe_last_complete_audit_timestamp_seconds ")
			}), o.LogTail()
		})
	}
}

// waitUntilHeldUp waits until a replica says that it waits for those of another number of shards.
func waitUntilHeldUp(t *testing.T, replicas ...*operator.Operator) {
	t.Helper()
	for _, o := range replicas {
		eventually(t, "a shard to wait for the others to end", func(context.Context) (bool, string) {
			log, err := os.ReadFile(o.Process().Log)
			return err == nil && bytes.Contains(log, []byte("Waiting for the replicas of another number of shards to end")), o.LogTail()
		})
		if state := stateOf(t, o); len(state) > 0 {
			t.Errorf("a shard that waits exports %v", slices.Sorted(maps.Keys(state)))
		}
	}
}

func TestShards(t *testing.T) {
	// FNV tells names apart by how they begin.
	names := []string{"payments-shards", "catalogue-shards", "search-shards", "identity-shards", "shipping-shards", "media-shards"}
	for _, n := range []int{2, 3} {
		for i := range n {
			if !slices.ContainsFunc(names, shard.Shard{Index: i, Count: n}.Owns) {
				t.Fatalf("no namespace is in shard %d of %d", i, n)
			}
		}
	}
	for i, ns := range names {
		makeNamespace(t, ns, nil)
		create(t, deployment(ns, "web", 2, container("app", "example.com/web:1", i%2 == 0)))
		waitForReport(t, ns, "deployment-web")
		waitForPods(t, ns, "web", 2)
		settle(t, ns)
	}
	quiet(t)
	whole, want, mark := replica, stateOf(t, replica), len(allWrites(t))
	report := waitForClusterReport(t, func(*v1alpha1.ClusterSecurityReport) bool { return true })
	pss := slices.IndexFunc(report.Compliance, func(f v1alpha1.FrameworkCompliance) bool { return f.Framework == "pss" })
	if pss < 0 || !slices.Contains(report.Compliance[pss].Failed, "Baseline: Privileged Containers") || len(report.Compliance[pss].Passed) == 0 {
		t.Errorf("the cluster's report says of compliance %+v", report.Compliance)
	} else if n := want[`kubersafe_compliance_controls{framework="pss",state="Failed"`]; n != fmt.Sprint(len(report.Compliance[pss].Failed)) {
		t.Errorf("the metrics count %q failed controls, the report has %v", n, report.Compliance[pss].Failed)
	}
	unchanged := func(when string, replicas ...*operator.Operator) {
		t.Helper()
		if w := allWrites(t)[mark:]; len(w) > 0 {
			t.Errorf("%s, there are writes: %v", when, w)
		}
		if diff := cmp.Diff(want, stateOf(t, replicas...)); diff != "" {
			t.Errorf("%s, the metrics differ (-before +after):\n%s", when, diff)
		}
	}
	t.Cleanup(func() { // whatever has happened, the other tests have their operator
		if _, err := whole.Process().Stop(15 * time.Second); err != nil {
			t.Error(err)
		}
		if err := startOperator(context.Background(), whole); err != nil {
			t.Fatal(err)
		}
	})

	one, other := startShard(t, "0/2"), startShard(t, "kubersafe-3/2")
	waitUntilHeldUp(t, one, other)
	unchanged("while shards wait", whole)
	stopShard(t, whole)
	waitForShards(t, one, other)
	time.Sleep(3 * time.Second) // longer than the cluster's report trails
	unchanged("in two shards", one, other)

	for _, ns := range names {
		create(t, deployment(ns, "next", 1, container("app", "example.com/next", true)))
		create(t, pod(ns, "bare", container("app", "example.com/bare", true)))
	}
	for _, ns := range names {
		waitForReport(t, ns, "deployment-next")
		waitForReport(t, ns, "pod-bare")
		waitForPods(t, ns, "next", 1)
		settle(t, ns)
	}
	made := make(map[string]int)
	for _, w := range allWrites(t)[mark:] {
		if strings.HasPrefix(w, "create ") && !strings.HasSuffix(w, "-sentinel") {
			made[w]++
		}
	}
	for _, ns := range names {
		for _, r := range []string{"deployment-next", "pod-bare"} {
			if n := made["create "+ns+"/"+r]; n != 1 {
				t.Errorf("report %s in %s was created %d times", r, ns, n)
			}
		}
	}
	if len(made) != 2*len(names) {
		t.Errorf("created: %v", made)
	}
	after := waitForClusterReport(t, func(r *v1alpha1.ClusterSecurityReport) bool {
		counts := make(map[v1alpha1.Severity]int32)
		for series, value := range stateOf(t, one, other) {
			for _, severity := range audit.Severities {
				var n int32
				violations := strings.HasPrefix(series, "kubersafe_violations{") || strings.HasPrefix(series, "kubersafe_cluster_violations{")
				if violations && strings.Contains(series, `severity="`+string(severity)+`"`) {
					if _, err := fmt.Sscan(value, &n); err != nil {
						t.Fatal(err)
					}
					counts[severity] += n
				}
			}
		}
		s := r.Summary
		return s.Critical == counts[v1alpha1.SeverityCritical] && s.High == counts[v1alpha1.SeverityHigh] &&
			s.Medium == counts[v1alpha1.SeverityMedium] && s.Low == counts[v1alpha1.SeverityLow]
	})
	if after.Summary.Critical != report.Summary.Critical+int32(2*len(names)) {
		t.Errorf("the cluster's report has %d Critical findings, before it had %d", after.Summary.Critical, report.Summary.Critical)
	}

	want, mark = stateOf(t, one, other), len(allWrites(t))
	standby := startShard(t, "1/2")
	if state := stateOf(t, standby); len(state) > 0 {
		t.Errorf("a standby exports %v", slices.Sorted(maps.Keys(state)))
	}
	if _, err := other.Process().Stop(0); err == nil { // killed, so that it does not let its Lease go
		t.Log("the shard ended before it could be killed")
	}
	waitForShards(t, standby)
	unchanged("after a standby has taken over", one, standby)

	three := []*operator.Operator{startShard(t, "0/3"), startShard(t, "1/3"), startShard(t, "2/3")}
	waitUntilHeldUp(t, three...)
	stopShard(t, one)
	stopShard(t, standby)
	waitForShards(t, three...)
	time.Sleep(3 * time.Second)
	unchanged("in three shards", three...)

	for _, o := range three {
		stopShard(t, o)
	}
	if err := startOperator(context.Background(), whole); err != nil {
		t.Fatal(err)
	}
	waitUntilComplete(t)
	quiet(t)
	unchanged("without shards again", whole) // so the cluster's report is what it was from the sums of shards
}

// TestShardsAreSelectedByTheServer has an API server with the feature ShardedListAndWatch leave out what is not to be read.
func TestShardsAreSelectedByTheServer(t *testing.T) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	selecting, err := controlplane.Start(t.Context(), controlplane.Options{
		CRDs: []string{filepath.Join(root, "config/crd/bases")}, Features: []string{"ShardedListAndWatch"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := selecting.Stop(); err != nil {
			t.Error(err)
		}
	})
	client, err := kubernetes.NewForConfig(selecting.Config)
	if err != nil {
		t.Fatal(err)
	}
	const ofFirst, ofSecond = "shop", "legacy"
	for _, name := range []string{ofFirst, ofSecond} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the ServiceAccount of "+name, func(ctx context.Context) (bool, string) {
			_, err := client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
			return err == nil, fmt.Sprint(err)
		})
	}
	for _, name := range []string{ofFirst, ofSecond} {
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "all"}}
		if _, err := client.CoreV1().ResourceQuotas(name).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	part := shard.Shard{Index: 1, Count: 2}
	list, err := client.CoreV1().ServiceAccounts("").List(t.Context(), metav1.ListOptions{ShardSelector: part.Selector()})
	if err != nil {
		t.Fatal(err)
	}
	if list.ShardInfo == nil || list.ShardInfo.Selector != part.Selector() {
		t.Errorf("the API server has selected %v, want %s", list.ShardInfo, part.Selector())
	}
	if !slices.ContainsFunc(list.Items, func(a corev1.ServiceAccount) bool { return a.Namespace == ofSecond }) {
		t.Errorf("%d ServiceAccounts, and none in %s", len(list.Items), ofSecond)
	}
	for _, a := range list.Items {
		if !part.Owns(a.Namespace) {
			t.Errorf("the API server has selected %s, which is of the other shard", a.Namespace)
		}
	}

	sources := source.NewShard(client, part)
	ctx, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() { _ = sources.Start(ctx) }) // it ends with the context and has no error to return
	defer reading.Wait()
	defer stop()
	eventually(t, "the shard to be read", func(context.Context) (bool, string) { return sources.Current(), fmt.Sprint(sources.Status()) })
	if names := sources.Namespaces(); !slices.Contains(names, ofSecond) || slices.Contains(names, ofFirst) {
		t.Errorf("namespaces of the shard: %v", names)
	}
	if i, _ := sources.Inventory(ofFirst); len(i.Quotas) > 0 {
		t.Errorf("what is in %s is read, which is of the other shard", ofFirst)
	}
	if i, exists := sources.Inventory(ofSecond); !exists || len(i.Quotas) != 1 {
		t.Errorf("of %s, there is %v with %d ResourceQuotas", ofSecond, exists, len(i.Quotas))
	}
	// Which it was not because of our own filter alone.
	raw, err := client.RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, resource := range []string{"pods", "resourcequotas", "networkpolicies", "deployments"} {
		if !slices.ContainsFunc(strings.Split(string(raw), "\n"), func(l string) bool {
			return strings.HasPrefix(l, "apiserver_watch_shards_total{") && strings.Contains(l, `resource="`+resource+`"`) && strings.HasSuffix(l, " 1")
		}) {
			t.Errorf("the API server counts no sharded watch of %s", resource)
		}
	}
}

// TestShardedComponent: what config/components/sharded makes of the default is taken by the API server, runs the very same
// Pods but for their shard, and has two replicas for each.
func TestShardedComponent(t *testing.T) {
	manifests := rendered(t, "sharded")
	out, err := cluster.Kubectl(t.Context(), strings.NewReader(manifests), "apply", "--dry-run=server", "-f", "-")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "statefulset.apps/kubersafe created") || strings.Contains(out, "deployment.apps/") {
		t.Errorf("the API server takes it for\n%s", out)
	}
	sharded, budget, whole := &appsv1.StatefulSet{}, &policyv1.PodDisruptionBudget{}, &appsv1.Deployment{}
	for _, document := range strings.Split(manifests, "\n---\n") {
		for kind, into := range map[string]any{"StatefulSet": sharded, "PodDisruptionBudget": budget} {
			if strings.Contains(document, "\nkind: "+kind+"\n") {
				if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: operator.Namespace, Name: "kubersafe"}, whole); err != nil {
		t.Fatal(err)
	}

	container := &sharded.Spec.Template.Spec.Containers[0]
	env := make(map[string]string)
	for _, e := range container.Env {
		env[e.Name] = e.Value
		if e.ValueFrom != nil {
			env[e.Name] = e.ValueFrom.FieldRef.FieldPath
		}
	}
	if env["POD_NAME"] != "metadata.name" {
		t.Errorf("the environment is %v", env)
	}
	replicas := make(map[shard.Shard]int)
	flag, _ := strings.CutPrefix(container.Args[len(container.Args)-1], "--shard=")
	for ordinal := range *sharded.Spec.Replicas {
		value := strings.NewReplacer("$(POD_NAME)", fmt.Sprint("kubersafe-", ordinal), "$(SHARDS)", env["SHARDS"]).Replace(flag)
		s, err := shard.Parse(value)
		if err != nil {
			t.Fatal(err)
		}
		replicas[s]++
	}
	if diff := cmp.Diff(map[shard.Shard]int{{Index: 0, Count: 2}: 2, {Index: 1, Count: 2}: 2}, replicas); diff != "" {
		t.Errorf("replicas (-want +got):\n%s", diff)
	}
	if b := budget.Spec; b.MinAvailable != nil || b.MaxUnavailable == nil || b.MaxUnavailable.IntValue() != 1 {
		t.Errorf("the budget is %+v, want one replica at a time: two may be of one shard", b)
	}

	args := whole.Spec.Template.Spec.Containers[0].Args
	if diff := cmp.Diff(args, container.Args[:len(container.Args)-1]); diff != "" {
		t.Errorf("arguments (-Deployment +StatefulSet):\n%s", diff)
	}
	container.Args = args
	container.Env = slices.DeleteFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == "POD_NAME" || e.Name == "SHARDS" })
	made := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "compared"}, Spec: appsv1.DeploymentSpec{
		Selector: sharded.Spec.Selector, Template: sharded.Spec.Template,
	}}
	if err := admin.Create(t.Context(), made, client.DryRunAll); err != nil { // which defaults it
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole.Spec.Template, made.Spec.Template, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Pods (-Deployment +StatefulSet):\n%s", diff)
	}
}
