// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package compliance holds the controls of published standards, all of them, and tells what has become of each by the
// checks that map to it.
package compliance

import "github.com/kubersafe/kubersafe/internal/audit"

// Framework is a published standard.
type Framework struct {
	ID audit.Framework
	// Title is its name and version.
	Title string
	// Controls are all of its controls, in its own order.
	Controls []Control
}

// Control is a control of a framework.
type Control struct {
	// ID is its number, or its heading where it has none.
	ID string
	// Title is what the framework calls it beside that; "" where the ID is its heading.
	Title string
}

// Frameworks are the frameworks that checks map to, by id.
var Frameworks = []Framework{cis, mitre, nsa, owasp, pss}

// Find returns a framework, or nil.
func Find(id audit.Framework) *Framework {
	for i := range Frameworks {
		if Frameworks[i].ID == id {
			return &Frameworks[i]
		}
	}
	return nil
}

// Mapping returns which of the checks map to each control of the framework, in their order.
func (f *Framework) Mapping(checks []audit.Check) map[string][]*audit.Check {
	mapping := make(map[string][]*audit.Check)
	for i := range checks {
		c := &checks[i]
		for _, control := range c.Controls {
			if control.Framework == f.ID {
				mapping[control.ID] = append(mapping[control.ID], c)
			}
		}
	}
	return mapping
}
