// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/kubersafe/kubersafe/internal/audit/checks"
)

func TestChecks(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		code int
		// texts that must be in what is printed, with one space for many.
		stdout, stderr string
	}{
		"all of them":                        {args: nil, stdout: "privileged-container Critical pod-security"},
		"one of them":                        {args: []string{"host-pid"}, stdout: "CIS Kubernetes Benchmark 1.12, 5.2.3"},
		"one that there is not":              {args: []string{"host"}, code: 1, stderr: `no check is called "host"`},
		"a control that a check maps to":     {args: []string{"--framework", "cis"}, stdout: "\n5.2.2 Minimize the admission of privileged containers privileged-container\n"},
		"a control that no check maps to":    {args: []string{"--framework", "cis"}, stdout: "\n1.1.1 Ensure that the API server pod specification file permissions are set to 600 or more restrictive -\n"},
		"controls that are headings":         {args: []string{"--framework=pss"}, stdout: "\nBaseline: Host Namespaces host-ipc, host-network, host-pid\n"},
		"a framework that there is not":      {args: []string{"--framework", "pci"}, code: 1, stderr: `invalid argument "pci" for "--framework" flag: must be one of cis, mitre, nsa, owasp, pss`},
		"a check and a framework":            {args: []string{"host-pid", "--framework", "cis"}, code: 1, stderr: "NAME and --framework exclude each other"},
		"completion of names":                {args: []string{"__complete", "privileged"}, stdout: "privileged-container"},
		"completion of frameworks":           {args: []string{"__complete", "--framework", ""}, stdout: "\nnsa NSA/CISA Kubernetes Hardening Guide 1.2\n"},
		"no completion with names of files":  {args: []string{"__complete", "--framework", ""}, stderr: "ShellCompDirectiveNoFileComp"},
		"frameworks are listed in the usage": {args: []string{"--help"}, stdout: "--framework cis|mitre|nsa|owasp|pss"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"checks"}, tc.args...)
			if len(tc.args) > 0 && tc.args[0] == "__complete" {
				args[0], args[1] = args[1], args[0]
			}
			code, stdout, stderr := execute("", args...)
			lines := strings.Split(stdout, "\n")
			for i, line := range lines {
				lines[i] = strings.Join(strings.Fields(line), " ")
			}
			if code != tc.code || !strings.Contains(strings.Join(lines, "\n"), tc.stdout) || !strings.Contains(stderr, tc.stderr) {
				t.Errorf("exit code %d, printed:\n%s\n%s", code, stdout, stderr)
			}
		})
	}
}

// TestEveryCheckHasSubjects: what judges nothing that is known would count as having judged everything.
func TestEveryCheckHasSubjects(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range set.Checks() {
		if !c.JudgesWorkloads() && !c.JudgesNamespaces() && !c.JudgesCluster() {
			t.Errorf("%s judges nothing", c.ID)
		}
	}
}
