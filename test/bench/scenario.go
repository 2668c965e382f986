// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/test/bench/load"
	"github.com/kubersafe/kubersafe/test/fresh"
)

type scenario struct {
	name, title string
	// always: the others build upon it.
	always bool
	run    func(context.Context, *bench) error
}

// scenarios in their order: each finds the operator running, but for those that start it.
var scenarios = []scenario{
	{"empty", "starting the operator on an empty cluster", false, empty},
	{"cold-start", "cold start: everything has to be read, judged and written", true, coldStart},
	{"latency", "single changes, one after the other", false, singleChanges},
	{"restart", "restart: all reports are right already", false, restart},
	{"idle", "an idle hour: updates that touch nothing audited, and nothing", false, idleHour},
	{"status", "1,000 updates of the status of Pods", false, statusUpdates},
	{"rollout", "a rollout of 500 Pods of one Deployment", false, rollout},
	{"labels", "labels of a namespace that many network policies name", false, labelFlips},
	{"configuration", "an AuditConfiguration that says something of one namespace", false, configure},
	{"churn", "50 Pods created and deleted a second in one namespace, changes in others", false, churn},
	{"steady", "100 changes a second", false, steady},
}

// atOnce is how many requests scenarios make at a time that are to be fast.
const atOnce = 8

func empty(ctx context.Context, b *bench) error {
	if err := coldStartAs(ctx, b, "empty"); err != nil {
		return err
	}
	return b.operator.Stop()
}

func coldStart(ctx context.Context, b *bench) error {
	if err := b.load(ctx); err != nil {
		return err
	}
	return coldStartAs(ctx, b, "cold-start")
}

func coldStartAs(ctx context.Context, b *bench, name string) error {
	m, err := b.begin(ctx, name)
	if err != nil {
		return err
	}
	if err := b.startOperator(ctx); err != nil {
		return err
	}
	return m.end(ctx, 0, nil)
}

func restart(ctx context.Context, b *bench) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	if err := b.operator.Stop(); err != nil {
		return err
	}
	return coldStartAs(ctx, b, "restart")
}

// startOperator returns when every report says what the cluster is like.
func (b *bench) startOperator(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	begun := time.Now()
	if err := b.operator.Start(ctx); err != nil {
		return err
	}
	scraped, err := b.scrape(ctx)
	if err != nil {
		return err
	}
	b.log("the operator is ready after %.1f s; %.1f MiB were live at its last collection", time.Since(begun).Seconds(), scraped[heapLive]/mebibyte)
	return b.waitUntilIdle(ctx)
}

// waitUntilIdle returns when the operator says that nothing is left to be done.
func (b *bench) waitUntilIdle(ctx context.Context) error {
	const interval = 250 * time.Millisecond
	// The time is in whole seconds, and the first is that of the first pass, when reports may still have to be written. So a
	// later one than that, and than this second, is needed to know that nothing was left to be done.
	after := float64(time.Now().Unix())
	for seen := false; ; {
		scraped, err := b.scrape(ctx)
		if err != nil {
			return err
		}
		last, complete := scraped["kubersafe_last_complete_audit_timestamp_seconds"]
		if complete && seen && last > after {
			return nil
		}
		if complete && !seen {
			seen, after = true, max(after, last)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(interval):
		}
	}
}

// load fills the cluster.
func (b *bench) load(ctx context.Context) error {
	begun, last := time.Now(), time.Now()
	var mu sync.Mutex
	var objects int64
	err := load.Store(ctx, b.plane.Etcd(), b.size, func(n int64) {
		const interval = 5 * time.Second
		mu.Lock()
		defer mu.Unlock()
		objects = max(objects, n)
		if time.Since(last) > interval {
			last = time.Now()
			b.log("stored %d objects", n)
		}
	})
	if err != nil {
		return err
	}
	b.log("stored %d objects in %.1f s", objects, time.Since(begun).Seconds())
	for _, name := range []string{floorNamespace, sentinelNamespace, rolloutNamespace, churnNamespace} {
		if err := b.createNamespace(ctx, name); err != nil {
			return err
		}
	}
	b.sentinel, err = b.newSentinel(ctx)
	return err
}

// createNamespace creates one with the ServiceAccount that Pods name, which no controller makes here.
func (b *bench) createNamespace(ctx context.Context, name string) error {
	if err := b.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		return err
	}
	return b.client.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "default"}})
}

// sentinel is changed last to know when everything before it has been seen: what comes last over the same watches is judged
// last. No count changes with it, so nothing but its own reports is written.
type sentinel struct {
	deployment *appsv1.Deployment
	pod        *corev1.Pod
	round      int
}

const sentinelNamespace = "bench-sentinel"

func (b *bench) newSentinel(ctx context.Context) (*sentinel, error) {
	s := &sentinel{
		deployment: deployment(sentinelNamespace, "sentinel", 1),
		pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: sentinelNamespace, Name: "sentinel"}, Spec: podSpec("registry.example.com/sentinel:0"),
		},
	}
	if err := b.client.Create(ctx, s.deployment); err != nil {
		return nil, err
	}
	return s, b.client.Create(ctx, s.pod)
}

// settle returns when the operator has worked off all that has happened.
func (b *bench) settle(ctx context.Context) error {
	reports, err := b.follow(ctx, reportKind, sentinelNamespace)
	if err != nil {
		return err
	}
	defer reports.stop()
	s := b.sentinel
	s.round++
	metav1.SetMetaDataAnnotation(&s.deployment.Spec.Template.ObjectMeta, "bench/round", fmt.Sprint(s.round))
	if err := b.client.Update(ctx, s.deployment); err != nil {
		return err
	}
	s.pod.Spec.Containers[0].Image = fmt.Sprintf("registry.example.com/sentinel:%d", s.round)
	if err := b.client.Update(ctx, s.pod); err != nil {
		return err
	}
	for report, o := range map[string]client.Object{"deployment-sentinel": s.deployment, "pod-sentinel": s.pod} {
		if _, err := reports.await(ctx, client.ObjectKey{Namespace: sentinelNamespace, Name: report}, versionOf(o)); err != nil {
			return err
		}
	}
	return b.waitUntilIdle(ctx)
}

