// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/manifest"
	"github.com/kubersafe/kubersafe/test/fixtures"
)

type sarifOutput struct {
	Runs []struct {
		Results []struct {
			RuleID    string
			Level     string
			Locations []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI string }
					Region           struct{ StartLine int }
				}
			}
			PartialFingerprints map[string]string
		}
	}
}

// sarifOf audits manifests in files of a folder.
func sarifOf(t *testing.T, files map[string]string) sarifOutput {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr := execute("", "audit", "-f", ".", "-o", "sarif", "--fail-on=never")
	var log sarifOutput
	if err := json.Unmarshal([]byte(stdout), &log); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v\n%s", code, err, stderr)
	}
	return log
}

func TestAuditTellsWhereFindingsStand(t *testing.T) {
	const list = "# Both of them.\napiVersion: v1\nkind: List\nitems:\n- kind: Pod\n  apiVersion: v1\n  metadata: {name: a, namespace: one}\n  spec:\n    containers:\n" +
		"    - name: x\n      image: example.com/x:1\n    # why\n    hostPID: true\n"
	log := sarifOf(t, map[string]string{
		"a dir/list.yaml": list,
		"web.yaml":        "# Two documents.\n---" + privileged + "---\n" + clean,
		"more.json":       "{\"kind\": \"Pod\", \"apiVersion\": \"v1\",\n\"metadata\": {\"name\": \"j\", \"namespace\": \"one\"},\n\"spec\": {\"hostIPC\":\n true, \"containers\": []}}",
	})
	got := make(map[string]string)
	for _, r := range log.Runs[0].Results {
		p := r.Locations[0].PhysicalLocation
		got[r.RuleID] += fmt.Sprintf(" %s:%d", p.ArtifactLocation.URI, p.Region.StartLine)
	}
	for check, want := range map[string]string{
		"privileged-container":    " web.yaml:12",
		"host-pid":                " a%20dir/list.yaml:13",
		"host-ipc":                " more.json:3",
		"no-default-deny-ingress": " a%20dir/list.yaml:5 web.yaml:3", // namespaces that no manifest describes
	} {
		if got[check] != want {
			t.Errorf("%s at%s, want%s", check, got[check], want)
		}
	}
}

