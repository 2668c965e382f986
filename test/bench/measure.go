// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubersafe/kubersafe/test/operator"
)

// clockTicks a second in /proc: Linux has told programs so for decades, whatever the kernel's own clock.
const clockTicks = 100

// mostTold is the number of writes up to which they are told one by one: where there should be next to none.
const mostTold = 10

// measurement is what is known of the operator before a scenario changes anything.
type measurement struct {
	b     *bench
	name  string
	begun time.Time
	cpu   float64
	calls int
	evals float64
}

// begin also forgets the operator's peak of memory, so that a scenario has its own.
func (b *bench) begin(ctx context.Context, name string) (*measurement, error) {
	m := &measurement{b: b, name: name, begun: time.Now()}
	calls, err := b.plane.AuditEvents()
	if err != nil {
		return nil, err
	}
	m.calls = len(calls)
	if !b.running() {
		return m, nil
	}
	scraped, err := b.scrape(ctx)
	if err != nil {
		return nil, err
	}
	m.evals = scraped[evaluations]
	const forgetPeak = "5"
	if err := os.WriteFile(b.proc("clear_refs"), []byte(forgetPeak), 0o600); err != nil {
		return nil, err
	}
	m.cpu, err = b.cpu()
	return m, err
}

func (b *bench) running() bool {
	p := b.operator.Process()
	if p == nil {
		return false
	}
	select {
	case <-p.Done():
		return false
	default:
		return true
	}
}

// end enters what has happened since begin into the table. changes is how many changes were made.
func (m *measurement) end(ctx context.Context, changes int, l *latencies) error {
	r := &row{name: m.name, values: map[string]float64{"seconds": time.Since(m.begun).Seconds(), "changes": float64(changes)}}
	b := m.b
	cpu, err := b.cpu()
	if err != nil {
		return err
	}
	r.values["cpu s"] = cpu - m.cpu
	if changes > 0 {
		r.values["cpu ms/change"] = 1000 * (cpu - m.cpu) / float64(changes)
	}
	calls, err := b.plane.AuditEvents()
	if err != nil {
		return err
	}
	var told []string
	for _, verb := range []string{"list", "watch", "get", "writes", "cluster writes", "other"} {
		r.values[verb] = 0
	}
	for _, e := range calls[m.calls:] {
		if e.Namespace == sentinelNamespace {
			continue
		}
		switch {
		case e.User != operator.User:
		case e.Resource == "leases" || e.Resource == "events" || strings.HasSuffix(e.Resource, "reviews") || e.Resource == "":
			r.values["other"]++ // being leader and telling so, its callers' permissions, discovery
		case e.Resource == "auditconfigurations" && e.Verb == "patch":
			r.values["other"]++ // telling in its status what is made of it
		case e.Code == http.StatusNotFound && (e.Verb == "list" || e.Verb == "watch"):
			r.values["other"]++ // asking whether the Gateway API and the like are served by now
		case slices.Contains([]string{"list", "watch", "get"}, e.Verb):
			r.values[e.Verb]++
		case e.Resource == "clustersecurityreports":
			r.values["cluster writes"]++
		default:
			r.values["writes"]++
			if r.values["writes"] <= mostTold {
				told = append(told, fmt.Sprintf("%s %s/%s", e.Verb, e.Namespace, e.Name))
			}
			r.values["last write s"] = e.Answered.Sub(m.begun).Seconds()
		}
	}
	if err := b.memory(ctx, r); err != nil {
		return err
	}
	r.values["evaluations"] -= m.evals
	if r.values["etcd MiB"], err = b.etcdInUse(ctx); err != nil {
		return err
	}
	l.enter(r)
	b.rows = append(b.rows, r)
	if len(told) > 0 && r.values["writes"] <= mostTold {
		b.log("written: %s", strings.Join(told, ", "))
	}
	b.log("%s", strings.TrimSpace(format(b.rows[len(b.rows)-1:])))
	return nil
}

// memory enters what the operator has in memory once garbage is gone.
func (b *bench) memory(ctx context.Context, r *row) error {
	peak, err := b.status("VmHWM") // before the scrapes that follow
	if err != nil {
		return err
	}
	r.values["peak rss MiB"] = peak
	before, err := b.scrape(ctx)
	if err != nil {
		return err
	}
	// The figure is that of the last collection. Each scrape makes garbage, so that there are some.
	scraped := before
	for scraped[collections] < before[collections]+2 {
		if scraped, err = b.scrape(ctx); err != nil {
			return err
		}
	}
	r.values["heap MiB"] = scraped[heapLive] / mebibyte
	r.values["evaluations"] = before[evaluations]
	r.values["anon rss MiB"], err = b.status("RssAnon")
	return err
}

// etcdInUse returns how much of its file etcd has in use, in MiB.
func (b *bench) etcdInUse(ctx context.Context) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.plane.Etcd()+"/v3/maintenance/status", strings.NewReader("{}"))
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("asking etcd for its size: %w", err)
	}
	var status struct {
		InUse int64 `json:"dbSizeInUse,string"`
	}
	err = json.NewDecoder(response.Body).Decode(&status)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return 0, fmt.Errorf("asking etcd for its size: %w", err)
	}
	return float64(status.InUse) / mebibyte, nil
}

const (
	// evaluations is the series that counts how often a namespace was judged.
	evaluations = "kubersafe_evaluation_duration_seconds_count"
	// heapLive is what the last garbage collection has found to be in use.
	heapLive = "go_gc_heap_live_bytes"
	// collections counts garbage collections.
	collections = "go_gc_cycles_total_gc_cycles_total"

	mebibyte = 1 << 20
)

// scrape returns the values of the series that have no labels.
func (b *bench) scrape(ctx context.Context) (map[string]float64, error) {
	lines, err := b.operator.Scrape(ctx)
	if err != nil {
		return nil, err
	}
	values := make(map[string]float64)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil && !strings.Contains(name, "{") {
			values[name] = v
		}
	}
	return values, nil
}

func (b *bench) proc(file string) string {
	return fmt.Sprintf("/proc/%d/%s", b.operator.Process().Pid(), file)
}

// cpu returns the seconds of processor that the operator has used.
func (b *bench) cpu() (float64, error) {
	content, err := os.ReadFile(b.proc("stat"))
	if err != nil {
		return 0, err
	}
	// The second field, in brackets, is the name, which may hold spaces. User and system time are fields 14 and 15.
	fields := strings.Fields(string(content[strings.LastIndex(string(content), ")")+1:]))
	const user, system = 14 - 3, 15 - 3
	u, err1 := strconv.ParseFloat(fields[user], 64)
	s, err2 := strconv.ParseFloat(fields[system], 64)
	return (u + s) / clockTicks, errors.Join(err1, err2)
}

// status returns a field of /proc/PID/status in MiB.
func (b *bench) status(field string) (float64, error) {
	file, err := os.Open(b.proc("status"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // only read
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), field+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 64)
			return kib * 1024 / mebibyte, err
		}
	}
	return 0, errors.Join(fmt.Errorf("%s has no %s", file.Name(), field), lines.Err())
}
