// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/credential"
)

// replica is a Pod as admission, the scheduler and its controller leave it, with what tells replica n from the others.
func replica(n int) *corev1.Pod {
	token := fmt.Sprintf("kube-api-access-x%dq7z", n)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprint("web-", n), Labels: map[string]string{"app": "web"},
			Annotations: map[string]string{"cni.example/ip": fmt.Sprint("10.0.0.", n), "container.apparmor.security.beta.kubernetes.io/api": "runtime/default"},
		},
		Spec: corev1.PodSpec{
			NodeName: fmt.Sprint("node-", n), Hostname: fmt.Sprint("web-", n), Subdomain: "web",
			Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
					{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{fmt.Sprint("node-", n)}},
				}}},
			}}},
			Volumes: []corev1.Volume{
				{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: fmt.Sprint("data-web-", n)}}},
				{Name: token, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}},
			},
			InitContainers: []corev1.Container{{Name: "init", VolumeMounts: []corev1.VolumeMount{{Name: token, MountPath: "/var/run/secrets"}}}},
			Containers: []corev1.Container{{
				Name: "api", Image: "a:1",
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}, {Name: token, MountPath: "/var/run/secrets"}},
				Env:          []corev1.EnvVar{{Name: "ORDINAL", Value: fmt.Sprint(n)}},
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{
					"cpu": resource.MustParse("1"), "memory": resource.MustParse("1Gi"), "ephemeral-storage": resource.MustParse("1Gi"),
				}},
			}},
			NodeSelector: map[string]string{"a": "1", "b": "2", "c": "3"},
		},
	}
}

func TestReplicasShareAShape(t *testing.T) {
	i := newInterner()
	first, err := i.pod(replica(0))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		again, err := i.pod(replica(n))
		if err != nil {
			t.Fatal(err)
		}
		if again.Shape != first.Shape || again.Labels != first.Labels {
			t.Fatalf("replica %d has a shape of its own", n)
		}
	}
	pod := first.Shape.Pod()
	spec := &pod.Spec
	for what, got := range map[string]string{
		"volume": spec.Volumes[1].Name, "mount": spec.Containers[0].VolumeMounts[1].Name, "mount of an init container": spec.InitContainers[0].VolumeMounts[0].Name,
	} {
		if got != "kube-api-access" {
			t.Errorf("the token's %s is called %q", what, got)
		}
	}
	if spec.Volumes[0].PersistentVolumeClaim == nil || spec.NodeName != "" || spec.Containers[0].Env[0].Name != "ORDINAL" {
		t.Errorf("spec %v", spec)
	}
	if len(pod.Meta.Annotations) != 1 {
		t.Errorf("annotations %v are kept", pod.Meta.Annotations)
	}
	// What is canonical already, as in a template read back from a shape, stays as it is.
	if again := i.shapeOf(pod.Meta.Annotations, spec.DeepCopy()); again != first.Shape {
		t.Error("the shape of a shape is another one")
	}
}

// TestAdmittedPodHasTheShapeOfItsTemplate: what the ServiceAccount and DefaultTolerationSeconds admission plugins add, and
// nothing else, makes no shape of its own.
func TestAdmittedPodHasTheShapeOfItsTemplate(t *testing.T) {
	template := func() *corev1.PodSpec {
		return &corev1.PodSpec{
			ServiceAccountName: "app", Volumes: []corev1.Volume{{Name: "tmp"}},
			InitContainers: []corev1.Container{{Name: "init"}},
			Containers:     []corev1.Container{{Name: "app", VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}}}},
		}
	}
	i := newInterner()
	want := i.shapeOf(nil, template())
	for name, tc := range map[string]struct {
		change func(*corev1.PodSpec)
		same   bool
	}{
		"admitted":            {func(*corev1.PodSpec) {}, true},
		"for other audiences": {func(s *corev1.PodSpec) { s.Volumes[1].Projected.Sources[0].ServiceAccountToken.Audience = "vault" }, false},
		"for longer": {func(s *corev1.PodSpec) {
			s.Volumes[1].Projected.Sources[0].ServiceAccountToken.ExpirationSeconds = new(int64(31536000))
		}, false},
		"under another name":            {func(s *corev1.PodSpec) { s.Volumes[1].Name = "token" }, false},
		"before another volume":         {func(s *corev1.PodSpec) { slices.Reverse(s.Volumes) }, false},
		"mounted elsewhere":             {func(s *corev1.PodSpec) { s.Containers[0].VolumeMounts[1].MountPath = "/token" }, false},
		"mounted to be written":         {func(s *corev1.PodSpec) { s.InitContainers[0].VolumeMounts[0].ReadOnly = false }, false},
		"tolerating lost nodes forever": {func(s *corev1.PodSpec) { s.Tolerations[0].TolerationSeconds = nil }, false},
		"tolerating everything":         {func(s *corev1.PodSpec) { s.Tolerations[1].Key = "" }, false},
		"another account":               {func(s *corev1.PodSpec) { s.ServiceAccountName = "admin" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			spec := template()
			spec.DeprecatedServiceAccount = spec.ServiceAccountName
			var token corev1.Volume
			if err := token.Unmarshal(admittedToken); err != nil {
				t.Fatal(err)
			}
			token.Name = "kube-api-access-x2q7z"
			spec.Volumes = append(spec.Volumes, token)
			for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
				containers[0].VolumeMounts = append(containers[0].VolumeMounts, corev1.VolumeMount{
					Name: token.Name, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
				})
			}
			for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
				spec.Tolerations = append(spec.Tolerations, corev1.Toleration{
					Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(300)),
				})
			}
			tc.change(spec)
			if got := i.shapeOf(nil, spec); (got == want) != tc.same {
				t.Errorf("shape %v, want that of the template: %v", got.Pod().Spec, tc.same)
			}
		})
	}
}

