// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/test/controlplane"
	"github.com/kubersafe/kubersafe/test/fresh"
	"github.com/kubersafe/kubersafe/test/operator"
)

const (
	// timeout of one condition. Measured: up to 20 s, where a Lease has to end or a refusal to be believed; the rest is for machines
	// that do something else meanwhile.
	timeout      = 90 * time.Second
	pollInterval = 20 * time.Millisecond
	// evaluateInterval is that of conditions that cost more, such as to read the cluster anew, which takes some 100 ms.
	evaluateInterval = 400 * time.Millisecond
)

// world is a cluster with an operator that reaches it through a proxy.
type world struct {
	plane *controlplane.ControlPlane
	admin client.Client
	proxy *proxy
	// direct is a replica that is never started: others are made of it.
	direct *operator.Operator
	// crds is the directory of the operator's own kinds.
	crds string
	// declared is what the operator is installed with.
	declared operator.Permissions
}

// newWorld starts a control plane with the operator's kinds and permissions in it.
func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{crds: filepath.Join(root, "config/crd/bases")}
	w.plane, err = controlplane.Start(t.Context(), controlplane.Options{CRDs: []string{w.crds}, AuditLog: true, AuditUsers: []string{operator.User}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	config := rest.CopyConfig(w.plane.Config)
	config.QPS = -1 // tests make bursts
	config.WarningHandler = rest.NoWarnings{}
	if w.admin, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.plane.Kubectl(t.Context(), nil, "apply", "-f", filepath.Join(root, "dist/install.yaml")); err != nil {
		t.Fatal(err)
	}
	if w.direct, err = operator.New(t.Context(), w.plane, binary); err != nil {
		t.Fatal(err)
	}
	if w.declared, err = operator.ReadPermissions(t.Context(), w.plane.Config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.keptWithinBounds(t) })
	w.create(t, &rbacv1.ClusterRoleBinding{ // to whom may scrape
		ObjectMeta: metav1.ObjectMeta{Name: "profiler"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubersafe-profiler"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceDefault, Name: "prometheus"}},
	})
	if w.proxy, err = newProxy(w.plane.Config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.proxy.close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// broken is what the log of a process has that broke down, also where it went on.
var broken = regexp.MustCompile(`(?i)panic|DATA RACE|fatal error:`)

// keptWithinBounds fails if the operator has asked for anything that it is not installed with the permission for, if any of its processes
// broke down, or if they raced, where they were built to notice.
func (w *world) keptWithinBounds(t *testing.T) {
	t.Helper()
	events, err := w.plane.AuditEvents()
	if err != nil {
		t.Fatal(err)
	}
	if undeclared := w.declared.Undeclared(events); len(undeclared) > 0 || len(events) == 0 {
		t.Errorf("of %d requests, the operator has no permission for\n%s", len(events), strings.Join(undeclared, "\n"))
	}
	logs, err := filepath.Glob(filepath.Join(w.plane.Dir, "kubersafe-*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("%d logs, %v", len(logs), err)
	}
	for _, path := range logs {
		log, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if at := broken.FindIndex(log); at != nil {
			t.Errorf("%s has\n%.8000s", filepath.Base(path), log[at[0]:])
		}
	}
}

// replica is an operator that has been started.
type replica struct {
	*operator.Operator
	t *testing.T
}

// start starts a replica that reaches the API server through the proxy, and returns when it is ready.
func (w *world) start(t *testing.T, args ...string) *replica {
	t.Helper()
	o, err := w.direct.Through(w.proxy.URL, w.proxy.CA)
	if err != nil {
		t.Fatal(err)
	}
	return w.startAs(t, o, args...)
}

// startDirect starts a replica that nothing comes between it and the API server.
func (w *world) startDirect(t *testing.T, args ...string) *replica {
	t.Helper()
	return w.startAs(t, w.direct.Replica(), args...)
}

func (w *world) startAs(t *testing.T, o *operator.Operator, args ...string) *replica {
	t.Helper()
	o.Args = append([]string{"--profiling"}, args...)
	r := &replica{o, t}
	r.startAgain()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(r.LogTail())
		}
		r.Kill() // if it still runs
	})
	return r
}

// startAgain starts the process anew, as a kubelet would.
func (r *replica) startAgain() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), timeout)
	defer cancel()
	if err := r.Start(ctx); err != nil {
		r.t.Fatalf("%v\n%s", err, r.LogTail())
	}
}

