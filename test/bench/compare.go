// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/configuration"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/source"
)

const (
	// compareTimeout bounds the wait for the cluster's report, which trails by up to 20 seconds.
	compareTimeout = time.Minute
	// pageSize of lists: client-go's own.
	pageSize = 500
)

// compare returns an error with the difference unless the reports are, byte for byte, what a fresh evaluation in one thread
// gives for the state of the cluster, and enters their size in the table.
func (b *bench) compare(ctx context.Context) error {
	for begun := time.Now(); ; time.Sleep(time.Second) {
		stored, size, err := b.stored(ctx)
		if err != nil {
			return err
		}
		fresh, pods, err := b.fresh(ctx)
		if err != nil {
			return err
		}
		if !maps.Equal(stored, fresh) {
			if time.Since(begun) < compareTimeout {
				continue
			}
			return fmt.Errorf("the reports are not those of a fresh evaluation (-fresh +stored):\n%s", difference(fresh, stored))
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

// difference shows the first few reports that differ.
func difference(fresh, stored map[string]string) string {
	const most = 3
	differing := make(map[string]bool)
	for _, m := range []map[string]string{fresh, stored} {
		for key := range m {
			if fresh[key] != stored[key] {
				differing[key] = true
			}
		}
	}
	keys := slices.Sorted(maps.Keys(differing))
	text := fmt.Sprintf("%d of %d reports differ\n", len(keys), len(stored))
	for _, key := range keys[:min(most, len(keys))] {
		text += key + "\n" + cmp.Diff(fresh[key], stored[key])
	}
	return text
}

// stored returns the reports that there are, and the size of all of them as JSON without managed fields.
func (b *bench) stored(ctx context.Context) (map[string]string, int, error) {
	reports, size := make(map[string]string), 0
	err := b.each(ctx, &v1alpha1.SecurityReportList{}, func(o client.Object) error {
		o.SetManagedFields(nil)
		encoded, err := json.Marshal(o)
		size += len(encoded)
		reports[o.GetNamespace()+"/"+o.GetName()] = canonical(o)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return reports, size, b.each(ctx, &v1alpha1.ClusterSecurityReportList{}, func(o client.Object) error {
		reports[o.GetName()] = canonical(o)
		return nil
	})
}

// fresh reads the cluster anew and evaluates it, one namespace after the other, and returns the reports and the number of Pods.
func (b *bench) fresh(ctx context.Context) (map[string]string, int, error) {
	set, err := checks.Default()
	if err != nil {
		return nil, 0, err
	}
	current, err := b.configuration(ctx, set.Checks())
	if err != nil {
		return nil, 0, err
	}
	sources, stop, err := b.read(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer stop()
	reports, book, pods, now := make(map[string]string), ledger.New(), 0, time.Now()
	for _, name := range sources.Namespaces() {
		inventory, _ := sources.Inventory(name)
		pods += len(inventory.Pods)
		set := current.SetFor(name, inventory.Namespace.GetLabels())
		verdicts := ledger.Judge(set, audit.Fold(inventory, now), ledger.Previous{}, now)
		entries := make(ledger.Entries, len(verdicts))
		for _, v := range verdicts {
			entries[v.Report] = v.Entry
			reports[name+"/"+v.Report] = canonical(v.Build())
		}
		book.Put(name, set, entries)
	}
	set, entries := current.SetForCluster(), make(ledger.Entries)
	for _, v := range ledger.JudgeCluster(set, audit.NewCluster(sources.Cluster(), now), ledger.Previous{}, nil, now) {
		entries[v.Report] = v.Entry
		if v.Build != nil {
			reports[v.Report] = canonical(v.Build())
		}
	}
	book.Put("", set, entries)
	// What the operator alone knows, its sources and its version, is taken from its own report.
	own := &v1alpha1.ClusterSecurityReport{}
	if err := b.client.Get(ctx, client.ObjectKey{Name: v1alpha1.ClusterReportName}, own); err != nil {
		return nil, 0, client.IgnoreNotFound(err) // not written yet: the comparison will tell
	}
	whole := report.Cluster{
		Totals: book.Totals(), Checks: current.Checks(), Sources: own.Sources, Generation: current.Generation(), Version: own.Version,
	}
	reports[own.Name] = canonical(whole.Build())
	return reports, pods, nil
}

// read reads the cluster once more, as the operator does when it starts.
func (b *bench) read(ctx context.Context) (sources *source.Sources, stop func(), err error) {
	config := rest.CopyConfig(b.plane.Config)
	config.QPS = -1
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, nil, err
	}
	clients, err := kubernetes.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, nil, err
	}
	sources = source.New(clients)
	if err := source.AddOptional(sources, config, httpClient); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(klog.NewContext(ctx, logr.Discard()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = sources.Start(ctx) // it ends with the context and has no error to return
	}()
	stop = func() { cancel(); <-done }
	for !sources.Current() {
		select {
		case <-ctx.Done():
			stop()
			return nil, nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return sources, stop, nil
}

// configuration returns the one in force.
func (b *bench) configuration(ctx context.Context, builtin []audit.Check) (*configuration.Configuration, error) {
	var stored v1alpha1.AuditConfiguration
	err := b.client.Get(ctx, client.ObjectKey{Name: v1alpha1.AuditConfigurationName}, &stored)
	if err != nil {
		return configuration.New(builtin, nil, nil), client.IgnoreNotFound(err)
	}
	current := configuration.New(builtin, &stored.Spec, nil)
	current.Of = &audit.ConfigurationRecord{Generation: stored.Generation}
	return current, nil
}

// each calls do for every object of the kind of an empty list. do may keep the objects.
func (b *bench) each(ctx context.Context, empty client.ObjectList, do func(client.Object) error) error {
	options := &client.ListOptions{Limit: pageSize}
	for {
		list, ok := empty.DeepCopyObject().(client.ObjectList)
		if !ok {
			return fmt.Errorf("a copy of %T is no list", empty)
		}
		if err := b.client.List(ctx, list, options); err != nil {
			return fmt.Errorf("listing into %T: %w", list, err)
		}
		err := meta.EachListItem(list, func(item runtime.Object) error {
			o, ok := item.(client.Object)
			if !ok {
				return fmt.Errorf("%T in a list is no object", item)
			}
			return do(o)
		})
		if err != nil || list.GetContinue() == "" {
			return err
		}
		options.Continue = list.GetContinue()
	}
}

// canonical encodes what the operator decides of a report, but for since when findings stand.
func canonical(o client.Object) string {
	metadata := metav1.ObjectMeta{
		Namespace: o.GetNamespace(), Name: o.GetName(), Labels: o.GetLabels(), Annotations: o.GetAnnotations(),
		OwnerReferences: o.GetOwnerReferences(), Finalizers: o.GetFinalizers(),
	}
	switch r := o.(type) {
	case *v1alpha1.SecurityReport:
		r.TypeMeta, r.ObjectMeta = metav1.TypeMeta{}, metadata
		for i := range r.Findings {
			r.Findings[i].Since = metav1.Time{}
		}
	case *v1alpha1.ClusterSecurityReport:
		r.TypeMeta, r.ObjectMeta = metav1.TypeMeta{}, metadata
		for i := range r.Findings {
			r.Findings[i].Since = metav1.Time{}
		}
	}
	encoded, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		return err.Error() // then it differs from everything else
	}
	return string(encoded)
}
