// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output_test

import (
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/kubersafe/kubersafe/internal/output"
)

// TestSARIFIsValid: by the schema of the standard, which is in testdata as OASIS publishes it.
func TestSARIFIsValid(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]*output.Audit{"a sample": sample(), "nothing": {}, "reports of a cluster": many(3)} {
		t.Run(name, func(t *testing.T) {
			text := printed(t, "sarif", a)
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(value); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
}
