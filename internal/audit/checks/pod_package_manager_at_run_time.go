// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the programs in spec.containers[*].command, args, probes and hooks, init and ephemeral containers likewise.
// Allowed: package managers that change nothing, such as apt list.
var _ = register(audit.Check{
	ID:          "package-manager-at-run-time",
	Title:       "Containers install and update no packages",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryImages,
	Rationale:   "What runs is no longer what the image says and was scanned for, every start may install something else, and the container must be able to write to its programs.",
	Remediation: "Install the packages while building the image, rebuild it to update them, and take the package manager out of command and args.",
	Before:      "command: [sh, -c, \"apt-get update && apt-get install -y curl && ./server\"]",
	After:       "command: [./server]",
	References: []string{
		"https://kubernetes.io/docs/concepts/containers/images/",
		"https://kubernetes.io/blog/2016/08/security-best-practices-kubernetes-deployment/",
	},
	Pod: packageManagerAtRunTime,
})

// packageCommands are the commands of package managers that change what is installed, or fetch what could be.
var packageCommands = map[string][]string{
	"apt":      {"install", "update", "upgrade", "full-upgrade"},
	"apt-get":  {"install", "update", "upgrade", "dist-upgrade"},
	"yum":      {"install", "localinstall", "update", "upgrade"},
	"dnf":      {"install", "update", "upgrade"},
	"microdnf": {"install", "update", "upgrade"},
	"apk":      {"add", "update", "upgrade"},
	"pip":      {"install"},
	"pip3":     {"install"},
	"python":   {"pip"}, // python -m pip install
	"python3":  {"pip"},
}

var packageManagers = slices.Sorted(maps.Keys(packageCommands))

func packageManagerAtRunTime(pod *audit.Pod, r *audit.Reporter) {
	findProgram(pod, r, packageManagers, installs, func(c audit.Container, p program) string {
		return fmt.Sprintf("container %q must not install or update packages with %q", c.Name, p.name)
	})
}

func installs(p program) bool {
	if p.name == "python" || p.name == "python3" {
		return len(p.args) > 2 && p.args[0] == "-m" && p.args[1] == "pip" && slices.Contains(p.args[2:], "install")
	}
	return slices.ContainsFunc(packageCommands[p.name], func(command string) bool { return slices.Contains(p.args, command) })
}
