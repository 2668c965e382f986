// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unique"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// text is a string of which equal ones share the memory: thousands of Pods have the same images.
type text = unique.Handle[string]

// container is an image that a workload runs or names.
type container struct {
	name   text // as in the specification, with registry and tag
	pulled text // repository@digest, as the runtime says; may be empty
	digest text
	config text
}

// workload is what is kept of a Pod, or of an object with a template of Pods.
type workload struct {
	audit.Object
	template       bool
	node           text // of a Pod
	platform       text // that a template demands; may be empty
	serviceAccount text
	secrets        text // names of pull secrets, separated by commas
	containers     []container
}

// Equal implements source.Record.
func (w *workload) Equal(other *workload) bool {
	return w.template == other.template && w.node == other.node && w.platform == other.platform && w.serviceAccount == other.serviceAccount &&
		w.secrets == other.secrets && slices.Equal(w.containers, other.containers)
}

// convert keeps what counts of Pods and of objects with a template.
func convert(o runtime.Object) (*workload, error) {
	switch o := o.(type) {
	case *corev1.Pod:
		return fromPod(o), nil
	case *appsv1.Deployment:
		return fromTemplate(o, &o.Spec.Template, isZero(o.Spec.Replicas)), nil
	case *appsv1.StatefulSet:
		return fromTemplate(o, &o.Spec.Template, isZero(o.Spec.Replicas)), nil
	case *appsv1.DaemonSet:
		return fromTemplate(o, &o.Spec.Template, o.Status.DesiredNumberScheduled == 0), nil
	case *batchv1.CronJob:
		return fromTemplate(o, &o.Spec.JobTemplate.Spec.Template, true), nil
	case *batchv1.Job:
		// What a CronJob has made is in the template of that.
		idle := o.Spec.Suspend != nil && *o.Spec.Suspend || isZero(o.Spec.Parallelism)
		return fromTemplate(o, &o.Spec.Template, idle && metav1.GetControllerOfNoCopy(o) == nil), nil
	}
	return nil, fmt.Errorf("%T has no containers", o)
}

func isZero(n *int32) bool { return n != nil && *n == 0 }

// fromPod keeps what runs: containers whose image the runtime has told, of Pods that have not ended.
func fromPod(p *corev1.Pod) *workload {
	w := newWorkload(p, &p.Spec)
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return w
	}
	w.node = unique.Make(p.Spec.NodeName)
	images := make(map[string]string)
	for name, image := range ImagesOf(&p.Spec) {
		images[name] = image
	}
	for _, statuses := range [][]corev1.ContainerStatus{
		p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses,
	} {
		for i := range statuses {
			pulled, digest, config := running(statuses[i].ImageID)
			if digest == "" && config == "" {
				continue
			}
			name := NameOf(cmp.Or(images[statuses[i].Name], statuses[i].Image))
			w.add(container{unique.Make(name), unique.Make(pulled), unique.Make(digest), unique.Make(config)})
		}
	}
	return w
}

// fromTemplate keeps what a template names, unless there are Pods of it to tell what they run.
func fromTemplate(o metav1.Object, t *corev1.PodTemplateSpec, idle bool) *workload {
	w := newWorkload(o, &t.Spec)
	w.template = true
	if !idle {
		return w
	}
	if arch := t.Spec.NodeSelector[corev1.LabelArchStable]; arch != "" {
		w.platform = unique.Make(cmp.Or(t.Spec.NodeSelector[corev1.LabelOSStable], "linux") + "/" + arch)
	}
	for _, image := range ImagesOf(&t.Spec) {
		if name := NameOf(image); name != "" {
			w.add(container{unique.Make(name), unique.Make(""), unique.Make(digestOf(name)), unique.Make("")})
		}
	}
	return w
}

// named returns a workload that names images, and has no credentials.
func named(images []string) *workload {
	none := unique.Make("")
	w := &workload{template: true, node: none, platform: none, serviceAccount: none, secrets: none}
	for _, name := range images {
		w.add(container{unique.Make(name), none, unique.Make(digestOf(name)), none})
	}
	return w
}

func newWorkload(o metav1.Object, spec *corev1.PodSpec) *workload {
	var secrets []string
	for _, s := range spec.ImagePullSecrets {
		if s.Name != "" && !slices.Contains(secrets, s.Name) {
			secrets = append(secrets, s.Name)
		}
	}
	none := unique.Make("")
	return &workload{
		Object: audit.ObjectFrom(o), node: none, platform: none,
		serviceAccount: unique.Make(cmp.Or(spec.ServiceAccountName, "default")), secrets: unique.Make(strings.Join(secrets, ",")),
	}
}

// add takes in an image, each once.
func (w *workload) add(c container) {
	if !slices.Contains(w.containers, c) {
		w.containers = append(w.containers, c)
	}
}

// ImagesOf returns name and image of every container.
func ImagesOf(spec *corev1.PodSpec) iter.Seq2[string, string] {
	return func(yield func(name, image string) bool) {
		for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
			for i := range list {
				if !yield(list[i].Name, list[i].Image) {
					return
				}
			}
		}
		for i := range spec.EphemeralContainers {
			if c := &spec.EphemeralContainers[i]; !yield(c.Name, c.Image) {
				return
			}
		}
	}
}

// node is what is kept of a Node.
type node struct {
	audit.Object
	platform string
	kubelet  string // its version
}

// Equal implements source.Record.
func (n *node) Equal(other *node) bool {
	return n.platform == other.platform && n.kubelet == other.kubelet
}

func convertNode(o runtime.Object) (*node, error) {
	n, ok := o.(*corev1.Node)
	if !ok {
		return nil, fmt.Errorf("%T is no Node", o)
	}
	info := &n.Status.NodeInfo
	kept := &node{Object: audit.ObjectFrom(n), kubelet: info.KubeletVersion}
	if arch := cmp.Or(info.Architecture, n.Labels[corev1.LabelArchStable]); arch != "" {
		kept.platform = cmp.Or(info.OperatingSystem, n.Labels[corev1.LabelOSStable], "linux") + "/" + arch
	}
	return kept, nil
}
