// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// withoutElection is for what takes longer than a leader keeps trying to renew its Lease: that it ends then has tests of its own.
const withoutElection = "--leader-elect=false"

func TestFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, f := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"the kind of the reports is not served", kindNotServed},
		{"a kind is forbidden and granted", kindForbidden},
		{"the API server has not read its roles yet", rolesNotRead},
		{"watches are cut", watchesCut},
		{"watches are told that they are too old", watchesExpired},
		{"the API server is slow", slowAPIServer},
		{"every other request is answered 429", func(t *testing.T, w *world) { refused(t, w, tooManyRequests()) }},
		{"every other request is answered 503", func(t *testing.T, w *world) { refused(t, w, unavailable()) }},
		{"the API server is away for a while", unreachable},
		{"the API server is away for minutes", unreachableForLong},
		{"the API server restarts on a compacted etcd", restartedAPIServer},
		{"others edit and delete reports", conflictingWriters},
		{"SIGTERM while it writes", terminated},
		{"SIGKILL while it writes", killed},
		{"the leader is killed", leaderKilled},
		{"the leader's Lease is stolen", leaseStolen},
		{"the leader is cut off", leaderCutOff},
		{"thousands of changes at once", fullQueue}, // the last, for the sake of the others' comparisons
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Cleanup(w.proxy.mend)
			f.run(t, w)
		})
	}
}

// crd is the file of the SecurityReports' definition.
func (w *world) crd() string { return filepath.Join(w.crds, "audit.kubersafe.io_securityreports.yaml") }

func (w *world) kubectl(t *testing.T, args ...string) {
	t.Helper()
	if _, err := w.plane.Kubectl(t.Context(), nil, args...); err != nil {
		t.Fatal(err)
	}
}

func (w *world) install(t *testing.T) {
	t.Helper()
	w.kubectl(t, "apply", "-f", w.crd())
	w.kubectl(t, "wait", "--for=condition=Established", "-f", w.crd())
}

// kindNotServed: without the kind of its reports the operator audits into its metrics. It writes all of them once the kind is there,
// at the start as later.
func kindNotServed(t *testing.T, w *world) {
	const reports = "securityreports.audit.kubersafe.io"
	ns := w.shop(t)
	w.kubectl(t, "delete", "--wait", "-f", w.crd())
	t.Cleanup(func() { // whatever has happened, the other tests have their reports
		if _, err := w.plane.Kubectl(context.Background(), nil, "apply", "-f", w.crd()); err != nil {
			t.Error(err)
		}
	})
	r := w.start(t)
	r.sourceIs(reports, v1alpha1.SourceNotServed)
	w.agree(t, r, false)

	w.install(t)
	w.settled(t, r)
	before := r.profile()

	w.kubectl(t, "delete", "--wait", "-f", w.crd())
	w.alter(t, ns, 1)
	r.sourceIs(reports, v1alpha1.SourceNotServed)
	w.agree(t, r, false)

	w.install(t)
	w.settled(t, r)
	r.leavesNothingBehind(before)
	r.stop()
}

// kindForbidden: what can no longer be read is skipped, everything else goes on, and it is picked up when it is granted again.
func kindForbidden(t *testing.T, w *world) {
	ns := w.shop(t)
	r := w.start(t)
	w.settled(t, r)
	before := r.profile()

	w.allowQuotas(t, false)
	t.Cleanup(func() { w.allowQuotas(t, true) })
	w.proxy.cutWatches() // a watch that is open stays so, whoever may no longer open one
	r.sourceIs(string(audit.ResourceQuotas), v1alpha1.SourceForbidden)
	w.alter(t, ns, 1)
	w.settled(t, r)
	report := &v1alpha1.SecurityReport{}
	if err := w.admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "namespace-" + ns}, report); err != nil {
		t.Fatal(err)
	}
	forbidden := func(s v1alpha1.Skip) bool { return s.Reason == v1alpha1.SkipSourceForbidden }
	if !slices.ContainsFunc(report.Skips, forbidden) {
		t.Errorf("skipped: %+v, want what needs ResourceQuotas", report.Skips)
	}

	w.allowQuotas(t, true)
	r.sourceIs(string(audit.ResourceQuotas), v1alpha1.SourceSynced)
	w.settled(t, r)
	r.leavesNothingBehind(before)
	r.stop()
}

