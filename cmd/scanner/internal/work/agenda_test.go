// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package work_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/work"
)

// agenda is an agenda of a desk, with the answers that registries give.
type agenda struct {
	*desk
	*work.Agenda[string]
	answers map[string]string
	errs    map[string]error
	asked   []string
}

func newAgenda(t *testing.T) *agenda {
	d := newDesk(t)
	a := &agenda{desk: d, answers: make(map[string]string), errs: make(map[string]error)}
	a.Agenda = &work.Agenda[string]{
		Every: d.Recheck, Final: func(answer string) bool { return answer == "final" }, Retry: d.Retry,
		Outage: d.Outage, Heard: d.Heard, Now: d.Now,
	}
	return a
}

// wants makes each of some keys, which are names of images, a question.
func (a *agenda) wants(keys ...string) {
	questions := make(map[string]work.Question[string])
	for _, key := range keys {
		questions[key] = work.Question[string]{
			Registry: work.RegistryOf(key), Reports: []string{"report of " + key},
			Ask: func(context.Context) (string, error) {
				a.asked = append(a.asked, key)
				return a.answers[key], a.errs[key]
			},
		}
	}
	a.Update(questions)
}

// asks expects questions to be asked, in this order, of which some change reports, and then none for some time; 0 is for ever.
func (a *agenda) asks(wait time.Duration, changed []string, want ...string) {
	a.Helper()
	a.asked = nil
	var got []string
	for {
		asked, ok, left := a.AskNext(a.Context())
		if !ok {
			if left != wait {
				a.Errorf("the next is due in %s, want %s", left, wait)
			}
			break
		}
		got = append(got, asked.Changed...)
	}
	if diff := cmp.Diff(want, a.asked); diff != "" {
		a.Errorf("asked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(changed, got); diff != "" {
		a.Errorf("reports that change (-want +got):\n%s", diff)
	}
}

func TestQuestionsAreAskedAgain(t *testing.T) {
	a := newAgenda(t)
	a.asks(0, nil)
	a.wants("a.example/one", "a.example/two")
	a.answers["a.example/one"], a.answers["a.example/two"] = "1", "final"
	a.asks(time.Hour, []string{"report of a.example/one", "report of a.example/two"}, "a.example/one", "a.example/two")

	// One that is final is not.
	a.now = a.now.Add(time.Hour)
	a.asks(time.Hour, nil, "a.example/one")
	a.now = a.now.Add(time.Hour)
	a.answers["a.example/one"] = "2"
	a.asks(time.Hour, []string{"report of a.example/one"}, "a.example/one")

	// What is still wanted is not asked for that.
	a.wants("a.example/one")
	a.asks(time.Hour, nil)
	if answer, known, err := a.Answer("a.example/one"); answer != "2" || !known || err != nil {
		t.Errorf("the answer is %q, %t, %v", answer, known, err)
	}
	if _, known, _ := a.Answer("a.example/two"); known {
		t.Error("what nobody wants to know is still known")
	}
}

func TestFailedQuestionsKeepTheirAnswers(t *testing.T) {
	a := newAgenda(t)
	a.wants("a.example/one")
	a.answers["a.example/one"] = "1"
	a.asks(time.Hour, []string{"report of a.example/one"}, "a.example/one")
	a.now = a.now.Add(time.Hour)
	a.errs["a.example/one"] = failure(v1alpha1.ReasonNotFound)
	a.asks(time.Minute, []string{"report of a.example/one"}, "a.example/one")
	if answer, known, err := a.Answer("a.example/one"); answer != "1" || !known || err == nil {
		t.Errorf("the answer is %q, %t, %v", answer, known, err)
	}
	for _, minutes := range []time.Duration{2, 4, 5, 5} {
		a.now = a.now.Add(minutes * time.Minute)
		a.asks(minutes*time.Minute, nil, "a.example/one")
	}
}

func TestQuestionsWaitForARegistry(t *testing.T) {
	a := newAgenda(t)
	image := use("down.example/image", digest('1'), 1)
	a.Board.Update([]cluster.Use{image})
	a.wants("down.example/one", "down.example/two", "up.example/three")
	down := failure(v1alpha1.ReasonRegistryUnavailable)
	a.errs["down.example/one"], a.errs["down.example/two"] = down, down
	a.asks(time.Minute, []string{"report of down.example/one", "report of up.example/three"}, "down.example/one", "up.example/three")

	// Its images wait, too, and one at a time finds out whether it is back.
	a.takes(time.Minute)
	a.now = a.now.Add(time.Minute)
	a.asks(2*time.Minute, nil, "down.example/one")
	a.takes(2 * time.Minute)

	// An answer to one is one to all.
	a.now = a.now.Add(2 * time.Minute)
	u, _, _ := a.Next()
	a.finish(u, u.Digest)
	clear(a.errs)
	a.asks(57*time.Minute, []string{"report of down.example/one", "report of down.example/two"}, "down.example/one", "down.example/two")
}
