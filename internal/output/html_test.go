// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/output"
)

// parse returns the elements of a page, as a browser takes it.
func parse(t *testing.T, text string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(func(yield func(*html.Node) bool) {
		for n := range root.Descendants() {
			if n.Type != html.TextNode && !yield(n) {
				return
			}
		}
	})
}

func attribute(n *html.Node, name string) (value string, ok bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// textOf returns the text in an element.
func textOf(n *html.Node) string {
	var text strings.Builder
	for n := range n.Descendants() {
		if n.Type == html.TextNode {
			text.WriteString(n.Data)
		}
	}
	return text.String()
}

func elements(nodes []*html.Node, name string) []*html.Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n *html.Node) bool { return n.Type != html.ElementNode || n.Data != name })
}

// hostileAudit has a hostile text wherever there can be any text.
func hostileAudit() *output.Audit {
	object := &v1alpha1.ObjectReference{Kind: hostile, Name: hostile}
	value, _ := json.Marshal(hostile)
	return &output.Audit{
		Reports: []*v1alpha1.SecurityReport{{
			ObjectMeta: metav1.ObjectMeta{Namespace: hostile, Name: hostile},
			Subject:    v1alpha1.Subject{APIVersion: hostile, Kind: hostile, Name: hostile},
			Summary:    v1alpha1.Summary{Worst: hostile, High: 3, WorstCheck: hostile},
			Findings: []v1alpha1.Finding{
				{Check: hostile, Severity: v1alpha1.SeverityHigh, Message: hostile, Container: hostile, Path: hostile, Object: object, SuggestedValue: &v1alpha1.Value{Raw: value}},
				{Check: "known", Severity: v1alpha1.SeverityHigh, Message: hostile, Path: hostile},
				{Check: "known", Severity: hostile, Message: hostile, Path: hostile},
			},
			Exemptions: []v1alpha1.Exemption{{Check: hostile, Severity: hostile, Message: hostile, Object: object, Path: hostile, ExceptionKind: hostile, Exception: hostile, Reason: hostile}},
			Skips:      []v1alpha1.Skip{{Check: hostile, Reason: hostile, Message: hostile}},
		}},
		Check: func(id string) *audit.Check {
			if id != "known" {
				return nil
			}
			return &audit.Check{
				ID: hostile, Title: hostile, Severity: hostile, Category: hostile, Rationale: hostile, Remediation: hostile, Before: hostile, After: hostile,
				Controls: []audit.Control{{Framework: hostile, ID: hostile}}, References: []string{"javascript:" + hostile},
			}
		},
		Place: func(*v1alpha1.SecurityReport, *v1alpha1.ObjectReference, string) (output.Place, bool) {
			return output.Place{File: hostile, Line: 1}, true
		},
		Compliance: []v1alpha1.FrameworkCompliance{{
			Framework: hostile, Title: hostile, Failed: []string{hostile}, NotAssessed: []v1alpha1.NotAssessed{{Reason: hostile, Controls: []string{hostile}}},
		}},
		Of: hostile, Version: hostile,
	}
}

// TestHTMLLetsNothingOut: whatever is in reports, it is text, and the page loads nothing.
func TestHTMLLetsNothingOut(t *testing.T) {
	ours := parse(t, printed(t, "html", sample()))
	text := printed(t, "html", hostileAudit())
	nodes := parse(t, text)
	known := make(map[string]bool) // elements with their attributes
	shape := func(n *html.Node) string {
		s := fmt.Sprintf("%d <%s", n.Type, n.Data)
		if n.Type == html.ElementNode {
			for _, a := range n.Attr {
				s += " " + a.Key
			}
		}
		return s
	}
	for _, n := range ours {
		known[shape(n)] = true
	}
	for _, n := range nodes {
		if n.Type == html.CommentNode || n.Type == html.ElementNode && !known[shape(n)] {
			t.Errorf("a page with hostile texts has %s>", shape(n))
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "src" || a.Key == "style" || strings.HasPrefix(a.Key, "on"):
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			case a.Key == "href" && !strings.HasPrefix(a.Val, "#"):
				t.Errorf("<%s %s=%q> leads out of the page", n.Data, a.Key, a.Val)
			}
		}
	}
	scripts, styles := elements(nodes, "script"), elements(nodes, "style")
	if len(scripts) != 1 || len(styles) != 1 {
		t.Fatalf("%d scripts and %d styles", len(scripts), len(styles))
	}
	policy := ""
	for _, n := range elements(nodes, "meta") {
		if v, _ := attribute(n, "http-equiv"); v == "Content-Security-Policy" {
			policy, _ = attribute(n, "content")
		}
	}
	hash := func(n *html.Node) string {
		sum := sha256.Sum256([]byte(textOf(n)))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	want := "default-src 'none'; style-src " + hash(styles[0]) + "; script-src " + hash(scripts[0]) + "; base-uri 'none'; form-action 'none'"
	if policy != want {
		t.Errorf("policy %q, want %q", policy, want)
	}
	if ids := regexp.MustCompile(`url\(|@import|https?:`).FindString(textOf(styles[0]) + textOf(scripts[0])); ids != "" {
		t.Errorf("style or script has %q", ids)
	}
	// It is all there, as text.
	if n := strings.Count(textOf(elements(nodes, "main")[0]), hostile); n < 30 {
		t.Errorf("hostile texts are shown %d times", n)
	}
	if _, body, _ := strings.Cut(text, "</style>"); strings.Contains(body, "<img") {
		t.Error("an image in the page")
	}
}

