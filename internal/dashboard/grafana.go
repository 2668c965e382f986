// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"bytes"
	"encoding/json"
	"strings"
)

const (
	// schemaVersion is that of Grafana 10.4. Later versions migrate it when they load it; it is of no use to earlier ones.
	schemaVersion = 39
	// maxPoints that a line has. With 10,000 namespaces, each query of a trend reads 10,000 recorded series: 3 million samples
	// then, of the 50 million that Prometheus allows a query by default.
	maxPoints = 300
	// gap in milliseconds that a line bridges: what recording rules do not, such as a restart of Prometheus.
	gap = 120_000
)

// object is one of JSON. Its keys are sorted when it is encoded, so that the same dashboard gives the same bytes.
type object = map[string]any

// dataSource is whichever has been chosen.
var dataSource = object{"type": "prometheus", "uid": "${datasource}"}

// JSON returns the dashboard as Grafana reads it.
func (d *Dashboard) JSON() ([]byte, error) {
	panels := make([]object, 0, len(d.Rows))
	for _, placed := range d.Panels() {
		panel := object{
			"id": len(panels) + 1, "gridPos": object{"x": placed.X, "y": placed.Y, "w": placed.W, "h": placed.H},
		}
		if placed.Panel == nil {
			panel["type"], panel["title"], panel["collapsed"], panel["panels"] = "row", placed.Row, false, []object{}
		} else {
			placed.Panel.render(panel)
		}
		panels = append(panels, panel)
	}
	variables := []object{{
		"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0,
		"includeAll": false, "multi": false, "regex": "", "options": []object{},
	}}
	for i := range d.Variables {
		variables = append(variables, d.Variables[i].render())
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(object{
		"uid": d.UID, "title": d.Title, "description": d.Description, "tags": []string{"kubersafe"},
		"schemaVersion": schemaVersion, "editable": true, "graphTooltip": 1, "timezone": "browser",
		"time": object{"from": d.From, "to": "now"}, "refresh": "1m",
		"links": d.links(), "annotations": object{"list": []object{}}, "templating": object{"list": variables}, "panels": panels,
	})
	return out.Bytes(), err
}

// Placed is a panel, or the heading of a row if Panel is nil, and its place on Grafana's grid.
type Placed struct {
	Panel      *Panel
	Row        string
	X, Y, W, H int
}

// Panels returns what there is on the dashboard, from the top and from the left.
func (d *Dashboard) Panels() []Placed {
	var all []Placed
	y := 0
	for i := range d.Rows {
		row := &d.Rows[i]
		if row.Title != "" {
			all = append(all, Placed{Row: row.Title, Y: y, W: Columns, H: 1})
			y++
		}
		x := 0
		for j := range row.Panels {
			p := &row.Panels[j]
			all = append(all, Placed{Panel: p, X: x, Y: y, W: p.Width, H: row.Height})
			x += p.Width
		}
		y += row.Height
	}
	return all
}

// links lead to the other dashboards, about the same clusters and times, and to the docs.
func (d *Dashboard) links() []object {
	var links []object
	for _, other := range []struct{ title, uid string }{{"Overview", overviewUID}, {"Namespace", namespaceUID}, {"Operator", operatorUID}} {
		if other.uid != d.UID {
			links = append(links, link(other.title, "/d/"+other.uid+"?"+chosen, "dashboard", true))
		}
	}
	return append(links, link("How to read this", docs+"dashboards.md", "doc", false), link("Runbooks", docs+"runbooks.md", "doc", false))
}

func link(title, url, icon string, keepTime bool) object {
	return object{
		"type": "link", "title": title, "url": url, "icon": icon, "tooltip": "", "tags": []string{}, "asDropdown": false,
		"targetBlank": !keepTime, "includeVars": false, "keepTime": keepTime,
	}
}

// Query returns what Grafana asks Prometheus for.
func (v *Variable) Query() string { return "label_values(" + v.Series + ", " + v.Label + ")" }

func (v *Variable) render() object {
	variable := object{
		"name": v.Name, "label": v.Title, "type": "query", "datasource": dataSource,
		"query":   object{"query": v.Query(), "refId": "PrometheusVariableQueryEditor-VariableQuery", "qryType": 1},
		"refresh": 2 /* when the time range changes */, "sort": 1 /* by name */, "hide": 0,
		"multi": true, "includeAll": v.All, "regex": "", "options": []object{},
	}
	if v.All {
		variable["allValue"] = ".*"
		variable["current"] = object{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}}
	}
	return variable
}

