// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubersafe/kubersafe/internal/shard"
)

const leaseName = "kubersafe.audit.kubersafe.io"

// shardSuffix is what the name of a shard's Lease ends in.
var shardSuffix = regexp.MustCompile(`^-[0-9]+-of-([0-9]+)$`)

// LeaseName returns the name of the Lease that the replicas of a shard elect their leader by.
func LeaseName(s shard.Shard) string {
	if s.Whole() {
		return leaseName
	}
	return fmt.Sprintf("%s-%d-of-%d", leaseName, s.Index, s.Count)
}

// shardsOf returns into how many shards the replicas divide the cluster that a Lease is of; 0 if it is not one of ours.
func shardsOf(lease string) int {
	suffix, ours := strings.CutPrefix(lease, leaseName)
	if ours && suffix == "" {
		return 1
	}
	match := shardSuffix.FindStringSubmatch(suffix)
	if !ours || match == nil {
		return 0
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		return 0
	}
	return n
}

// Layout keeps replicas that divide the cluster into different numbers of shards from working at the same time: each namespace
// would have two that judge it. Whoever has become leader of its shard waits until no Lease of another number is held. Of two
// that begin together at least one sees the Lease of the other, because both take theirs first and look then.
type Layout struct {
	// Leases reads from the API server itself: a cache may be behind.
	Leases client.Reader
	// Namespace of the Leases.
	Namespace string
	Shard     shard.Shard
}

// layoutPoll is how often a replica tries to become leader, too.
const layoutPoll = 2 * time.Second

// Await returns once no other number of shards is at work, or with an error when ctx ends before. As long as the Leases
// cannot be read, it waits.
func (l *Layout) Await(ctx context.Context) error {
	logger, seen, told := log.FromContext(ctx).WithName("layout"), make(sightings), ""
	for {
		leases := &coordinationv1.LeaseList{}
		if err := l.Leases.List(ctx, leases, client.InNamespace(l.Namespace)); err != nil {
			logger.Error(err, "Cannot list Leases to see whether another number of shards is at work; trying again")
		} else {
			held := strings.Join(seen.held(leases.Items, l.Shard), ", ")
			if held == "" {
				return nil
			}
			if held != told {
				logger.Info("Waiting for the replicas of another number of shards to end", "shard", l.Shard.String(), "leases", held)
				told = held
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(layoutPoll):
		}
	}
}

// sightings of Leases, by name, tell those that are held from those whose holder is gone without a word. As in leader
// elections, that is one that has not been renewed for its duration while we looked: clocks of two nodes are not compared.
type sightings map[string]sighting

type sighting struct {
	version string
	since   time.Time
}

// held returns the names of the Leases of other numbers of shards that are held, sorted.
func (s sightings) held(leases []coordinationv1.Lease, own shard.Shard) []string {
	var names []string
	now := time.Now()
	for i := range leases {
		lease := &leases[i]
		n := shardsOf(lease.Name)
		if n == 0 || n == max(1, own.Count) || ptr.Deref(lease.Spec.HolderIdentity, "") == "" {
			continue
		}
		if s[lease.Name].version != lease.ResourceVersion {
			s[lease.Name] = sighting{lease.ResourceVersion, now}
		}
		duration := time.Duration(ptr.Deref(lease.Spec.LeaseDurationSeconds, 0)) * time.Second
		if now.Sub(s[lease.Name].since) < duration {
			names = append(names, lease.Name)
		}
	}
	slices.Sort(names)
	return names
}