// allowQuotas lets the operator read ResourceQuotas, or not, by the ClusterRole that it is installed with.
func (w *world) allowQuotas(t *testing.T, allowed bool) {
	t.Helper()
	ctx := context.Background() // also when the test is over
	role := &rbacv1.ClusterRole{}
	if err := w.admin.Get(ctx, client.ObjectKey{Name: "kubersafe"}, role); err != nil {
		t.Fatal(err)
	}
	const quotas = "resourcequotas"
	for i := range role.Rules {
		rule := &role.Rules[i]
		if !slices.Contains(rule.Resources, "pods") {
			continue
		}
		rule.Resources = slices.DeleteFunc(rule.Resources, func(r string) bool { return r == quotas })
		if allowed {
			rule.Resources = append(rule.Resources, quotas)
		}
	}
	if err := w.admin.Update(ctx, role); err != nil {
		t.Fatal(err)
	}
}

// rolesNotRead: an API server that starts refuses everything for a moment. What has been read, and what is known not to be served, stays
// so, and nothing is written.
func rolesNotRead(t *testing.T, w *world) {
	const policies = "clusternetworkpolicies.policy.networking.k8s.io" // not served
	r, quiet, busy := quietAndBusy(t, w, withoutElection)
	r.sourceIs(policies, v1alpha1.SourceNotServed)
	before, versions := r.profile(), w.versions(t, quiet)
	refusal := apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("roles have not been read"))
	var refused atomic.Bool
	w.proxy.inject(func(request *http.Request) *apierrors.StatusError {
		if request.Method != http.MethodGet { // the operator asks who scrapes it
			return nil
		}
		if strings.HasSuffix(request.URL.Path, "/clusternetworkpolicies") {
			refused.Store(true)
		}
		return refusal
	})
	w.proxy.cutWatches()
	w.alter(t, busy, 1)
	eventually(t, "what is not served to be refused", func(context.Context) (bool, string) { return refused.Load(), "" })
	w.proxy.mend()
	w.settled(t, r)
	w.untouched(t, quiet, versions)
	r.leavesNothingBehind(before)
	r.stop()
}

// quietAndBusy starts a replica in a world with a namespace in which nothing happens and one in which much does.
func quietAndBusy(t *testing.T, w *world, args ...string) (r *replica, quiet, busy string) {
	t.Helper()
	quiet, busy = w.shop(t), w.shop(t)
	r = w.start(t, args...)
	w.settled(t, r)
	return r, quiet, busy
}

// watchesCut: connections that break lose no change, and nothing is written that has not changed.
func watchesCut(t *testing.T, w *world) {
	r, quiet, busy := quietAndBusy(t, w)
	before, versions := r.profile(), w.versions(t, quiet)
	all := w.proxy.cutWatches()
	for round := 1; round <= 3; round++ {
		w.alter(t, busy, round)
		eventually(t, "all watches to be open again", func(context.Context) (bool, string) {
			n := w.proxy.openWatches()
			return n >= all, fmt.Sprintf("%d of %d", n, all)
		})
		w.alter(t, busy, round+1)
		w.proxy.cutWatches()
	}
	w.settled(t, r)
	w.untouched(t, quiet, versions)
	r.leavesNothingBehind(before)
	r.stop()
}

// watchesExpired: an API server that no longer knows the version of a watch has everything listed anew.
func watchesExpired(t *testing.T, w *world) {
	r, quiet, busy := quietAndBusy(t, w)
	before, versions, injected := r.profile(), w.versions(t, quiet), w.proxy.injected.Load()
	w.proxy.inject(expire)
	for round := 1; round <= 2; round++ {
		w.proxy.endWatches() // they go on from where they were, and are answered so
		w.alter(t, busy, round)
		w.settled(t, r)
	}
	if w.proxy.injected.Load() == injected {
		t.Error("no watch was told that it is too old")
	}
	w.untouched(t, quiet, versions)
	w.proxy.mend()
	r.leavesNothingBehind(before)
	r.stop()
}

// slowAPIServer: reports come later, and that is all.
func slowAPIServer(t *testing.T, w *world) {
	r, quiet, busy := quietAndBusy(t, w)
	before, versions := r.profile(), w.versions(t, quiet)
	w.proxy.slowDown(200 * time.Millisecond)
	for round := 1; round <= 3; round++ {
		w.alter(t, busy, round)
	}
	w.settled(t, r)
	w.untouched(t, quiet, versions)
	w.proxy.mend()
	r.leavesNothingBehind(before)
	r.stop()
}

