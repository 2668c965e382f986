// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Command pictures draws the dashboards with what Prometheus answered to their queries: pictures FILE FOLDER. The file is written
// by the test of the dashboards, and there is a PNG for each dashboard in the folder afterwards.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/kubersafe/kubersafe/internal/dashboard"
)

// Lengths in points. A picture is as wide as Grafana's grid.
const (
	cell     = 40 // of the grid, in width
	line     = 22 // of the grid, in height
	gap      = 3  // around panels
	heading  = 20 // of a panel
	rowPitch = 15 // of a table
	small    = 9
	normal   = 10
	big      = 26
	dpi      = 96
)

// answers are what a picture shows.
type answers dashboard.Answers

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pictures FILE FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(file, folder string) error {
	content, err := os.ReadFile(file) //nolint:gosec // reading what it is told to is its purpose
	if err != nil {
		return err
	}
	var a answers
	if err := json.Unmarshal(content, &a); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, d := range dashboard.All() {
		if err := a.picture(&d, filepath.Join(folder, d.UID+".png")); err != nil {
			return fmt.Errorf("%s: %w", d.Title, err)
		}
	}
	return nil
}

// picture writes that of one dashboard.
func (a *answers) picture(d *dashboard.Dashboard, path string) error {
	panels := d.Panels()
	height := 0
	for _, p := range panels {
		height = max(height, p.Y+p.H)
	}
	size := vg.Length(height*line + heading + 2*gap)
	image := vgimg.NewWith(vgimg.UseWH(dashboard.Columns*cell, size), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(background))
	page := draw.New(image)
	write(page, d.Title, point(page, 8, 4), normal+3, foreground, draw.XLeft, true)
	next := 0
	for _, p := range panels {
		top := page.Max.Y - heading - gap - vg.Length(p.Y*line)
		area := crop(page, vg.Length(p.X*cell)+gap, top-vg.Length(p.H*line)+gap, vg.Length((p.X+p.W)*cell)-gap, top-gap)
		if p.Panel == nil {
			write(area, p.Row, point(area, 5, 0), normal, foreground, draw.XLeft, true)
			continue
		}
		if next >= len(a.Results[d.UID]) {
			return errors.New("the results are those of other panels: run the test again")
		}
		if err := a.panel(area, p.Panel, a.Results[d.UID][next]); err != nil {
			return err
		}
		next++
	}
	out, err := os.Create(path) //nolint:gosec // writing where it is told to is its purpose
	if err != nil {
		return err
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	return errors.Join(encoder.Encode(out, image.Image()), out.Close())
}

// panel draws one of them.
func (a *answers) panel(area draw.Canvas, p *dashboard.Panel, results [][]dashboard.Sample) error {
	area.SetColor(surface)
	area.Fill(area.Path())
	write(area, p.Title, point(area, 7, 4), normal, foreground, draw.XLeft, true)
	inner := crop(area, area.Min.X+7, area.Min.Y+5, area.Max.X-7, area.Max.Y-heading)
	switch p.Kind {
	case dashboard.Stat, dashboard.Series:
		lines, err := p.Lines(results)
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			noData(inner)
			return nil
		}
		if p.Kind == dashboard.Stat {
			value := lines[0].Points[0].Value
			text := humanize(value, p.Unit, a.To)
			at := vg.Point{X: (inner.Min.X + inner.Max.X) / 2, Y: inner.Min.Y + (inner.Max.Y-inner.Min.Y-big)/2 + 2}
			write(inner, text, at, big, named(step(p.Steps, value)), draw.XCenter, true)
			return nil
		}
		return a.series(inner, p, lines)
	default:
		grid, err := p.Grid(results)
		if err != nil {
			return err
		}
		if len(grid.Rows) == 0 {
			noData(inner)
			return nil
		}
		if p.Kind == dashboard.Bars {
			return bars(inner, p, grid)
		}
		a.table(inner, p, grid)
		return nil
	}
}

func noData(area draw.Canvas) {
	write(area, "No data", area.Center(), normal, faint, draw.XCenter, false)
}