// stop ends a replica as a kubelet would, which must let go of its Lease.
func (r *replica) stop() {
	r.t.Helper()
	if err := r.Stop(); err != nil {
		r.t.Fatalf("%v\n%s", err, r.LogTail())
	}
}

// ended says whether the process has ended.
func (r *replica) ended() bool {
	select {
	case <-r.Process().Done():
		return true
	default:
		return false
	}
}

// eventually waits for a condition, which says what it saw last.
func eventually(t *testing.T, what string, condition func(context.Context) (bool, string)) {
	t.Helper()
	every(t, pollInterval, what, condition)
}

func every(t *testing.T, interval time.Duration, what string, condition func(context.Context) (bool, string)) {
	t.Helper()
	var last string
	err := wait.PollUntilContextTimeout(t.Context(), interval, timeout, true, func(ctx context.Context) (bool, error) {
		ok, now := condition(ctx)
		if ctx.Err() == nil { // what it says then is only that
			last = now
		}
		return ok, nil
	})
	if err != nil {
		t.Fatalf("waiting for %s: %v; last: %s", what, err, last)
	}
}

func (w *world) create(t *testing.T, o client.Object) {
	t.Helper()
	if err := w.admin.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// settled returns when a replica, which must lead, has made all reports what a fresh reading as the operator's ServiceAccount gives,
// and its metrics count what these say.
func (w *world) settled(t *testing.T, leader *replica) {
	t.Helper()
	w.agree(t, leader, true)
}

// agree is settled. Where the kind of reports is not served, there are none, and the metrics are compared alone.
func (w *world) agree(t *testing.T, leader *replica, served bool) {
	t.Helper()
	every(t, evaluateInterval, "the reports to be those of a fresh evaluation", func(ctx context.Context) (bool, string) {
		if leader.ended() {
			t.Fatalf("the operator has ended\n%s", leader.LogTail())
		}
		difference := w.difference(ctx, t, leader, served)
		return difference == "", difference
	})
}

// difference tells how the reports, if they are served, and the metrics of a replica that leads differ from what they should be; "" if
// they do not.
func (w *world) difference(ctx context.Context, t *testing.T, leader *replica, served bool) string {
	t.Helper()
	if going := w.going(ctx); going != "" {
		return going
	}
	evaluated, _, err := fresh.Evaluate(ctx, w.direct.Config(), w.admin)
	if err != nil {
		return err.Error()
	}
	want, err := seriesOf(evaluated)
	if err != nil {
		t.Fatal(err)
	}
	if served {
		stored, _, err := fresh.Stored(ctx, w.admin)
		if err != nil {
			return err.Error()
		}
		if difference := fresh.Difference(evaluated, stored); difference != "" {
			return "(-fresh +stored)\n" + difference
		}
	}
	lines, err := leader.Scrape(ctx)
	if err != nil {
		return err.Error()
	}
	got, err := seriesIn(lines)
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(want, got); difference != "" {
		return "metrics (-fresh +scraped)\n" + difference
	}
	return ""
}

// going names the namespaces that have not ended yet. Their reports go with them, at no certain time.
func (w *world) going(ctx context.Context) string {
	list := &corev1.NamespaceList{}
	if err := w.admin.List(ctx, list); err != nil {
		return err.Error()
	}
	var names []string
	for i := range list.Items {
		if n := &list.Items[i]; n.DeletionTimestamp != nil {
			names = append(names, fmt.Sprintf("namespace %s has not ended: %+v", n.Name, n.Status.Conditions))
		}
	}
	return strings.Join(names, "\n")
}

// compared are the metrics that say what reports say, with their labels in the order of the exposition. The category follows from
// the check and is left out.
const compared = `^(kubersafe_(?:violations|workload_violations|cluster_violations|exempted_violations|skipped_checks|subjects))\{(.*)\} (\S+)$`

var (
	comparedLine  = regexp.MustCompile(compared)
	categoryLabel = regexp.MustCompile(`category="[^"]*",`)
)

// seriesIn returns the series of a scrape that are compared.
func seriesIn(lines []string) (map[string]float64, error) {
	series := make(map[string]float64)
	for _, line := range lines {
		match := comparedLine.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		value, err := strconv.ParseFloat(match[3], 64)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		name := match[1] + "{" + categoryLabel.ReplaceAllString(match[2], "") + "}"
		if _, twice := series[name]; twice {
			return nil, fmt.Errorf("%s is exported twice", name)
		}
		series[name] = value
	}
	return series, nil
}

// seriesOf returns the series that count what reports, in the form of package fresh, say.
func seriesOf(reports map[string]string) (map[string]float64, error) {
	series := make(map[string]float64)
	for key, text := range reports {
		var r v1alpha1.SecurityReport // a ClusterSecurityReport has the same and more
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, fmt.Errorf("report %s: %w", key, err)
		}
		if r.OmittedFindings > 0 {
			return nil, fmt.Errorf("report %s does not list all that it counts", key)
		}
		switch excluded := len(r.Skips) > 0 && r.Skips[0].Reason == v1alpha1.SkipNamespaceExcluded; {
		case key == v1alpha1.ClusterReportName || excluded:
		case r.Namespace == "":
			for i := range r.Findings {
				series[fmt.Sprintf("kubersafe_cluster_violations{check=%q,severity=%q}", r.Findings[i].Check, r.Findings[i].Severity)]++
			}
		default:
			countReport(series, &r)
		}
	}
	return series, nil
}