// refused: requests that are refused are made again, also those that list and watch.
func refused(t *testing.T, w *world, f fault) {
	r, quiet, busy := quietAndBusy(t, w)
	before, versions, injected := r.profile(), w.versions(t, quiet), w.proxy.injected.Load()
	w.proxy.inject(f)
	w.alter(t, busy, 1)
	w.proxy.cutWatches()
	w.alter(t, busy, 2)
	w.settled(t, r)
	if w.proxy.injected.Load() == injected {
		t.Error("no request was refused")
	}
	w.untouched(t, quiet, versions)
	w.proxy.mend()
	r.leavesNothingBehind(before)
	r.stop()
}

// unreachable: a leader that finds the API server again before its Lease ends goes on as if nothing had been.
func unreachable(t *testing.T, w *world) {
	r, quiet, busy := quietAndBusy(t, w)
	before, versions, refused := r.profile(), w.versions(t, quiet), w.proxy.refused.Load()
	w.proxy.cut()
	w.alter(t, busy, 1)
	eventually(t, "the operator to notice", func(context.Context) (bool, string) {
		n := w.proxy.refused.Load() - refused
		return n >= 10, fmt.Sprintf("%d connections refused", n)
	})
	w.alter(t, busy, 2)
	w.proxy.mend()
	begun := time.Now()
	w.settled(t, r)
	t.Logf("settled %.1f s after the API server was back", time.Since(begun).Seconds())
	w.untouched(t, quiet, versions)
	r.leavesNothingBehind(before)
	r.stop()
}

// unreachableForLong: a leader that cannot reach the API server ends, for it may no longer lead. What a kubelet starts in its place is not
// ready and waits, however long it takes, and goes on from there.
func unreachableForLong(t *testing.T, w *world) {
	r, quiet, busy := quietAndBusy(t, w)
	before, versions := r.profile(), w.versions(t, quiet)
	w.proxy.cut()
	w.alter(t, busy, 1)
	eventually(t, "the leader to end", func(context.Context) (bool, string) { return r.ended(), r.LogTail() })
	if !r.lostElection() {
		t.Errorf("the leader does not say why it has ended:\n%s", r.LogTail())
	}
	ctx, cancel := context.WithTimeout(t.Context(), *away)
	defer cancel()
	if err := r.Start(ctx); err == nil {
		t.Error("it is ready without an API server")
	}
	if r.ended() {
		t.Fatalf("it has ended\n%s", r.LogTail())
	}
	w.alter(t, busy, 2)
	w.proxy.mend()
	begun := time.Now()
	w.settled(t, r)
	t.Logf("settled %.1f s after the API server was back", time.Since(begun).Seconds())
	w.untouched(t, quiet, versions)
	r.leavesNothingBehind(before)
	r.stop()
}

// restartedAPIServer: an API server that has forgotten what was before has everything listed anew, and nothing written anew.
func restartedAPIServer(t *testing.T, w *world) {
	r, quiet, busy := quietAndBusy(t, w, withoutElection)
	before, versions, expired := r.profile(), w.versions(t, quiet), w.proxy.expired.Load()
	// Watches go on from where they were, which is before what etcd and the new API server know.
	release := w.proxy.hold()
	w.proxy.endWatches()
	w.alter(t, busy, 1)
	if err := w.plane.RestartAPIServer(func() error { return w.compact(t.Context()) }); err != nil {
		t.Fatal(err)
	}
	release()
	begun := time.Now()
	w.alter(t, busy, 2)
	w.settled(t, r)
	t.Logf("settled %.1f s after the API server was back; %d watches were too old", time.Since(begun).Seconds(), w.proxy.expired.Load()-expired)
	if w.proxy.expired.Load() == expired {
		t.Error("the API server told no watch that it is too old")
	}
	w.untouched(t, quiet, versions)

	// And once more, as it comes: connections break, are refused, and then requests are, until roles have been read.
	if err := w.plane.RestartAPIServer(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	begun = time.Now()
	w.alter(t, busy, 3)
	w.settled(t, r)
	t.Logf("settled %.1f s after the API server was back once more", time.Since(begun).Seconds())
	w.untouched(t, quiet, versions)
	r.leavesNothingBehind(before)
	r.stop()
}

// compact has etcd forget all that is not there now.
func (w *world) compact(ctx context.Context) error {
	call := func(path string, body, into any) error {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.plane.Etcd()+path, bytes.NewReader(encoded))
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }() // it has been read
		answer, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("etcd answers %s to %s: %s", response.Status, path, answer)
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(answer, into)
	}
	var now struct{ Header struct{ Revision string } }
	if err := call("/v3/kv/range", map[string]any{"key": []byte("/"), "count_only": true}, &now); err != nil {
		return err
	}
	return call("/v3/kv/compaction", map[string]any{"revision": now.Header.Revision, "physical": true}, &struct{}{})
}

