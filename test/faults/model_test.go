// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
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

// TestModel does what nobody has thought of: random sequences of changes, faults and restarts. The model is the operator's own
// promise, that reports are a function of the cluster's state: after each round all of them must be what a fresh reading gives. The
// sequence follows from the seed alone, and how far it gets from the time:
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
	m := &model{t: t, world: w, random: rand.New(rand.NewPCG(seed, 0)), leader: w.start(t)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("-seed %d: the steps of round %d were\n%s", seed, m.round, strings.Join(m.steps, "\n"))
		}
	})
	w.settled(t, m.leader)
	before := m.leader.profile()
	for begun := time.Now(); time.Since(begun) < *modelLength; {
		m.round, m.steps = m.round+1, nil
		for range stepsOfRound {
			m.step()
		}
		w.proxy.mend()
		w.settled(t, m.leader)
		m.leader.leavesNothingBehind(before)
	}
	t.Logf("%d rounds, %d restarts", m.round, m.restarts)
	m.leader.stop()
}

// model is a random sequence of steps.
type model struct {
	t      *testing.T
	world  *world
	random *rand.Rand
	leader *replica

	round, restarts int
	// steps of the round.
	steps []string
}

// step takes one. What it is follows from the random numbers alone, not from what there is.
func (m *model) step() {
	m.t.Helper()
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

// fault makes one. Those of the proxy last until the next of them, or the end of the round.
func (m *model) fault() {
	m.t.Helper()
	p := m.world.proxy
	switch m.random.IntN(10) {
	case 0, 1:
		m.note("cut watches")
		p.cutWatches()
	case 2:
		m.note("cut connections")
		refused := p.refused.Load()
		p.cut()
		eventually(m.t, "the operator to notice", func(context.Context) (bool, string) { return p.refused.Load() > refused, "" })
		p.reconnect()
	case 3:
		m.note("answer 429")
		p.inject(tooManyRequests())
	case 4:
		m.note("answer 503")
		p.inject(unavailable())
	case 5:
		m.note("answer 410")
		p.inject(expire)
		p.cutWatches()
	case 6:
		m.note("be slow")
		p.slowDown(50 * time.Millisecond)
	case 7:
		m.note("mend")
		p.mend()
	case 8:
		m.note("restart")
		m.leader.stop()
		m.restart()
	case 9:
		m.note("kill")
		m.leader.Kill()
		m.world.freeLease(m.t)
		m.restart()
	}
}

func (m *model) restart() {
	m.t.Helper()
	m.restarts++
	m.leader.startAgain()
}

// freeLease lets go of the Lease of a leader that was killed, for which the next would have to wait.
func (w *world) freeLease(t *testing.T) {
	t.Helper()
	lease := w.lease(t)
	lease.Spec.HolderIdentity = new("")
	if err := w.admin.Update(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
}
