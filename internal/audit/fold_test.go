// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// now is long after everything that settled records were made.
var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

var apiVersions = map[string]string{
	"Pod": "v1", "ReplicationController": "v1", "Service": "v1", "Node": "v1", "Namespace": "v1", "ServiceAccount": "v1",
	"ResourceQuota": "v1", "LimitRange": "v1", "NetworkPolicy": "networking.k8s.io/v1",
	"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1",
	"Job": "batch/v1", "CronJob": "batch/v1", "Rollout": "argoproj.io/v1alpha1",
}

// ref is a reference to an object whose UID is its name with "-uid" behind it, as in all objects made here.
func ref(kind, name string) *Owner {
	return &Owner{APIVersion: apiVersions[kind], Kind: kind, Name: name, UID: UID(name + "-uid")}
}

func object(name string) Object {
	return Object{Namespace: "shop", Name: name, UID: UID(name + "-uid")}
}

func controller(kind, name string, owner *Owner) *ControllerRecord {
	c := &ControllerRecord{Object: object(name), Kind: kind, Owner: owner, Created: MomentOf(now.Add(-time.Hour))}
	if !Folds(kind, owner) {
		c.Shape, c.Labels, c.TemplateHash = ShapeOf("", &Pod{}), &Labels{}, "hash-of-"+name
	}
	return c
}

func pod(name string, owner *Owner) *PodRecord {
	return &PodRecord{Object: object(name), Owner: owner, Created: MomentOf(now.Add(-time.Hour)), Shape: ShapeOf("", &Pod{}), Labels: &Labels{}}
}

// described lists workloads as "apiVersion/kind name[uid] template=hash pods=a,b".
func described(ns *Namespace) []string {
	var out []string
	for _, w := range ns.Workloads {
		var pods []string
		for _, p := range w.Pods {
			pods = append(pods, p.Name)
		}
		out = append(out, fmt.Sprintf("%s %s %s uid=%s template=%s pods=%s",
			w.APIVersion, w.Kind, w.Name, w.UID, w.TemplateHash, strings.Join(pods, ",")))
	}
	return out
}

