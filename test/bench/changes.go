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
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/test/bench/load"
	"github.com/kubersafe/kubersafe/test/fresh"
)

const (
	rolloutNamespace = "bench-rollout"
	churnNamespace   = "bench-churn"
)

// idleHour compresses the hour by counting: what would come in one, as fast as it goes. Then nothing, for a while.
func idleHour(ctx context.Context, b *bench) error {
	const (
		updates = 500              // of each sort
		nothing = 10 * time.Second // longer than anything that the operator defers
	)
	deployments, err := some[*appsv1.Deployment](ctx, b, &appsv1.DeploymentList{}, updates)
	if err != nil {
		return err
	}
	quotas, err := some[*corev1.ResourceQuota](ctx, b, &corev1.ResourceQuotaList{}, updates)
	if err != nil {
		return err
	}
	pods, err := some[*corev1.Pod](ctx, b, &corev1.PodList{}, updates)
	if err != nil {
		return err
	}
	return b.measure(ctx, "idle", func() (int, error) {
		err := concurrently(ctx, deployments, func(ctx context.Context, d *appsv1.Deployment) error {
			if err := b.client.Update(ctx, d); err != nil { // changes nothing: no watch event
				return err
			}
			metav1.SetMetaDataAnnotation(&d.ObjectMeta, "deployment.kubernetes.io/revision", "5")
			if err := b.client.Update(ctx, d); err != nil {
				return err
			}
			d.Status.ObservedGeneration++
			return b.client.Status().Update(ctx, d)
		})
		if err != nil {
			return 0, err
		}
		err = concurrently(ctx, pods, func(ctx context.Context, p *corev1.Pod) error {
			metav1.SetMetaDataAnnotation(&p.ObjectMeta, "example.com/touched", "yes")
			return b.client.Update(ctx, p)
		})
		if err != nil {
			return 0, err
		}
		err = concurrently(ctx, quotas, func(ctx context.Context, q *corev1.ResourceQuota) error {
			used := q.Status.Used[corev1.ResourcePods]
			if hard := q.Spec.Hard[corev1.ResourcePods]; used.Value()*2 < hard.Value() { // it stays far from being used up
				used.Add(*resource.NewQuantity(1, resource.DecimalSI))
				q.Status.Used[corev1.ResourcePods] = used
			}
			return b.client.Status().Update(ctx, q)
		})
		time.Sleep(nothing)
		return 3*len(deployments) + len(pods) + len(quotas), err
	})
}

// statusUpdates does what kubelets do all day.
func statusUpdates(ctx context.Context, b *bench) error {
	const updates = 1000
	pods, err := some[*corev1.Pod](ctx, b, &corev1.PodList{}, updates)
	if err != nil {
		return err
	}
	return b.measure(ctx, "status", func() (int, error) {
		made := 0
		for made < updates {
			err := concurrently(ctx, pods, func(ctx context.Context, p *corev1.Pod) error {
				for i := range p.Status.ContainerStatuses {
					p.Status.ContainerStatuses[i].RestartCount++
				}
				return b.client.Status().Update(ctx, p)
			})
			if err != nil {
				return 0, err
			}
			made += len(pods)
		}
		return made, nil
	})
}

// rollout replaces the Pods of a Deployment one by one, as controllers do.
func rollout(ctx context.Context, b *bench) error {
	const pods = 500
	d := deployment(rolloutNamespace, "web", pods)
	if err := b.client.Create(ctx, d); err != nil {
		return err
	}
	roll := func(revision string) ([]*corev1.Pod, error) {
		rs := &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: d.Namespace, Name: "web-" + revision, Labels: d.Spec.Template.Labels,
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
			},
			Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(pods)), Selector: d.Spec.Selector, Template: d.Spec.Template},
		}
		if err := b.client.Create(ctx, rs); err != nil {
			return nil, err
		}
		fresh := make([]*corev1.Pod, pods)
		for i := range fresh {
			fresh[i] = &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: d.Namespace, Name: fmt.Sprintf("%s-%03d", rs.Name, i), Labels: d.Spec.Template.Labels,
					OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(rs, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))},
				},
				Spec: d.Spec.Template.Spec,
			}
		}
		return fresh, nil
	}
	create := func(ctx context.Context, p *corev1.Pod) error { return b.client.Create(ctx, p) }
	old, err := roll("1")
	if err != nil {
		return err
	}
	if err := concurrently(ctx, old, create); err != nil {
		return err
	}
	return b.measure(ctx, "rollout", func() (int, error) {
		d.Spec.Template.Spec.Containers[0].Image = "registry.example.com/web:2"
		if err := b.client.Update(ctx, d); err != nil {
			return 0, err
		}
		fresh, err := roll("2")
		if err != nil {
			return 0, err
		}
		return 2 * pods, concurrently(ctx, fresh, func(ctx context.Context, p *corev1.Pod) error {
			if err := create(ctx, p); err != nil {
				return err
			}
			gone := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: "web-1" + p.Name[len("web-2"):]}}
			return b.client.Delete(ctx, gone)
		})
	})
}

// labelFlips changes a label of the namespace that a third of all network policies name.
func labelFlips(ctx context.Context, b *bench) error {
	const flips = 20
	return b.measure(ctx, "labels", func() (int, error) {
		ns := &corev1.Namespace{}
		if err := b.client.Get(ctx, client.ObjectKey{Name: load.Hub}, ns); err != nil {
			return 0, err
		}
		for i := range flips {
			ns.Labels["team"] = fmt.Sprintf("team-%d", i)
			if err := b.client.Update(ctx, ns); err != nil {
				return 0, err
			}
			time.Sleep(100 * time.Millisecond)
		}
		return flips, nil
	})
}

