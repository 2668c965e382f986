// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"image/color"

	"github.com/kubersafe/kubersafe/internal/dashboard"
)

// Colours of Grafana's dark theme.
var (
	background = color.RGBA{0x11, 0x12, 0x17, 0xff}
	surface    = color.RGBA{0x18, 0x1b, 0x1f, 0xff}
	ruling     = color.RGBA{0x2c, 0x30, 0x36, 0xff}
	foreground = color.RGBA{0xcc, 0xcc, 0xdc, 0xff}
	faint      = color.RGBA{0x8e, 0x8e, 0x9c, 0xff}

	// palette has all colours that dashboards name.
	palette = map[string]color.RGBA{
		"text": foreground, "dark-red": {0xe0, 0x2f, 0x44, 0xff}, "orange": {0xff, 0x98, 0x30, 0xff}, "yellow": {0xfa, 0xde, 0x2a, 0xff},
		"green": {0x73, 0xbf, 0x69, 0xff}, "blue": {0x57, 0x94, 0xf2, 0xff}, "purple": {0xb8, 0x77, 0xd9, 0xff},
		"#6e7079": {0x6e, 0x70, 0x79, 0xff}, "cyan": {0x6e, 0xd0, 0xe0, 0xff}, "pink": {0xf2, 0x95, 0xc2, 0xff},
	}
	// unnamed are those of lines that name none.
	unnamed = []string{"green", "yellow", "blue", "orange", "dark-red", "purple", "cyan", "pink"}
)

func named(name string) color.RGBA { return palette[name] }

func lineColor(name string, i int) color.RGBA {
	if name == "" {
		name = unnamed[i%len(unnamed)]
	}
	return named(name)
}

func faded(c color.RGBA) color.Color { return color.NRGBA{c.R, c.G, c.B, 0x70} }

// step is the colour that holds for a value.
func step(steps []dashboard.Step, v float64) string {
	c := steps[0].Color
	for _, s := range steps[1:] {
		if v >= s.From {
			c = s.Color
		}
	}
	return c
}