func TestFold(t *testing.T) {
	with := func(change func(*Owner), o *Owner) *Owner {
		change(o)
		return o
	}
	finished := func(p *PodRecord) *PodRecord {
		p.Finished = true
		return p
	}
	forbidden := func(r Resource) map[Resource]*Unavailable {
		return map[Resource]*Unavailable{r: {Resource: r, Reason: v1alpha1.SkipSourceForbidden}}
	}
	const (
		bare       = "v1 Pod p uid=p-uid template= pods=p"
		deployment = "apps/v1 Deployment web uid=web-uid template=hash-of-web pods="
		replicaSet = "apps/v1 ReplicaSet rs uid=rs-uid template=hash-of-rs pods="
		rolledOut  = "apps/v1 ReplicaSet rs uid=rs-uid template= pods="
	)
	long := strings.Repeat("a", 250)
	twin := strings.TrimPrefix(Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: long}.ReportName(), "deployment-")
	for name, tc := range map[string]struct {
		controllers []*ControllerRecord
		pods        []*PodRecord
		unavailable map[Resource]*Unavailable
		want        []string
	}{
		"an empty namespace has no workloads": {},
		"a bare Pod is its own workload":      {pods: []*PodRecord{pod("p", nil)}, want: []string{bare}},
		"a Pod of a ReplicaSet is in its Deployment, and the ReplicaSet is no workload": {
			controllers: []*ControllerRecord{controller("Deployment", "web", nil), controller("ReplicaSet", "rs", ref("Deployment", "web"))},
			pods:        []*PodRecord{pod("p", ref("ReplicaSet", "rs"))},
			want:        []string{deployment + "p"},
		},
		"Pods of all ReplicaSets of a Deployment are in one workload": {
			controllers: []*ControllerRecord{
				controller("Deployment", "web", nil),
				controller("ReplicaSet", "old", ref("Deployment", "web")), controller("ReplicaSet", "new", ref("Deployment", "web")),
			},
			pods: []*PodRecord{pod("p", ref("ReplicaSet", "old")), pod("q", ref("ReplicaSet", "new"))},
			want: []string{deployment + "p,q"},
		},
		"a Deployment without Pods is a workload": {
			controllers: []*ControllerRecord{controller("Deployment", "web", nil)}, want: []string{deployment},
		},
		"a ReplicaSet without an owner is a workload": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", nil)},
			pods:        []*PodRecord{pod("p", ref("ReplicaSet", "rs"))},
			want:        []string{replicaSet + "p"},
		},
		"a Pod of a Job is in its CronJob": {
			controllers: []*ControllerRecord{controller("CronJob", "nightly", nil), controller("Job", "run", ref("CronJob", "nightly"))},
			pods:        []*PodRecord{pod("p", ref("Job", "run"))},
			want:        []string{"batch/v1 CronJob nightly uid=nightly-uid template=hash-of-nightly pods=p"},
		},
		"a Job without an owner is a workload": {
			controllers: []*ControllerRecord{controller("Job", "run", nil)},
			pods:        []*PodRecord{pod("p", ref("Job", "run"))},
			want:        []string{"batch/v1 Job run uid=run-uid template=hash-of-run pods=p"},
		},
		"StatefulSets, DaemonSets and ReplicationControllers have their Pods": {
			controllers: []*ControllerRecord{
				controller("StatefulSet", "a", nil), controller("DaemonSet", "b", nil), controller("ReplicationController", "c", nil),
			},
			pods: []*PodRecord{pod("p", ref("StatefulSet", "a")), pod("q", ref("DaemonSet", "b")), pod("r", ref("ReplicationController", "c"))},
			want: []string{
				"apps/v1 DaemonSet b uid=b-uid template=hash-of-b pods=q",
				"v1 ReplicationController c uid=c-uid template=hash-of-c pods=r",
				"apps/v1 StatefulSet a uid=a-uid template=hash-of-a pods=p",
			},
		},
		"a finished Pod of a Job is still judged": {
			controllers: []*ControllerRecord{controller("Job", "run", nil)},
			pods:        []*PodRecord{finished(pod("p", ref("Job", "run")))},
			want:        []string{"batch/v1 Job run uid=run-uid template=hash-of-run pods=p"},
		},
		"a finished bare Pod is not judged": {pods: []*PodRecord{finished(pod("p", nil))}},
		"a finished Pod of a ReplicaSet is not judged": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", nil)},
			pods:        []*PodRecord{finished(pod("p", ref("ReplicaSet", "rs")))},
			want:        []string{replicaSet},
		},
		"a finished Pod of a kind that is not read is not judged": {pods: []*PodRecord{finished(pod("p", ref("Rollout", "web")))}},
		"a finished Pod of somebody else's kind Job is not judged": {
			pods: []*PodRecord{finished(pod("p", &Owner{APIVersion: "batch.volcano.sh/v1", Kind: "Job", Name: "run", UID: "x"}))},
		},
		"a finished Pod with a forged Job is not judged": {pods: []*PodRecord{finished(pod("p", ref("Job", "run")))}},
		"a finished Pod of a Job that may not be read is judged": {
			pods: []*PodRecord{finished(pod("p", ref("Job", "run")))}, unavailable: forbidden(Jobs),
			want: []string{"batch/v1 Job run uid= template= pods=p"},
		},
		"a static Pod, which a Node owns, is its own workload": {pods: []*PodRecord{pod("p", ref("Node", "n1"))}, want: []string{bare}},
		"a Pod that names what controls no Pods is its own workload": {
			pods: []*PodRecord{
				pod("a", ref("Service", "x")), pod("b", ref("Namespace", "shop")), pod("c", ref("ServiceAccount", "x")), pod("d", ref("ResourceQuota", "x")),
				pod("e", ref("LimitRange", "x")), pod("f", ref("NetworkPolicy", "x")), pod("g", ref("Pod", "a")),
			},
			want: []string{
				"v1 Pod a uid=a-uid template= pods=a", "v1 Pod b uid=b-uid template= pods=b", "v1 Pod c uid=c-uid template= pods=c",
				"v1 Pod d uid=d-uid template= pods=d", "v1 Pod e uid=e-uid template= pods=e", "v1 Pod f uid=f-uid template= pods=f",
				"v1 Pod g uid=g-uid template= pods=g",
			},
		},
		"a Pod that names a UID that is not there is its own workload": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", nil)},
			pods:        []*PodRecord{pod("p", with(func(o *Owner) { o.UID = "other" }, ref("ReplicaSet", "rs")))},
			want:        []string{bare, replicaSet},
		},
		"a Pod that names no UID is its own workload": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", nil)},
			pods:        []*PodRecord{pod("p", with(func(o *Owner) { o.UID = "" }, ref("ReplicaSet", "rs")))},
			want:        []string{bare, replicaSet},
		},
		"a Pod that names the right UID under another name is its own workload": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", nil)},
			pods:        []*PodRecord{pod("p", with(func(o *Owner) { o.Name = "other" }, ref("ReplicaSet", "rs")))},
			want:        []string{bare, replicaSet},
		},
		"a Pod that names the right UID under another kind is its own workload": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", nil)},
			pods:        []*PodRecord{pod("p", with(func(o *Owner) { o.Kind = "StatefulSet" }, ref("ReplicaSet", "rs")))},
			want:        []string{bare, replicaSet},
		},
		"the version of a reference does not matter": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", nil)},
			pods:        []*PodRecord{pod("p", with(func(o *Owner) { o.APIVersion = "apps/v1beta2" }, ref("ReplicaSet", "rs")))},
			want:        []string{replicaSet + "p"},
		},
		"the group of a reference matters: the kind is another one": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", nil)},
			pods:        []*PodRecord{pod("p", with(func(o *Owner) { o.APIVersion = "extensions/v1beta1" }, ref("ReplicaSet", "rs")))},
			want:        []string{replicaSet, "extensions/v1beta1 ReplicaSet rs uid= template= pods=p"},
		},
		"a ReplicaSet with a forged Deployment is a workload, though without its template, which is not kept": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", ref("Deployment", "web"))},
			pods:        []*PodRecord{pod("p", ref("ReplicaSet", "rs"))},
			want:        []string{rolledOut + "p"},
		},
		"ReplicaSets that name one another are workloads": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", ref("ReplicaSet", "rs2")), controller("ReplicaSet", "rs2", ref("ReplicaSet", "rs"))},
			pods:        []*PodRecord{pod("p", ref("ReplicaSet", "rs"))},
			want:        []string{replicaSet + "p", "apps/v1 ReplicaSet rs2 uid=rs2-uid template=hash-of-rs2 pods="},
		},
		"a ReplicaSet that names itself is a workload": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", ref("ReplicaSet", "rs"))}, want: []string{replicaSet},
		},
		"a ReplicaSet of a CronJob is a workload, for a CronJob makes none": {
			controllers: []*ControllerRecord{controller("CronJob", "c", nil), controller("ReplicaSet", "rs", ref("CronJob", "c"))},
			want:        []string{"batch/v1 CronJob c uid=c-uid template=hash-of-c pods=", replicaSet},
		},
		"a Job of a Deployment is a workload, for a Deployment makes none": {
			controllers: []*ControllerRecord{controller("Deployment", "web", nil), controller("Job", "run", ref("Deployment", "web"))},
			want:        []string{deployment, "batch/v1 Job run uid=run-uid template=hash-of-run pods="},
		},
		"a Deployment of another Deployment is a workload": {
			controllers: []*ControllerRecord{controller("Deployment", "web", ref("Deployment", "up")), controller("Deployment", "up", nil)},
			want:        []string{"apps/v1 Deployment up uid=up-uid template=hash-of-up pods=", deployment},
		},
		"a Pod that names itself is its own workload": {pods: []*PodRecord{pod("p", ref("Pod", "p"))}, want: []string{bare}},
		"Pods of an unread kind are in the workload named": {
			pods: []*PodRecord{pod("p", ref("Rollout", "web")), pod("q", with(func(o *Owner) { o.UID = "x" }, ref("Rollout", "web")))},
			want: []string{"argoproj.io/v1alpha1 Rollout web uid= template= pods=p,q"},
		},
		"of several versions of an unread kind the first counts": {
			pods: []*PodRecord{
				pod("p", with(func(o *Owner) { o.APIVersion = "argoproj.io/v1beta1" }, ref("Rollout", "web"))), pod("q", ref("Rollout", "web")),
			},
			want: []string{"argoproj.io/v1alpha1 Rollout web uid= template= pods=p,q"},
		},
		"a subject that has been seen counts before one that is only named": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", nil)},
			pods:        []*PodRecord{pod("p", ref("ReplicaSet", "rs"))}, unavailable: forbidden(ReplicaSets),
			want: []string{replicaSet + "p"},
		},
		"a Deployment that is called like another one's report, which was cut, is another workload": {
			controllers: []*ControllerRecord{controller("Deployment", twin, nil), controller("Deployment", long, nil)},
			want: []string{
				"apps/v1 Deployment " + twin + " uid=" + twin + "-uid template=hash-of-" + twin + " pods=",
				"apps/v1 Deployment " + long + " uid=" + long + "-uid template=hash-of-" + long + " pods=",
			},
		},
		"a ReplicaSet of an unread kind is not a workload, and its Pods are in the one named": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", ref("Rollout", "web"))},
			pods:        []*PodRecord{pod("p", ref("ReplicaSet", "rs"))},
			want:        []string{"argoproj.io/v1alpha1 Rollout web uid= template= pods=p"},
		},
		"a ReplicaSet of an unread kind without Pods makes no workload": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", ref("Rollout", "web"))},
		},
		"a Job of an unread kind has its Pods in the workload named": {
			controllers: []*ControllerRecord{controller("Job", "run", &Owner{APIVersion: "jobset.x-k8s.io/v1alpha2", Kind: "JobSet", Name: "js", UID: "js"})},
			pods:        []*PodRecord{pod("p", ref("Job", "run"))},
			want:        []string{"jobset.x-k8s.io/v1alpha2 JobSet js uid= template= pods=p"},
		},
		"a StatefulSet that an operator owns is a workload all the same": {
			controllers: []*ControllerRecord{
				controller("StatefulSet", "db", &Owner{APIVersion: "db.example.com/v1", Kind: "Database", Name: "db", UID: "x"}),
			},
			pods: []*PodRecord{pod("p", ref("StatefulSet", "db"))},
			want: []string{"apps/v1 StatefulSet db uid=db-uid template=hash-of-db pods=p"},
		},
		"owners of a kind that may not be read are taken from the reference": {
			pods: []*PodRecord{pod("p", ref("ReplicaSet", "rs")), pod("q", ref("ReplicaSet", "rs"))}, unavailable: forbidden(ReplicaSets),
			want: []string{"apps/v1 ReplicaSet rs uid= template= pods=p,q"},
		},
		"so is a Deployment that may not be read, from its ReplicaSet": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", ref("Deployment", "web"))},
			pods:        []*PodRecord{pod("p", ref("ReplicaSet", "rs"))}, unavailable: forbidden(Deployments),
			want: []string{"apps/v1 Deployment web uid= template= pods=p"},
		},
		"that another kind may not be read changes nothing": {
			pods: []*PodRecord{pod("p", ref("ReplicaSet", "rs"))}, unavailable: forbidden(Deployments), want: []string{bare},
		},
		"a Pod that may name no such owner is its own workload even where the kind may not be read": {
			controllers: []*ControllerRecord{controller("ReplicaSet", "rs", ref("StatefulSet", "x"))}, unavailable: forbidden(StatefulSets),
			want: []string{replicaSet},
		},
		"workloads are sorted by the names of their reports": {
			controllers: []*ControllerRecord{controller("StatefulSet", "a", nil), controller("Deployment", "z", nil), controller("Deployment", "b", nil)},
			want: []string{
				"apps/v1 Deployment b uid=b-uid template=hash-of-b pods=",
				"apps/v1 Deployment z uid=z-uid template=hash-of-z pods=",
				"apps/v1 StatefulSet a uid=a-uid template=hash-of-a pods=",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inventory := Inventory{Surroundings: Surroundings{Name: "shop"}, Controllers: tc.controllers, Pods: tc.pods, Unavailable: tc.unavailable}
			for _, order := range []string{"as given", "reversed"} {
				ns := Fold(inventory, now)
				if diff := cmp.Diff(tc.want, sortedPods(ns)); diff != "" {
					t.Errorf("workloads, inventory %s (-want +got):\n%s", order, diff)
				}
				if !ns.Recheck.IsZero() {
					t.Errorf("Recheck = %v, want none", ns.Recheck)
				}
				slices.Reverse(inventory.Controllers)
				slices.Reverse(inventory.Pods)
			}
		})
	}
}