// render adds what a panel consists of to its id and place.
func (p *Panel) render(to object) {
	defaults := object{"unit": p.Unit, "mappings": []object{}, "color": object{"mode": "palette-classic"}, "thresholds": thresholds(neutral)}
	to["type"], to["title"], to["description"], to["datasource"] = string(p.Kind), p.Title, p.Description, dataSource
	to["targets"] = p.targets()
	to["fieldConfig"] = object{"defaults": defaults, "overrides": p.overrides()}
	legend := object{"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []string{}}
	tooltip := object{"mode": "multi", "sort": "none"}
	switch p.Kind {
	case Stat:
		defaults["color"], defaults["thresholds"] = object{"mode": "thresholds"}, thresholds(p.Steps)
		if p.Nothing != "" {
			defaults["noValue"] = p.Nothing
		}
		to["options"] = object{
			"colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "textMode": "value", "wideLayout": true,
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		}
	case Series:
		stacking, fill := "none", 0
		if p.Stacked {
			stacking, fill = "normal", 60
		}
		defaults["min"] = 0
		defaults["custom"] = object{
			"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": fill, "showPoints": "never",
			"spanNulls": gap, "stacking": object{"mode": stacking, "group": "A"}, "axisPlacement": "auto",
		}
		to["maxDataPoints"] = maxPoints
		to["options"] = object{"legend": legend, "tooltip": tooltip}
	case Table:
		defaults["custom"] = object{"align": "auto", "cellOptions": object{"type": "auto"}, "filterable": true}
		to["transformations"] = p.transformations()
		column, descending := strings.CutPrefix(p.SortBy, "-")
		to["options"] = object{
			"showHeader": true, "cellHeight": "sm", "sortBy": []object{{"displayName": column, "desc": descending}},
		}
	case Bars:
		defaults["custom"] = object{"fillOpacity": 80, "lineWidth": 0, "axisPlacement": "auto"}
		to["transformations"] = p.transformations()
		to["options"] = object{
			"orientation": "horizontal", "xField": p.Labels[0].Title, "stacking": "normal", "showValue": "auto", "barWidth": 0.8,
			"groupWidth": 0.7, "barRadius": 0, "fullHighlight": false, "xTickLabelRotation": 0, "xTickLabelSpacing": 0,
			"legend": legend, "tooltip": tooltip,
		}
	}
}

func (p *Panel) targets() []object {
	targets := make([]object, 0, len(p.Queries))
	for i, q := range p.Queries {
		format := "time_series"
		if p.Kind == Table || p.Kind == Bars {
			format = "table"
		}
		targets = append(targets, object{
			"refId": refID(i), "datasource": dataSource, "editorMode": "code", "expr": q.Expr, "format": format, "legendFormat": q.Name,
			"instant": p.Kind != Series, "range": p.Kind == Series,
		})
	}
	return targets
}

// refID is what Grafana calls the query at an index.
func refID(i int) string { return "ABCDEFGH"[i : i+1] }

// transformations make one table of the results: a row for each set of labels, a named column for each query.
func (p *Panel) transformations() []object {
	names, order := object{}, object{}
	for i, l := range p.Labels {
		names[l.Label], order[l.Label] = l.Title, i
	}
	for i, q := range p.Queries {
		field := "Value"
		if len(p.Queries) > 1 {
			field += " #" + refID(i)
		}
		names[field], order[field] = q.Name, len(p.Labels)+i
	}
	return []object{
		{"id": "merge", "options": object{}},
		{"id": "organize", "options": object{"excludeByName": object{"Time": true}, "includeByName": object{}, "indexByName": order, "renameByName": names}},
	}
}

// overrides are what holds for a line, a column or the parts of bars alone.
func (p *Panel) overrides() []object {
	all := []object{}
	override := func(name string, properties ...object) {
		if len(properties) > 0 {
			all = append(all, object{"matcher": object{"id": "byName", "options": name}, "properties": properties})
		}
	}
	if p.Kind == Stat {
		return all
	}
	for _, l := range p.Labels {
		if l.Link != "" {
			override(l.Title, object{"id": "links", "value": []object{{
				"title": "${__value.text}", "url": l.Link, "targetBlank": strings.HasPrefix(l.Link, docs),
			}}})
		}
	}
	for _, q := range p.Queries {
		var properties []object
		if q.Color != "" && p.Kind != Table {
			properties = append(properties, object{"id": "color", "value": object{"mode": "fixed", "fixedColor": q.Color}})
		}
		if q.Unit != "" {
			properties = append(properties, object{"id": "unit", "value": q.Unit})
		}
		if q.Steps != nil && p.Kind == Table {
			properties = append(properties,
				object{"id": "color", "value": object{"mode": "thresholds"}},
				object{"id": "thresholds", "value": thresholds(q.Steps)},
				object{"id": "custom.cellOptions", "value": object{"type": "color-text"}},
			)
		}
		if q.Text != nil {
			options := object{}
			for value, text := range q.Text {
				options[value] = object{"text": text}
			}
			properties = append(properties, object{"id": "mappings", "value": []object{{"type": "value", "options": options}}})
		}
		override(q.Name, properties...)
	}
	return all
}

func thresholds(steps []Step) object {
	all := make([]object, 0, len(steps))
	for i, s := range steps {
		step := object{"color": s.Color, "value": nil}
		if i > 0 {
			step["value"] = s.From
		}
		all = append(all, step)
	}
	return object{"mode": "absolute", "steps": all}
}
