// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.volumes[*].hostPath.path of volumes that a container mounts, init and ephemeral containers likewise.
// Allowed: paths other than the socket of a container runtime and the folders above one. Mounted read-only is no better:
// a socket can be connected to all the same.
var _ = register(audit.Check{
	ID:          "container-runtime-socket",
	Title:       "Containers do not reach the socket of the container runtime",
	Severity:    v1alpha1.SeverityCritical,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever talks to the container runtime starts privileged containers past the API server, and so is root on the node.",
	Remediation: "Remove the hostPath volume and its mounts; build images without a daemon, and read metrics and logs from kubelet.",
	Before: `volumes:
- name: docker
  hostPath: {path: /var/run/docker.sock}`,
	After: "volumes: []",
	Controls: []audit.Control{
		{Framework: audit.FrameworkMITRE, ID: "T1611"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/storage/volumes/#hostpath",
	},
	Pod: containerRuntimeSocket,
})

// On most nodes /var/run is a link to /run. k3s and RKE2 have a containerd of their own.
var (
	runtimeFolders = []string{"/run", "/var/run"}
	runtimeSockets = []string{
		"containerd/containerd.sock", "crio/crio.sock", "docker.sock", "cri-dockerd.sock", "k3s/containerd/containerd.sock",
	}
)

func containerRuntimeSocket(pod *audit.Pod, r *audit.Reporter) {
	for i := range pod.Spec.Volumes {
		if v := &pod.Spec.Volumes[i]; v.HostPath != nil {
			findSocket(pod, v, r)
		}
	}
}

func findSocket(pod *audit.Pod, v *corev1.Volume, r *audit.Reporter) {
	for c := range pod.Containers() {
		for _, m := range c.VolumeMounts {
			if m.Name != v.Name {
				continue
			}
			mounted := path.Join("/", v.HostPath.Path, m.SubPath)
			socket := socketWithin(mounted)
			if socket == "" {
				continue
			}
			message := fmt.Sprintf("container %q must not mount %q, a socket of the container runtime", c.Name, socket)
			if socket != mounted {
				message = fmt.Sprintf("container %q must not mount %q, which holds %q, a socket of the container runtime", c.Name, mounted, socket)
			}
			r.Find(audit.Finding{
				Message:   message,
				Container: c.Name,
				Path:      "spec.volumes[name=" + v.Name + "].hostPath.path",
			})
			return
		}
	}
}

// socketWithin returns the first socket that is at a cleaned path or below, or "".
func socketWithin(mounted string) string {
	for _, folder := range runtimeFolders {
		for _, name := range runtimeSockets {
			socket := path.Join(folder, name)
			if socket == mounted || mounted == "/" || strings.HasPrefix(socket, mounted+"/") {
				return socket
			}
		}
	}
	return ""
}