// TestOnlyTokensAreRenamed: findings name volumes as the Pod does.
func TestOnlyTokensAreRenamed(t *testing.T) {
	p := replica(0)
	p.Spec.Volumes[1].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
	want := p.Spec.Volumes[1].Name
	r, err := newInterner().pod(p)
	if err != nil {
		t.Fatal(err)
	}
	spec := &r.Shape.Pod().Spec
	if volume, mount := spec.Volumes[1].Name, spec.Containers[0].VolumeMounts[1].Name; volume != want || mount != want {
		t.Errorf("volume %q, mount %q; want %q", volume, mount, want)
	}
}

func TestDifferentPodsHaveDifferentShapes(t *testing.T) {
	const appArmor = "container.apparmor.security.beta.kubernetes.io/"
	for name, change := range map[string]func(*corev1.Pod){
		"an image": func(p *corev1.Pod) { p.Spec.Containers[0].Image = "a:2" },
		"a privilege": func(p *corev1.Pod) {
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
		},
		"a privilege denied": func(p *corev1.Pod) {
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(false)}
		},
		"an empty security context":   func(p *corev1.Pod) { p.Spec.SecurityContext = &corev1.PodSecurityContext{} },
		"the host's network":          func(p *corev1.Pod) { p.Spec.HostNetwork = true },
		"a limit":                     func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Limits["cpu"] = resource.MustParse("2") },
		"another container":           func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "proxy"}) },
		"an ephemeral container":      func(p *corev1.Pod) { p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{}} },
		"a variable's name":           func(p *corev1.Pod) { p.Spec.Containers[0].Env[0].Name = "OTHER" },
		"where a variable comes from": func(p *corev1.Pod) { p.Spec.Containers[0].Env[0].ValueFrom = &corev1.EnvVarSource{} },
		"a volume's kind": func(p *corev1.Pod) {
			p.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
		},
		"a volume's name": func(p *corev1.Pod) { p.Spec.Volumes[0].Name = "kube-api-access" },
		"a token's name that is no token's": func(p *corev1.Pod) {
			p.Spec.Volumes[1].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
		},
		"a node selector":                 func(p *corev1.Pod) { p.Spec.NodeSelector["a"] = "2" },
		"an AppArmor profile":             func(p *corev1.Pod) { p.Annotations[appArmor+"api"] = "unconfined" },
		"another AppArmor profile":        func(p *corev1.Pod) { p.Annotations[appArmor+"proxy"] = "unconfined" },
		"no AppArmor profile":             func(p *corev1.Pod) { delete(p.Annotations, appArmor+"api") },
		"whose service account it has":    func(p *corev1.Pod) { p.Spec.ServiceAccountName = "admin" },
		"a claim where there was another": func(p *corev1.Pod) { p.Spec.Volumes[0].PersistentVolumeClaim.ReadOnly = true },
	} {
		t.Run(name, func(t *testing.T) {
			i := newInterner()
			first, err := i.pod(replica(0))
			if err != nil {
				t.Fatal(err)
			}
			p := replica(0)
			change(p)
			if other, err := i.pod(p); err != nil || other.Shape == first.Shape {
				t.Errorf("the same shape, %v", err)
			}
		})
	}
}

