// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package fix_test

import (
	"testing"

	"github.com/kubersafe/kubersafe/internal/fix"
)

func TestLines(t *testing.T) {
	const document = `kind: Pod
metadata:
  labels: {a.b/c: d,
    e: f}
spec:
  hostPID:
    true
  containers:
  - name: one
    securityContext: &context
      privileged: true
  # two
  - securityContext:
      <<: *context
      runAsUser: 0
    name: two
  - {name: three, securityContext: *context}
`
	for name, tc := range map[string]struct {
		document string
		object   []any
		path     string
		want     int
	}{
		"a field":                                           {document, nil, "metadata.labels", 3},
		"a field with dots":                                 {document, nil, "metadata.labels[a.b/c]", 3},
		"a field in the next line":                          {document, nil, "metadata.labels[e]", 4},
		"a field whose value is below it":                   {document, nil, "spec.hostPID", 6},
		"a field of an entry":                               {document, nil, "spec.containers[name=one].securityContext.privileged", 11},
		"an entry by its number":                            {document, nil, "spec.containers[0]", 9},
		"an entry by its last field":                        {document, nil, "spec.containers[name=two]", 13},
		"a field that is merged":                            {document, nil, "spec.containers[name=two].securityContext.privileged", 11},
		"a field that is shared":                            {document, nil, "spec.containers[name=three].securityContext.privileged", 11},
		"a field that is not there":                         {document, nil, "spec.containers[name=two].resources.limits.cpu", 13},
		"a field of a field that is not there, and then is": {document, nil, "spec.nope.containers", 5},
		"an entry that is not there":                        {document, nil, "spec.containers[name=four].image", 8},
		"a field that is not there at all":                  {document, nil, "status", 1},
		"a path that is cut":                                {document, nil, "spec.hostPID~0123456789", 6},
		"an object of a list":                               {"items:\n-\n  kind: Pod\n  spec:\n    hostPID: true\n", []any{"items", 0}, "spec.hostPID", 5},
		"an object of a list alone":                         {"items:\n-\n  kind: Pod\n", []any{"items", 0}, "spec", 3},
		"JSON":                                              {"{\n \"spec\": {\n  \"a\\/b\": 1,\n  \"hostPID\": true}}", nil, "spec.hostPID", 4},
		"what is no document":                               {"a: [", nil, "a", 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fix.LinesOf([]byte(tc.document)).Line(tc.object, tc.path); got != tc.want {
				t.Errorf("line %d, want %d", got, tc.want)
			}
		})
	}
}
