// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/source"
)

const (
	// contactTimeout of the first request. Whoever cannot be reached in that time is not there.
	contactTimeout = 10 * time.Second
	// progressDelay after which people start to wonder.
	progressDelay = 2 * time.Second
	// stallTimeout after which no resource having been read means that none will be. The largest lists take seconds.
	stallTimeout = 2 * time.Minute
)

// auditCluster reads a cluster once and judges all its namespaces or one, by the cluster's AuditConfiguration unless one is given.
func (o *auditOptions) auditCluster(ctx context.Context, judge *judge, given bool, stderr io.Writer) error {
	klog.SetLogger(logr.Discard()) // what cannot be read is in the reports
	cfg, httpClient, client, err := o.connect(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	sources := source.New(client)
	if err := source.AddOptional(sources, cfg, httpClient); err != nil {
		return err
	}
	changed := make(chan struct{}, 1)
	sources.OnEvent(func(e source.Event) {
		if e.StateChanged {
			select {
			case changed <- struct{}{}:
			default: // somebody is about to look anyway
			}
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = sources.Start(ctx) // it ends with the context and has no error to return
	}()
	defer func() { stop(); <-done }()
	if err := waitUntilSettled(ctx, sources, changed, stderr); err != nil {
		return err
	}
	tellUnread(sources, stderr)
	judge.of, judge.sources = "the cluster at "+cfg.Host, sources.Status()

	if record, ok := sources.Configuration(); ok && !given {
		for _, p := range judge.configure(record.Spec) {
			fmt.Fprintf(stderr, "Warning: the cluster's AuditConfiguration: %s\n", p)
		}
	}
	exceptions, names := sources.Exceptions(""), sources.Namespaces()
	if n := o.namespace(); n != "" {
		if !slices.Contains(names, n) {
			return fmt.Errorf("there is no namespace %q", n)
		}
		names, judge.of, judge.part = []string{n}, fmt.Sprintf("namespace %q of %s", n, judge.of), true
	}
	for _, name := range names {
		inventory, exists := sources.Inventory(name)
		if !exists || inventory.Namespace != nil && inventory.Namespace.Terminating { // where the operator writes nothing either
			continue
		}
		judge.judge(inventory)
		exceptions = append(exceptions, sources.Exceptions(name)...)
	}
	nothing := len(judge.reports) == 0
	if !judge.part {
		judge.judgeCluster(sources.Cluster())
	}
	if nothing {
		return errors.New("nothing in the cluster could be read: nothing was judged")
	}
	judge.tellExceptions(exceptions, stderr)
	return nil
}

// contact asks the API server something that everybody may.
func contact(ctx context.Context, client kubernetes.Interface) error {
	ctx, cancel := context.WithTimeout(ctx, contactTimeout)
	defer cancel()
	return client.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Error()
}

// waitUntilSettled waits until every resource is read or known to be unreadable.
func waitUntilSettled(ctx context.Context, sources *source.Sources, changed <-chan struct{}, stderr io.Writer) error {
	progress := time.NewTimer(progressDelay)
	defer progress.Stop()
	stalled := time.NewTimer(stallTimeout)
	defer stalled.Stop()
	for !sources.Settled() {
		select {
		case <-ctx.Done():
			return contextError(ctx)
		case <-changed:
			stalled.Reset(stallTimeout)
		case <-progress.C:
			fmt.Fprintf(stderr, "%s …\n", awaited(inState(sources, v1alpha1.SourceSyncing)))
			progress.Reset(progressDelay)
		case <-stalled.C:
			unread := inState(sources, v1alpha1.SourceSyncing)
			if len(unread) == 0 { // it takes a while, and ends
				stalled.Reset(stallTimeout)
				continue
			}
			return fmt.Errorf("the API server does not answer: could not read %s", strings.Join(unread, ", "))
		}
	}
	return nil
}

// awaited says what is done while those resources have not been read.
func awaited(unread []string) string {
	if len(unread) == 0 {
		return "Finding out what ServiceAccounts may do"
	}
	return "Reading " + strings.Join(unread, ", ")
}

// tellUnread tells what is missing, once for all reports.
func tellUnread(sources *source.Sources, stderr io.Writer) {
	var forbidden, settings []string
	for _, r := range inState(sources, v1alpha1.SourceForbidden) {
		if strings.HasSuffix(r, "."+v1alpha1.GroupVersion.Group) && audit.Resource(r) != audit.ImageReports {
			settings = append(settings, r)
		} else {
			forbidden = append(forbidden, r)
		}
	}
	if len(forbidden) > 0 {
		fmt.Fprintf(stderr, "Warning: you may not list and watch %s; checks that need them are skipped\n", strings.Join(forbidden, ", "))
	}
	if len(settings) > 0 {
		fmt.Fprintf(stderr, "Warning: you may not list and watch %s; what they set or exempt is not known, and the operator's reports may differ\n",
			strings.Join(settings, ", "))
	}
	missing := slices.DeleteFunc(inState(sources, v1alpha1.SourceNotServed), func(resource string) bool {
		return audit.Resource(resource).Optional()
	})
	if len(missing) > 0 {
		fmt.Fprintf(stderr, "Warning: the API server does not serve %s; checks that need them are skipped\n", strings.Join(missing, ", "))
	}
}

func inState(sources *source.Sources, state v1alpha1.SourceState) []string {
	var names []string
	for _, s := range sources.Status() {
		if s.State == state {
			names = append(names, s.Resource)
		}
	}
	return names
}
