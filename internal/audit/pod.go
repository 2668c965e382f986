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
	// Token says that it mounts a token of its ServiceAccount, although Pods that are made now would not.
	Token bool
	// Sensitive says that the settings call the workload sensitive.
	Sensitive bool
	// Around is what is around it. What is not in here cannot change its verdict.
	Around *Surroundings
	// Labels are the Pod's own without ReplicaLabels, and NamespaceLabels those of its namespace, nil where that has not been
	// seen. Only checks that are Labelled see them.
	Labels, NamespaceLabels *Labels
}

// Container is one container of a Pod, of whatever sort.
type Container struct {
	*corev1.Container
	list string
}

// Path returns the path of a field of the container from the root of the Pod; field is "" for the container itself.
func (c Container) Path(field string) string {
	if field == "" {
		return "spec." + c.list + "[name=" + c.Name + "]"
	}
	return "spec." + c.list + "[name=" + c.Name + "]." + field
}

// Init says whether the container comes to an end before those of the Pod that go on are started.
func (c Container) Init() bool {
	return c.list == initContainers && (c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways)
}

// Ephemeral says whether somebody attached the container to a live Pod, to debug it.
func (c Container) Ephemeral() bool { return c.list == ephemeralContainers }

const (
	initContainers      = "initContainers"
	ephemeralContainers = "ephemeralContainers"
)

// Containers returns all containers: init (sidecars among them), regular and ephemeral.
func (p *Pod) Containers() iter.Seq[Container] {
	return func(yield func(Container) bool) {
		for i := range p.Spec.InitContainers {
			if !yield(Container{&p.Spec.InitContainers[i], initContainers}) {
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

var probeFields = [...]string{"startupProbe", "readinessProbe", "livenessProbe"}

// CommandLines returns the words that the container's fields tell it to run, by field: command, args, and what probes and
// hooks run.
func (c Container) CommandLines() iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		if len(c.Command) > 0 && !yield(FieldCommand, c.Command) || len(c.Args) > 0 && !yield(FieldArgs, c.Args) {
			return
		}
		runs := func(field string, action *corev1.ExecAction) bool {
			return action == nil || len(action.Command) == 0 || yield(field+".exec.command", action.Command)
		}
		for i, p := range [...]*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
			if p != nil && !runs(probeFields[i], p.Exec) {
				return
			}
		}
		if hooks := c.Lifecycle; hooks != nil {
			_ = (hooks.PostStart == nil || runs("lifecycle.postStart", hooks.PostStart.Exec)) &&
				(hooks.PreStop == nil || runs("lifecycle.preStop", hooks.PreStop.Exec))
		}
	}
}
