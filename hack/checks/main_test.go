// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewCheck(t *testing.T) {
	const (
		code    = "internal/audit/checks/pod_host_aliases.go"
		fixture = "test/fixtures/host-aliases.yaml"
	)
	for name, tc := range map[string]struct {
		there    []string
		file, id string
		// wrote are the files that come to those that are there.
		wrote []string
		err   string
	}{
		"both files are written":              {file: "pod_host_aliases", wrote: []string{code, fixture}},
		"an id of its own":                    {file: "pod_host_aliases", id: "aliases", wrote: []string{code, "test/fixtures/aliases.yaml"}},
		"the code is there already":           {there: []string{code}, file: "pod_host_aliases", err: code + " is there already"},
		"the id is taken":                     {there: []string{fixture}, file: "pod_host_aliases", err: fixture + " is there already"},
		"an id that no check may have":        {file: "pod_host_aliases", id: "../aliases", err: "id must be kebab-case"},
		"an id that is too long":              {file: "pod_" + strings.Repeat("a", 64), err: "id must be kebab-case of at most 63 characters"},
		"a subject that no check may have":    {file: "job_host_aliases", err: `"job_host_aliases" is not <subject>_<property>`},
		"a folder that cannot be looked into": {there: []string{"test/fixtures"}, file: "pod_host_aliases", err: "test/fixtures/host-aliases.yaml: not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, path := range tc.there {
				touch(t, path)
			}
			for _, dir := range []string{filepath.Dir(code), filepath.Dir(fixture)} {
				_ = os.MkdirAll(dir, 0o700) // one of them may be a file
			}
			err := newCheck(tc.file, tc.id)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			want := slices.Sorted(slices.Values(slices.Concat(tc.there, tc.wrote)))
			if diff := cmp.Diff(want, files(t)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewCheckIsGo(t *testing.T) {
	for file, function := range map[string]string{
		"pod_host_aliases":       "func hostAliases(pod *audit.Pod, r *audit.Reporter) {",
		"image_host_aliases":     "func hostAliases(image audit.Image, r *audit.Reporter) {",
		"namespace_host_aliases": "func hostAliases(ns *audit.Namespace, r *audit.Reporter) {",
		"node_old":               "func old(n *audit.Node, r *audit.Reporter) {",
		"control_plane_old":      "func old(c *audit.Cluster, r *audit.Reporter) {",
		"admission_old":          "func old(c *audit.Cluster, r *audit.Reporter) {",
	} {
		t.Chdir(t.TempDir())
		for _, dir := range []string{"internal/audit/checks", "test/fixtures"} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := newCheck(file, ""); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join("internal/audit/checks", file+".go"))
		if err != nil {
			t.Fatal(err)
		}
		formatted, err := format.Source(content)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(formatted), string(content)); diff != "" {
			t.Errorf("%s is not formatted (-want +got):\n%s", file, diff)
		}
		if !strings.Contains(string(content), function) {
			t.Errorf("%s is without %s:\n%s", file, function, content)
		}
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// files returns the files below the working folder.
func files(t *testing.T) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			paths = append(paths, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
