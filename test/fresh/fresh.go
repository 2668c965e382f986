// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fresh tells what the reports of a cluster must be: it reads the cluster anew and evaluates it, one namespace after the
// other, with nothing remembered. Tests and measurements compare what the operator has come to with it.
package fresh

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

// pageSize of lists: client-go's own.
const pageSize = 500

// Difference shows the first few reports that differ; "" if none does.
func Difference(fresh, stored map[string]string) string {
	const most = 3
	differing := make(map[string]bool)
	for _, m := range []map[string]string{fresh, stored} {
		for key := range m {
			if fresh[key] != stored[key] {
				differing[key] = true
			}
		}
	}
	if len(differing) == 0 {
		return ""
	}
	keys := slices.Sorted(maps.Keys(differing))
	text := fmt.Sprintf("%d of %d reports differ\n", len(keys), len(stored))
	for _, key := range keys[:min(most, len(keys))] {
		text += key + "\n" + cmp.Diff(fresh[key], stored[key])
	}
	return text
}

// Stored returns the reports that there are, and the size of all of them as JSON without managed fields. They are JSON without
// what the operator does not decide and since when findings stand, by "namespace/name" or, outside namespaces, by name.
func Stored(ctx context.Context, c client.Reader) (map[string]string, int, error) {
	reports, size := make(map[string]string), 0
	err := Each(ctx, c, &v1alpha1.SecurityReportList{}, func(o client.Object) error {
		o.SetManagedFields(nil)
		encoded, err := json.Marshal(o)
		size += len(encoded)
		reports[o.GetNamespace()+"/"+o.GetName()] = canonical(o)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return reports, size, Each(ctx, c, &v1alpha1.ClusterSecurityReportList{}, func(o client.Object) error {
		reports[o.GetName()] = canonical(o)
		return nil
	})
}

// Evaluate reads the cluster anew, as whom config is of may, and evaluates it. It returns the reports in the form of Stored, and the
// number of Pods. What the operator alone knows, its sources and its version, is taken from its own report, which c reads.
func Evaluate(ctx context.Context, config *rest.Config, c client.Reader) (map[string]string, int, error) {
	set, err := checks.Default()
	if err != nil {
		return nil, 0, err
	}
	sources, stop, err := read(ctx, config)
	if err != nil {
		return nil, 0, err
	}
	defer stop()
	current := configuration.NewLive(set.Checks(), sources.Configuration).Current()
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
	inventory := sources.Cluster()
	inventory.Namespaces = slices.DeleteFunc(inventory.Namespaces, func(n *audit.NamespaceRecord) bool {
		return n.Terminating || current.Excludes(n.Name, n.Labels)
	})
	set, entries := current.SetForCluster(), make(ledger.Entries)
	for _, v := range ledger.JudgeCluster(set, audit.NewCluster(inventory, now), ledger.Previous{}, nil, now) {
		entries[v.Report] = v.Entry
		if v.Build != nil {
			reports[v.Report] = canonical(v.Build())
		}
	}
	book.Put("", set, entries)
	own := &v1alpha1.ClusterSecurityReport{}
	if err := c.Get(ctx, client.ObjectKey{Name: v1alpha1.ClusterReportName}, own); err != nil {
		return reports, pods, client.IgnoreNotFound(err) // not written yet: the comparison will tell
	}
	whole := report.Cluster{
		Totals: book.Totals(), Checks: current.Checks(), Sources: own.Sources, Generation: current.Generation(), Version: own.Version,
	}
	reports[own.Name] = canonical(whole.Build())
	return reports, pods, nil
}

// read reads the cluster once more, as the operator does when it starts.
func read(ctx context.Context, config *rest.Config) (sources *source.Sources, stop func(), err error) {
	config = rest.CopyConfig(config)
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
	stop = func() {
		cancel()
		<-done
		httpClient.CloseIdleConnections()
	}
	for !sources.Current() || !sources.Settled() {
		select {
		case <-ctx.Done():
			stop()
			return nil, nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return sources, stop, nil
}

// Each calls do for every object of the kind of an empty list. do may keep the objects.
func Each(ctx context.Context, c client.Reader, empty client.ObjectList, do func(client.Object) error) error {
	options := &client.ListOptions{Limit: pageSize}
	for {
		list, ok := empty.DeepCopyObject().(client.ObjectList)
		if !ok {
			return fmt.Errorf("a copy of %T is no list", empty)
		}
		if err := c.List(ctx, list, options); err != nil {
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
