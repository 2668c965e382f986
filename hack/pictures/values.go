// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
)

// humanize writes a value as Grafana would, in its unit.
func humanize(v float64, unit string, now time.Time) string {
	scaled := func(by float64, units ...string) string {
		i := 0
		for i < len(units)-1 && math.Abs(v) >= by {
			v /= by
			i++
		}
		return strings.TrimSpace(digits(v) + " " + units[i])
	}
	switch {
	case math.IsNaN(v):
		return ""
	case unit == "s":
		return duration(v)
	case unit == "dateTimeFromNow":
		return "in " + duration(v/1000-seconds(now))
	case unit == "percentunit":
		return strconv.FormatFloat(math.Floor(v*1000)/10, 'f', -1, 64) + " %"
	case unit == "bytes":
		return scaled(1024, "B", "KiB", "MiB", "GiB")
	case unit == "ops":
		return digits(v) + " ops/s"
	case unit == "reqps":
		return digits(v) + " req/s"
	case unit == "short":
		return scaled(1000, "", "K", "Mil")
	}
	return digits(v)
}

// digits writes three of them.
func digits(v float64) string {
	if v == math.Trunc(v) || math.Abs(v) >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func duration(v float64) string {
	for _, u := range []struct {
		name    string
		seconds float64
	}{{"weeks", 7 * 86400}, {"days", 86400}, {"hours", 3600}, {"min", 60}, {"s", 1}, {"ms", 0.001}} {
		if math.Abs(v) >= u.seconds {
			return digits(math.Round(v/u.seconds*100)/100) + " " + u.name
		}
	}
	if v == 0 {
		return "0 s"
	}
	return digits(math.Round(v*1e7)/10) + " µs"
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// nice is a round number near v, and for counts a whole one.
func nice(v float64, unit string) float64 {
	if v <= 0 {
		return 1
	}
	if unit == "bytes" {
		return math.Pow(2, math.Floor(math.Log2(v)))
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, factor := range []float64{1, 2, 2.5, 5, 10} {
		if v <= factor*power {
			v = factor * power
			break
		}
	}
	if unit == "short" {
		v = math.Ceil(v)
	}
	return v
}

// ticks are the multiples of a number.
func ticks(from, to, every float64, label func(float64) string) plot.ConstantTicks {
	var all plot.ConstantTicks
	for v := math.Ceil(from/every) * every; v <= to+every/1000; v += every {
		all = append(all, plot.Tick{Value: v, Label: label(v)})
	}
	return all
}
