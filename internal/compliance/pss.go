// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package compliance

import "github.com/kubersafe/kubersafe/internal/audit"

// pss has the controls of the profiles Baseline and Restricted, https://kubernetes.io/docs/concepts/security/pod-security-standards/.
// That Restricted has one of its own for /proc is in k8s.io/pod-security-admission, which decides what is allowed.
var pss = Framework{audit.FrameworkPSS, "Pod Security Standards", []Control{
	{"Baseline: HostProcess", ""},
	{"Baseline: Host Namespaces", ""},
	{"Baseline: Privileged Containers", ""},
	{"Baseline: Capabilities", ""},
	{"Baseline: HostPath Volumes", ""},
	{"Baseline: Host Ports", ""},
	{"Baseline: Host Probes / Lifecycle Hooks", ""},
	{"Baseline: AppArmor", ""},
	{"Baseline: SELinux", ""},
	{"Baseline: /proc Mount Type", ""},
	{"Baseline: Seccomp", ""},
	{"Baseline: Sysctls", ""},
	{"Restricted: Volume Types", ""},
	{"Restricted: Privilege Escalation", ""},
	{"Restricted: Running as Non-root", ""},
	{"Restricted: Running as Non-root user", ""},
	{"Restricted: Seccomp", ""},
	{"Restricted: Capabilities", ""},
	{"Restricted: /proc Mount Type", ""},
}}
