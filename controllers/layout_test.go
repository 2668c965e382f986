// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/internal/shard"
)

func TestLeaseNames(t *testing.T) {
	for name, tc := range map[string]struct {
		shard shard.Shard
		want  string
	}{
		"without shards it is as it was": {shard.Shard{Index: 0, Count: 1}, "kubersafe.audit.kubersafe.io"},
		"the first of two":               {shard.Shard{Index: 0, Count: 2}, "kubersafe.audit.kubersafe.io-0-of-2"},
		"the last of twelve":             {shard.Shard{Index: 11, Count: 12}, "kubersafe.audit.kubersafe.io-11-of-12"},
	} {
		t.Run(name, func(t *testing.T) {
			got := LeaseName(tc.shard)
			if got != tc.want {
				t.Errorf("it is %s, want %s", got, tc.want)
			}
			if n := shardsOf(got); n != tc.shard.Count {
				t.Errorf("%s is taken for one of %d shards, want %d", got, n, tc.shard.Count)
			}
		})
	}
	for _, other := range []string{
		"", "cert-manager", "kubersafe.audit.kubersafe.io-", "kubersafe.audit.kubersafe.io-0-of-", "kubersafe.audit.kubersafe.io-0-of-2-x",
		"x-kubersafe.audit.kubersafe.io", "-0-of-2", "kubersafe.audit.kubersafe.io-0-of-99999999999999999999",
	} {
		if n := shardsOf(other); n != 0 {
			t.Errorf("%q is taken for one of %d shards", other, n)
		}
	}
}

// leases are what the API server says from a time on. holder "" is a Lease that was let go.
type leases struct {
	client.Reader
	begun time.Time
	held  func(elapsed time.Duration) (names []string, renewed bool)
	fails func(elapsed time.Duration) bool
}

func (l *leases) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	elapsed := time.Since(l.begun)
	if l.fails != nil && l.fails(elapsed) {
		return errors.New("no")
	}
	if o.Namespace != "ours" {
		return fmt.Errorf("listed in %q", o.Namespace)
	}
	names, renewed := l.held(elapsed)
	version := "1"
	if renewed {
		version = fmt.Sprint(elapsed)
	}
	into, ok := list.(*coordinationv1.LeaseList)
	if !ok {
		return fmt.Errorf("listed %T", list)
	}
	for _, name := range names {
		into.Items = append(into.Items, coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("somebody"), LeaseDurationSeconds: new(int32(15))},
		})
	}
	into.Items = append(into.Items, coordinationv1.Lease{ // let go, as one that ends in order does
		ObjectMeta: metav1.ObjectMeta{Name: "kubersafe.audit.kubersafe.io-0-of-7"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: new(""), LeaseDurationSeconds: new(int32(1))},
	})
	return nil
}

func TestLayout(t *testing.T) {
	until := func(end time.Duration, names ...string) func(time.Duration) ([]string, bool) {
		return func(elapsed time.Duration) ([]string, bool) {
			if elapsed < end {
				return names, true
			}
			return nil, true
		}
	}
	const old, ofTwo, ofThree = "kubersafe.audit.kubersafe.io", "kubersafe.audit.kubersafe.io-0-of-2", "kubersafe.audit.kubersafe.io-1-of-3"
	for name, tc := range map[string]struct {
		shard  shard.Shard
		leases leases
		want   time.Duration
	}{
		"alone: at once":                          {shard.Shard{Index: 0, Count: 2}, leases{held: until(0)}, 0},
		"beside its own shards: at once":          {shard.Shard{Index: 1, Count: 2}, leases{held: until(time.Hour, ofTwo, "other")}, 0},
		"without shards, alone: at once":          {shard.Shard{}, leases{held: until(time.Hour, old)}, 0},
		"until the one without shards has ended":  {shard.Shard{Index: 1, Count: 2}, leases{held: until(time.Minute, old)}, time.Minute},
		"until the last of more shards has ended": {shard.Shard{Index: 1, Count: 2}, leases{held: until(30*time.Second, ofTwo, ofThree)}, 30 * time.Second},
		"without shards, until all shards have":   {shard.Shard{}, leases{held: until(9*time.Second, ofTwo)}, 10 * time.Second},
		"until one that has ended without a word has not renewed its Lease for long enough": {
			shard.Shard{Index: 0, Count: 2}, leases{held: func(time.Duration) ([]string, bool) { return []string{old, ofThree}, false }}, 16 * time.Second,
		},
		"not before it could look": {
			shard.Shard{Index: 0, Count: 2}, leases{held: until(0), fails: func(e time.Duration) bool { return e < 5*time.Second }}, 6 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				tc.leases.begun = begun
				l := Layout{Leases: &tc.leases, Namespace: "ours", Shard: tc.shard}
				if err := l.Await(t.Context()); err != nil {
					t.Fatal(err)
				}
				if waited := time.Since(begun); waited != tc.want {
					t.Errorf("it waited %s, want %s", waited, tc.want)
				}
			})
		})
	}
}

func TestLayoutEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		renewed := func(time.Duration) ([]string, bool) { return []string{"kubersafe.audit.kubersafe.io"}, true }
		l := Layout{Leases: &leases{begun: time.Now(), held: renewed}, Namespace: "ours", Shard: shard.Shard{Index: 0, Count: 2}}
		if err := l.Await(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Await = %v", err)
		}
	})
}
