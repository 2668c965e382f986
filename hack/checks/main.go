// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Command checks writes the pages that are generated, docs/checks.md, docs/compliance.md, docs/dashboards.md and
// docs/metrics.md, and the dashboards in config/components/grafana, or, with -new, the two files that a new check consists of.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
	"unicode"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/catalog"
	"github.com/kubersafe/kubersafe/internal/dashboard"
	"github.com/kubersafe/kubersafe/internal/metrics"
)

func main() {
	file := flag.String("new", "", "name of a new check's file, <subject>_<property>, such as pod_host_aliases")
	id := flag.String("id", "", "id of the new check, such as host-aliases; by default the file's name without its subject")
	flag.Parse()
	if err := run(*file, *id); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(file, id string) error {
	if file != "" {
		return newCheck(file, id)
	}
	set, err := checks.Default()
	if err != nil {
		return err
	}
	files := map[string]string{
		"docs/checks.md": catalog.Markdown(set), "docs/compliance.md": catalog.ComplianceMarkdown(set), "docs/metrics.md": metrics.Markdown(),
		"docs/dashboards.md": dashboard.Markdown(),
	}
	for _, d := range dashboard.All() {
		encoded, err := d.JSON()
		if err != nil {
			return fmt.Errorf("dashboard %s: %w", d.UID, err)
		}
		files["config/components/grafana/"+d.UID+".json"] = string(encoded)
	}
	for path, content := range files {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil { //nolint:gosec // G306: a page of the docs or a dashboard
			return err
		}
	}
	return nil
}

var validFile = regexp.MustCompile(`^(pod|image|namespace|quota|network|service|ingress|rbac|node|control_plane|admission)_[a-z0-9]+(_[a-z0-9]+)*$`)

// newCheck writes a check that finds nothing and a fixture without cases: they compile, and the tests fail until both are
// filled in. It writes both or, if anything is wrong, nothing.
func newCheck(file, id string) error {
	if !validFile.MatchString(file) {
		return fmt.Errorf("%q is not <subject>_<property> with a subject of pod, image, namespace, quota, network, service, ingress, rbac, node, control_plane, admission", file)
	}
	subject, property, _ := strings.Cut(file, "_")
	if rest, ok := strings.CutPrefix(file, "control_plane_"); ok {
		subject, property = "control_plane", rest
	}
	if subject == "rbac" {
		property = file // its ids say what they are about
	}
	if id == "" {
		id = strings.ReplaceAll(property, "_", "-")
	}
	values := map[string]string{"ID": id, "Func": camel(id), "Kind": "Namespace", "Argument": "ns *audit.Namespace"}
	if err := audit.ValidateID(id); err != nil {
		return fmt.Errorf("%q: %w", id, err)
	}
	switch subject {
	case "pod":
		values["Kind"], values["Argument"] = "Pod", "pod *audit.Pod"
	case "image":
		values["Kind"], values["Argument"] = "Image", "image audit.Image"
	case "rbac":
		values["Kind"], values["Argument"] = "Role", "role *audit.Role"
	case "node":
		values["Kind"], values["Argument"] = "Node", "n *audit.Node"
	case "control_plane":
		values["Kind"], values["Argument"] = "ControlPlane", "c *audit.Cluster"
	case "admission":
		values["Kind"], values["Argument"] = "Admission", "c *audit.Cluster"
	}
	files := []struct {
		path     string
		template *template.Template
	}{
		{filepath.Join("internal/audit/checks", file+".go"), goTemplate},
		{filepath.Join("test/fixtures", id+".yaml"), fixtureTemplate},
	}
	for _, f := range files { // the fixture is there if the id is taken
		if _, err := os.Lstat(f.path); err == nil {
			return fmt.Errorf("%s is there already", f.path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, f := range files {
		var content bytes.Buffer
		if err := f.template.Execute(&content, values); err != nil {
			return err
		}
		text := content.Bytes()
		if filepath.Ext(f.path) == ".go" {
			formatted, err := format.Source(text)
			if err != nil {
				return err
			}
			text = formatted
		}
		if err := os.WriteFile(f.path, text, 0o644); err != nil { //nolint:gosec // G306: a source file
			return err
		}
		fmt.Println("wrote", f.path)
	}
	fmt.Println("Fill in both, then run: go test ./test/fixtures && make generate")
	return nil
}

// camel makes an identifier of an id.
func camel(id string) string {
	up := false
	return strings.Map(func(r rune) rune {
		if r == '-' {
			up = true
			return -1
		}
		if up {
			up = false
			return unicode.ToUpper(r)
		}
		return r
	}, id)
}

var goTemplate = template.Must(template.New("check").Parse(`// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at … Allowed: …
var _ = register(audit.Check{
	ID:          "{{.ID}}",
	Title:       "",
	Severity:    v1alpha1.SeverityMedium,
	Category:    "",
	Rationale:   "",
	Remediation: "",
	Before:      "",
	After:       "",
	References:  []string{"https://"},
	{{.Kind}}: {{.Func}},
})

func {{.Func}}({{.Argument}}, r *audit.Reporter) {
}
`))

var fixtureTemplate = template.Must(template.New("fixture").Parse(`cases:
- name: what is allowed
  objects: []
- name: what is found
  objects: []
  want:
  - subject: Pod/bad
    severity: Medium
    path: ""
    message: ""
`))