// series draws lines, one above the other where they are stacked.
func (a *answers) series(area draw.Canvas, p *dashboard.Panel, lines []dashboard.Line) error {
	chart, area := newChart(area, len(lines), func(i int) (string, color.Color) { return lines[i].Name, lineColor(lines[i].Color, i) })
	sums := make(map[float64]float64)
	highest := 0.0
	for i, l := range lines {
		xys := make(plotter.XYs, 0, len(l.Points))
		below := make(plotter.XYs, 0, len(l.Points))
		for _, at := range l.Points {
			value := at.Value
			if p.Stacked {
				below = append(below, plotter.XY{X: at.Time, Y: sums[at.Time]})
				sums[at.Time] += value
				value = sums[at.Time]
			}
			highest = max(highest, value)
			xys = append(xys, plotter.XY{X: at.Time, Y: value})
		}
		c := lineColor(l.Color, i)
		if p.Stacked {
			outline := append(plotter.XYs{}, xys...)
			for j := len(below) - 1; j >= 0; j-- {
				outline = append(outline, below[j])
			}
			fill, err := plotter.NewPolygon(outline)
			if err != nil {
				return err
			}
			fill.Color, fill.Width = faded(c), 0
			chart.Add(fill)
		}
		drawn, err := plotter.NewLine(xys)
		if err != nil {
			return err
		}
		drawn.Color, drawn.Width = c, 1.3
		chart.Add(drawn)
	}
	chart.X.Min, chart.X.Max = seconds(a.From), seconds(a.To)
	chart.Y.Min, chart.Y.Max = 0, highest*1.08
	if highest == 0 {
		chart.Y.Max = 1
	}
	chart.X.Tick.Marker = ticks(chart.X.Min, chart.X.Max, 15, func(v float64) string {
		return time.Unix(int64(v), 0).UTC().Format("15:04:05")
	})
	chart.Y.Tick.Marker = ticks(0, chart.Y.Max, nice(chart.Y.Max/4, p.Unit), func(v float64) string { return humanize(v, p.Unit, a.To) })
	chart.Draw(area)
	return nil
}

// bars draws a bar for each row, of a part for each query.
func bars(area draw.Canvas, p *dashboard.Panel, grid dashboard.Grid) error {
	chart, area := newChart(area, len(grid.Queries), func(i int) (string, color.Color) {
		return grid.Queries[i].Name, lineColor(grid.Queries[i].Color, i)
	})
	rows := len(grid.Rows)
	names := make([]string, rows)
	highest := 0.0
	var under *plotter.BarChart
	thickness := min(26, (area.Max.Y-area.Min.Y-20)/vg.Length(rows)*0.7)
	for i, q := range grid.Queries {
		values := make(plotter.Values, rows)
		for j, row := range grid.Rows {
			if v := row.Values[i]; !math.IsNaN(v) {
				values[rows-1-j] = v // the first on top
			}
		}
		part, err := plotter.NewBarChart(values, thickness)
		if err != nil {
			return err
		}
		part.Horizontal, part.Color, part.LineStyle.Width = true, lineColor(q.Color, i), 0
		if under != nil {
			part.StackOn(under)
		}
		under = part
		chart.Add(part)
	}
	for j, row := range grid.Rows {
		names[rows-1-j] = row.Labels[0]
		sum := 0.0
		for _, v := range row.Values {
			if !math.IsNaN(v) {
				sum += v
			}
		}
		highest = max(highest, sum)
	}
	chart.NominalY(names...)
	chart.X.Min, chart.X.Max = 0, highest*1.04
	chart.Y.Tick.Label.Color, chart.Y.Tick.Length, chart.Y.Width = foreground, 0, 0
	chart.X.Tick.Marker = ticks(0, chart.X.Max, nice(highest/5, p.Unit), func(v float64) string { return humanize(v, p.Unit, time.Time{}) })
	chart.Draw(area)
	return nil
}

// newChart returns an empty chart, and the area that the names of its parts, which it writes, leave of another one.
func newChart(area draw.Canvas, parts int, part func(int) (string, color.Color)) (*plot.Plot, draw.Canvas) {
	const pitch = 12
	rows := []vg.Length{area.Min.X + 4} // where each ends
	at := make([]vg.Point, parts)       // Y counts rows, from the top
	for i := range parts {
		name, _ := part(i)
		width := textWidth(name, small) + 13
		if end := rows[len(rows)-1]; end+width > area.Max.X && end > area.Min.X+4 {
			rows = append(rows, area.Min.X+4)
		}
		last := len(rows) - 1
		at[i] = vg.Point{X: rows[last], Y: vg.Length(last)}
		rows[last] += width + pitch
	}
	for i := range parts {
		name, c := part(i)
		x, y := at[i].X, area.Min.Y+2+pitch*(vg.Length(len(rows)-1)-at[i].Y)
		area.SetColor(c)
		area.Fill(vg.Rectangle{Min: vg.Point{X: x, Y: y + 2}, Max: vg.Point{X: x + 9, Y: y + 5}}.Path())
		write(area, name, vg.Point{X: x + 13, Y: y}, small, foreground, draw.XLeft, false)
	}
	chart := plot.New()
	chart.BackgroundColor = color.Transparent
	for _, axis := range []*plot.Axis{&chart.X, &chart.Y} {
		axis.Color, axis.Tick.Color, axis.Tick.Label.Color = ruling, ruling, faint
		axis.Tick.Label.Font = face(small, false).Font
		axis.Padding = 0
	}
	lattice := plotter.NewGrid()
	lattice.Horizontal.Color, lattice.Vertical.Color = ruling, ruling
	chart.Add(lattice)
	return chart, crop(area, area.Min.X, area.Min.Y+6+pitch*vg.Length(len(rows)), area.Max.X, area.Max.Y)
}

