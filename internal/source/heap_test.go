// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// BenchmarkHeapPerPod reports how much memory a live Pod takes for good, and how much its workload does besides: a Deployment
// of five Pods, with a ReplicaSet for each of its last three revisions.
func BenchmarkHeapPerPod(b *testing.B) {
	const workloads, replicas, revisions = 4000, 5, 3
	for b.Loop() {
		s := New(offline(b))
		before := liveHeap()
		for n := range workloads {
			d := deployment(n)
			update(b, s.controllers[audit.Deployments], d, &appsv1.Deployment{})
			for revision := range revisions {
				update(b, s.controllers[audit.ReplicaSets], replicaSet(d, revision), &appsv1.ReplicaSet{})
			}
		}
		withoutPods := liveHeap()
		for n := range workloads {
			rs := replicaSet(deployment(n), 0)
			for i := range replicas {
				update(b, s.pods, podOf(rs, i), &corev1.Pod{})
			}
		}
		b.ReportMetric(float64(liveHeap()-withoutPods)/(workloads*replicas), "B/Pod")
		b.ReportMetric(float64(withoutPods-before)/workloads, "B/workload")
		runtime.KeepAlive(s)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // weak pointers and cleanups
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// update stores what the API server would send of an object: decoded, so that it shares nothing with any other.
func update[R Record[R]](b testing.TB, store *Store[R], o interface{ Marshal() ([]byte, error) }, into interface{ Unmarshal([]byte) error }) {
	b.Helper()
	if err := store.Update(sent(b, o, into)); err != nil {
		b.Fatal(err)
	}
}

// sent returns an object as the API server would send it.
func sent[O interface{ Unmarshal([]byte) error }](b testing.TB, o interface{ Marshal() ([]byte, error) }, into O) O {
	b.Helper()
	encoded, err := o.Marshal()
	if err == nil {
		err = into.Unmarshal(encoded)
	}
	if err != nil {
		b.Fatal(err)
	}
	return into
}

func deployment(n int) *appsv1.Deployment {
	labels := map[string]string{
		"app.kubernetes.io/name": fmt.Sprint("app-", n), "app.kubernetes.io/instance": fmt.Sprint("app-", n), "app.kubernetes.io/managed-by": "Helm",
	}
	container := func(name string) corev1.Container {
		probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("http")}}}
		return corev1.Container{
			Name: name, Image: fmt.Sprintf("registry.example.com/team/app-%d:1.%d.0", n, n%30),
			Args: []string{"--listen=:8080", "--log-level=info"}, Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: "TCP"}},
			Env: []corev1.EnvVar{
				{Name: "DB_HOST", Value: "db.example.com"}, {Name: "CACHE", Value: "cache:6379"},
				{Name: "POD_IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
			},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")},
				Limits:   corev1.ResourceList{"memory": resource.MustParse("256Mi")},
			},
			LivenessProbe: probe, ReadinessProbe: probe, VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}},
			SecurityContext:        &corev1.SecurityContext{AllowPrivilegeEscalation: ptr.To(false), RunAsNonRoot: ptr.To(true)},
			TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: "File", ImagePullPolicy: "IfNotPresent",
		}
	}
	name := fmt.Sprint("app-", n)
	return &appsv1.Deployment{
		ObjectMeta: metaFor(fmt.Sprint("team-", n%400), name, 1, labels, nil),
		Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{
				Containers: []corev1.Container{container("app"), container("proxy")}, ServiceAccountName: name,
				Volumes:       []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
				RestartPolicy: "Always", DNSPolicy: "ClusterFirst", SchedulerName: "default-scheduler", TerminationGracePeriodSeconds: ptr.To(int64(30)),
			},
		}},
	}
}

func replicaSet(d *appsv1.Deployment, revision int) *appsv1.ReplicaSet {
	template := *d.Spec.Template.DeepCopy()
	template.Labels["pod-template-hash"] = fmt.Sprintf("%s-%d", d.Name, revision)
	owner := []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: d.Name, UID: d.UID, Controller: ptr.To(true)}}
	return &appsv1.ReplicaSet{
		ObjectMeta: metaFor(d.Namespace, fmt.Sprintf("%s-6d4cf56db%d", d.Name, revision), 2, template.Labels, owner),
		Spec:       appsv1.ReplicaSetSpec{Template: template},
	}
}

func podOf(rs *appsv1.ReplicaSet, i int) *corev1.Pod {
	owner := []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: rs.Name, UID: rs.UID, Controller: ptr.To(true)}}
	name := fmt.Sprintf("%s-abcd%d", rs.Name, i)
	p := &corev1.Pod{ObjectMeta: metaFor(rs.Namespace, name, 3, rs.Spec.Template.Labels, owner), Spec: *rs.Spec.Template.Spec.DeepCopy()}
	p.Spec.NodeName = fmt.Sprint("node-", i)
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{
		Name: fmt.Sprint("kube-api-access-", name[len(name)-5:]), VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: ptr.To(int64(3607)), Path: "token"}},
				{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}}},
			},
		}},
	})
	for i := range p.Spec.Containers {
		c := &p.Spec.Containers[i]
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{
			Name: p.Spec.Volumes[1].Name, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
		})
		image, _, _ := strings.Cut(c.Image, ":")
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, ImageID: fmt.Sprintf("%s@sha256:%064x", image, number(c.Name+image)),
		})
	}
	p.Status.Phase = corev1.PodRunning
	return p
}

