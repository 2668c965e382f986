// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

var (
	one = "sha256:" + strings.Repeat("1", 64)
	two = "sha256:" + strings.Repeat("2", 64)
)

func TestRunning(t *testing.T) {
	for status, want := range map[string][3]string{
		"docker.io/library/nginx@" + one:        {"docker.io/library/nginx@" + one, one, ""},
		"docker-pullable://nginx@" + one:        {"docker.io/library/nginx@" + one, one, ""},
		"registry.example.com:5000/a/b@" + one:  {"registry.example.com:5000/a/b@" + one, one, ""},
		one:                                     {"", "", one},
		"docker://" + one:                       {"", "", one},
		strings.TrimPrefix(one, "sha256:"):      {"", "", one},
		"":                                      {},
		"docker.io/library/nginx:1.29":          {},
		"nginx@sha256:tooshort":                 {},
		"registry.example.com/a:1.0@" + one:     {"registry.example.com/a@" + one, one, ""},
		"docker-archive:/etc/passwd@" + one:     {},
		"registry.example.com/A/UPPER@" + one:   {},
		"registry.example.com/a@sha512:" + "11": {},
	} {
		name, digest, config := running(status)
		if got := [3]string{name, digest, config}; got != want {
			t.Errorf("%q: %q, want %q", status, got, want)
		}
	}
}

func TestNameOf(t *testing.T) {
	for image, want := range map[string]string{
		"nginx":                      "docker.io/library/nginx:latest",
		"nginx:1.29":                 "docker.io/library/nginx:1.29",
		"quay.io/a/b":                "quay.io/a/b:latest",
		"quay.io/a/b:1@" + one:       "quay.io/a/b:1@" + one,
		"":                           "",
		"docker-archive:/etc/passwd": "",
		"{{ .Values.image }}":        "",
		one:                          "",
	} {
		if got := NameOf(image); got != want {
			t.Errorf("%q: %q, want %q", image, got, want)
		}
	}
}

func zero() *int32 { return new(int32) }

// podOf makes a Pod with a container for each image, and the status of the first ones.
func podOf(namespace, node string, images []string, ids ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}, Spec: corev1.PodSpec{NodeName: node, ServiceAccountName: "app"}}
	for i, image := range images {
		name := string(rune('a' + i))
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: name, Image: image})
		if i < len(ids) {
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: name, Image: image, ImageID: ids[i]})
		}
	}
	return p
}

func template(images ...string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: podOf("", "", images).Spec}
}

