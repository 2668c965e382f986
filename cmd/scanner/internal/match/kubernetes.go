// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package match

import (
	"context"
	"slices"
	"strings"

	"github.com/google/osv-scalibr/purl"
	"github.com/ossf/osv-schema/bindings/go/osvschema"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

// KubernetesModule is the module of Go that vulnerabilities of Kubernetes are published of.
const KubernetesModule = "k8s.io/kubernetes"

// stagingModules are those that Kubernetes is built from and some vulnerabilities are published of instead: v0.37.2 is in Kubernetes v1.37.2.
var stagingModules = []string{"k8s.io/apiextensions-apiserver", "k8s.io/apimachinery", "k8s.io/apiserver", "k8s.io/client-go", "k8s.io/kube-aggregator", "k8s.io/kubelet"}

// packagesOf are packages of Kubernetes that are linked into one program only, as "go list -deps" tells of v1.36, with those below where they end
// in a slash. Much of pkg/kubelet is linked into the control plane, too.
var packagesOf = map[string][]string{
	v1alpha1.KubernetesAPIServer: {"cmd/kube-apiserver/", "pkg/controlplane/", "pkg/kubeapiserver/", "plugin/pkg/"},
	v1alpha1.KubernetesKubelet: {
		"cmd/kubelet/", "pkg/kubelet", "pkg/kubelet/images/", "pkg/kubelet/kuberuntime", "pkg/kubelet/prober/", "pkg/kubelet/server", "pkg/kubelet/volumemanager/",
	},
}

// Kubernetes finds the vulnerabilities of a version of Kubernetes, such as "v1.37.2", each once. Its versions are those of Kubernetes, and its
// package is a program where it is known to be in that one only. An error is about the database.
func (m *Matcher) Kubernetes(ctx context.Context, version string) (*Result, error) {
	version = strings.TrimPrefix(version, "v")
	inv := &inventory.Inventory{Packages: []inventory.Package{{Name: KubernetesModule, Version: version, PURLType: purl.TypeGolang}}}
	for _, module := range stagingModules {
		inv.Packages = append(inv.Packages, inventory.Package{Name: module, Version: staged(version, "1.", "0."), PURLType: purl.TypeGolang})
	}
	r, err := m.Match(ctx, inv)
	if err != nil {
		return nil, err
	}
	programs := make(map[string]string)
	if m.db.Ecosystem(golang) != nil { // or else nothing has been matched
		if programs, err = m.programs(); err != nil {
			return nil, problem.Errorf(v1alpha1.ReasonDatabaseInvalid, "the vulnerability database cannot be used: %w", err)
		}
	}
	// The module as a whole goes before the modules that it is built from.
	slices.SortStableFunc(r.Vulnerabilities, func(a, b Vulnerability) int { return rankOfModule(a.Package) - rankOfModule(b.Package) })
	known := make(map[string]bool)
	r.Vulnerabilities = slices.DeleteFunc(r.Vulnerabilities, func(v Vulnerability) bool {
		again := known[v.ID]
		known[v.ID] = true
		return again
	})
	for i := range r.Vulnerabilities {
		v := &r.Vulnerabilities[i]
		v.InstalledVersion, v.FixedVersion = version, staged(v.FixedVersion, "0.", "1.")
		if program := programOf(v, programs); program != "" {
			v.Package = program
		}
	}
	slices.SortFunc(r.Vulnerabilities, Compare)
	return r, nil
}

func rankOfModule(name string) int { return slices.Index(stagingModules, name) }

// staged writes another major version instead of the one that a version begins with.
func staged(version, from, to string) string {
	if rest, ok := strings.CutPrefix(version, from); ok {
		return to + rest
	}
	return version
}

// programs returns the program that vulnerabilities of Kubernetes are in, by the advisories that name packages; "" where that is not just one.
func (m *Matcher) programs() (map[string]string, error) {
	programs := make(map[string]string)
	err := m.db.Advisories(golang, KubernetesModule, func(v *osvschema.Vulnerability) error {
		if paths := importsOf(v); len(paths) > 0 {
			programs[v.GetId()] = only(paths, programWith)
		}
		return nil
	})
	return programs, err
}

// importsOf returns the packages that an advisory names; "" stands for any in a module.
func importsOf(v *osvschema.Vulnerability) []string {
	var paths []string
	for _, a := range v.GetAffected() {
		imports := a.GetEcosystemSpecific().GetFields()["imports"].GetListValue().GetValues()
		if len(imports) == 0 {
			paths = append(paths, "")
		}
		for _, i := range imports {
			paths = append(paths, i.GetStructValue().GetFields()["path"].GetStringValue())
		}
	}
	if !slices.ContainsFunc(paths, func(path string) bool { return path != "" }) {
		return nil
	}
	return paths
}

// only returns what a function says of each of a list, if that is the same; else "".
func only(list []string, of func(string) string) string {
	for _, name := range list {
		if of(name) != of(list[0]) {
			return ""
		}
	}
	return of(list[0])
}

// programWith returns the only program that a package is linked into, or "".
func programWith(path string) string {
	path, _ = strings.CutPrefix(path, KubernetesModule+"/") // that of no other is in the table
	for program, packages := range packagesOf {
		if slices.ContainsFunc(packages, func(p string) bool {
			return path == strings.TrimSuffix(p, "/") || strings.HasSuffix(p, "/") && strings.HasPrefix(path, p)
		}) {
			return program
		}
	}
	return ""
}

// programOf returns the program that a vulnerability is in by the word of all advisories on it that name packages, or "".
func programOf(v *Vulnerability, programs map[string]string) string {
	named := slices.DeleteFunc(append([]string{v.ID}, v.Aliases...), func(name string) bool {
		_, tells := programs[name]
		return !tells
	})
	if len(named) == 0 {
		return ""
	}
	return only(named, func(name string) string { return programs[name] })
}
