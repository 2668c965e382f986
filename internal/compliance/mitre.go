// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package compliance

import "github.com/kubersafe/kubersafe/internal/audit"

// mitre has the techniques of ATT&CK 15 for the platform Containers, https://attack.mitre.org/matrices/enterprise/containers/.
// Later versions add some.
var mitre = Framework{audit.FrameworkMITRE, "MITRE ATT&CK 15 for Containers", []Control{
	{"T1036", "Masquerading"},
	{"T1036.005", "Masquerading: Match Legitimate Name or Location"},
	{"T1046", "Network Service Discovery"},
	{"T1053", "Scheduled Task/Job"},
	{"T1053.007", "Scheduled Task/Job: Container Orchestration Job"},
	{"T1068", "Exploitation for Privilege Escalation"},
	{"T1069", "Permission Groups Discovery"},
	{"T1070", "Indicator Removal"},
	{"T1078", "Valid Accounts"},
	{"T1078.001", "Valid Accounts: Default Accounts"},
	{"T1078.003", "Valid Accounts: Local Accounts"},
	{"T1098", "Account Manipulation"},
	{"T1098.006", "Account Manipulation: Additional Container Cluster Roles"},
	{"T1110", "Brute Force"},
	{"T1110.001", "Brute Force: Password Guessing"},
	{"T1110.003", "Brute Force: Password Spraying"},
	{"T1110.004", "Brute Force: Credential Stuffing"},
	{"T1133", "External Remote Services"},
	{"T1136", "Create Account"},
	{"T1136.001", "Create Account: Local Account"},
	{"T1190", "Exploit Public-Facing Application"},
	{"T1204", "User Execution"},
	{"T1204.003", "User Execution: Malicious Image"},
	{"T1485", "Data Destruction"},
	{"T1490", "Inhibit System Recovery"},
	{"T1496", "Resource Hijacking"},
	{"T1498", "Network Denial of Service"},
	{"T1499", "Endpoint Denial of Service"},
	{"T1525", "Implant Internal Image"},
	{"T1528", "Steal Application Access Token"},
	{"T1543", "Create or Modify System Process"},
	{"T1543.005", "Create or Modify System Process: Container Service"},
	{"T1550", "Use Alternate Authentication Material"},
	{"T1550.001", "Use Alternate Authentication Material: Application Access Token"},
	{"T1552", "Unsecured Credentials"},
	{"T1552.001", "Unsecured Credentials: Credentials In Files"},
	{"T1552.007", "Unsecured Credentials: Container API"},
	{"T1562", "Impair Defenses"},
	{"T1562.001", "Impair Defenses: Disable or Modify Tools"},
	{"T1609", "Container Administration Command"},
	{"T1610", "Deploy Container"},
	{"T1611", "Escape to Host"},
	{"T1612", "Build Image on Host"},
	{"T1613", "Container and Resource Discovery"},
}}