var conflicts = regexp.MustCompile(`^kubersafe_report_writes_total\{operation="update",result="conflict"\} (\S+)$`)

// conflictingWriters: whoever edits or deletes reports while the operator writes them has changed nothing in the end.
func conflictingWriters(t *testing.T, w *world) {
	r, quiet, busy := quietAndBusy(t, w)
	before, versions := r.profile(), w.versions(t, quiet)
	w.proxy.slowDown(20 * time.Millisecond) // between what the operator knows of a report and its writing it
	round := 0
	every(t, 0, "a write that conflicts", func(ctx context.Context) (bool, string) {
		round++
		w.alter(t, busy, round)
		if err := w.tamper(ctx, busy, round); err != nil {
			t.Fatal(err)
		}
		lines, err := r.Scrape(ctx)
		if err != nil {
			return false, err.Error()
		}
		for _, line := range lines {
			if match := conflicts.FindStringSubmatch(line); match != nil {
				n, err := strconv.ParseFloat(match[1], 64)
				return err == nil && n >= 3, line
			}
		}
		return false, "no conflict so far"
	})
	w.proxy.mend()
	w.settled(t, r)
	w.untouched(t, quiet, versions)
	r.leavesNothingBehind(before)
	r.stop()
}

// tamper edits all reports of a namespace, but for some that it deletes.
func (w *world) tamper(ctx context.Context, namespace string, round int) error {
	list := &v1alpha1.SecurityReportList{}
	if err := w.admin.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return err
	}
	for i := range list.Items {
		report := &list.Items[i]
		var err error
		if (i+round)%5 == 0 {
			err = w.admin.Delete(ctx, report)
		} else {
			report.Findings, report.Summary.Score, report.Labels = nil, 100, nil
			err = w.admin.Update(ctx, report)
		}
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) { // the operator was faster
			return err
		}
	}
	return nil
}

// burst makes many changes in many new namespaces, and returns these while the reports are being written.
func (w *world) burst(t *testing.T) []string {
	t.Helper()
	shops := make([]string, 10)
	for i := range shops {
		shops[i] = w.shop(t)
	}
	w.proxy.slowDown(100 * time.Millisecond) // so that it takes a while
	concurrently(t, 5*len(shops), func(ctx context.Context, i int) error {
		return w.put(ctx, pod(shops[i%len(shops)], fmt.Sprintf("burst-%d", i/len(shops)), true))
	})
	key := client.ObjectKey{Namespace: shops[0], Name: "pod-burst-0"}
	eventually(t, "the first of the reports to be written", func(ctx context.Context) (bool, string) {
		err := w.admin.Get(ctx, key, &v1alpha1.SecurityReport{})
		return err == nil, fmt.Sprint(err)
	})
	return shops
}

// reportsOf returns the reports that burst brings about, as "namespace/name".
func reportsOf(shops []string) []string {
	var reports []string
	for _, ns := range shops {
		for i := range 5 {
			reports = append(reports, fmt.Sprintf("%s/pod-burst-%d", ns, i))
		}
	}
	return reports
}

