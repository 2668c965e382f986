// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	defaultAccount = "default"
	appAccount     = "app"
)

var gibibyte = resource.MustParse("1Gi")

// fault makes a good template bad.
type fault struct {
	// restricted: Pod Security admission lets it through all the same.
	restricted bool
	apply      func(*corev1.PodTemplateSpec)
}

var faults = []fault{
	{true, func(t *corev1.PodTemplateSpec) { t.Spec.Containers[0].Image = "registry.example.com/app:latest" }},
	{true, func(t *corev1.PodTemplateSpec) { t.Spec.Containers[0].Resources = corev1.ResourceRequirements{} }},
	{true, func(t *corev1.PodTemplateSpec) { t.Spec.ServiceAccountName = defaultAccount }},
	{true, func(t *corev1.PodTemplateSpec) {
		t.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem = new(false)
	}},
	{false, func(t *corev1.PodTemplateSpec) {
		c := t.Spec.Containers[0].SecurityContext
		c.Privileged, c.AllowPrivilegeEscalation = new(true), new(true)
	}},
	{true, func(t *corev1.PodTemplateSpec) {
		c := &t.Spec.Containers[0]
		c.Env = append(c.Env, corev1.EnvVar{Name: "API_KEY", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "api"}, Key: "key",
		}}})
	}},
	{false, func(t *corev1.PodTemplateSpec) { t.Spec.HostNetwork = true }},
	{false, func(t *corev1.PodTemplateSpec) { t.Spec.HostPID = true }},
	{false, func(t *corev1.PodTemplateSpec) {
		t.Spec.Volumes = append(t.Spec.Volumes, corev1.Volume{Name: "host", VolumeSource: corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: "/var/log", Type: new(corev1.HostPathUnset)},
		}})
	}},
	{false, func(t *corev1.PodTemplateSpec) {
		t.Spec.Containers[0].SecurityContext.Capabilities = &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN", "SYS_PTRACE"}}
	}},
	{false, func(t *corev1.PodTemplateSpec) {
		t.Spec.SecurityContext.RunAsNonRoot = nil
		t.Spec.Containers[0].SecurityContext.RunAsNonRoot, t.Spec.Containers[0].SecurityContext.RunAsUser = nil, new(int64(0))
	}},
	// What people write who write nothing. The most frequent of all, so there twice.
	{false, careless}, {false, careless},
}

func careless(t *corev1.PodTemplateSpec) {
	t.Spec.SecurityContext = &corev1.PodSecurityContext{}
	for i := range t.Spec.Containers {
		c := &t.Spec.Containers[i]
		c.SecurityContext, c.Resources = &corev1.SecurityContext{}, corev1.ResourceRequirements{}
		c.Image = fmt.Sprintf("registry.example.com/careless-%d:1.4", i)
	}
}

// violating is the percentage of the workloads that have faults: where nothing is enforced, and where Pod Security is. That
// is about 40 % of all.
var violating = map[bool]int{false: 47, true: 24}

// template makes a Pod template with the defaults that the API server sets. No check finds anything in a good one.
func (g *generator) template(app string) corev1.PodTemplateSpec {
	version := fmt.Sprintf("%d.%d.%d", g.IntN(5), g.IntN(20), g.IntN(40))
	t := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{
				labelName: app, "app.kubernetes.io/instance": app + "-" + g.name, "app.kubernetes.io/version": version,
				"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/part-of": g.name,
			},
			Annotations: map[string]string{
				"checksum/config":      fmt.Sprintf("%016x%016x", g.Uint64(), g.Uint64()),
				"prometheus.io/scrape": "true", "prometheus.io/port": "9090",
			},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName:            appAccount,
			RestartPolicy:                 corev1.RestartPolicyAlways,
			DNSPolicy:                     corev1.DNSClusterFirst,
			SchedulerName:                 corev1.DefaultSchedulerName,
			TerminationGracePeriodSeconds: new(int64(corev1.DefaultTerminationGracePeriodSeconds)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Volumes: []corev1.Volume{
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
					LocalObjectReference: corev1.LocalObjectReference{Name: app + "-config"}, DefaultMode: new(corev1.ConfigMapVolumeSourceDefaultMode),
				}}},
				{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "database", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
					SecretName: "database", DefaultMode: new(corev1.SecretVolumeSourceDefaultMode),
				}}},
			},
			Containers: []corev1.Container{g.container(app, g.image(app, version))},
		},
	}
	if g.chance(50) {
		t.Spec.Containers = append(t.Spec.Containers, g.container("proxy", g.image("proxy", "1.29.3")))
	}
	if g.chance(50) {
		t.Spec.AutomountServiceAccountToken = new(false)
	}
	if g.chance(violating[g.enforced]) {
		for _, i := range g.Perm(len(faults))[:1+g.IntN(3)] {
			if f := faults[i]; f.restricted || !g.enforced {
				f.apply(&t)
			}
		}
	}
	t.Spec.DeprecatedServiceAccount = t.Spec.ServiceAccountName
	for i := range t.Spec.Containers {
		for j := range t.Spec.Containers[i].Ports {
			if p := &t.Spec.Containers[i].Ports[j]; t.Spec.HostNetwork {
				p.ContainerPort += int32(i) // two containers cannot have one port of the node
				p.HostPort = p.ContainerPort
			}
		}
	}
	return t
}

func (g *generator) image(name, tag string) string {
	return fmt.Sprintf("registry.example.com/%s/%s:%s@sha256:%016x%016x%016x%016x", g.name, name, tag, g.Uint64(), g.Uint64(), g.Uint64(), g.Uint64())
}

func (g *generator) container(name, image string) corev1.Container {
	c := corev1.Container{
		Name: name, Image: image, ImagePullPolicy: corev1.PullIfNotPresent,
		TerminationMessagePath: corev1.TerminationMessagePathDefault, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		Ports: []corev1.ContainerPort{{Name: "http-" + name[:1], ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
		Resources: corev1.ResourceRequirements{
			Requests: amounts("50m", "64Mi", "64Mi"), Limits: amounts("500m", "256Mi", "512Mi"),
		},
		VolumeMounts:   []corev1.VolumeMount{{Name: "config", MountPath: "/etc/app", ReadOnly: true}, {Name: "tmp", MountPath: "/tmp"}, {Name: "database", MountPath: "/etc/database", ReadOnly: true}},
		LivenessProbe:  probe("/healthz"),
		ReadinessProbe: probe("/readyz"),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), RunAsNonRoot: new(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		Env: []corev1.EnvVar{
			{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"}}},
			{Name: "DATABASE_PASSWORD_FILE", Value: "/etc/database/password"},
		},
	}
	for i := range 4 + g.IntN(8) {
		c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%02d", i), Value: fmt.Sprintf("https://service-%d.%s.svc:8080/v1", g.IntN(1000), g.name)})
	}
	return c
}

func probe(path string) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: intstr.FromInt32(8080), Scheme: corev1.URISchemeHTTP,
		}},
		PeriodSeconds: 10, TimeoutSeconds: 1, SuccessThreshold: 1, FailureThreshold: 3,
	}
}
