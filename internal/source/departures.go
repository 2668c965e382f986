// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"sync"
	"time"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// departures remembers controllers that were deleted lately: what they leave behind takes a while to go.
type departures struct {
	mu sync.Mutex
	at map[audit.UID]time.Time
}

// rememberDepartures is more than anybody asks about.
const rememberDepartures = 2 * time.Minute

func (d *departures) note(c *audit.ControllerRecord) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for uid, at := range d.at {
		if now.Sub(at) > rememberDepartures {
			delete(d.at, uid)
		}
	}
	d.at[c.UID] = now
}

func (d *departures) when(o audit.Owner) (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, ok := d.at[o.UID]
	return at, ok
}