// whole fails if a report is not of one piece: its findings, its summary and its labels must agree. It tells how many of the reports
// of a burst there are.
func (w *world) whole(t *testing.T, shops []string) {
	t.Helper()
	list := &v1alpha1.SecurityReportList{}
	if err := w.admin.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	there := 0
	for i := range list.Items {
		r := &list.Items[i]
		if slices.Contains(reportsOf(shops), r.Namespace+"/"+r.Name) {
			there++
		}
		counts := make(map[v1alpha1.Severity]int32)
		for j := range r.Findings {
			counts[r.Findings[j].Severity]++
		}
		s := &r.Summary
		if s.Critical != counts[v1alpha1.SeverityCritical] || s.High != counts[v1alpha1.SeverityHigh] || s.Medium != counts[v1alpha1.SeverityMedium] ||
			s.Low != counts[v1alpha1.SeverityLow] || int(s.Skipped) != len(r.Skips) || string(s.Worst) != r.Labels[v1alpha1.LabelWorst] {
			t.Errorf("report %s/%s is not of one piece: %+v, %v, %v", r.Namespace, r.Name, r.Summary, counts, r.Labels)
		}
	}
	t.Logf("%d of %d reports had been written", there, len(reportsOf(shops)))
}

// terminated: the operator ends in time and leaves nothing half written. The next one begins at once and finds nothing lost.
func terminated(t *testing.T, w *world) {
	r, quiet, _ := quietAndBusy(t, w)
	before, versions, mark := r.profile(), w.versions(t, quiet), len(w.written(t))
	shops := w.burst(t)
	r.stop() // in time, with exit code 0
	w.proxy.mend()
	w.whole(t, shops)
	if holder := w.lease(t).Spec.HolderIdentity; holder != nil && *holder != "" {
		t.Errorf("the Lease is still held, by %q", *holder)
	}
	r.startAgain()
	w.settled(t, r)
	notTwice(t, w.written(t)[mark:], reportsOf(shops)...)
	w.untouched(t, quiet, versions)
	r.leavesNothingBehind(before)
	r.stop()
}

// killed: an operator that had no time to end leaves nothing half written either.
func killed(t *testing.T, w *world) {
	r, quiet, _ := quietAndBusy(t, w, withoutElection)
	before, versions, mark := r.profile(), w.versions(t, quiet), len(w.written(t))
	shops := w.burst(t)
	r.Kill()
	w.proxy.mend()
	w.whole(t, shops)
	r.startAgain()
	w.settled(t, r)
	notTwice(t, w.written(t)[mark:], reportsOf(shops)...)
	w.untouched(t, quiet, versions)
	r.leavesNothingBehind(before)
	r.stop()
}

// fullQueue: what comes all at once is worked off, and no namespace is forgotten.
func fullQueue(t *testing.T, w *world) {
	const shops, rounds = 40, 10 // of nine objects each: 3,600 changes
	r, quiet, _ := quietAndBusy(t, w, withoutElection)
	before, versions := r.profile(), w.versions(t, quiet)
	w.proxy.cut() // so that half of it comes in one piece
	names := make([]string, shops)
	for i := range names {
		names[i] = w.shop(t)
	}
	alter := func(from, to int) {
		concurrently(t, shops, func(ctx context.Context, i int) error {
			for round := from; round < to; round++ {
				for _, o := range objects(names[i], round) {
					write := func() error { return w.admin.Update(ctx, o) } // whatever it is by now
					if _, isPod := o.(*corev1.Pod); isPod {
						write = func() error { return w.admin.Create(ctx, o) }
					}
					if err := write(); err != nil {
						return fmt.Errorf("%T %s/%s: %w", o, names[i], o.GetName(), err)
					}
				}
			}
			return nil
		})
	}
	alter(1, rounds/2)
	w.proxy.mend()
	alter(rounds/2, rounds)
	begun := time.Now()
	w.settled(t, r)
	t.Logf("settled %.1f s after the last change", time.Since(begun).Seconds())
	w.untouched(t, quiet, versions)
	r.leavesNothingBehind(before)
	r.stop()
}

// leads returns when a replica has judged everything as the leader.
func (r *replica) leads() {
	r.t.Helper()
	eventually(r.t, "a replica to lead", func(ctx context.Context) (bool, string) {
		state, err := r.exportsState(ctx)
		return state, fmt.Sprint(err)
	})
}

// exportsState says whether a replica exports what only a leader does.
func (r *replica) exportsState(ctx context.Context) (bool, error) {
	lines, err := r.Scrape(ctx)
	return slices.ContainsFunc(lines, func(l string) bool {
		return strings.HasPrefix(l, "kubersafe_last_complete_audit_timestamp_seconds ")
	}), err
}