// table draws as many rows as there is place for.
func (a *answers) table(area draw.Canvas, p *dashboard.Panel, g dashboard.Grid) {
	titles := append([]string{}, g.Labels...)
	for _, q := range g.Queries {
		titles = append(titles, q.Name)
	}
	type cellText struct {
		text  string
		color color.Color
	}
	rows := make([][]cellText, 0, len(g.Rows))
	for _, r := range g.Rows {
		var cells []cellText
		for i, label := range r.Labels {
			c := foreground
			if linked(p, g.Labels[i]) {
				c = named("blue")
			}
			cells = append(cells, cellText{label, c})
		}
		for i, v := range r.Values {
			q := g.Queries[i]
			cells = append(cells, cellText{a.value(p, q, v), tableColor(q, v)})
		}
		rows = append(rows, cells)
	}
	// Columns get what they need, and their share of what is left.
	widths := make([]vg.Length, len(titles))
	var sum vg.Length
	for i, title := range titles {
		widths[i] = textWidth(title, small)
		for _, r := range rows {
			widths[i] = max(widths[i], textWidth(r[i].text, small))
		}
		widths[i] += 12
		sum += widths[i]
	}
	spare := (area.Max.X - area.Min.X - sum) / vg.Length(len(titles)) // less than nothing where there is too much
	drawRow := func(y vg.Length, at func(int) cellText, bold bool) {
		x := area.Min.X
		for i := range titles {
			c := at(i)
			if i >= len(g.Labels) {
				write(area, c.text, vg.Point{X: x + widths[i] + spare - 8, Y: y}, small, c.color, draw.XRight, bold)
			} else {
				write(area, c.text, vg.Point{X: x + 2, Y: y}, small, c.color, draw.XLeft, bold)
			}
			x += widths[i] + spare
		}
	}
	y := area.Max.Y - rowPitch
	drawRow(y+2, func(i int) cellText { return cellText{titles[i], faint} }, true)
	for n, r := range rows {
		if y-rowPitch < area.Min.Y || y-2*rowPitch < area.Min.Y && n < len(rows)-1 {
			write(area, fmt.Sprintf("… %d more", len(rows)-n), vg.Point{X: area.Min.X + 2, Y: y - rowPitch + 3}, small, faint, draw.XLeft, false)
			return
		}
		area.SetColor(ruling)
		area.Fill(vg.Rectangle{Min: vg.Point{X: area.Min.X, Y: y - 0.5}, Max: vg.Point{X: area.Max.X, Y: y}}.Path())
		y -= rowPitch
		drawRow(y+3, func(i int) cellText { return r[i] }, false)
	}
}

func linked(p *dashboard.Panel, column string) bool {
	for _, l := range p.Labels {
		if l.Title == column {
			return l.Link != ""
		}
	}
	return false
}

// value is what a cell of a table says.
func (a *answers) value(p *dashboard.Panel, q *dashboard.Query, v float64) string {
	if text := q.Text[strconv.FormatFloat(v, 'f', -1, 64)]; text != "" {
		return text
	}
	unit := p.Unit
	if q.Unit != "" {
		unit = q.Unit
	}
	return humanize(v, unit, a.To)
}

func tableColor(q *dashboard.Query, v float64) color.Color {
	if q.Steps == nil {
		return foreground
	}
	return named(step(q.Steps, v))
}

var fonts = font.NewCache(liberation.Collection())

func face(size vg.Length, bold bool) font.Face {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return fonts.Lookup(f, size)
}

func textWidth(s string, size vg.Length) vg.Length {
	f := face(size, false)
	return f.Width(s)
}

// write puts a text at a point, which is at its foot.
func write(on draw.Canvas, s string, at vg.Point, size vg.Length, c color.Color, align draw.XAlignment, bold bool) {
	f := face(size, bold)
	on.FillText(draw.TextStyle{Color: c, Font: f.Font, XAlign: align, Handler: text.Plain{Fonts: fonts}}, at, s)
}

// point is at a distance from the left and from the top, for a line of text.
func point(area draw.Canvas, left, top vg.Length) vg.Point {
	return vg.Point{X: area.Min.X + left, Y: area.Max.Y - top - normal}
}

func crop(c draw.Canvas, left, bottom, right, top vg.Length) draw.Canvas {
	return draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{Min: vg.Point{X: left, Y: bottom}, Max: vg.Point{X: right, Y: top}}}
}