func TestFoldWaitsForOwners(t *testing.T) {
	at := func(before time.Duration) time.Time { return now.Add(-before) }
	goneAt := func(name string, when time.Time) func(Owner) (time.Time, bool) {
		return func(o Owner) (time.Time, bool) { return when, o.UID == UID(name+"-uid") }
	}
	created := func(p *PodRecord, when time.Time) *PodRecord {
		p.Created = MomentOf(when)
		return p
	}
	for name, tc := range map[string]struct {
		controllers []*ControllerRecord
		pod         *PodRecord
		gone        func(Owner) (time.Time, bool)
		wantPod     bool
		wantRecheck time.Time
	}{
		"a new Pod whose ReplicaSet has not come yet waits": {
			pod: created(pod("p", ref("ReplicaSet", "rs")), at(time.Second)), wantRecheck: at(time.Second).Add(arrivalGrace),
		},
		"a Pod whose ReplicaSet has not come when the grace ends is judged by itself": {
			pod: created(pod("p", ref("ReplicaSet", "rs")), at(arrivalGrace)), wantPod: true,
		},
		"an old Pod whose ReplicaSet has just gone waits": {
			pod: pod("p", ref("ReplicaSet", "rs")), gone: goneAt("rs", at(time.Second)), wantRecheck: at(time.Second).Add(departureGrace),
		},
		"a Pod that has named another controller before does not wait": {
			pod: func() *PodRecord {
				p := created(pod("p", ref("ReplicaSet", "rs")), now)
				p.Reowned = true
				return p
			}(),
			gone: goneAt("rs", now), wantPod: true,
		},
		"nor does that of a ReplicaSet which has": {
			controllers: []*ControllerRecord{func() *ControllerRecord {
				c := controller("ReplicaSet", "rs", ref("Deployment", "web"))
				c.Created, c.Reowned = MomentOf(now), true
				return c
			}()},
			pod: pod("p", ref("ReplicaSet", "rs")), gone: goneAt("web", now), wantPod: true,
		},
		"an old Pod whose ReplicaSet is long gone is judged by itself": {
			pod: pod("p", ref("ReplicaSet", "rs")), gone: goneAt("rs", at(departureGrace)), wantPod: true,
		},
		"that something else has gone does not matter": {
			pod: pod("p", ref("ReplicaSet", "rs")), gone: goneAt("other", at(time.Second)), wantPod: true,
		},
		"of both graces the longer counts": {
			pod:         created(pod("p", ref("ReplicaSet", "rs")), at(time.Second)),
			gone:        goneAt("rs", at(55*time.Second)),
			wantRecheck: at(time.Second).Add(arrivalGrace),
		},
		"a new Pod with a reference that no controller writes is judged at once": {
			pod: created(pod("p", ref("Service", "s")), now), wantPod: true,
		},
		"a new Pod of an unread kind is judged at once, with what it names": {
			pod: created(pod("p", ref("Rollout", "web")), now), wantPod: true,
		},
		"a new bare Pod is judged at once": {pod: created(pod("p", nil), now), wantPod: true},
		"an old Pod of a new ReplicaSet whose Deployment has not come waits with it": {
			controllers: []*ControllerRecord{func() *ControllerRecord {
				c := controller("ReplicaSet", "rs", ref("Deployment", "web"))
				c.Created = MomentOf(at(2 * time.Second))
				return c
			}()},
			pod: pod("p", ref("ReplicaSet", "rs")), wantRecheck: at(2 * time.Second).Add(arrivalGrace),
		},
		"a finished Pod whose Job has gone is not judged, now or later, but looked at again": {
			pod: func() *PodRecord {
				p := pod("p", ref("Job", "run"))
				p.Finished = true
				return p
			}(),
			gone: goneAt("run", at(time.Second)), wantRecheck: at(time.Second).Add(departureGrace),
		},
	} {
		t.Run(name, func(t *testing.T) {
			inventory := Inventory{Surroundings: Surroundings{Name: "shop"}, Controllers: tc.controllers, Pods: []*PodRecord{tc.pod}, Gone: tc.gone}
			ns := Fold(inventory, now)
			if got := len(podsOf(ns)) == 1; got != tc.wantPod {
				t.Errorf("the Pod is judged: %v, want %v; workloads %q", got, tc.wantPod, described(ns))
			}
			if !tc.wantPod && len(ns.Workloads) > 0 {
				t.Errorf("workloads %q, want none while it waits", described(ns))
			}
			if !ns.Recheck.Equal(tc.wantRecheck) {
				t.Errorf("Recheck = %v, want %v", ns.Recheck, tc.wantRecheck)
			}
			if tc.wantRecheck.IsZero() {
				return
			}
			if early := Fold(inventory, tc.wantRecheck.Add(-time.Nanosecond)); !early.Recheck.Equal(tc.wantRecheck) {
				t.Errorf("just before, Recheck = %v, want %v", early.Recheck, tc.wantRecheck)
			}
			later := Fold(inventory, tc.wantRecheck)
			if got := len(podsOf(later)) == 1; got == tc.pod.Finished || !later.Recheck.IsZero() {
				t.Errorf("after the grace the Pod is judged: %v, Recheck %v", got, later.Recheck)
			}
		})
	}
}