// standsBy fails if a replica exports what only a leader does.
func (r *replica) standsBy() {
	r.t.Helper()
	if state, err := r.exportsState(r.t.Context()); err != nil || state {
		r.t.Errorf("a standby exports the cluster's state (%v)", err)
	}
}

// leaderAndStandby starts two replicas. The leader reaches the API server through the proxy, the standby without.
func leaderAndStandby(t *testing.T, w *world) (leader, standby *replica, quiet, busy string) {
	t.Helper()
	leader, quiet, busy = quietAndBusy(t, w)
	standby = w.startDirect(t)
	standby.standsBy()
	return leader, standby, quiet, busy
}

// leaderKilled: a standby takes over from a leader that had no time to end. Nothing is written twice, and nothing is lost. The one
// that was killed comes back as a standby.
func leaderKilled(t *testing.T, w *world) {
	leader, standby, quiet, _ := leaderAndStandby(t, w)
	before, versions, mark := leader.profile(), w.versions(t, quiet), len(w.written(t))
	shops := w.burst(t)
	leader.Kill()
	begun := time.Now()
	w.proxy.mend()
	w.whole(t, shops)
	standby.leads()
	t.Logf("the standby leads %.1f s after the leader was killed", time.Since(begun).Seconds())
	leader.startAgain()
	w.settled(t, standby)
	leader.standsBy()
	notTwice(t, w.written(t)[mark:], reportsOf(shops)...)
	w.untouched(t, quiet, versions)
	standby.leavesNothingBehind(before)
	leader.stop()
	standby.stop()
}

// leaseStolen: a leader whose Lease somebody else has taken ends. When whoever that is does not renew it, a standby takes over.
func leaseStolen(t *testing.T, w *world) {
	leader, standby, quiet, busy := leaderAndStandby(t, w)
	before, versions := leader.profile(), w.versions(t, quiet)
	begun := time.Now()
	w.giveLease(t, thief, 15*time.Second)
	eventually(t, "the leader to end", func(context.Context) (bool, string) { return leader.ended(), leader.LogTail() })
	t.Logf("the leader has ended %.1f s after its Lease was stolen", time.Since(begun).Seconds())
	if !leader.lostElection() {
		t.Errorf("the leader does not say why it has ended:\n%s", leader.LogTail())
	}
	mark := len(w.written(t))
	w.alter(t, busy, 1)
	if lease := w.lease(t); *lease.Spec.HolderIdentity == thief {
		if writes := w.written(t)[mark:]; len(writes) > 0 {
			t.Errorf("written while nobody leads: %v", writes)
		}
	}
	leader.startAgain()
	eventually(t, "one of the replicas to lead", func(ctx context.Context) (bool, string) {
		one, err := leader.exportsState(ctx)
		other, errOther := standby.exportsState(ctx)
		if !one && !other {
			return false, fmt.Sprint(err, errOther)
		}
		if one {
			leader, standby = standby, leader
		}
		return true, ""
	})
	t.Logf("another leads %.1f s after the Lease was stolen", time.Since(begun).Seconds())
	w.settled(t, standby)
	leader.standsBy()
	w.untouched(t, quiet, versions)
	standby.leavesNothingBehind(before)
	leader.stop()
	standby.stop()
}

// leaderCutOff: a leader that cannot reach the API server ends, and a standby takes over. Which of the two comes first is open, for the
// leader tries to let its Lease go before it ends; but it cannot write. When it is back, it stands by.
func leaderCutOff(t *testing.T, w *world) {
	leader, standby, quiet, busy := leaderAndStandby(t, w)
	before, versions := leader.profile(), w.versions(t, quiet)
	w.proxy.cut()
	begun := time.Now()
	w.alter(t, busy, 1)
	eventually(t, "the leader to end", func(context.Context) (bool, string) { return leader.ended(), leader.LogTail() })
	t.Logf("the leader has ended %.1f s after it was cut off", time.Since(begun).Seconds())
	standby.leads()
	t.Logf("the standby leads %.1f s after the leader was cut off", time.Since(begun).Seconds())
	w.settled(t, standby)
	w.proxy.mend()
	leader.startAgain()
	leader.standsBy()
	w.untouched(t, quiet, versions)
	standby.leavesNothingBehind(before)
	leader.stop()
	standby.stop()
}