func podSpec(image string) corev1.PodSpec {
	return corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: "app", Image: image, SecurityContext: &corev1.SecurityContext{Privileged: new(true)},
		}},
		AutomountServiceAccountToken:  new(false),
		TerminationGracePeriodSeconds: new(int64(0)), // or the API server would wait for a kubelet when it is deleted
	}
}

func deployment(namespace, name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec("registry.example.com/" + name + ":1")},
		},
	}
}

// deployments of the load, by namespace. Each is changed by one scenario at a time.
func (b *bench) deployments(ctx context.Context) (map[string][]*appsv1.Deployment, error) {
	found := make(map[string][]*appsv1.Deployment)
	return found, fresh.Each(ctx, b.client, &appsv1.DeploymentList{}, func(o client.Object) error {
		if d, ok := o.(*appsv1.Deployment); ok && load.Holds(d.Namespace) {
			found[d.Namespace] = append(found[d.Namespace], d)
		}
		return nil
	})
}

// flip changes the verdict on a Deployment, and the hash of its template, so that two flips at once show as well.
func (b *bench) flip(ctx context.Context, d *appsv1.Deployment) (change, error) {
	metav1.SetMetaDataAnnotation(&d.Spec.Template.ObjectMeta, "bench/round", d.ResourceVersion)
	c := d.Spec.Template.Spec.Containers[0].SecurityContext
	if c == nil {
		c = &corev1.SecurityContext{}
		d.Spec.Template.Spec.Containers[0].SecurityContext = c
	}
	privileged := c.Privileged == nil || !*c.Privileged
	c.Privileged, c.AllowPrivilegeEscalation = &privileged, &privileged
	err := b.client.Update(ctx, d)
	return change{client.ObjectKey{Namespace: d.Namespace, Name: "deployment-" + d.Name}, versionOf(d), time.Now()}, err
}

// singleChanges makes one change at a time, each in a namespace that has been quiet, and measures the floor in between.
func singleChanges(ctx context.Context, b *bench) error {
	const changes = 500
	quiet, err := b.oneOfEach(ctx)
	if err != nil {
		return err
	}
	return b.measureLatencies(ctx, "latency", func(reports *follower, floor *floor) (int, *latencies, error) {
		l := &latencies{}
		for i := range changes {
			if err := b.sampleChange(ctx, quiet[i%len(quiet)], reports, floor, l); err != nil {
				return 0, nil, err
			}
		}
		return changes, l, nil
	})
}

// oneOfEach returns one Deployment of every namespace of the load.
func (b *bench) oneOfEach(ctx context.Context) ([]*appsv1.Deployment, error) {
	all, err := b.deployments(ctx)
	if err != nil {
		return nil, err
	}
	var quiet []*appsv1.Deployment
	for ns := range load.Generate(load.Options{Namespaces: b.size.Namespaces}) {
		if d := all[ns.Namespace.Name]; len(d) > 0 {
			quiet = append(quiet, d[0])
		}
	}
	if len(quiet) == 0 {
		return nil, errors.New("the load has no Deployment")
	}
	return quiet, nil
}

// sampleChange measures one change and the floor.
func (b *bench) sampleChange(ctx context.Context, d *appsv1.Deployment, reports *follower, floor *floor, l *latencies) error {
	c, err := b.flip(ctx, d)
	if err != nil {
		return err
	}
	took, err := reports.latency(ctx, c)
	if err != nil {
		return err
	}
	l.changes = append(l.changes, took)
	return sampleFloor(ctx, floor, l)
}

func sampleFloor(ctx context.Context, floor *floor, l *latencies) error {
	took, err := floor.sample(ctx)
	l.floor = append(l.floor, took)
	return err
}

// measureLatencies measures a scenario that returns the number of changes and how long they took.
func (b *bench) measureLatencies(ctx context.Context, name string, run func(*follower, *floor) (int, *latencies, error)) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	reports, err := b.follow(ctx, reportKind, "")
	if err != nil {
		return err
	}
	defer reports.stop()
	floor, err := b.newFloor(ctx)
	if err != nil {
		return err
	}
	defer floor.stop()
	m, err := b.begin(ctx, name)
	if err != nil {
		return err
	}
	changes, l, err := run(reports, floor)
	if err != nil {
		return err
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	return m.end(ctx, changes, l)
}

// measure measures a scenario that returns the number of changes.
func (b *bench) measure(ctx context.Context, name string, run func() (int, error)) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	m, err := b.begin(ctx, name)
	if err != nil {
		return err
	}
	changes, err := run()
	if err != nil {
		return err
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	return m.end(ctx, changes, nil)
}

// some returns up to n objects of the kind of a list, of the load.
func some[T client.Object](ctx context.Context, b *bench, list client.ObjectList, n int) ([]T, error) {
	errEnough := errors.New("enough")
	var found []T
	err := fresh.Each(ctx, b.client, list, func(o client.Object) error {
		if typed, ok := o.(T); ok && load.Holds(o.GetNamespace()) {
			found = append(found, typed)
		}
		if len(found) == n {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

// concurrently calls do for every item, some at a time.
func concurrently[T any](ctx context.Context, items []T, do func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, item := range items {
		group.Go(func() error { return do(ctx, item) })
	}
	return group.Wait()
}