func TestUses(t *testing.T) {
	finished := podOf("shop", "big", []string{"done"}, "done@"+one)
	finished.Status.Phase = corev1.PodSucceeded
	secret := podOf("shop", "big", []string{"quay.io/private:1"}, "quay.io/private@"+two)
	secret.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "x"}, {Name: "y"}, {Name: "x"}, {}}
	arm := template("arm")
	arm.Spec.NodeSelector = map[string]string{corev1.LabelArchStable: "arm64"}
	suspended, owner := true, true
	for name, tc := range map[string]struct {
		objects []runtime.Object
		want    []Use
	}{
		"Pods share images, by digest and platform": {
			[]runtime.Object{
				podOf("shop", "big", []string{"nginx:1", "nginx:1"}, "nginx@"+one, "nginx@"+one), podOf("blog", "big", []string{"mirror.example/nginx:1"}, "nginx@"+one),
				podOf("blog", "arm", []string{"nginx"}, "nginx@"+one),
			},
			[]Use{
				{
					Image: Image{Digest: one, Platform: "linux/amd64"}, Pods: 2, Names: []string{"docker.io/library/nginx:1", "mirror.example/nginx:1"},
					Sources: []Source{
						{Reference: "docker.io/library/nginx@" + one, Namespace: "blog"}, {Reference: "docker.io/library/nginx@" + one, Namespace: "shop"},
						{Reference: "mirror.example/nginx@" + one, Namespace: "blog"},
					},
				},
				{
					Image: Image{Digest: one, Platform: "linux/arm64"}, Pods: 1, Names: []string{"docker.io/library/nginx:latest"},
					Sources: []Source{{Reference: "docker.io/library/nginx@" + one, Namespace: "blog"}},
				},
			},
		},
		"pull secrets are named":                        {[]runtime.Object{secret}, []Use{{Image{two, "", "", "linux/amd64"}, []string{"quay.io/private:1"}, []Source{{"quay.io/private@" + two, "shop", "x,y", ""}}, 1}}},
		"what has ended, or has not begun, is not used": {[]runtime.Object{finished, podOf("shop", "big", []string{"pending"})}, nil},
		"a configuration is known by its name": {
			[]runtime.Object{podOf("shop", "big", []string{"local:1"}, two)},
			[]Use{{Image{"", "docker.io/library/local:1", two, "linux/amd64"}, []string{"docker.io/library/local:1"}, []Source{{"docker.io/library/local:1", "shop", "", ""}}, 1}},
		},
		"a node that is gone": {
			[]runtime.Object{podOf("shop", "gone", []string{"nginx"}, "nginx@"+one)},
			[]Use{{Image{one, "", "", "linux/amd64"}, []string{"docker.io/library/nginx:latest"}, []Source{{"docker.io/library/nginx@" + one, "shop", "", ""}}, 1}},
		},
		"templates without Pods": {
			[]runtime.Object{
				&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: zero(), Template: template("a")}}, &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Template: template("runs")}},
				&appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: zero(), Template: template("b@" + one)}}, &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Template: template("runs")}},
				&appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: arm}},
				&appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: template("runs")}, Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 1}},
				&batchv1.CronJob{Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template("c")}}}},
				&batchv1.Job{Spec: batchv1.JobSpec{Suspend: &suspended, Template: template("d")}}, &batchv1.Job{Spec: batchv1.JobSpec{Template: template("runs")}},
				&batchv1.Job{
					ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "CronJob", Name: "c", Controller: &owner}}},
					Spec:       batchv1.JobSpec{Suspend: &suspended, Template: template("runs")},
				},
			},
			[]Use{
				templated("docker.io/library/a:latest", "linux/amd64"), templated("docker.io/library/arm:latest", "linux/arm64"),
				templated("docker.io/library/c:latest", "linux/amd64"), templated("docker.io/library/d:latest", "linux/amd64"),
				{Image{one, "", "", "linux/amd64"}, []string{"docker.io/library/b@" + one}, []Source{{"docker.io/library/b@" + one, "", "", "app"}}, 0},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var workloads []*workload
			for _, o := range tc.objects {
				w, err := convert(o)
				if err != nil {
					t.Fatal(err)
				}
				workloads = append(workloads, w)
			}
			got := uses(workloads, map[string]string{"big": "linux/amd64", "arm": "linux/arm64"}, "linux/amd64")
			if tc.want == nil {
				tc.want = []Use{}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("uses (-want +got):\n%s", diff)
			}
		})
	}
}

// TestANameThatIsATemplatesToo: what is to be scanned besides may be used, too.
func TestANameThatIsATemplatesToo(t *testing.T) {
	w, err := convert(&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: zero(), Template: template("a")}})
	if err != nil {
		t.Fatal(err)
	}
	want := templated("docker.io/library/a:latest", "linux/amd64")
	want.Sources = append([]Source{{Reference: "docker.io/library/a:latest"}}, want.Sources...)
	if diff := cmp.Diff([]Use{want}, uses([]*workload{w, named(want.Names)}, nil, "linux/amd64")); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
}

// templated is the use of an image that one template names.
func templated(name, platform string) Use {
	return Use{Image: Image{Name: name, Platform: platform}, Names: []string{name}, Sources: []Source{{Reference: name, ServiceAccount: "app"}}}
}

// TestUpdatesThatChangeNothing: a Pod's status changes often, and is no news.
func TestUpdatesThatChangeNothing(t *testing.T) {
	p := podOf("shop", "big", []string{"nginx"}, "nginx@"+one)
	before, err := convert(p)
	if err != nil {
		t.Fatal(err)
	}
	p.Status.ContainerStatuses[0].RestartCount++
	p.ResourceVersion = "2"
	after, err := convert(p)
	if err != nil {
		t.Fatal(err)
	}
	if !before.Equal(after) {
		t.Errorf("%+v is not equal to %+v", before, after)
	}
	p.Status.ContainerStatuses[0].ImageID = "nginx@" + two
	if after, err = convert(p); err != nil || before.Equal(after) {
		t.Errorf("%+v is equal to %+v", before, after)
	}
}
