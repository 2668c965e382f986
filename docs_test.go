// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"testing"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/configuration"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestExamplesInDocs: what the pages show of our own kinds is complete and valid.
func TestExamplesInDocs(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for _, page := range []string{"docs/configuration.md", "docs/exceptions.md", "docs/custom-checks.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlock.FindAllSubmatch(text, -1) {
			var kind struct{ Kind string }
			if err := yaml.Unmarshal(block[1], &kind); err != nil {
				t.Fatal(err)
			}
			seen[kind.Kind]++
			strict := func(o any) {
				encoded, err := yaml.YAMLToJSONStrict(block[1])
				if err != nil {
					t.Fatal(err)
				}
				if unknown, err := kjson.UnmarshalStrict(encoded, o); err != nil || len(unknown) > 0 {
					t.Errorf("%s: %v %v in\n%s", page, unknown, err, block[1])
				}
			}
			var exception *audit.ExceptionRecord
			switch kind.Kind {
			case "AuditConfiguration":
				var c v1alpha1.AuditConfiguration
				strict(&c)
				if problems := configuration.New(set.Checks(), &c.Spec, nil).Problems; len(problems) > 0 {
					t.Errorf("%s: %v", page, problems)
				}
			case "SecurityException":
				var e v1alpha1.SecurityException
				strict(&e)
				exception = audit.ExceptionFrom(&e)
			case "ClusterSecurityException":
				var e v1alpha1.ClusterSecurityException
				strict(&e)
				exception = audit.ClusterExceptionFrom(&e)
			}
			if exception == nil {
				continue
			}
			for _, id := range exception.Checks {
				if set.Check(id) == nil {
					t.Errorf("%s: no check is called %q", page, id)
				}
			}
			if len(exception.Problems) > 0 || exception.Expires == nil {
				t.Errorf("%s: %q, ends at %v", page, exception.Problems, exception.Expires)
			}
		}
	}
	if seen["AuditConfiguration"] == 0 || seen["SecurityException"] == 0 || seen["ClusterSecurityException"] == 0 {
		t.Errorf("examples of %v", seen)
	}
}