func metaFor(namespace, name string, n int, labels map[string]string, owners []metav1.OwnerReference) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: types.UID(fmt.Sprintf("%08x-0000-4000-8000-%012x", n, number(namespace+name))),
		ResourceVersion: "123456789", CreationTimestamp: metav1.NewTime(time.Unix(1700000000, 0)), Labels: labels, OwnerReferences: owners,
	}
}

func number(s string) (h uint64) {
	for _, b := range []byte(s) {
		h = h*31 + uint64(b)
	}
	return h & (1<<48 - 1)
}

// BenchmarkHeapPerNode reports how much memory a node takes for good in the largest cluster that there can be: one that lists
// 50 of the cluster's 10,000 images, of which three out of four are large. An operation is a heartbeat, which repeats the list.
func BenchmarkHeapPerNode(b *testing.B) {
	const nodes, images, perNode = 5000, 10000, 50
	nodeOf := func(n int) *corev1.Node {
		node := &corev1.Node{ObjectMeta: metaFor("", fmt.Sprint("node-", n), 4, map[string]string{corev1.LabelArchStable: "amd64"}, nil)}
		for i := range perNode {
			image := (n*7 + i*i*13) % images
			name := fmt.Sprint("registry.example.com/team/app-", image)
			node.Status.Images = append(node.Status.Images, corev1.ContainerImage{
				Names: []string{fmt.Sprintf("%s@sha256:%s", name, strings.Repeat(fmt.Sprintf("%016x", number(name)), 4)), name + ":1.2.3"}, SizeBytes: int64(image%4) * 200 << 20,
			})
		}
		return node
	}
	before := liveHeap()
	s := New(offline(b))
	var list []any
	for n := range nodes {
		r, err := s.nodes.record(nodeOf(n))
		if err != nil {
			b.Fatal(err)
		}
		list = append(list, r)
	}
	if err := s.nodes.Replace(list, ""); err != nil {
		b.Fatal(err)
	}
	taken := liveHeap() - before
	again := nodeOf(1)
	for b.Loop() {
		if err := s.nodes.Update(again); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(taken)/nodes, "B/node")
	runtime.KeepAlive(s)
}

// TestHeapAfterRelist: what is read again as it was takes no more memory than before.
func TestHeapAfterRelist(t *testing.T) {
	const roles = 5000
	s := New(offline(t))
	relist := func() uint64 {
		var listedRoles, listedBindings []any
		for i := range roles {
			role := roleOf(fmt.Sprint("namespace-", i), "app", "get", "", "configmaps")
			for j := range 10 {
				role.Rules = append(role.Rules, rbacv1.PolicyRule{Verbs: []string{"get", "list"}, APIGroups: []string{fmt.Sprint("group-", j)}, Resources: []string{"a", "b"}})
			}
			r, err := s.roles[audit.Roles].record(sent(t, role, &rbacv1.Role{}))
			mustAdd(t, err)
			b, err := s.bindings[audit.RoleBindings].record(sent(t, benchBinding(i, 0), &rbacv1.RoleBinding{}))
			mustAdd(t, err)
			listedRoles, listedBindings = append(listedRoles, r), append(listedBindings, b)
		}
		mustAdd(t, s.roles[audit.Roles].Replace(listedRoles, ""), s.bindings[audit.RoleBindings].Replace(listedBindings, ""))
		return liveHeap()
	}
	before := liveHeap()
	first, again := relist()-before, relist()-before
	for i := range roles { // and what is sent again one by one
		update(t, s.bindings[audit.RoleBindings], benchBinding(i, 0), &rbacv1.RoleBinding{})
	}
	sentAgain := liveHeap() - before
	t.Logf("%d bytes for each role and binding, %d after a list of the same, %d after an update to the same", first/roles, again/roles, sentAgain/roles)
	if again > first*11/10 || sentAgain > first*11/10 {
		t.Error("it grows")
	}
	runtime.KeepAlive(s)
}

// BenchmarkHeapPerAccount reports how much memory a ServiceAccount takes for good of which nothing else is known. Every shard keeps all.
func BenchmarkHeapPerAccount(b *testing.B) {
	const namespaces, accounts = 5000, 4
	for b.Loop() {
		s := New(offline(b))
		before := liveHeap()
		for i := range namespaces {
			namespace := fmt.Sprint("namespace-", i)
			for j := range accounts {
				update(b, s.serviceAccounts, &corev1.ServiceAccount{ObjectMeta: metaFor(namespace, fmt.Sprint("app-", j), 5, nil, nil)}, &corev1.ServiceAccount{})
			}
		}
		s.updatePowers()
		b.ReportMetric(float64(liveHeap()-before)/(namespaces*accounts), "B/account")
		runtime.KeepAlive(s)
	}
}
