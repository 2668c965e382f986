// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kubersafe/kubersafe/test/fresh"
)

// compareTimeout bounds the wait for the cluster's report, which trails by up to 20 seconds.
const compareTimeout = time.Minute

// compare returns an error with the difference unless the reports are, byte for byte, what a fresh evaluation in one thread
// gives for the state of the cluster, and enters their size in the table.
func (b *bench) compare(ctx context.Context) error {
	for begun := time.Now(); ; time.Sleep(time.Second) {
		stored, size, err := fresh.Stored(ctx, b.client)
		if err != nil {
			return err
		}
		evaluated, pods, err := fresh.Evaluate(ctx, b.plane.Config, b.client)
		if err != nil {
			return err
		}
		if difference := fresh.Difference(evaluated, stored); difference != "" {
			if time.Since(begun) < compareTimeout {
				continue
			}
			return fmt.Errorf("the reports are not those of a fresh evaluation (-fresh +stored):\n%s", difference)
		}
		r := b.rows[len(b.rows)-1]
		r.values["pods"], r.values["namespaces"] = float64(pods), float64(b.size.Namespaces)
		r.values["reports"], r.values["report bytes"] = float64(len(stored)), float64(size)/float64(len(stored))
		if nothing := b.rows[0]; nothing.name == "empty" {
			r.values["heap B/pod"] = (r.values["heap MiB"] - nothing.values["heap MiB"]) * mebibyte / float64(pods)
		}
		return nil
	}
}