func countReport(series map[string]float64, r *v1alpha1.SecurityReport) {
	kind := r.Labels[v1alpha1.LabelSubjectKind]
	series[fmt.Sprintf("kubersafe_subjects{kind=%q,namespace=%q}", kind, r.Namespace)]++
	for i := range r.Findings {
		f := &r.Findings[i]
		series[fmt.Sprintf("kubersafe_violations{check=%q,kind=%q,namespace=%q,severity=%q}", f.Check, kind, r.Namespace, f.Severity)]++
		series[fmt.Sprintf("kubersafe_workload_violations{kind=%q,name=%q,namespace=%q,severity=%q}", kind, r.Subject.Name, r.Namespace, f.Severity)]++
	}
	for i := range r.Exemptions {
		e := &r.Exemptions[i]
		series[fmt.Sprintf("kubersafe_exempted_violations{check=%q,kind=%q,namespace=%q,severity=%q}", e.Check, kind, r.Namespace, e.Severity)]++
	}
	for i := range r.Skips {
		series[fmt.Sprintf("kubersafe_skipped_checks{check=%q,namespace=%q,reason=%q}", r.Skips[i].Check, r.Namespace, r.Skips[i].Reason)]++
	}
}

// goroutines returns the goroutines of a replica by their stacks, without those that serve or keep a connection: how many of these
// there are depends on who has asked last.
func (r *replica) goroutines(ctx context.Context) (stacks map[string]int, total int, err error) {
	code, body, err := r.GetAs(ctx, "/debug/pprof/goroutine?debug=1", r.Token())
	if err != nil || code != http.StatusOK {
		return nil, 0, errors.Join(err, fmt.Errorf("the profile is answered %d: %s", code, body))
	}
	stacks = make(map[string]int)
	for _, block := range strings.Split(body, "\n\n") {
		lines := strings.Split(strings.TrimSpace(block), "\n")
		var functions []string
		n := 0
		for _, line := range lines {
			if count, _, ok := strings.Cut(line, " @ "); ok {
				if n, err = strconv.Atoi(count); err != nil {
					return nil, 0, fmt.Errorf("parsing the profile: %w", err)
				}
			} else if fields := strings.Split(line, "\t"); len(fields) > 2 && fields[0] == "#" {
				function, _, _ := strings.Cut(fields[2], "+0x")
				functions = append(functions, function)
			}
		}
		stack := strings.Join(functions, "\n\t")
		if n == 0 || ofConnection.MatchString(stack) {
			continue
		}
		stacks[stack] += n
		total += n
	}
	return stacks, total, nil
}

var ofConnection = regexp.MustCompile(`net/http\.\(\*(conn|persistConn|connReader|http2serverConn|http2ClientConn)\)|http2\.\(\*(serverConn|ClientConn)\)|pprof\.`)

// profile is how many goroutines a replica has.
type profile struct {
	stacks map[string]int
	total  int
}