func TestFoldRechecksAtTheEarliestMoment(t *testing.T) {
	var pods []*PodRecord
	for _, age := range []time.Duration{2, 7, 4} {
		p := pod(fmt.Sprint("p", int(age)), ref("ReplicaSet", "rs"))
		p.Created = MomentOf(now.Add(-age * time.Second))
		pods = append(pods, p)
	}
	if got, want := Fold(Inventory{Pods: pods}, now).Recheck, now.Add(arrivalGrace-7*time.Second); !got.Equal(want) {
		t.Errorf("Recheck = %v, want %v", got, want)
	}
}

func podsOf(ns *Namespace) map[string]int {
	count := make(map[string]int)
	for _, w := range ns.Workloads {
		for _, p := range w.Pods {
			count[p.Name]++
		}
	}
	return count
}

// TestFoldLosesNoPod makes random graphs of owners, most of them nonsense, and looks for Pods that are judged twice or
// never.
func TestFoldLosesNoPod(t *testing.T) {
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		inventory := randomInventory(random)
		moment := now
		for round := 0; ; round++ {
			ns := Fold(inventory, moment)
			count := podsOf(ns)
			for _, p := range inventory.Pods {
				switch n := count[p.Name]; {
				case n > 1:
					t.Fatalf("seed %d: Pod %q is in %d workloads", seed, p.Name, n)
				case n == 0 && !p.Finished && ns.Recheck.IsZero():
					t.Fatalf("seed %d: Pod %q is in no workload, and will be in none", seed, p.Name)
				}
			}
			reports := make(map[string]bool)
			for _, w := range ns.Workloads {
				if name := w.ReportName(); reports[name] || name != w.reportName {
					t.Fatalf("seed %d: report %q (subject's: %q) is there twice or wrong", seed, w.reportName, name)
				} else {
					reports[name] = true
				}
			}
			if ns.Recheck.IsZero() {
				break
			}
			if !ns.Recheck.After(moment) || ns.Recheck.After(now.Add(departureGrace)) || round > len(inventory.Pods)+len(inventory.Controllers) {
				t.Fatalf("seed %d: at %v Recheck = %v in round %d", seed, moment, ns.Recheck, round)
			}
			moment = ns.Recheck
		}

		shuffled := inventory
		shuffled.Pods, shuffled.Controllers = slices.Clone(inventory.Pods), slices.Clone(inventory.Controllers)
		random.Shuffle(len(shuffled.Pods), func(i, j int) {
			shuffled.Pods[i], shuffled.Pods[j] = shuffled.Pods[j], shuffled.Pods[i]
		})
		random.Shuffle(len(shuffled.Controllers), func(i, j int) {
			shuffled.Controllers[i], shuffled.Controllers[j] = shuffled.Controllers[j], shuffled.Controllers[i]
		})
		if diff := cmp.Diff(sortedPods(Fold(inventory, now)), sortedPods(Fold(shuffled, now))); diff != "" {
			t.Fatalf("seed %d: in another order (-first +second):\n%s", seed, diff)
		}
	}
}