// TestPlacesInListsAreFoundOnce: reports go from namespace to namespace, and each may have something in every file.
func TestPlacesInListsAreFoundOnce(t *testing.T) {
	const objects = 200
	t.Chdir(t.TempDir())
	var reports []*v1alpha1.SecurityReport
	for _, file := range []string{"a", "b"} {
		list := "apiVersion: v1\nkind: List\nitems:\n"
		for i := range objects {
			namespace := fmt.Sprint("ns-", i)
			list += fmt.Sprintf("- {apiVersion: v1, kind: Pod, metadata: {name: %s, namespace: %s}, spec: {hostPID: true}}\n", file, namespace)
			r := &v1alpha1.SecurityReport{Subject: v1alpha1.Subject{APIVersion: "v1", Kind: "Pod", Name: file}}
			r.Namespace = namespace
			reports = append(reports, r)
		}
		if err := os.WriteFile(file+".yaml", []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortStableFunc(reports, func(a, b *v1alpha1.SecurityReport) int { return strings.Compare(a.Namespace, b.Namespace) })
	input := manifest.Load([]string{"."}, nil)
	p := newPlaces(input, input.Objects())
	all := func() {
		for _, r := range reports {
			if _, ok := p.of(r, nil, "spec.hostPID"); !ok {
				t.Fatalf("%s/%s is nowhere", r.Namespace, r.Subject.Name)
			}
		}
	}
	// To read a list again takes a thousand allocations and more.
	if n := testing.AllocsPerRun(1, all); n > 100*float64(len(reports)) {
		t.Errorf("%g allocations for %d places", n, len(reports))
	}
}

// TestPlacesForgetSingleObjects: thousands of files with an object each are not all kept.
func TestPlacesForgetSingleObjects(t *testing.T) {
	pod := func(name string) string { return "{apiVersion: v1, kind: Pod, metadata: {name: " + name + "}}" }
	text := strings.Join([]string{pod("a"), pod("b"), pod("c"), "{apiVersion: v1, kind: List, items: [" + pod("d") + ", " + pod("e") + "]}"}, "\n---\n")
	input := manifest.Load([]string{"-"}, strings.NewReader(text))
	p := newPlaces(input, input.Objects())
	for _, document := range []int{0, 3, 1, 3, 2} {
		p.linesOf(document)
	}
	if len(p.lines) != 2 || p.lines[3] == nil || p.lines[2] == nil {
		t.Errorf("lines of %d documents are kept, want those of the list and of the last", len(p.lines))
	}
}

// TestSARIFGradesRulesAsConfigured: by the configuration in general, and not by what is found in one namespace.
func TestSARIFGradesRulesAsConfigured(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	const config = `{apiVersion: audit.kubersafe.io/v1alpha1, kind: AuditConfiguration, metadata: {name: default}, spec: {checks: [
		{names: [privileged-container], severity: Low}, {names: [no-default-deny-ingress], severity: Low, namespaces: {names: [shop]}}]}}`
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stdout, stderr := execute(privileged, "audit", "-f", "-", "--config", path, "-o", "sarif")
	for _, check := range []struct{ id, severity string }{{"privileged-container", "2.0"}, {"no-default-deny-ingress", "8.0"}} {
		_, rule, _ := strings.Cut(stdout, `{"id":"`+check.id+`"`)
		_, rule, _ = strings.Cut(rule, `"security-severity":"`)
		if severity, _, _ := strings.Cut(rule, `"`); severity != check.severity {
			t.Errorf("%s is graded %q, want %s\n%s", check.id, severity, check.severity, stderr)
		}
	}
}

// TestAuditWarnsOfStandardInput: once, and only where a format has files.
func TestAuditWarnsOfStandardInput(t *testing.T) {
	for format, want := range map[string]int{"sarif": 1, "junit": 1, "html": 0, "json": 0} {
		_, _, stderr := execute(privileged, "audit", "-f", "-", "-o", format)
		if n := strings.Count(stderr, "Warning: what is read from standard input is in no file"); n != want {
			t.Errorf("%s: %d warnings, want %d\n%s", format, n, want, stderr)
		}
	}
}

// TestFingerprintsFollowFindings: wherever its manifest comes to stand, a finding is the same, and no two have the same.
func TestFingerprintsFollowFindings(t *testing.T) {
	fingerprints := func(files map[string]string) (all []string, lines int) {
		for _, r := range sarifOf(t, files).Runs[0].Results {
			all = append(all, r.RuleID+" "+r.PartialFingerprints["primaryLocationLineHash"])
			lines += r.Locations[0].PhysicalLocation.Region.StartLine
		}
		return all, lines
	}
	before, at := fingerprints(map[string]string{"web.yaml": privileged})
	after, further := fingerprints(map[string]string{"other.yaml": "# One\n# more.\n" + strings.Replace(privileged, "spec:\n", "# That is how.\nspec:\n", 1)})
	if diff := gocmp.Diff(before, after); diff != "" || further <= at {
		t.Errorf("lines %d and %d; fingerprints differ (-before +after):\n%s", at, further, diff)
	}
	if slices.Sort(before); len(slices.Compact(slices.Clone(before))) != len(before) {
		t.Errorf("the same fingerprint twice: %q", before)
	}
}

// TestJUnitNamesWhatHasPassed: the fixtures have every check fail, pass and skip.
func TestJUnitNamesWhatHasPassed(t *testing.T) {
	all, err := fixtures.Load()
	if err != nil {
		t.Fatal(err)
	}
	var input strings.Builder
	for i, f := range all {
		for j, c := range f.Cases {
			objects, err := c.Objects(fmt.Sprintf("ns-%d-%d", i, j))
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range objects {
				if err := json.NewEncoder(&input).Encode(o); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	_, stdout, _ := execute(input.String(), "audit", "-f", "-", "-o", "junit")
	var suites struct {
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name    string    `xml:"name,attr"`
				Failure *struct{} `xml:"failure"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(stdout), &suites); err != nil {
		t.Fatal(err)
	}
	_, stdout, _ = execute(input.String(), "audit", "-f", "-", "-o", "json")
	var list v1alpha1.SecurityReportList
	if err := json.Unmarshal([]byte(stdout), &list); err != nil {
		t.Fatal(err)
	}
	if len(suites.Suites) != len(list.Items) || len(list.Items) < len(all) {
		t.Fatalf("%d suites of %d reports", len(suites.Suites), len(list.Items))
	}
	for i, s := range suites.Suites {
		names, passed, skipped := make(map[string]bool), 0, 0
		for _, c := range s.Cases {
			names[c.Name] = true
			if c.Skipped != nil {
				skipped++
			} else if c.Failure == nil {
				passed++
			}
		}
		if want := list.Items[i].Summary; len(names) != len(s.Cases) || passed != int(want.Passed) || skipped != int(want.Skipped) {
			t.Errorf("%s: %d tests of %d names, %d passed and %d skipped; want %+v", s.Name, len(s.Cases), len(names), passed, skipped, want)
		}
	}
}
