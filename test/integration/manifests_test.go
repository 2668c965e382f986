// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kubersafe/kubersafe/test/controlplane"
)

// rendered returns what config/default and some of config/components make together, in that order.
func rendered(t *testing.T, components ...string) string {
	t.Helper()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// Of what only kubectl reads, go test would not know that it has changed since it passed.
	if err := os.CopyFS(filepath.Join(dir, "config"), os.DirFS(filepath.Join(root, "config"))); err != nil {
		t.Fatal(err)
	}
	kustomization := "resources: [config/default]\ncomponents:\n"
	for _, c := range components {
		kustomization += fmt.Sprintf("- config/components/%s\n", c)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(kustomization), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := cluster.Kubectl(t.Context(), nil, "kustomize", dir)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// pinned is an image of a release.
var pinned = regexp.MustCompile(`ghcr\.io/kubersafe/kubersafe[a-z-]*:v[0-9.]+`)

// TestOwnManifestsAreClean audits what users install, each component by itself and all together: there is no finding and no
// exception. Releases are pinned to their digest, which manifests in the repository cannot know.
func TestOwnManifestsAreClean(t *testing.T) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(root, "config/components"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	overlays := map[string][]string{"none": nil}
	for _, e := range entries {
		all = append(all, e.Name())
		overlays[e.Name()] = []string{e.Name()}
	}
	overlays["all"] = all
	for name, components := range overlays {
		manifests := rendered(t, components...)
		if regexp.MustCompile(`(?m)^kind: (Cluster)?SecurityException$`).MatchString(manifests) {
			t.Errorf("components %s: the manifests have exceptions", name)
		}
		cmd := exec.CommandContext(t.Context(), replica.Binary, "audit", "-f", "-", "--fail-on", "low")
		cmd.Stdin = strings.NewReader(pinned.ReplaceAllString(manifests, "$0@sha256:"+strings.Repeat("0", 64)))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "deployment-kubersafe") && !strings.Contains(string(out), "statefulset-kubersafe") {
			t.Errorf("components %s: %v\n%s", name, err, out)
		}
	}
}
