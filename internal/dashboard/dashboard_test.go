// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../../"

// TestJSONIsCommitted: what is installed is what this package says, and all of it.
func TestJSONIsCommitted(t *testing.T) {
	kustomization := read(t, "config/components/grafana/kustomization.yaml")
	var want []string
	for _, d := range All() {
		path := "config/components/grafana/" + d.UID + ".json"
		want = append(want, root+path)
		encoded, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(read(t, path), string(encoded)); diff != "" {
			t.Errorf("%s is not what make generate writes (-file +generated):\n%s", path, diff)
		}
		if !strings.Contains(kustomization, "  - "+d.UID+".json\n") {
			t.Errorf("the kustomization does not install %s", path)
		}
	}
	got, err := filepath.Glob(root + "config/components/grafana/*.json")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-dashboards +files):\n%s", diff)
	}
	if diff := cmp.Diff(read(t, "docs/dashboards.md"), Markdown()); diff != "" {
		t.Errorf("docs/dashboards.md is not what make generate writes (-file +generated):\n%s", diff)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(root + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// rendered is what is looked at of the JSON.
type rendered struct {
	UID, Title, Description string
	SchemaVersion           int
	Time                    struct{ From, To string }
	Links                   []struct{ URL string }
	Templating              struct {
		List []struct {
			Name, Type string
			Datasource struct{ UID string }
		}
	}
	Panels []struct {
		ID                       int
		Type, Title, Description string
		GridPos                  struct{ X, Y, W, H int }
		Datasource               struct{ UID string }
		Targets                  []struct {
			RefID, Expr, Format string
			Datasource          struct{ UID string }
			Instant, Range      bool
		}
		FieldConfig struct {
			Defaults  struct{ Unit string }
			Overrides []struct {
				Matcher    struct{ ID, Options string }
				Properties []struct {
					ID    string
					Value any
				}
			}
		}
		Options struct {
			XField string
			SortBy []struct{ DisplayName string }
		}
		Transformations []struct {
			ID      string
			Options struct{ RenameByName map[string]string }
		}
	}
}

func render(t *testing.T, d *Dashboard) *rendered {
	t.Helper()
	encoded, err := d.JSON()
	if err != nil {
		t.Fatal(err)
	}
	r := &rendered{}
	if err := json.Unmarshal(encoded, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// units that Grafana knows, of those that there are.
var units = []string{"short", "none", "s", "bytes", "percentunit", "ops", "reqps", "dateTimeFromNow"}

// TestDashboardsAreValid: Grafana can show them, and people understand what they see.
func TestDashboardsAreValid(t *testing.T) {
	uids := make(map[string]bool)
	for _, d := range All() {
		uids[d.UID] = true
	}
	for _, d := range All() {
		t.Run(d.UID, func(t *testing.T) {
			r := render(t, &d)
			if len(r.UID) < 8 || len(r.UID) > 40 || r.Title == "" || !strings.HasSuffix(r.Description, ".") || r.SchemaVersion != schemaVersion || r.Time.To != "now" {
				t.Errorf("%+v", r)
			}
			for _, l := range r.Links {
				validLink(t, l.URL, uids)
			}
			for _, v := range r.Templating.List {
				if v.Type == "query" && v.Datasource.UID != "${datasource}" {
					t.Errorf("variable %s asks %q", v.Name, v.Datasource.UID)
				}
			}
			ids, titles := make(map[int]bool), make(map[string]bool)
			for _, p := range r.Panels {
				if p.ID == 0 || ids[p.ID] || p.Title == "" || titles[p.Title] {
					t.Errorf("panel %d, %q: there are two of it, or there is no id or title", p.ID, p.Title)
				}
				ids[p.ID], titles[p.Title] = true, true
			}
			validGrid(t, r)
			for i := range r.Panels {
				validPanel(t, r, i, uids)
			}
		})
	}
}

// validGrid: every place on the grid belongs to one panel, and no more.
func validGrid(t *testing.T, r *rendered) {
	t.Helper()
	taken := make(map[[2]int]string)
	bottom := 0
	for _, p := range r.Panels {
		g := p.GridPos
		if g.W < 3 || g.H < 1 || g.X < 0 || g.X+g.W > Columns {
			t.Errorf("%s: its place is %+v", p.Title, g)
		}
		bottom = max(bottom, g.Y+g.H)
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%q and %q overlap", other, p.Title)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	if len(taken) != Columns*bottom {
		t.Errorf("%d of %d places are taken", len(taken), Columns*bottom)
	}
}

func validPanel(t *testing.T, r *rendered, i int, uids map[string]bool) {
	t.Helper()
	p := &r.Panels[i]
	if p.Type == "row" {
		return
	}
	if !strings.HasSuffix(p.Description, ".") || !slices.Contains(units, p.FieldConfig.Defaults.Unit) || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
		t.Errorf("%q: description %q, unit %q, data source %q, %d queries",
			p.Title, p.Description, p.FieldConfig.Defaults.Unit, p.Datasource.UID, len(p.Targets))
	}
	for _, target := range p.Targets {
		if target.Datasource.UID != "${datasource}" || target.Instant == target.Range || target.Range != (p.Type == string(Series)) ||
			(target.Format == "table") != (len(p.Transformations) > 0) {
			t.Errorf("%q: %+v", p.Title, target)
		}
	}
	// Names that something refers to.
	names := make(map[string]bool)
	for _, transformation := range p.Transformations {
		for _, name := range transformation.Options.RenameByName {
			if names[name] {
				t.Errorf("%q: two columns are called %q", p.Title, name)
			}
			names[name] = true
		}
	}
	for _, s := range p.Options.SortBy {
		if !names[s.DisplayName] {
			t.Errorf("%q: it is sorted by %q, which is no column", p.Title, s.DisplayName)
		}
	}
	if p.Type == string(Bars) && !names[p.Options.XField] {
		t.Errorf("%q: its bars are those of %q, which is no column", p.Title, p.Options.XField)
	}
	for _, o := range p.FieldConfig.Overrides {
		if len(p.Transformations) > 0 && !names[o.Matcher.Options] {
			t.Errorf("%q: an override is about %q, which is no column", p.Title, o.Matcher.Options)
		}
		for _, property := range o.Properties {
			switch property.ID {
			case "unit":
				if unit, _ := property.Value.(string); !slices.Contains(units, unit) {
					t.Errorf("%q: unit %v", p.Title, property.Value)
				}
			case "links":
				for _, l := range property.Value.([]any) {
					validLink(t, l.(map[string]any)["url"].(string), uids)
				}
			}
		}
	}
}

// validLink: the dashboard or the page is there.
func validLink(t *testing.T, url string, uids map[string]bool) {
	t.Helper()
	if page, ours := strings.CutPrefix(url, docs); ours {
		page, _, _ = strings.Cut(page, "#")
		if _, err := fs.Stat(os.DirFS(root+"docs"), page); err != nil {
			t.Errorf("a link to %s: %v", url, err)
		}
		return
	}
	path, query, _ := strings.Cut(url, "?")
	if !uids[strings.TrimPrefix(path, "/d/")] || !strings.Contains(query, "${datasource:queryparam}") || !strings.Contains(query, "${cluster:queryparam}") {
		t.Errorf("a link to %s", url)
	}
}

var (
	selector = regexp.MustCompile(`([a-zA-Z_:][\w:]*)({[^}]*})?`)
	variable = regexp.MustCompile(`\$\{?(\w+)`)
	text     = regexp.MustCompile(`"[^"]*"`)
	grouping = regexp.MustCompile(`\b(by|on|group_left|group_right|without|ignoring) \([^)]*\)`)
	promQL   = []string{
		"sum", "max", "min", "avg", "count", "topk", "bottomk", "round", "rate", "increase", "histogram_quantile", "clamp_min", "time", "or", "and",
		"unless", "offset", "bool",
	}
	// Of other exporters, of Prometheus and of the libraries that the operator is made of.
	foreign = []string{
		"ALERTS", "kube_resourcequota", "scrape_duration_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total",
		"process_start_time_seconds", "workqueue_depth", "controller_runtime_reconcile_errors_total", "rest_client_requests_total",
	}
)

// TestQueriesSelect: every query reads what there is, and only what has been chosen.
func TestQueriesSelect(t *testing.T) {
	namespaced := make(map[string]bool) // by metric
	for _, m := range regexp.MustCompile("(?m)^\\| `(kubersafe_\\w+)` \\| (\\w+) \\| ([^|]*) \\|").FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		names := []string{m[1]}
		if m[2] == "histogram" {
			names = []string{m[1] + "_bucket", m[1] + "_count", m[1] + "_sum"}
		}
		for _, name := range names {
			namespaced[name] = strings.Contains(m[3], "`namespace`")
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^    - record: (\S+)$`).FindAllStringSubmatch(read(t, "config/components/prometheus/prometheus_rule.yaml"), -1) {
		namespaced[m[1]] = strings.HasPrefix(m[1], "namespace")
	}
	for _, d := range All() {
		choosable := map[string]bool{"__range": true, "__rate_interval": true}
		for _, v := range d.Variables {
			choosable[v.Name] = true
		}
		check := func(where, expr string) {
			for _, m := range variable.FindAllStringSubmatch(expr, -1) {
				if !choosable[m[1]] {
					t.Errorf("%s: there is no variable %s: %s", where, m[1], expr)
				}
			}
			bare := grouping.ReplaceAllString(variable.ReplaceAllString(expr, ""), "")
			for _, m := range selector.FindAllStringSubmatch(text.ReplaceAllString(bare, `""`), -1) {
				if slices.Contains(promQL, m[1]) || m[2] == "" && len(m[1]) == 1 { // a letter of a duration
					continue
				}
				of, known := namespaced[m[1]]
				switch {
				case !known && !slices.Contains(foreign, m[1]):
					t.Errorf("%s reads %s, which nobody exports", where, m[1])
				case m[2] == "":
					t.Errorf("%s: %s selects nothing: %s", where, m[1], expr)
				case !strings.Contains(m[2], "cluster=~"):
					t.Errorf("%s: %s%s is about any cluster", where, m[1], m[2])
				case of && choosable["namespace"] && !strings.Contains(m[2], "namespace=~"):
					t.Errorf("%s: %s%s is about any namespace", where, m[1], m[2])
				}
			}
		}
		for _, v := range d.Variables {
			for _, m := range variable.FindAllStringSubmatch(v.Series, -1) {
				if !choosable[m[1]] {
					t.Errorf("%s: variable %s: there is no variable %s", d.UID, v.Name, m[1])
				}
			}
		}
		for _, placed := range d.Panels() {
			if placed.Panel == nil {
				continue
			}
			for _, q := range placed.Panel.Queries {
				check(fmt.Sprintf("%s: %q: %q", d.UID, placed.Panel.Title, q.Name), q.Expr)
			}
		}
	}
}

// TestMarkdown: a cell of a table has no bar in it.
func TestMarkdown(t *testing.T) {
	for _, line := range strings.Split(Markdown(), "\n") {
		if n := strings.Count(line, "|"); n != 0 && n != 3 {
			t.Errorf("%d bars: %s", n, line)
		}
	}
}

func samples(values ...any) []Sample {
	var all []Sample
	for i := 0; i < len(values); i += 2 {
		labels := make(map[string]string)
		for _, pair := range strings.Fields(values[i].(string)) {
			name, value, _ := strings.Cut(pair, "=")
			labels[name] = value
		}
		all = append(all, Sample{Labels: labels, Points: []Point{{Value: values[i+1].(float64)}}})
	}
	return all
}

func TestGrid(t *testing.T) {
	p := Panel{
		Kind: Table, Title: "Worst", SortBy: "Score",
		Labels:  []Column{{Label: "cluster", Title: "Cluster"}, {Label: "namespace", Title: "Namespace"}},
		Queries: []Query{{Name: "Score"}, {Name: "Critical"}},
	}
	for name, tc := range map[string]struct {
		results [][]Sample
		sortBy  string
		want    string
		err     string
	}{
		"results are joined by their labels, and sorted": {
			results: [][]Sample{samples("namespace=a", 90.0, "namespace=b", 10.0), samples("namespace=a", 0.0, "namespace=b", 3.0)},
			want:    "[Namespace]: [b] [10 3], [a] [90 0]",
		},
		"the other way round": {
			results: [][]Sample{samples("namespace=a", 90.0, "namespace=b", 10.0), samples("namespace=a", 0.0, "namespace=b", 3.0)},
			sortBy:  "-Namespace",
			want:    "[Namespace]: [b] [10 3], [a] [90 0]",
		},
		"namespaces of two clusters are two": {
			results: [][]Sample{samples("cluster=x namespace=a", 90.0, "cluster=y namespace=a", 10.0), samples("cluster=y namespace=a", 3.0)},
			want:    "[Cluster Namespace]: [y a] [10 3], [x a] [90 NaN]",
		},
		"a label that no column shows": {
			results: [][]Sample{samples("namespace=a pod=p", 90.0), nil}, err: `"Worst": "Score" has the label pod, which no column shows`,
		},
		"a column without a label": {
			results: [][]Sample{samples("cluster=x", 90.0), nil}, err: `"Worst": no result has the label namespace`,
		},
		"two values for a cell": {
			results: [][]Sample{samples("namespace=a", 1.0, "namespace=a", 2.0), nil}, err: `"Worst": "Score" has two values for [ a]`,
		},
		"nothing": {results: [][]Sample{nil, nil}, want: "[]:"},
	} {
		t.Run(name, func(t *testing.T) {
			p := p
			if tc.sortBy != "" {
				p.SortBy = tc.sortBy
			}
			grid, err := p.Grid(tc.results)
			if fmt.Sprint(err) != tc.err && (err != nil || tc.err != "") {
				t.Fatalf("error %v, want %s", err, tc.err)
			}
			if err != nil {
				return
			}
			var rows []string
			for _, r := range grid.Rows {
				rows = append(rows, fmt.Sprintf(" %v %v", r.Labels, r.Values))
			}
			if got := fmt.Sprintf("%v:%s", grid.Labels, strings.Join(rows, ",")); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestLines(t *testing.T) {
	for name, tc := range map[string]struct {
		panel   Panel
		results [][]Sample
		want    string
		err     string
	}{
		"names come from labels": {
			panel:   Panel{Kind: Series, Queries: []Query{{Name: "{{method}} {{code}}"}, {Name: "all"}}},
			results: [][]Sample{samples("method=GET code=200", 1.0), samples("", 2.0)},
			want:    "GET 200, all",
		},
		"a name that refers to no label": {
			panel:   Panel{Kind: Series, Title: "CPU", Queries: []Query{{Name: "{{pod}}"}}},
			results: [][]Sample{samples("instance=a", 1.0)},
			err:     `"CPU": the name "{{pod}}" refers to a label that map[instance:a] lacks`,
		},
		"two lines of one name": {
			panel:   Panel{Kind: Series, Title: "CPU", Queries: []Query{{Name: "CPU"}}},
			results: [][]Sample{samples("pod=a", 1.0, "pod=b", 1.0)},
			err:     `"CPU": two lines are called "CPU"`,
		},
		"two numbers where there is place for one": {
			panel:   Panel{Kind: Stat, Title: "Score", Queries: []Query{{Name: "{{namespace}}"}}},
			results: [][]Sample{samples("namespace=a", 1.0, "namespace=b", 1.0)},
			err:     `"Score": 2 numbers, want one`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			lines, err := tc.panel.Lines(tc.results)
			if fmt.Sprint(err) != tc.err && (err != nil || tc.err != "") {
				t.Fatalf("error %v, want %s", err, tc.err)
			}
			var names []string
			for _, l := range lines {
				names = append(names, l.Name)
			}
			if got := strings.Join(names, ", "); err == nil && got != tc.want {
				t.Errorf("lines %q, want %q", got, tc.want)
			}
		})
	}
}
