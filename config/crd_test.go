// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// TestEveryFieldIsExplained: kubectl explain has a sentence on every field of every kind, and on every column but Age.
func TestEveryFieldIsExplained(t *testing.T) {
	files, err := filepath.Glob("crd/bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d CRDs, %v", len(files), err)
	}
	for _, file := range files {
		crd := decode(t, read(t, file), &apiextensionsv1.CustomResourceDefinition{})
		for _, v := range crd.Spec.Versions {
			unexplained(t, crd.Spec.Names.Kind, *v.Schema.OpenAPIV3Schema)
			for _, c := range v.AdditionalPrinterColumns {
				if c.Description == "" && c.Name != "Age" {
					t.Errorf("%s: column %q has no description", crd.Spec.Names.Kind, c.Name)
				}
			}
		}
	}
}

// unexplained tells of fields that have no description, from a path downwards.
func unexplained(t *testing.T, path string, schema apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	if d := strings.TrimSpace(schema.Description); !strings.HasSuffix(d, ".") {
		t.Errorf("%s: the description must be sentences: %q", path, d)
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		switch name {
		case "apiVersion", "kind", "metadata":
			if !strings.Contains(path, ".") {
				continue // those of every kind, which the API server explains
			}
		}
		unexplained(t, path+"."+name, schema.Properties[name])
	}
	if schema.Items != nil && schema.Items.Schema != nil && len(schema.Items.Schema.Properties) > 0 {
		unexplained(t, path+"[]", *schema.Items.Schema)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil && len(schema.AdditionalProperties.Schema.Properties) > 0 {
		unexplained(t, path+"{}", *schema.AdditionalProperties.Schema)
	}
}
