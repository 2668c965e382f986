// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package compliance

import "github.com/kubersafe/kubersafe/internal/audit"

// nsa has the sections of version 1.2, August 2022, that advise something. Those below them ("Etcd", "SIEM platforms") are
// part of theirs, and the last chapter has none.
var nsa = Framework{audit.FrameworkNSA, "NSA/CISA Kubernetes Hardening Guide 1.2", []Control{
	// Kubernetes Pod security.
	{"Non-root containers and rootless container engines", ""},
	{"Immutable container file systems", ""},
	{"Building secure container images", ""},
	{"Pod security enforcement", ""},
	{"Protecting Pod service account tokens", ""},
	{"Hardening container environments", ""},
	// Network separation and hardening.
	{"Namespaces", ""},
	{"Network policies", ""},
	{"Resource policies", ""},
	{"Control plane hardening", ""},
	{"Worker node segmentation", ""},
	{"Encryption", ""},
	{"Secrets", ""},
	{"Protecting sensitive cloud infrastructure", ""},
	// Authentication and authorization.
	{"Authentication", ""},
	{"Role-based access control", ""},
	// Audit logging and threat detection.
	{"Logging", ""},
	{"Threat detection", ""},
	// A chapter of its own.
	{"Upgrading and application security practices", ""},
}}
