// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package match_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/match"
)

func TestKubernetes(t *testing.T) {
	m := matcher(t, fixture.Database(t))
	for name, tc := range map[string]struct {
		version string
		want    []string
	}{
		"what names packages is in one program, what names none in any": {
			"v1.27.1", []string{
				"Low CVE-2024-3177 kube-apiserver 1.27.1->1.27.13 2.7 GHSA-pxhw-596r-rwq5,GO-2024-2746",
				"Unknown CVE-2023-2431 k8s.io/kubernetes 1.27.1->1.27.2 - GHSA-xc8m-28vv-4pjc,GO-2023-1864",
				"Unknown CVE-2025-0426 kubelet 1.27.1->1.29.14 - GHSA-jgfp-53c3-624w,GO-2025-3465",
			},
		},
		"what is fixed in some minor is not in that": {
			"v1.30.2", []string{"Unknown CVE-2025-0426 kubelet 1.30.2->1.30.10 - GHSA-jgfp-53c3-624w,GO-2025-3465"},
		},
		"a release": {"v1.32.2", nil},
		"a candidate comes before the release": {
			"v1.32.2-rc.0", []string{"Unknown CVE-2025-0426 kubelet 1.32.2-rc.0->1.32.2 - GHSA-jgfp-53c3-624w,GO-2025-3465"},
		},
		"what is in a module that Kubernetes is built from, too, counts once": {
			"v1.18.6", []string{
				"Low CVE-2024-3177 kube-apiserver 1.18.6->1.27.13 2.7 GHSA-pxhw-596r-rwq5,GO-2024-2746",
				"Unknown CVE-2020-8559 k8s.io/kubernetes 1.18.6->1.18.7 - GHSA-33c5-9fx5-fvjm,GO-2024-2748",
				"Unknown CVE-2023-2431 k8s.io/kubernetes 1.18.6->1.24.14 - GHSA-xc8m-28vv-4pjc,GO-2023-1864",
				"Unknown CVE-2025-0426 kubelet 1.18.6->1.29.14 - GHSA-jgfp-53c3-624w,GO-2025-3465",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := m.Kubernetes(t.Context(), tc.version)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, lines(r)); diff != "" {
				t.Errorf("vulnerabilities (-want +got):\n%s", diff)
			}
			if r.Reason != "" || len(r.Unmatched) > 0 {
				t.Errorf("%s: %s, %q", r.Reason, r.Message, r.Unmatched)
			}
		})
	}
}

// TestProgramsOfKubernetes: what is not certain concerns every program.
func TestProgramsOfKubernetes(t *testing.T) {
	imports := func(paths ...string) string {
		var list []string
		for _, path := range paths {
			list = append(list, fmt.Sprintf(`{"path": %q}`, path))
		}
		return `"imports": [` + strings.Join(list, ",") + `]`
	}
	advisory := func(id, module, fixed, specific string) string {
		return fmt.Sprintf(`{"id": %q, "aliases": ["CVE-2030-1"], "affected": [{"package": {"ecosystem": "Go", "name": %q},
			"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": %q}]}], "ecosystem_specific": {%s}}]}`, id, module, fixed, specific)
	}
	const module, server, kubelet = match.KubernetesModule, "k8s.io/kubernetes/plugin/pkg/auth/authorizer/node", "k8s.io/kubernetes/pkg/kubelet"
	for name, tc := range map[string]struct {
		advisories map[string]string
		want       string
	}{
		"a package of the API server": {map[string]string{"a": advisory("GO-1", module, "1.37.1", imports(server))}, "kube-apiserver 1.37.0->1.37.1"},
		"packages of the kubelet":     {map[string]string{"a": advisory("GO-1", module, "1.37.1", imports(kubelet, kubelet+"/server"))}, "kubelet 1.37.0->1.37.1"},
		"a package below one that is linked elsewhere, too": {
			map[string]string{"a": advisory("GO-1", module, "1.37.1", imports(kubelet+"/server/stats"))}, module + " 1.37.0->1.37.1",
		},
		"a package with a longer name":     {map[string]string{"a": advisory("GO-1", module, "1.37.1", imports(kubelet+"/imagesandmore"))}, module + " 1.37.0->1.37.1"},
		"packages of both":                 {map[string]string{"a": advisory("GO-1", module, "1.37.1", imports(kubelet, server))}, module + " 1.37.0->1.37.1"},
		"a package of neither":             {map[string]string{"a": advisory("GO-1", module, "1.37.1", imports(kubelet, module+"/pkg/proxy"))}, module + " 1.37.0->1.37.1"},
		"advisories that differ":           {map[string]string{"a": advisory("GO-1", module, "1.37.1", imports(kubelet)), "b": advisory("GO-2", module, "1.37.1", imports(server))}, module + " 1.37.0->1.37.1"},
		"an advisory that names none":      {map[string]string{"a": advisory("GO-1", module, "1.37.1", imports(kubelet)), "b": advisory("GHSA-1", module, "1.37.1", "")}, "kubelet 1.37.0->1.37.1"},
		"a module that it is built from":   {map[string]string{"a": advisory("GO-1", "k8s.io/apiserver", "0.37.1", "")}, "k8s.io/apiserver 1.37.0->1.37.1"},
		"an older one of such a module":    {map[string]string{"a": advisory("GO-1", "k8s.io/apiserver", "0.37.0", "")}, ""},
		"a module that it is not built of": {map[string]string{"a": advisory("GO-1", "k8s.io/ingress-nginx", "1.38.0", "")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files := make(map[string]string)
			for file, text := range tc.advisories {
				files[file+".json"] = text
			}
			fixture.WriteArchive(t, dir, "Go", files)
			r, err := matcher(t, dir).Kubernetes(t.Context(), "v1.37.0")
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, v := range r.Vulnerabilities {
				got += fmt.Sprintf("%s %s->%s", v.Package, v.InstalledVersion, v.FixedVersion)
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestKubernetesWithoutItsDatabase(t *testing.T) {
	dir := t.TempDir()
	fixture.WriteArchive(t, dir, "npm", map[string]string{"a.json": `{"id": "GHSA-1", "affected": [{"package": {"ecosystem": "npm", "name": "lodash"}}]}`})
	r, err := matcher(t, dir).Kubernetes(t.Context(), "v1.37.0")
	if err != nil {
		t.Fatal(err)
	}
	if r.Reason != v1alpha1.ReasonEcosystemUnsupported || len(r.Vulnerabilities) > 0 {
		t.Errorf("%+v", r)
	}
}
