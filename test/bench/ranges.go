// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// limit is the range that one figure of one scenario must be in.
type limit struct {
	Scenario string `json:"scenario"`
	// Column is the name of a column of the table.
	Column string `json:"column"`
	// Per divides the figure by another column's, if it is not "".
	Per string `json:"per"`
	// Min and Max are the range. Measured and Spread are the mean and the standard deviation of the runs that it was set by.
	Min      float64 `json:"min"`
	Max      float64 `json:"max"`
	Measured float64 `json:"measured"`
	Spread   float64 `json:"spread"`
	// Why the range is what it is.
	Why string `json:"why"`
}

// checkRanges returns an error that names every figure which is not in its range. Scenarios that were not run are left out.
func checkRanges(path string, rows []*row) error {
	content, err := os.ReadFile(path) //nolint:gosec // the file that was asked for
	if err != nil {
		return err
	}
	var limits []limit
	if err := yaml.UnmarshalStrict(content, &limits); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	byName := make(map[string]*row)
	for _, r := range rows {
		byName[r.name] = r
	}
	var errs []error
	for _, l := range limits {
		if r := byName[l.Scenario]; r != nil {
			errs = append(errs, l.check(r))
		}
	}
	return errors.Join(errs...)
}

func (l *limit) check(r *row) error {
	what, value, ok := l.Column, r.values[l.Column], true
	if l.Per != "" {
		what, value = what+" ÷ "+l.Per, value/r.values[l.Per]
		_, ok = r.values[l.Per]
	}
	if _, known := r.values[l.Column]; !known || !ok {
		return fmt.Errorf("%s has no %s", l.Scenario, what)
	}
	if value < l.Min || value > l.Max || value != value {
		return fmt.Errorf("%s: %s is %.4g, want %.4g to %.4g (measured %.4g ± %.4g): %s", l.Scenario, what, value, l.Min, l.Max, l.Measured, l.Spread, l.Why)
	}
	return nil
}
