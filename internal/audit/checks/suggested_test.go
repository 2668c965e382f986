// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
)

// TestSuggested: that a value mends the finding is tested with the fixtures; here is which one it is where that takes thought.
func TestSuggested(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	const (
		app      = "spec.containers[name=app]."
		added    = "securityContext.capabilities.add"
		nonRoot  = "securityContext.runAsNonRoot"
		root     = "securityContext.runAsUser"
		hostPort = "ports[hostPort=80].hostPort"
	)
	for name, tc := range map[string]struct {
		spec string
		// want are the suggested values, "" if there is none, by check and path.
		want map[[2]string]string
	}{
		"of capabilities what may stay": {
			`containers: [{name: app, securityContext: {capabilities: {drop: [ALL], add: [SYS_ADMIN, CHOWN, NET_BIND_SERVICE]}}}]`,
			map[[2]string]string{
				{"capabilities-added", app + added}:       `["CHOWN","NET_BIND_SERVICE"]`,
				{"capabilities-not-dropped", app + added}: `["NET_BIND_SERVICE"]`,
			},
		},
		"and nothing if nothing may": {
			`containers: [{name: app, securityContext: {capabilities: {drop: [ALL], add: [SYS_ADMIN]}}}]`,
			map[[2]string]string{{"capabilities-added", app + added}: `[]`},
		},
		"of groups all but 0": {
			`securityContext: {supplementalGroups: [5, 0, 6], fsGroup: 0}`,
			map[[2]string]string{
				{"root-group", "spec.securityContext.supplementalGroups"}: `[5,6]`,
				{"root-group", "spec.securityContext.fsGroup"}:            "",
			},
		},
		"no host port": {
			`containers: [{name: app, ports: [{containerPort: 80, hostPort: 80}]}]`,
			map[[2]string]string{{"host-port", app + hostPort}: "0"},
		},
		"but on the node's network every port is one": {
			"hostNetwork: true\ncontainers: [{name: app, ports: [{containerPort: 80, hostPort: 80}]}]",
			map[[2]string]string{{"host-port", app + hostPort}: "", {"host-network", "spec.hostNetwork"}: "false"},
		},
		"not root": {
			`containers: [{name: app}]`, map[[2]string]string{{"non-root-not-enforced", app + nonRoot}: "true"},
		},
		"but whom is not known where root is set": {
			`containers: [{name: app, securityContext: {runAsUser: 0}}]`,
			map[[2]string]string{{"non-root-not-enforced", app + nonRoot}: "", {"runs-as-root", app + root}: ""},
		},
		"nor where it is set for the Pod": {
			"securityContext: {runAsUser: 0}\ncontainers: [{name: app}, {name: user, securityContext: {runAsUser: 5}}]",
			map[[2]string]string{
				{"non-root-not-enforced", app + nonRoot}:                           "",
				{"non-root-not-enforced", "spec.containers[name=user]." + nonRoot}: "true",
			},
		},
		"nor where the Pod's word is for a container that sets it": {
			"securityContext: {runAsNonRoot: false}\ncontainers: [{name: app, securityContext: {runAsUser: 0}}]",
			map[[2]string]string{{"non-root-not-enforced", "spec." + nonRoot}: ""},
		},
		"and the Pod's word is not for those that have their own": {
			"securityContext: {runAsNonRoot: false, runAsUser: 0}\ncontainers: [{name: app, securityContext: {runAsUser: 5}}, {name: own, securityContext: {runAsNonRoot: true}}]",
			map[[2]string]string{{"non-root-not-enforced", "spec." + nonRoot}: "true"},
		},
		"nothing that SELinux does not do by itself": {
			`securityContext: {seLinuxOptions: {type: spc_t, user: u, role: r}}`,
			map[[2]string]string{
				{"selinux-options", "spec.securityContext.seLinuxOptions.type"}: `"container_t"`,
				{"selinux-options", "spec.securityContext.seLinuxOptions.user"}: `""`,
				{"selinux-options", "spec.securityContext.seLinuxOptions.role"}: `""`,
			},
		},
		"the registry that has all of the other's images": {
			`containers: [{name: app, image: "k8s.gcr.io/e2e/pause:3.9@sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097"}]`,
			map[[2]string]string{
				{"image-deprecated-registry", app + "image"}: `"registry.k8s.io/e2e/pause:3.9@sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097"`,
			},
		},
		"but not one that may lack some": {
			`containers: [{name: app, image: "gcr.io/google-containers/pause:3.1"}]`,
			map[[2]string]string{{"image-deprecated-registry", app + "image"}: ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var spec corev1.PodSpec
			if err := yaml.UnmarshalStrict([]byte(tc.spec), &spec); err != nil {
				t.Fatal(err)
			}
			wanted := make(map[string]bool)
			for key := range tc.want {
				wanted[key[0]] = true
			}
			got := make(map[[2]string]string)
			for _, result := range set.Evaluate(audit.Fold(audit.Inventory{
				Surroundings: audit.Surroundings{Name: "shop"},
				Pods:         []*audit.PodRecord{{Object: audit.Object{Name: "a", UID: "1"}, Shape: audit.NewShape(&audit.Pod{Spec: spec}), Labels: &audit.Labels{}}},
			}, time.Now())) {
				for _, f := range result.Findings {
					if wanted[f.Check] {
						got[[2]string{f.Check, f.Path}] = f.Suggested
					}
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("suggested values differ (-want +got):\n%s", diff)
			}
		})
	}
}
