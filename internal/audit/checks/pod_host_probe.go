// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the field host of httpGet and tcpSocket in spec.containers[*].livenessProbe, readinessProbe, startupProbe,
// lifecycle.postStart and lifecycle.preStop, init containers likewise. Allowed: unset, empty.
var _ = register(audit.Check{
	ID:          "host-probe",
	Title:       "Probes and lifecycle hooks call only their own Pod",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever may create Pods makes the kubelet call addresses that only the node reaches, such as services on its localhost or the cloud's metadata endpoint.",
	Remediation: "Remove host from the probe or lifecycle hook, so that the kubelet calls the Pod's own address.",
	Before:      "livenessProbe:\n  httpGet: {host: 127.0.0.1, path: /healthz, port: 8080}",
	After:       "livenessProbe:\n  httpGet: {path: /healthz, port: 8080}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: Host Probes / Lifecycle Hooks"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
		"https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes",
	},
	Pod: decidedBy("hostProbesAndHostLifecycle", nil, hostProbe),
})

func hostProbe(d *denial) {
	for c := range d.Containers() {
		for field, host := range handlerHosts(c.Container) {
			if host != "" {
				d.find(audit.Finding{
					Message:   fmt.Sprintf("container %q must not set %s.host to %q", c.Name, field, host),
					Container: c.Name,
					Path:      c.Path(field + ".host"),
					Suggested: `""`,
				})
			}
		}
	}
}

// handlerHosts returns the hosts that the kubelet calls, by field.
func handlerHosts(c *corev1.Container) map[string]string {
	hosts := make(map[string]string)
	add := func(field string, http *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction) {
		if http != nil {
			hosts[field+".httpGet"] = http.Host
		}
		if tcp != nil {
			hosts[field+".tcpSocket"] = tcp.Host
		}
	}
	for field, probe := range map[string]*corev1.Probe{
		"livenessProbe": c.LivenessProbe, "readinessProbe": c.ReadinessProbe, "startupProbe": c.StartupProbe,
	} {
		if probe != nil {
			add(field, probe.HTTPGet, probe.TCPSocket)
		}
	}
	if c.Lifecycle != nil {
		for field, hook := range map[string]*corev1.LifecycleHandler{
			"lifecycle.postStart": c.Lifecycle.PostStart, "lifecycle.preStop": c.Lifecycle.PreStop,
		} {
			if hook != nil {
				add(field, hook.HTTPGet, hook.TCPSocket)
			}
		}
	}
	return hosts
}