func (r *replica) profile() profile {
	r.t.Helper()
	stacks, total, err := r.goroutines(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return profile{stacks, total}
}

// leavesNothingBehind returns when a replica has no more goroutines than it, or another that leads, had before.
func (r *replica) leavesNothingBehind(before profile) {
	r.t.Helper()
	eventually(r.t, "goroutines to end", func(ctx context.Context) (bool, string) {
		more := r.leftBehind(ctx, before)
		return more == "", more
	})
}

// leftBehind tells how many more goroutines a replica has than before; "" if no more.
func (r *replica) leftBehind(ctx context.Context, before profile) string {
	stacks, total, err := r.goroutines(ctx)
	if err != nil {
		return err.Error()
	}
	if total <= before.total {
		return ""
	}
	var more []string
	for stack, n := range stacks {
		if n > before.stacks[stack] {
			more = append(more, fmt.Sprintf("%d, before %d:\n\t%s", n, before.stacks[stack], stack))
		}
	}
	slices.Sort(more)
	return fmt.Sprintf("%d goroutines, before %d\n%s", total, before.total, strings.Join(more, "\n"))
}

// versions returns the resourceVersions of the reports of a namespace, by name.
func (w *world) versions(t *testing.T, namespace string) map[string]string {
	t.Helper()
	list := &v1alpha1.SecurityReportList{}
	if err := w.admin.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	versions := make(map[string]string)
	for i := range list.Items {
		versions[list.Items[i].Name] = list.Items[i].ResourceVersion
	}
	if len(versions) < 2 {
		t.Fatalf("reports in %s: %v", namespace, slices.Collect(maps.Keys(versions)))
	}
	return versions
}

// untouched fails if a report of a namespace was written since its versions were taken.
func (w *world) untouched(t *testing.T, namespace string, before map[string]string) {
	t.Helper()
	if diff := cmp.Diff(before, w.versions(t, namespace)); diff != "" {
		t.Errorf("reports in %s were written although nothing has changed (-before +after):\n%s", namespace, diff)
	}
}

// written returns the operator's successful writes of reports so far, as "verb namespace/name".
func (w *world) written(t *testing.T) []string {
	t.Helper()
	events, err := w.plane.AuditEvents()
	if err != nil {
		t.Fatal(err)
	}
	var writes []string
	for _, e := range events {
		if strings.HasSuffix(e.Resource, "securityreports") && slices.Contains([]string{"create", "update", "delete"}, e.Verb) && e.Code < http.StatusBadRequest {
			writes = append(writes, fmt.Sprintf("%s %s/%s", e.Verb, e.Namespace, e.Name))
		}
	}
	return writes
}

// notTwice fails if any of these reports, as "namespace/name", was created more than once among some writes. That each is there is for
// settled to say: the API server may log as failed what it has done for somebody who was killed before it could answer.
func notTwice(t *testing.T, writes []string, reports ...string) {
	t.Helper()
	made := make(map[string]int)
	for _, write := range writes {
		made[write]++
	}
	for _, report := range reports {
		if n := made["create "+report]; n > 1 {
			t.Errorf("report %s was created %d times", report, n)
		}
	}
}

func (w *world) lease(t *testing.T) *coordinationv1.Lease {
	t.Helper()
	lease := &coordinationv1.Lease{}
	if err := w.admin.Get(t.Context(), client.ObjectKey{Namespace: operator.Namespace, Name: "kubersafe.audit.kubersafe.io"}, lease); err != nil {
		t.Fatal(err)
	}
	return lease
}

// thief holds Leases that are stolen, and does not renew them.
const thief = "thief"

// giveLease has the Lease held by somebody else, or by nobody if holder is "", for so long. Whoever leads may just renew it meanwhile.
func (w *world) giveLease(t *testing.T, holder string, lasts time.Duration) {
	t.Helper()
	eventually(t, fmt.Sprintf("the Lease to be held by %q", holder), func(ctx context.Context) (bool, string) {
		lease, now := w.lease(t), metav1.NewMicroTime(time.Now())
		lease.Spec.HolderIdentity, lease.Spec.RenewTime, lease.Spec.AcquireTime = &holder, &now, &now
		lease.Spec.LeaseDurationSeconds = new(int32(lasts.Seconds()))
		err := w.admin.Update(ctx, lease)
		return err == nil, fmt.Sprint(err)
	})
}

// sourceIs returns when a replica says that a resource is in a state.
func (r *replica) sourceIs(resource string, state v1alpha1.SourceState) {
	r.t.Helper()
	want := fmt.Sprintf("kubersafe_source_state{resource=%q,state=%q} 1", resource, state)
	every(r.t, evaluateInterval, want, func(ctx context.Context) (bool, string) {
		lines, err := r.Scrape(ctx)
		return err == nil && slices.Contains(lines, want), fmt.Sprint(err)
	})
}

// lostElection says whether a replica has ended because it no longer leads. Nothing else may end one that is not asked to.
func (r *replica) lostElection() bool {
	r.t.Helper()
	log, err := os.ReadFile(r.Process().Log)
	if err != nil {
		r.t.Fatal(err)
	}
	return bytes.Contains(log, []byte("leader election lost"))
}