// TestNobodyForgesAShape: an annotation's value may be any bytes, but cannot stand for two annotations.
func TestNobodyForgesAShape(t *testing.T) {
	const a, b = "seccomp.security.alpha.kubernetes.io/a", "seccomp.security.alpha.kubernetes.io/b"
	i := newInterner()
	honest := i.shapeOf(map[string]string{a: "x", b: "unconfined"}, &corev1.PodSpec{})
	for _, separator := range []string{"\x00", "\"", `""`, "\\", "", ",", ":", "="} {
		for _, end := range []string{"\x00", "", "\""} {
			forged := i.shapeOf(map[string]string{a: "x" + separator + b + separator + "unconfined" + end}, &corev1.PodSpec{})
			if forged == honest {
				t.Errorf("forged with %q", separator)
			}
		}
	}
	if l, m := i.labelsOf(map[string]string{"a": "b\x00c\x00d"}), i.labelsOf(map[string]string{"a": "b", "c": "d"}); l == m {
		t.Error("forged labels")
	}
	if l, m := i.labelsOf(map[string]string{"a": "\xff"}), i.labelsOf(map[string]string{"a": "\xfe"}); l == m {
		t.Error("different invalid bytes are the same labels")
	}
	if l, m := i.labelsOf(nil), i.labelsOf(map[string]string{}); l != m {
		t.Error("no labels are two sets of labels")
	}
}

// TestInternerForgets has many values come and go.
func TestInternerForgets(t *testing.T) {
	i := newInterner()
	kept, err := i.pod(replica(0))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 10 * smallestSweep {
		i.labelsOf(map[string]string{"n": fmt.Sprint(n)})
		if n%smallestSweep == 0 {
			runtime.GC()
		}
	}
	if n := len(i.labels.known); n > 3*smallestSweep {
		t.Errorf("%d sets of labels are remembered, one of which is in use", n)
	}
	again, err := i.pod(replica(1))
	if err != nil {
		t.Fatal(err)
	}
	if again.Shape != kept.Shape || again.Labels != kept.Labels || again.Owner != kept.Owner {
		t.Error("what is in use has been forgotten")
	}
	runtime.KeepAlive(kept)
}

// TestPoolTellsValuesOfOneHashApart: a hash is no proof.
func TestPoolTellsValuesOfOneHashApart(t *testing.T) {
	var p pool[string]
	get := func(text string) *string {
		return p.get(7, func(s *string) bool { return *s == text }, func() *string { return &text })
	}
	a, b := get("a"), get("b")
	if *a != "a" || *b != "b" || get("a") != a {
		t.Errorf("got %q and %q", *a, *b)
	}
}

// TestInternerInParallel is for the race detector, garbage collection and all.
func TestInternerInParallel(t *testing.T) {
	i := newInterner()
	var wg sync.WaitGroup
	shapes := make([]*audit.Shape, 4)
	for worker := range shapes {
		wg.Go(func() {
			for n := range 100 {
				p, err := i.pod(replica(n))
				if err != nil {
					t.Error(err)
					return
				}
				shapes[worker] = p.Shape
				if n%20 == 0 {
					i.labelsOf(map[string]string{"n": fmt.Sprint(n)})
					runtime.GC()
				}
			}
		})
	}
	wg.Wait()
	for _, s := range shapes {
		if s != shapes[0] {
			t.Error("workers have different shapes")
		}
	}
}

// TestShapesHoldNoCredentials: what is kept of one is where it was and what kind it is.
func TestShapesHoldNoCredentials(t *testing.T) {
	const value = "3f9a1c77d2e84b06"
	with := func(value string) *audit.Shape {
		p := replica(0)
		c := &p.Spec.Containers[0]
		c.Env = append(c.Env, corev1.EnvVar{Name: "API_TOKEN", Value: value})
		c.Command = []string{"sh", "-c", "curl --password " + value + " $URL"}
		c.Args = []string{"--token", value}
		c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"ping", "redis://:" + value + "@db"}}}}
		r, err := newInterner().pod(p)
		if err != nil {
			t.Fatal(err)
		}
		return r.Shape
	}
	one, other := audit.Encode(with(value).Pod()), audit.Encode(with("0d5b7e21c9f84a63").Pod())
	if strings.Contains(one, value) {
		t.Errorf("the shape holds a credential: %q", one)
	}
	if one != other {
		t.Error("another credential makes another shape")
	}
	c := with(value).Pod().Spec.Containers[0]
	for what, text := range map[string]string{
		"variable": c.Env[1].Value, "command": c.Command[2], "args": c.Args[1], "probe": c.LivenessProbe.Exec.Command[1],
	} {
		if credential.Marked(text) == "" {
			t.Errorf("%s: no mark in %q", what, text)
		}
	}
	if c.Env[0].Value != "" || c.Args[0] != "--token" {
		t.Errorf("container %v", c)
	}
}
