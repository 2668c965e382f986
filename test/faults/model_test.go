// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// stepsOfRound is how many steps are taken before everything is compared, which takes longer than to take them.
const stepsOfRound = 50

// TestModel does what nobody has thought of: random sequences of changes, faults and restarts of two replicas. The model is the
// operator's own promise, that reports are a function of the cluster's state: after each round one replica must lead, all reports must be
// what a fresh reading gives, and no goroutine may be left behind. The sequence follows from the seed alone, and how far it gets from
// the time:
//
//	go test ./test/faults -run TestModel -seed 7 -model 10m
func TestModel(t *testing.T) {
	t.Parallel()
	seed := *modelSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed %d", seed)
	w := newWorld(t)
	leader := w.start(t)
	w.settled(t, leader)
	m := &model{
		t: t, world: w, random: rand.New(rand.NewPCG(seed, 0)), before: leader.profile(),
		replicas: []*replica{leader, w.startDirect(t)}, down: make([]bool, 2), made: make(map[string]int),
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("-seed %d: the steps of round %d were\n%s", seed, m.round, strings.Join(m.steps, "\n"))
		}
	})
	for begun := time.Now(); time.Since(begun) < *modelLength; {
		m.round, m.steps = m.round+1, nil
		for range stepsOfRound {
			m.step()
		}
		m.settle()
	}
	m.restart()
	t.Logf("%d rounds; %v", m.round, m.made)
}

// model is a random sequence of steps.
type model struct {
	t      *testing.T
	world  *world
	random *rand.Rand
	// before is what a leader has when nothing has happened yet.
	before profile
	// replicas of the operator: the first reaches the API server through the proxy, the second without.
	replicas []*replica
	// down are those that were stopped or killed, and not started again.
	down []bool

	round int
	// steps of the round.
	steps []string
	// made counts the faults.
	made map[string]int
}

// settle ends all faults and returns when all is as it should be.
func (m *model) settle() {
	m.t.Helper()
	m.world.proxy.mend()
	m.world.allowQuotas(m.t, true)
	for i := range m.replicas {
		m.start(i)
	}
	// All of it at once: a leader that has lost its Lease may yet go on for some seconds.
	every(m.t, evaluateInterval, "one replica to lead, and everything to be as it should be", func(ctx context.Context) (bool, string) {
		m.keepRunning()
		var leader *replica
		for _, r := range m.replicas {
			leads, err := r.exportsState(ctx)
			if err != nil {
				return false, err.Error()
			}
			if leads && leader != nil {
				return false, "both replicas lead"
			}
			if leads {
				leader = r
			}
		}
		if leader == nil {
			return false, "no replica leads"
		}
		if difference := m.world.difference(ctx, m.t, leader, true); difference != "" {
			return false, difference
		}
		more := leader.leftBehind(ctx, m.before)
		return more == "", more
	})
}

// restart restarts both replicas, whatever has been, and nothing must be written.
func (m *model) restart() {
	m.t.Helper()
	mark := len(m.world.written(m.t))
	for i := range m.replicas {
		m.stop(i)
	}
	m.settle()
	if writes := m.world.written(m.t)[mark:]; len(writes) > 0 {
		m.t.Errorf("a restart has written %v", writes)
	}
	for i := range m.replicas {
		m.stop(i)
	}
}

// keepRunning starts replicas again that have ended, as a kubelet would. They may only have ended because they no longer lead.
func (m *model) keepRunning() {
	m.t.Helper()
	for i, r := range m.replicas {
		if m.down[i] || !r.ended() {
			continue
		}
		if !r.lostElection() {
			m.t.Fatalf("replica %d has ended\n%s", i, r.LogTail())
		}
		m.made["lost election"]++
		r.startAgain()
	}
}

// stop ends a replica as a kubelet would, unless it is down already.
func (m *model) stop(i int) {
	m.t.Helper()
	if r := m.replicas[i]; !m.down[i] {
		m.down[i] = true
		if err := r.Stop(); err != nil && !r.lostElection() {
			m.t.Fatalf("%v\n%s", err, r.LogTail())
		}
	}
}