func sortedPods(ns *Namespace) []string {
	for _, w := range ns.Workloads {
		slices.SortFunc(w.Pods, func(a, b *PodRecord) int { return strings.Compare(a.Name, b.Name) })
	}
	return described(ns)
}

func randomInventory(random *rand.Rand) Inventory {
	one := func(values ...string) string { return values[random.IntN(len(values))] }
	kinds := []string{"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController"}
	owner := func() *Owner {
		o := &Owner{
			APIVersion: one("v1", "apps/v1", "apps/v1", "batch/v1", "apps/v1beta1", "example.com/v1", "example.com/v2", "", "a/b/c"),
			Kind:       one(append(kinds, "Pod", "Node", "Service", "Rollout", "rollout", "")...),
			Name:       "o" + one("0", "1", "2", "3", "4", "5"),
			UID:        UID("o" + one("0", "1", "2", "3", "4", "5") + "-uid"),
		}
		switch random.IntN(4) {
		case 0:
			return nil
		case 1: // by rights
			o.APIVersion, o.UID = apiVersions[o.Kind], UID(o.Name+"-uid")
		}
		return o
	}
	recently := func() time.Time { return now.Add(-time.Duration(random.IntN(20)) * time.Second) }
	i := Inventory{Surroundings: Surroundings{Name: "shop"}, Gone: func(o Owner) (time.Time, bool) { return now.Add(-time.Second), o.UID == "o5-uid" }}
	for n := range random.IntN(6) {
		c := controller(one(kinds...), fmt.Sprint("o", n), nil)
		c.Owner, c.Created = owner(), MomentOf(recently())
		i.Controllers = append(i.Controllers, c)
	}
	for n := range random.IntN(8) {
		p := pod(fmt.Sprint("p", n), owner())
		p.Created, p.Finished = MomentOf(recently()), random.IntN(5) == 0
		i.Pods = append(i.Pods, p)
	}
	if random.IntN(3) == 0 {
		r := workloadResources[random.IntN(len(workloadResources))]
		i.Unavailable = map[Resource]*Unavailable{r: {Resource: r}}
	}
	return i
}

