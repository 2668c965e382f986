// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// scrapeMetrics scrapes as a ServiceAccount that may, after making sure that others may not.
func (d *demo) scrapeMetrics(ctx context.Context) error {
	if _, err := d.kubectl(ctx, nil, "create", "serviceaccount", "stranger", "-n", "default"); err != nil {
		return err
	}
	if err := d.checkRefused(ctx); err != nil {
		return err
	}
	var series []string
	err := d.poll(ctx, "kubersafe_violations", func(ctx context.Context) (bool, string, error) {
		lines, err := d.operator.Scrape(ctx)
		series = slices.DeleteFunc(lines, func(line string) bool { return !strings.HasPrefix(line, "kubersafe_violations{") })
		return len(series) > 0, "there are none", err
	})
	if err != nil {
		return err
	}
	d.console.printf("\n$ curl --cacert ca.crt -H \"Authorization: Bearer …\" %s | grep '^kubersafe_violations'\n%s\n",
		d.operator.MetricsURL(), strings.Join(series, "\n"))
	return nil
}

// checkRefused fails if anybody may read the metrics.
func (d *demo) checkRefused(ctx context.Context) error {
	stranger, _, err := d.plane.ServiceAccount(ctx, "default", "stranger")
	if err != nil {
		return err
	}
	for who, token := range map[string]string{"no token": "", "the token of a ServiceAccount without the role": stranger.BearerToken} {
		code, _, err := d.operator.GetAs(ctx, "/metrics", token)
		if err != nil {
			return err
		}
		if code != http.StatusUnauthorized && code != http.StatusForbidden {
			return fmt.Errorf("a scrape with %s is answered %d, want 401 or 403", who, code)
		}
		d.console.printf("a scrape with %s is answered %d\n", who, code)
	}
	return nil
}
