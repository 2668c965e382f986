// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// binaries is a directory that holds the control plane's programs.
type binaries struct{ dir string }

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// findBinaries looks in $KUBEBUILDER_ASSETS or, when that is not set, in bin/controlplane of the module.
func findBinaries() (binaries, error) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		root, err := ModuleRoot()
		if err != nil {
			return binaries{}, err
		}
		dir = filepath.Join(root, "bin", "controlplane")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return binaries{}, fmt.Errorf("finding the control plane's programs: %w", err)
	}
	b := binaries{dir: dir}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kubectl"} {
		if _, err := os.Stat(b.path(name)); err != nil {
			return binaries{}, fmt.Errorf("the control plane is not complete (%w): run make controlplane first", err)
		}
	}
	return b, nil
}

// ModuleRoot is the nearest directory, from the working directory upwards, that holds a go.mod.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, os.ErrNotExist) || parent == dir {
			return "", fmt.Errorf("finding the module: %w", err)
		}
		dir = parent
	}
}
