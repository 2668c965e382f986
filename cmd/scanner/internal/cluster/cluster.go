// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster watches which images a cluster uses: those that its Pods run, and those that templates name of which there are no Pods.
package cluster

import (
	"cmp"
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/shard"
	"github.com/kubersafe/kubersafe/internal/source"
)

// Cluster keeps what it takes to tell which images are used: of a Pod some 400 bytes.
type Cluster struct {
	followers []*source.Follower
	workloads []*source.Store[*workload]
	nodes     *source.Store[*node]
}

// New returns a Cluster. It calls changed, which must not block, whenever the uses may be other ones.
func New(client kubernetes.Interface, changed func()) *Cluster {
	c := &Cluster{nodes: source.NewStore(convertNode)}
	notify := func(string) { changed() }
	for _, kind := range []struct {
		resource audit.Resource
		client   rest.Interface
		example  apiruntime.Object
	}{
		{audit.Pods, client.CoreV1().RESTClient(), &corev1.Pod{}},
		{audit.Deployments, client.AppsV1().RESTClient(), &appsv1.Deployment{}},
		{audit.StatefulSets, client.AppsV1().RESTClient(), &appsv1.StatefulSet{}},
		{audit.DaemonSets, client.AppsV1().RESTClient(), &appsv1.DaemonSet{}},
		{audit.CronJobs, client.BatchV1().RESTClient(), &batchv1.CronJob{}},
		{audit.Jobs, client.BatchV1().RESTClient(), &batchv1.Job{}},
	} {
		store := source.NewStore(convert)
		c.workloads = append(c.workloads, store)
		c.followers = append(c.followers, source.NewFollower(shard.Shard{}, kind.resource, "", kind.client, kind.example, store, notify, changed))
	}
	c.followers = append(c.followers,
		source.NewFollower(shard.Shard{}, audit.Nodes, "", client.CoreV1().RESTClient(), &corev1.Node{}, c.nodes, notify, changed))
	return c
}

// Follow watches until the context ends.
func (c *Cluster) Follow(ctx context.Context) {
	var all sync.WaitGroup
	for _, f := range c.followers {
		all.Go(func() { f.Follow(ctx) })
	}
	all.Wait()
}

// Synced says whether all is read that is to be read. Until then, and while something may not be read, what is not seen may be used all the
// same.
func (c *Cluster) Synced() bool {
	return !slices.ContainsFunc(c.followers, func(f *source.Follower) bool { return !f.Synced() })
}

// KubeletVersions returns the versions of all kubelets, each as often as there are.
func (c *Cluster) KubeletVersions() []string {
	var versions []string
	for _, n := range c.nodes.All() {
		versions = append(versions, n.kubelet)
	}
	return versions
}

// Uses returns the images that are used, and more by their names: those of most Pods first.
func (c *Cluster) Uses(more []string) []Use {
	platforms := make(map[string]string)
	count := make(map[string]int)
	for _, n := range c.nodes.All() {
		if n.platform != "" {
			platforms[n.Name] = n.platform
			count[n.platform]++
		}
	}
	// Of names, and of Pods whose node is gone, it is not known where they run: most likely where most do.
	usual := "linux/" + runtime.GOARCH
	if len(count) > 0 {
		usual = slices.MinFunc(slices.Collect(maps.Keys(count)), func(a, b string) int {
			return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
		})
	}
	var all []*workload
	for _, store := range c.workloads {
		all = append(all, store.All()...)
	}
	return uses(append(all, named(more)), platforms, usual)
}
