// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
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

// log is the part of SARIF that is looked at here.
type log struct {
	Runs []struct {
		Tool struct {
			Driver struct {
				Rules []struct {
					ID                    string
					FullDescription, Help struct{ Text string }
					Properties            map[string]any
				}
			}
		}
		Results []struct {
			Message   struct{ Text string }
			Locations []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI, URIBaseID string }
				}
			}
			PartialFingerprints map[string]string
		}
		Invocations []struct {
			ToolExecutionNotifications []struct{ Message struct{ Text string } }
		}
	}
}

func sarifOf(t *testing.T, a *output.Audit) (l log) {
	t.Helper()
	if err := json.Unmarshal([]byte(printed(t, "sarif", a)), &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestSARIFGradesRulesByTheirCheck: code scanning grades by the rule, and that must be the same whatever is found.
func TestSARIFGradesRulesByTheirCheck(t *testing.T) {
	a := sample()
	for i := range a.Reports[0].Findings {
		a.Reports[0].Findings[i].Severity = v1alpha1.SeverityLow
	}
	got := make(map[string]any)
	for _, r := range sarifOf(t, a).Runs[0].Tool.Driver.Rules {
		got[r.ID] = r.Properties["security-severity"]
		if r.FullDescription.Text == "" || r.Help.Text == "" {
			t.Errorf("rule %s has no description or help", r.ID)
		}
	}
	want := map[string]any{"privileged": "9.5", "untagged": "5.5", "host-port": "8.0", "quota": "2.0", "mine": "2.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSARIFMessagesHoldNoPlaceholders(t *testing.T) {
	a := many(1)
	a.Reports[0].Findings[0].Message = `"{0}" must not be [a link](https://example.com) to C:\`
	if got, want := sarifOf(t, a).Runs[0].Results[0].Message.Text, `"{{0}}" must not be \[a link\](https://example.com) to C:\\`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestSARIFSaysWhereFilesAre(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a b")
	if err := os.MkdirAll(filepath.Join(root, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(root, "sub"))
	for file, want := range map[string][2]string{
		"x.yaml": {"x.yaml", "%SRCROOT%"}, "./d/x y.yaml": {"d/x%20y.yaml", "%SRCROOT%"}, "d/../..x.yaml": {"..x.yaml", "%SRCROOT%"},
		"/d/x y.yaml": {"file:///d/x%20y.yaml", ""}, "../x.yaml": {"file://" + (&url.URL{Path: root}).EscapedPath() + "/x.yaml", ""}, "": {},
	} {
		a := many(1)
		a.Place = func(*v1alpha1.SecurityReport, *v1alpha1.ObjectReference, string) (output.Place, bool) {
			return output.Place{File: file, Line: 1}, true
		}
		if got := sarifOf(t, a).Runs[0].Results[0].Locations[0].PhysicalLocation.ArtifactLocation; got.URI != want[0] || got.URIBaseID != want[1] {
			t.Errorf("%s is at %+v, want %v", file, got, want)
		}
	}
}

// TestSARIFTellsSkipsOnce: thousands of subjects for which a check could not look are one notification.
func TestSARIFTellsSkipsOnce(t *testing.T) {
	a := many(3)
	for i, r := range a.Reports {
		r.Skips = []v1alpha1.Skip{{Check: "c", Reason: v1alpha1.SkipSourceForbidden, Message: "nodes are forbidden"}}
		if i > 0 {
			r.Skips = append(r.Skips, v1alpha1.Skip{Check: "d", Reason: v1alpha1.SkipDataMissing, Message: "none"})
		}
	}
	var got []string
	for _, n := range sarifOf(t, a).Runs[0].Invocations[0].ToolExecutionNotifications {
		got = append(got, n.Message.Text)
	}
	want := []string{"skipped on 3 subjects (SourceForbidden): nodes are forbidden", "skipped on 2 subjects (DataMissing): none"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSARIFWarning(t *testing.T) {
	if text := output.SARIFWarning(many(25_000 / 4)); text != "" {
		t.Error(text)
	}
	if text, want := output.SARIFWarning(many(25_000/4+1)), "these are 25004 results: code scanning on GitHub takes no more than 25000 in a file"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
}

// TestSubjectsOfTwoGroupsAreTwo: where a kind is that of another group, fingerprints and suites tell.
func TestSubjectsOfTwoGroupsAreTwo(t *testing.T) {
	a := many(2)
	a.Reports[1].Namespace, a.Reports[1].Subject = a.Reports[0].Namespace, a.Reports[0].Subject
	a.Reports[1].Subject.APIVersion = "example.com/v1"
	results := sarifOf(t, a).Runs[0].Results
	if first, second := results[0].PartialFingerprints, results[4].PartialFingerprints; first["kubersafe/v1"] == second["kubersafe/v1"] {
		t.Errorf("the same fingerprints: %v", first)
	}
	text := printed(t, "junit", a)
	for _, want := range []string{`<testsuite name="team-00000/Deployment/d-00000"`, `<testsuite name="team-00000/Deployment.example.com/d-00000"`} {
		if strings.Count(text, want) != 1 {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	a.Reports[1].Subject.APIVersion = "apps/v2" // another version is no other subject
	results = sarifOf(t, a).Runs[0].Results
	if diff := cmp.Diff(results[0].PartialFingerprints, results[4].PartialFingerprints); diff != "" {
		t.Errorf("(-v1 +v2):\n%s", diff)
	}
}

// TestJUnitLosesNothing: of a check that finds something, and cannot look at all, or is exempted in part.
func TestJUnitLosesNothing(t *testing.T) {
	a := many(1)
	a.Reports[0].Exemptions = []v1alpha1.Exemption{{Check: "check-0", ExceptionKind: v1alpha1.KindSecurityException, Exception: "e", Reason: "because"}}
	a.Reports[0].Skips = []v1alpha1.Skip{{Check: "check-0", Reason: v1alpha1.SkipSourceForbidden, Message: "nodes are forbidden"}}
	text := printed(t, "junit", a)
	for _, want := range []string{`skipped="0"`, "exempted by SecurityException/e: because&#xA;SourceForbidden: nodes are forbidden&#xA;</failure>"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	a.Reports[0].Findings = nil
	if want := `<skipped message="exempted by SecurityException/e: because; SourceForbidden: nodes are forbidden">`; !strings.Contains(printed(t, "junit", a), want) {
		t.Errorf("no %s", want)
	}
}