// start starts a replica that is down.
func (m *model) start(i int) {
	m.t.Helper()
	if m.down[i] {
		m.down[i] = false
		m.replicas[i].startAgain()
	}
}

// step takes one. What it is follows from the random numbers alone, not from what there is.
func (m *model) step() {
	m.t.Helper()
	m.keepRunning()
	switch n := m.random.IntN(100); {
	case n < 70:
		o := m.object()
		encoded, err := json.Marshal(o)
		if err != nil {
			m.t.Fatal(err)
		}
		m.note("put %T %s", o, encoded)
		m.tolerate(m.world.put(m.t.Context(), o))
	case n < 85:
		o := m.object()
		m.note("delete %T %s", o, client.ObjectKeyFromObject(o))
		m.tolerate(m.world.admin.Delete(m.t.Context(), o, client.PropagationPolicy(metav1.DeletePropagationBackground)))
	case n < 90:
		ns, round := m.namespace(), m.random.IntN(5)
		m.note("edit and delete reports in %s (%d)", ns, round)
		m.tolerate(m.world.tamper(m.t.Context(), ns, round))
	default:
		m.fault()
	}
}

func (m *model) note(format string, args ...any) {
	m.steps = append(m.steps, fmt.Sprintf(format, args...))
}

// tolerate fails unless it is an error that a step may have: what it is about need not be there, or may be on its way out, or
// admission forbids it for the sake of something else.
func (m *model) tolerate(err error) {
	m.t.Helper()
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && !apierrors.IsForbidden(err) {
		m.t.Fatalf("%s: %v", m.steps[len(m.steps)-1], err)
	}
}

func (m *model) one(of ...string) string { return of[m.random.IntN(len(of))] }

func (m *model) half() bool { return m.random.IntN(2) == 0 }

func (m *model) namespace() string { return m.one("model-0", "model-1", "model-2", "model-3") }

// object returns a random object of a random kind. There are few names, so that they meet.
func (m *model) object() client.Object {
	ns, round := m.namespace(), m.random.IntN(6)
	if n := m.random.IntN(20); n < 12 {
		// Those of a shop: a namespace too, which goes seldom enough that there is something in it.
		of := objects(ns, round)
		return of[m.random.IntN(len(of))]
	}
	meta := metav1.ObjectMeta{Name: fmt.Sprintf("model-%d", round%3)}
	inNamespace := meta
	inNamespace.Namespace = ns
	switch m.random.IntN(7) {
	case 0:
		d := deployment(ns, meta.Name, round)
		d.Spec.Replicas = new(int32(m.random.IntN(3)))
		d.Spec.Template.Spec.ServiceAccountName = m.one("app", "default")
		return d
	case 1:
		return &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{m.one("", "*")}, Resources: []string{m.one("secrets", "pods", "*")}, Verbs: []string{m.one("get", "create", "*")},
		}}}
	case 2:
		return &rbacv1.ClusterRoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: m.one("app", "default")}},
		}
	case 3:
		return &v1alpha1.SecurityException{ObjectMeta: inNamespace, Spec: m.exception()}
	case 4:
		return &v1alpha1.ClusterSecurityException{ObjectMeta: meta, Spec: v1alpha1.ClusterSecurityExceptionSpec{SecurityExceptionSpec: m.exception()}}
	default:
		return &v1alpha1.AuditConfiguration{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.AuditConfigurationName}, Spec: m.configuration(ns)}
	}
}

func (m *model) exception() v1alpha1.SecurityExceptionSpec {
	ends := metav1.NewTime(time.Now().Add(24 * time.Hour).UTC().Truncate(24 * time.Hour)) // so that a replay has the same, but at midnight
	return v1alpha1.SecurityExceptionSpec{
		Checks:   []string{m.one("*", "no-memory-limit", "privileged-container", "no-resource-quota")},
		Subjects: []v1alpha1.ExceptionSubject{{Kind: m.one("Deployment", "Pod", "Namespace"), Name: m.one("*", "web", "bare-*")}},
		Reason:   m.one("one reason", "another"), ExpirationTime: &ends,
	}
}

