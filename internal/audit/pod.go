// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pod is what checks see of a Pod or Pod template. It must not be changed.
type Pod struct {
	// Meta holds the annotations that are audited, and nothing else.
	Meta metav1.ObjectMeta
	// Spec without what differs between replicas of one workload.
	Spec corev1.PodSpec
}

// PlacedPod is a Pod or Pod template together with what is around it.
type PlacedPod struct {
	*Pod
	// Template says that this is no Pod yet: admission may still change it.
	Template bool
	// Subject is the workload that the Pod belongs to.
	Subject Subject
	// Static says that a kubelet runs the Pod from a file of its own; the API server has no more than a mirror of it.
	Static bool
	// Around is what is around it. What is not in there cannot change its verdict.
	Around *Surroundings
}

// Container is one container of a Pod, of whatever sort.
type Container struct {
	*corev1.Container
	list string
}

// Path returns the path of a field of the container from the root of the Pod; field is "" for the container itself.
func (c Container) Path(field string) string {
	path := "spec." + c.list + "[name=" + c.Name + "]"
	if field == "" {
		return path
	}
	return path + "." + field
}

// Ephemeral says whether somebody attached the container to a live Pod, to debug it.
func (c Container) Ephemeral() bool { return c.list == ephemeralContainers }

const ephemeralContainers = "ephemeralContainers"

// Containers returns all containers: init (sidecars among them), regular and ephemeral.
func (p *Pod) Containers() iter.Seq[Container] {
	return func(yield func(Container) bool) {
		for i := range p.Spec.InitContainers {
			if !yield(Container{&p.Spec.InitContainers[i], "initContainers"}) {
				return
			}
		}
		for i := range p.Spec.Containers {
			if !yield(Container{&p.Spec.Containers[i], "containers"}) {
				return
			}
		}
		for i := range p.Spec.EphemeralContainers {
			c := (*corev1.Container)(&p.Spec.EphemeralContainers[i].EphemeralContainerCommon)
			if !yield(Container{c, ephemeralContainers}) {
				return
			}
		}
	}
}

// The fields of a container that make up its own command line.
const (
	FieldCommand = "command"
	FieldArgs    = "args"
)

// CommandLines returns the words that the container's fields tell it to run, by field: command, args, and what probes and
// hooks run.
func (c Container) CommandLines() iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		if len(c.Command) > 0 && !yield(FieldCommand, c.Command) || len(c.Args) > 0 && !yield(FieldArgs, c.Args) {
			return
		}
		fields := []string{"startupProbe", "readinessProbe", "livenessProbe", "lifecycle.postStart", "lifecycle.preStop"}
		for i, action := range c.execActions() {
			if action != nil && len(action.Command) > 0 && !yield(fields[i]+".exec.command", action.Command) {
				return
			}
		}
	}
}

// execActions returns what the startup, readiness and liveness probes and the hooks postStart and preStop run; nil where
// they run nothing.
func (c Container) execActions() [5]*corev1.ExecAction {
	ofProbe := func(p *corev1.Probe) *corev1.ExecAction {
		if p == nil {
			return nil
		}
		return p.Exec
	}
	ofHook := func(h *corev1.LifecycleHandler) *corev1.ExecAction {
		if h == nil {
			return nil
		}
		return h.Exec
	}
	hooks := c.Lifecycle
	if hooks == nil {
		hooks = &corev1.Lifecycle{}
	}
	return [...]*corev1.ExecAction{
		ofProbe(c.StartupProbe), ofProbe(c.ReadinessProbe), ofProbe(c.LivenessProbe), ofHook(hooks.PostStart), ofHook(hooks.PreStop),
	}
}
