// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// schema is what of an OpenAPI schema bounds a value.
type schema struct {
	Type       string            `json:"type"`
	Format     string            `json:"format"`
	Enum       []string          `json:"enum"`
	MaxLength  *int64            `json:"maxLength"`
	MaxItems   *int64            `json:"maxItems"`
	Minimum    *int64            `json:"minimum"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	Additional any               `json:"additionalProperties"`
}

// bounds lists what bounds the strings and arrays below, by path.
func (s *schema) bounds(path string, into map[string]string) {
	note := func(path, bound string) { // an array of strings has two of them
		if into[path] != "" {
			bound = into[path] + ", " + bound
		}
		into[path] = bound
	}
	switch {
	case s.Type == "array":
		note(path+"[]", bound("maxItems", s.MaxItems))
		if s.Items == nil {
			note(path+"[]", "of anything")
			return
		}
		s.Items.bounds(path+"[]", into)
	case s.Type == "string" && len(s.Enum) > 0:
		note(path, "enum")
	case s.Type == "string" && s.Format != "":
		note(path, s.Format)
	case s.Type == "string":
		note(path, bound("maxLength", s.MaxLength))
	}
	if s.Additional != nil {
		into[path] = "a map without bounds"
	}
	for name, p := range s.Properties {
		p.bounds(path+"."+name, into)
	}
}

func bound(name string, n *int64) string {
	if n == nil {
		return "without " + name
	}
	return fmt.Sprint(name, " ", *n)
}

// TestLimitsAreThoseOfTheSchema compares the constants that reports are cut to with the generated schema, and so finds
// every field that nothing bounds.
func TestLimitsAreThoseOfTheSchema(t *testing.T) {
	length := func(n int) string { return fmt.Sprint("maxLength ", n) }
	items := func(n int) string { return fmt.Sprint("maxItems ", n) }
	both := map[string]string{
		".apiVersion":                  "without maxLength", // the API server's own
		".kind":                        "without maxLength",
		".subject.apiVersion":          length(v1alpha1.MaxAPIVersion),
		".subject.kind":                length(v1alpha1.MaxKind),
		".subject.name":                length(v1alpha1.MaxName),
		".subject.uid":                 length(v1alpha1.MaxKind),
		".subject.templateHash":        length(v1alpha1.MaxKind),
		".summary.worst":               "enum",
		".summary.worstCheck":          length(v1alpha1.MaxKind),
		".findings[]":                  items(v1alpha1.MaxFindings),
		".findings[].check":            length(v1alpha1.MaxKind),
		".findings[].severity":         "enum",
		".findings[].message":          length(v1alpha1.MaxMessage),
		".findings[].container":        length(v1alpha1.MaxName),
		".findings[].object.kind":      length(v1alpha1.MaxKind),
		".findings[].object.name":      length(v1alpha1.MaxName),
		".findings[].path":             length(v1alpha1.MaxPath),
		".findings[].seenIn":           "enum",
		".findings[].since":            "date-time",
		".exemptions[]":                items(v1alpha1.MaxExemptions),
		".exemptions[].check":          length(v1alpha1.MaxKind),
		".exemptions[].severity":       "enum",
		".exemptions[].message":        length(v1alpha1.MaxMessage),
		".exemptions[].container":      length(v1alpha1.MaxName),
		".exemptions[].object.kind":    length(v1alpha1.MaxKind),
		".exemptions[].object.name":    length(v1alpha1.MaxName),
		".exemptions[].path":           length(v1alpha1.MaxPath),
		".exemptions[].exceptionKind":  "enum",
		".exemptions[].exception":      length(v1alpha1.MaxName),
		".exemptions[].reason":         length(v1alpha1.MaxMessage),
		".exemptions[].expirationTime": "date-time",
		".skips[]":                     items(v1alpha1.MaxSkips),
		".skips[].check":               length(v1alpha1.MaxKind),
		".skips[].reason":              "enum",
		".skips[].message":             length(v1alpha1.MaxMessage),
	}
	namespaced, cluster := maps.Clone(both), maps.Clone(both)
	for _, field := range []string{".workloads.worst", ".network.ingress", ".network.egress", ".network.metadataEndpoint", ".network.enforcement"} {
		namespaced[field] = "enum"
	}
	maps.Copy(cluster, map[string]string{
		".sources[]":                         items(v1alpha1.MaxSources),
		".sources[].resource":                length(v1alpha1.MaxAPIVersion),
		".sources[].state":                   "enum",
		".sources[].message":                 length(v1alpha1.MaxMessage),
		".compliance[]":                      items(v1alpha1.MaxFrameworks),
		".compliance[].framework":            length(v1alpha1.MaxKind),
		".compliance[].title":                length(v1alpha1.MaxName),
		".compliance[].notAssessed[]":        items(v1alpha1.MaxControls),
		".compliance[].notAssessed[].reason": length(v1alpha1.MaxMessage),
		".version":                           length(v1alpha1.MaxKind),
	})
	for _, list := range []string{"passed[]", "failed[]", "exempted[]", "notAssessed[].controls[]"} {
		cluster[".compliance[]."+list] = items(v1alpha1.MaxControls) + ", " + length(v1alpha1.MaxKind)
	}
	got := make(map[string]map[string]string)
	for kind, s := range crds(t) {
		if !strings.HasSuffix(kind, "Report") {
			continue // people write them, and the API server answers
		}
		got[kind] = make(map[string]string)
		s.bounds("", got[kind])
	}
	image := map[string]string{
		".apiVersion":                         "without maxLength",
		".kind":                               "without maxLength",
		".image.name":                         length(v1alpha1.MaxImageName),
		".image.digest":                       length(v1alpha1.MaxDigest),
		".image.indexDigests[]":               items(v1alpha1.MaxImageReferences) + ", " + length(v1alpha1.MaxDigest),
		".image.configDigest":                 length(v1alpha1.MaxDigest),
		".image.platform":                     length(v1alpha1.MaxName),
		".image.created":                      "date-time",
		".image.user":                         length(v1alpha1.MaxName),
		".image.distribution.id":              length(v1alpha1.MaxKind),
		".image.distribution.version":         length(v1alpha1.MaxKind),
		".image.distribution.name":            length(v1alpha1.MaxName),
		".image.distribution.endOfLife":       "date-time",
		".image.shells[]":                     items(v1alpha1.MaxShells) + ", " + length(v1alpha1.MaxName),
		".image.packages[]":                   items(v1alpha1.MaxEcosystems),
		".image.packages[].ecosystem":         length(v1alpha1.MaxName),
		".state":                              "enum",
		".reason":                             "enum",
		".message":                            length(v1alpha1.MaxMessage),
		".vulnerabilities[]":                  items(v1alpha1.MaxVulnerabilities),
		".vulnerabilities[].id":               length(v1alpha1.MaxKind),
		".vulnerabilities[].aliases[]":        items(v1alpha1.MaxAliases) + ", " + length(v1alpha1.MaxKind),
		".vulnerabilities[].severity":         "enum",
		".vulnerabilities[].package":          length(v1alpha1.MaxName),
		".vulnerabilities[].ecosystem":        length(v1alpha1.MaxName),
		".vulnerabilities[].installedVersion": length(v1alpha1.MaxName),
		".vulnerabilities[].fixedVersion":     length(v1alpha1.MaxName),
		".vulnerabilities[].cvss.score":       length(v1alpha1.MaxScore),
		".vulnerabilities[].cvss.vector":      length(v1alpha1.MaxImageName),
		".vulnerabilities[].path":             length(v1alpha1.MaxPath),
		".unmatchedEcosystems[]":              items(v1alpha1.MaxEcosystems) + ", " + length(v1alpha1.MaxName),
		".database.version":                   length(v1alpha1.MaxDigest),
		".database.modified":                  "date-time",
		".signature.state":                    "enum",
		".signature.signer":                   length(v1alpha1.MaxImageName),
		".signature.message":                  length(v1alpha1.MaxMessage),
		".references[]":                       items(v1alpha1.MaxImageReferences),
		".references[].name":                  length(v1alpha1.MaxImageName),
		".references[].currentDigest":         length(v1alpha1.MaxDigest),
		".references[].newestTag":             length(v1alpha1.MaxTag),
	}
	want := map[string]map[string]string{"SecurityReport": namespaced, "ClusterSecurityReport": cluster, "ImageReport": image}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bounds (-constants +schema):\n%s", diff)
	}
}

// crds returns the schemas of our custom resources by kind, as they are generated.
func crds(t testing.TB) map[string]*schema {
	t.Helper()
	files, err := filepath.Glob("../../config/crd/bases/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	schemas := make(map[string]*schema)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd struct {
			Spec struct {
				Names    struct{ Kind string }
				Versions []struct {
					Name   string
					Schema struct {
						OpenAPIV3Schema schema `json:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := yaml.Unmarshal(content, &crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(crd.Spec.Versions) != 1 || crd.Spec.Versions[0].Name != v1alpha1.GroupVersion.Version {
			t.Fatalf("%s: versions %v", file, crd.Spec.Versions)
		}
		schemas[crd.Spec.Names.Kind] = &crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	}
	return schemas
}