func (m *model) configuration(namespace string) v1alpha1.AuditConfigurationSpec {
	spec := v1alpha1.AuditConfigurationSpec{Checks: []v1alpha1.CheckRule{{
		Names: []string{m.one("privileged-container", "no-resource-quota", "workload-reads-secrets")}, Severity: v1alpha1.SeverityLow,
	}}}
	if m.half() {
		spec.Checks = append(spec.Checks, v1alpha1.CheckRule{
			Names: []string{m.one("no-memory-limit", "service-selects-nothing")}, State: v1alpha1.CheckDisabled,
			Namespaces: &v1alpha1.NamespaceSelector{Names: []string{namespace}},
		})
	}
	if m.half() {
		spec.Namespaces.Excluded = &v1alpha1.NamespaceSelector{Names: []string{m.namespace()}}
	}
	if m.half() {
		spec.Exceptions.Namespaced.Severities = []v1alpha1.Severity{v1alpha1.SeverityCritical, v1alpha1.SeverityHigh}
	}
	if m.half() {
		spec.CustomChecks = []v1alpha1.CustomCheck{{
			ID: "round-is-low", Severity: v1alpha1.SeverityMedium, Message: "the round must be low", Kinds: []v1alpha1.CustomCheckKind{v1alpha1.CustomCheckNamespace},
			Expression: `!has(object.metadata.labels.round) || int(object.metadata.labels.round) < ` + strconv.Itoa(m.random.IntN(6)),
		}}
	}
	return spec
}

// fault makes one. Those of the proxy last until the next of them, or the end of the round, as does what a replica is down.
func (m *model) fault() {
	m.t.Helper()
	w, p, i, half := m.world, m.world.proxy, m.random.IntN(len(m.replicas)), m.half()
	faults := []struct {
		name   string
		weight int
		make   func()
	}{
		{"cut watches", 3, func() { p.cutWatches() }},
		{"cut connections", 2, m.cut},
		{"answer 429", 1, func() { p.inject(tooManyRequests()) }},
		{"answer 503", 1, func() { p.inject(unavailable()) }},
		{"answer 410", 1, func() {
			p.inject(expire)
			p.cutWatches()
		}},
		{"be slow", 1, func() { p.slowDown(50 * time.Millisecond) }},
		{"answer nothing for a while", 1, func() {
			release := p.hold()
			time.Sleep(2 * time.Second)
			release()
		}},
		{"mend", 2, p.mend},
		{fmt.Sprintf("stop replica %d", i), 2, func() { m.stop(i) }},
		{fmt.Sprintf("kill replica %d", i), 3, func() {
			m.down[i] = true
			m.replicas[i].Kill()
		}},
		{fmt.Sprintf("start replica %d", i), 4, func() { m.start(i) }},
		{"steal the Lease", 1, func() { w.giveLease(m.t, thief, 3*time.Second) }},
		{"free the Lease", 2, func() { w.giveLease(m.t, "", time.Second) }},
		{fmt.Sprintf("allow quotas: %t", half), 2, func() {
			w.allowQuotas(m.t, half)
			p.cutWatches()
		}},
		{"delete the kind of the reports and install it again", 1, func() {
			w.kubectl(m.t, "delete", "--wait", "-f", w.crd())
			w.install(m.t)
		}},
		{fmt.Sprintf("restart the API server, compacted: %t", half), 2, func() {
			err := w.plane.RestartAPIServer(func() error {
				if half {
					return w.compact(m.t.Context())
				}
				return nil
			})
			if err != nil {
				m.t.Fatal(err)
			}
		}},
	}
	var lots []int
	for n := range faults {
		lots = append(lots, slices.Repeat([]int{n}, faults[n].weight)...)
	}
	f := faults[lots[m.random.IntN(len(lots))]]
	m.note("%s", f.name)
	m.made[f.name]++
	f.make()
}

// cut closes all connections through the proxy, and lets none through until the operator has noticed.
func (m *model) cut() {
	m.t.Helper()
	p, r := m.world.proxy, m.replicas[0]
	refused := p.refused.Load()
	p.cut()
	eventually(m.t, "the operator to notice", func(context.Context) (bool, string) {
		return p.refused.Load() > refused || r.ended(), ""
	})
	p.reconnect()
}