func TestOwnSubject(t *testing.T) {
	for gk, k := range workloadKinds {
		t.Run(gk.Kind, func(t *testing.T) {
			o := object("x")
			want := Subject{APIVersion: k.version, Kind: gk.Kind, Name: "x", UID: "x-uid"}
			if diff := cmp.Diff(want, ownSubject(gk.Kind, &o)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if want.KindLabel() != gk.Kind {
				t.Errorf("label %q", want.KindLabel())
			}
		})
	}
}

// TestFoldJudgesWhatIsAboutToMakePods: an owner reference hides no template that may still make Pods, whatever it names.
func TestFoldJudgesWhatIsAboutToMakePods(t *testing.T) {
	template, other := ShapeOf("", &Pod{}), ShapeOf("", &Pod{})
	active := func(kind, name string, owner *Owner, shape *Shape) *ControllerRecord {
		c := controller(kind, name, owner)
		c.Shape, c.Active = shape, true
		return c
	}
	web := active("Deployment", "web", nil, template)
	configMap := &Owner{APIVersion: "v1", Kind: "ConfigMap", Name: "real", UID: "real-uid"}
	for name, tc := range map[string]struct {
		controllers []*ControllerRecord
		want        map[string][]*Shape // live shapes by report
	}{
		"a ReplicaSet with the template of its Deployment adds nothing": {
			[]*ControllerRecord{web, active("ReplicaSet", "rs", ref("Deployment", "web"), template)}, map[string][]*Shape{"deployment-web": nil},
		},
		"a ReplicaSet with another template is judged with the Deployment, before it has Pods": {
			[]*ControllerRecord{web, active("ReplicaSet", "rs", ref("Deployment", "web"), other)}, map[string][]*Shape{"deployment-web": {other}},
		},
		"a suspended Job that names a CronJob is judged with it": {
			[]*ControllerRecord{active("CronJob", "nightly", nil, template), active("Job", "run", ref("CronJob", "nightly"), other)},
			map[string][]*Shape{"cronjob-nightly": {other}},
		},
		"a suspended Job that names a CronJob that is not there is judged itself": {
			[]*ControllerRecord{active("Job", "run", ref("CronJob", "nightly"), other)}, map[string][]*Shape{"job-run": nil},
		},
		"a suspended Job that names something that is not read is judged as that": {
			[]*ControllerRecord{active("Job", "run", configMap, other)}, map[string][]*Shape{"configmap.core-real": {other}},
		},
		"a ReplicaSet of a former revision is no subject, even where its Deployment is not there": {
			[]*ControllerRecord{{Object: object("rs"), Kind: "ReplicaSet", Owner: ref("Deployment", "gone"), Created: MomentOf(now.Add(-time.Hour))}}, map[string][]*Shape{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(map[string][]*Shape)
			for _, w := range Fold(Inventory{Controllers: tc.controllers}, now).Workloads {
				got[w.ReportName()] = w.Shapes()
			}
			if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b *Shape) bool { return a == b })); diff != "" {
				t.Errorf("live shapes by report (-want +got):\n%s", diff)
			}
		})
	}
}