var numberOfFindings = regexp.MustCompile(`([0-9]+) (?:findings? that are counted|more that are counted)`)

// TestHTMLCountsWhatItDoesNotList: of more than a browser takes, the worst are listed and all are counted.
func TestHTMLCountsWhatItDoesNotList(t *testing.T) {
	a := many(4000)
	a.Reports[0].Summary.Low += 7 // that the report does not list
	nodes := parse(t, printed(t, "html", a))
	listed := make(map[string]int)
	for _, n := range elements(nodes, "li") {
		if severity, ok := attribute(n, "data-severity"); ok {
			listed[severity]++
		}
	}
	if listed["critical"] != 4000 || listed["high"] != 1000 || len(listed) != 2 {
		t.Errorf("listed %v, want the worst 5000", listed)
	}
	counted := 0
	for _, n := range elements(nodes, "p") {
		for _, m := range numberOfFindings.FindAllStringSubmatch(textOf(n), -1) {
			number, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			counted += number
		}
	}
	if counted != 16_007-5000 {
		t.Errorf("%d are said not to be listed, want %d", counted, 16_007-5000)
	}
	for _, want := range []string{"4000critical", "4000high", "4000medium", "4007low"} {
		if !slices.ContainsFunc(elements(nodes, "li"), func(n *html.Node) bool { return strings.ReplaceAll(textOf(n), " ", "") == want }) {
			t.Errorf("no tile says %q", want)
		}
	}
}

func TestHTMLOfNothing(t *testing.T) {
	text := printed(t, "html", &output.Audit{Of: "manifests"})
	if !strings.Contains(text, "Nothing was found.") || strings.Contains(text, "NaN") {
		t.Error(text)
	}
}

// TestHTMLInChromium: the script runs under the page's own policy, filters, and lets no hostile text run.
func TestHTMLInChromium(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("chromium is not installed: what the page does in a browser is not tested")
	}
	open := func(t *testing.T, a *output.Audit, hash string) []*html.Node {
		t.Helper()
		path := filepath.Join(t.TempDir(), "page.html")
		if err := os.WriteFile(path, []byte(printed(t, "html", a)), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), chromium, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
			"--user-data-dir="+t.TempDir(), "--dump-dom", "file://"+path+hash)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, stderr.String())
		}
		for line := range strings.Lines(stderr.String()) {
			if strings.Contains(line, ":CONSOLE") { // the policy refused something, or the script failed
				t.Error(line)
			}
		}
		return parse(t, stdout.String())
	}
	shown := func(nodes []*html.Node) (checks []string) {
		for _, n := range elements(nodes, "li") {
			check, isFinding := attribute(n, "data-check")
			if _, hidden := attribute(n, "hidden"); isFinding && !hidden {
				checks = append(checks, check)
			}
		}
		return checks
	}
	for name, tc := range map[string]struct {
		hash   string
		want   []string
		status string
	}{
		"everything":             {"", []string{"privileged", "untagged", "untagged", "mine"}, "4 of 4 listed findings"},
		"one severity":           {"#severity=medium", []string{"untagged", "untagged"}, "2 of 4 listed findings"},
		"a check":                {"#check=mine", []string{"mine"}, "1 of 4 listed findings"},
		"a framework":            {"#framework=nsa", []string{"privileged"}, "1 of 4 listed findings"},
		"a namespace":            {"#namespace=shop&severity=low", []string{"mine"}, "1 of 4 listed findings"},
		"nothing that is listed": {"#severity=high", nil, "0 of 4 listed findings"},
		"a part of the page":     {"#check-mine", []string{"privileged", "untagged", "untagged", "mine"}, "4 of 4 listed findings"},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := open(t, sample(), tc.hash)
			if got := shown(nodes); !slices.Equal(got, tc.want) {
				t.Errorf("shows %q, want %q", got, tc.want)
			}
			if got := textOf(elements(nodes, "output")[0]); got != tc.status {
				t.Errorf("says %q, want %q", got, tc.status)
			}
		})
	}
	t.Run("hostile texts", func(t *testing.T) {
		nodes := open(t, hostileAudit(), "")
		if n := len(elements(nodes, "script")) + len(elements(nodes, "img")); n != 1 {
			t.Errorf("%d scripts and images", n)
		}
		if got := shown(nodes); len(got) != 2 { // one has a severity that there is not
			t.Errorf("shows %q", got)
		}
	})
	t.Run("a page as large as they get", func(t *testing.T) {
		if got := shown(open(t, many(4000), "#severity=high")); len(got) != 1000 {
			t.Errorf("shows %d findings", len(got))
		}
	})
}
