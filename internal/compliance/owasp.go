// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package compliance

import "github.com/kubersafe/kubersafe/internal/audit"

// owasp has the risks of 2022. The list of 2025 numbers them otherwise.
var owasp = Framework{audit.FrameworkOWASP, "OWASP Kubernetes Top Ten 2022", []Control{
	{"K01", "Insecure Workload Configurations"},
	{"K02", "Supply Chain Vulnerabilities"},
	{"K03", "Overly Permissive RBAC Configurations"},
	{"K04", "Lack of Centralized Policy Enforcement"},
	{"K05", "Inadequate Logging and Monitoring"},
	{"K06", "Broken Authentication Mechanisms"},
	{"K07", "Missing Network Segmentation Controls"},
	{"K08", "Secrets Management Failures"},
	{"K09", "Misconfigured Cluster Components"},
	{"K10", "Outdated and Vulnerable Kubernetes Components"},
}}
