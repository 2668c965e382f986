// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].ports, volumeMounts, and the programs in command, args, probes and hooks, init and ephemeral
// containers likewise. Allowed: no containerPort 22, no sshd or dropbear, and no mount of authorized_keys or of /root/.ssh.
var _ = register(audit.Check{
	ID:          "ssh-server",
	Title:       "Containers run no SSH server",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever has a key or a password gets a shell past the API server, which neither RBAC restricts nor the audit log records.",
	Remediation: "Remove the SSH server, its port and its keys, and use kubectl exec, which RBAC restricts.",
	Before:      "command: [/usr/sbin/sshd, -D]\nports:\n- containerPort: 22",
	After:       "command: [./server]\nports:\n- containerPort: 8080",
	References: []string{
		"https://kubernetes.io/docs/tasks/debug/debug-application/get-shell-running-container/",
		"https://kubernetes.io/blog/2016/08/security-best-practices-kubernetes-deployment/",
	},
	Pod: sshServer,
})

var sshServers = []string{"sshd", "dropbear"}

func sshServer(pod *audit.Pod, r *audit.Reporter) {
	for c := range pod.Containers() {
		for _, p := range c.Ports {
			if p.ContainerPort == 22 {
				r.Find(audit.Finding{
					Message:   fmt.Sprintf("container %q must not listen on port 22, that of SSH", c.Name),
					Container: c.Name,
					Path:      c.Path("ports[containerPort=22].containerPort"),
				})
				break
			}
		}
		for i, m := range c.VolumeMounts {
			if keys := keysAt(m.MountPath, m.SubPath); keys != "" {
				r.Find(audit.Finding{
					Message:   fmt.Sprintf("container %q must not mount %q, where SSH keys are", c.Name, keys),
					Container: c.Name,
					Path:      c.Path(fmt.Sprintf("volumeMounts[%d].mountPath", i)),
				})
			}
		}
	}
	findProgram(pod, r, sshServers,
		func(p program) bool { return slices.Contains(sshServers, p.name) },
		func(c audit.Container, p program) string {
			return fmt.Sprintf("container %q must not run %q", c.Name, p.name)
		})
}

// keysAt returns where a mount has the keys of SSH, or "".
func keysAt(mountPath, subPath string) string {
	mounted := path.Clean(mountPath)
	if path.Base(mounted) == "authorized_keys" || mounted == "/root/.ssh" || strings.HasPrefix(mounted, "/root/.ssh/") {
		return mounted
	}
	if path.Base(subPath) == "authorized_keys" {
		return subPath
	}
	return ""
}
