// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

const labelName = "app.kubernetes.io/name"

// replicas that Deployments have: most have few.
var replicas = []int{1, 1, 2, 2, 2, 3, 3, 3, 5, 10}

// oldReplicaSets that Deployments keep.
var oldReplicaSets = []int{0, 1, 1, 2, 3}

// workload makes one of at most the given number of Pods, and returns how many it has.
func (g *generator) workload(most int) (Tree, int) {
	kinds := []struct {
		percent int
		make    func(app string, most int) (Tree, int)
	}{
		{8, g.statefulSet}, {4, g.daemonSet}, {8, g.cronJob}, {5, g.job}, {5, g.bare},
	}
	g.count++
	app := fmt.Sprintf("%s-%d", pick(g, appNames), g.count)
	g.apps = append(g.apps, app)
	drawn := g.IntN(100)
	for _, kind := range kinds {
		if drawn < kind.percent {
			return kind.make(app, most)
		}
		drawn -= kind.percent
	}
	return g.deployment(app, most)
}

var appNames = []string{"checkout", "catalog", "search", "billing", "ledger", "gateway", "mailer", "reports", "auth", "worker"}

func (g *generator) deployment(app string, most int) (Tree, int) {
	n := min(most, pick(g, replicas))
	if most > 100 && g.chance(5) {
		n = 50
	}
	template, labels := g.template(app), map[string]string{labelName: app}
	count, revisions := int32(n), int32(10)
	d := &appsv1.Deployment{
		ObjectMeta: g.meta(app, template.Labels),
		Spec: appsv1.DeploymentSpec{
			Replicas: &count, RevisionHistoryLimit: &revisions, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template,
		},
	}
	d.Annotations = map[string]string{"deployment.kubernetes.io/revision": "4"}
	tree := Tree{Object: d}
	for range pick(g, oldReplicaSets) {
		tree.Children = append(tree.Children, Tree{Object: g.replicaSet(d, 0)})
	}
	current := g.replicaSet(d, count)
	pods := Tree{Object: current}
	for range n {
		pods.Children = append(pods.Children, Tree{Object: g.pod(current.Name+"-"+g.suffix(), &current.Spec.Template)})
	}
	tree.Children = append(tree.Children, pods)
	return tree, n
}

// replicaSet makes one of a Deployment.
func (g *generator) replicaSet(d *appsv1.Deployment, count int32) *appsv1.ReplicaSet {
	hash := fmt.Sprintf("%08x", g.Uint32())
	template := *d.Spec.Template.DeepCopy()
	template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	if count == 0 {
		template.Spec.Containers[0].Image += "-rc" + hash
	}
	return &appsv1.ReplicaSet{
		ObjectMeta: g.meta(d.Name+"-"+hash, template.Labels),
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &count,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{labelName: d.Name, appsv1.DefaultDeploymentUniqueLabelKey: hash}},
			Template: template,
		},
	}
}

func (g *generator) statefulSet(app string, most int) (Tree, int) {
	n := min(most, 1+g.IntN(5))
	count := int32(n) //nolint:gosec // at most 5
	template := g.template(app)
	s := &appsv1.StatefulSet{
		ObjectMeta: g.meta(app, template.Labels),
		Spec: appsv1.StatefulSetSpec{
			Replicas: &count, ServiceName: app, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{labelName: app}}, Template: template,
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data"},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources:   corev1.VolumeResourceRequirements{Requests: amounts("0", "0", "0")},
				},
			}},
		},
	}
	s.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: gibibyte}
	tree := Tree{Object: s}
	for i := range n {
		name := fmt.Sprintf("%s-%d", app, i)
		p := g.pod(name, &template)
		p.Labels[appsv1.StatefulSetPodNameLabel], p.Labels[appsv1.PodIndexLabel] = name, fmt.Sprint(i)
		p.Labels[appsv1.ControllerRevisionHashLabelKey] = app + "-7c9d8f6b5"
		p.Spec.Hostname, p.Spec.Subdomain = name, app
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-" + name},
		}})
		tree.Children = append(tree.Children, Tree{Object: p})
	}
	return tree, n
}

func (g *generator) daemonSet(app string, most int) (Tree, int) {
	n := min(most, g.nodes, 3+g.IntN(8))
	template := g.template(app)
	tree := Tree{Object: &appsv1.DaemonSet{
		ObjectMeta: g.meta(app, template.Labels),
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{labelName: app}}, Template: template},
	}}
	for range n {
		p := g.pod(app+"-"+g.suffix(), &template)
		p.Labels[appsv1.ControllerRevisionHashLabelKey] = "7c9d8f6b5"
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchFields: []corev1.NodeSelectorRequirement{{
					Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{p.Spec.NodeName},
				}},
			}}},
		}}
		for _, taint := range []string{
			corev1.TaintNodeDiskPressure, corev1.TaintNodeMemoryPressure, corev1.TaintNodePIDPressure, corev1.TaintNodeUnschedulable,
		} {
			p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{
				Key: taint, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule,
			})
		}
		tree.Children = append(tree.Children, Tree{Object: p})
	}
	return tree, n
}

// cronJob has run up to three times, which is how many successful Jobs are kept.
func (g *generator) cronJob(app string, most int) (Tree, int) {
	n := min(most, 1+g.IntN(3))
	template := g.jobTemplate(app)
	tree := Tree{Object: &batchv1.CronJob{
		ObjectMeta: g.meta(app, template.Labels),
		Spec: batchv1.CronJobSpec{
			Schedule: "0 3 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: *template.DeepCopy()}},
		},
	}}
	for i := range n {
		tree.Children = append(tree.Children, g.jobTree(fmt.Sprintf("%s-2938%04d", app, i), &template))
	}
	return tree, n
}

func (g *generator) job(app string, _ int) (Tree, int) {
	template := g.jobTemplate(app)
	return g.jobTree(app, &template), 1
}

func (g *generator) jobTemplate(app string) corev1.PodTemplateSpec {
	template := g.template(app)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	return template
}

// jobTree is a Job whose one Pod has ended. The API server adds the labels and the selector that the Job's UID is in.
func (g *generator) jobTree(name string, template *corev1.PodTemplateSpec) Tree {
	p := g.pod(name+"-"+g.suffix(), template)
	p.Labels[batchv1.JobNameLabel] = name
	finish(p)
	return Tree{
		Object: &batchv1.Job{
			ObjectMeta: g.meta(name, maps.Clone(template.Labels)), Spec: batchv1.JobSpec{Template: *template.DeepCopy()},
		},
		Children: []Tree{{Object: p}},
	}
}

func (g *generator) bare(app string, _ int) (Tree, int) {
	template := g.template(app)
	return Tree{Object: g.pod(app, &template)}, 1
}

// suffix is what controllers add to the names of Pods.
func (g *generator) suffix() string { return fmt.Sprintf("%05x", g.IntN(1<<20)) }

func kindOf(o client.Object) schema.GroupVersionKind {
	gvk, err := apiutil.GVKForObject(o, clientgoscheme.Scheme)
	utilruntime.Must(err) // all kinds are built in
	return gvk
}