// churn creates and deletes bare Pods in one namespace, and measures changes in others meanwhile.
func churn(ctx context.Context, b *bench) error {
	const perSecond, lifetime = 50, time.Second
	quiet, err := b.oneOfEach(ctx)
	if err != nil {
		return err
	}
	return b.measureLatencies(ctx, "churn", func(reports *follower, floor *floor) (int, *latencies, error) {
		l, made := &latencies{}, int(b.duration.Seconds()*perSecond)
		group, ctx := errgroup.WithContext(ctx)
		churning := make(chan struct{})
		group.Go(func() error {
			defer close(churning)
			return b.everyTick(ctx, perSecond, func(ctx context.Context, i int) error {
				p := &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Namespace: churnNamespace, Name: fmt.Sprintf("batch-%d", i)},
					Spec:       podSpec("registry.example.com/batch:1"),
				}
				if err := b.client.Create(ctx, p); err != nil {
					return err
				}
				time.Sleep(lifetime)
				return b.client.Delete(ctx, p)
			})
		})
		samples := 0
		group.Go(func() error {
			for {
				select {
				case <-churning:
					return nil
				case <-time.After(50 * time.Millisecond):
				}
				if err := b.sampleChange(ctx, quiet[samples%len(quiet)], reports, floor, l); err != nil {
					return err
				}
				samples++
			}
		})
		err := group.Wait()
		return 2*made + samples, l, err
	})
}

// steady changes Deployments all over the cluster, and measures each change, and the floor meanwhile.
func steady(ctx context.Context, b *bench) error {
	const perSecond = 100
	all, err := b.deployments(ctx)
	if err != nil {
		return err
	}
	targets := interleave(b, all, int(b.duration.Seconds()*perSecond))
	return b.measureLatencies(ctx, "steady", func(reports *follower, floor *floor) (int, *latencies, error) {
		l := &latencies{}
		var mu sync.Mutex
		var changes []change
		group, whileFine := errgroup.WithContext(ctx)
		changing := make(chan struct{})
		group.Go(func() error {
			defer close(changing)
			return b.everyTick(whileFine, perSecond, func(ctx context.Context, i int) error {
				c, err := b.flip(ctx, targets[i%len(targets)])
				mu.Lock()
				defer mu.Unlock()
				changes = append(changes, c)
				return err
			})
		})
		group.Go(func() error {
			for {
				select {
				case <-changing:
					return nil
				case <-time.After(50 * time.Millisecond):
				}
				if err := sampleFloor(whileFine, floor, l); err != nil {
					return err
				}
			}
		})
		if err := group.Wait(); err != nil {
			return 0, nil, err
		}
		for _, c := range changes {
			took, err := reports.latency(ctx, c)
			if err != nil {
				return 0, nil, err
			}
			l.changes = append(l.changes, took)
		}
		return len(changes), l, nil
	})
}

// interleave returns up to n Deployments, so that neighbours are in different namespaces.
func interleave(b *bench, all map[string][]*appsv1.Deployment, n int) []*appsv1.Deployment {
	var targets []*appsv1.Deployment
	for i := 0; ; i++ {
		before := len(targets)
		for ns := range load.Generate(load.Options{Namespaces: b.size.Namespaces}) {
			if d := all[ns.Namespace.Name]; i < len(d) {
				targets = append(targets, d[i])
			}
			if len(targets) == n {
				return targets
			}
		}
		if len(targets) == before {
			return targets
		}
	}
}

// everyTick calls do at a rate, for as long as the scenario lasts, without waiting for one before the next, and returns when
// all have returned.
func (b *bench) everyTick(ctx context.Context, perSecond int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	ticker := time.NewTicker(time.Second / time.Duration(perSecond))
	defer ticker.Stop()
	for i := range int(b.duration.Seconds()) * perSecond {
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-ticker.C:
			group.Go(func() error { return do(ctx, i) })
		}
	}
	return group.Wait()
}

// configure disables a check in one namespace of the load. Its reports, and no others, have one passed check less.
func configure(ctx context.Context, b *bench) error {
	quiet, err := b.oneOfEach(ctx)
	if err != nil {
		return err
	}
	namespace := quiet[0].Namespace
	reports := 0
	err = fresh.Each(ctx, b.client, &v1alpha1.SecurityReportList{}, func(o client.Object) error {
		if o.GetNamespace() == namespace {
			reports++
		}
		return nil
	})
	if err != nil {
		return err
	}
	c := &v1alpha1.AuditConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.AuditConfigurationName},
		Spec: v1alpha1.AuditConfigurationSpec{Checks: []v1alpha1.CheckRule{{
			// One on workloads, in which the load never fails, and one on namespaces.
			Names: []string{"windows-host-process", "service-external-ips"}, State: v1alpha1.CheckDisabled,
			Namespaces: &v1alpha1.NamespaceSelector{Names: []string{namespace}},
		}}},
	}
	err = b.measure(ctx, "configuration", func() (int, error) { return reports, b.client.Create(ctx, c) })
	return errors.Join(err, b.client.Delete(ctx, c), b.settle(ctx))
}
