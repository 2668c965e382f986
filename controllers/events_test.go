// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/configuration"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/shard"
	"github.com/kubersafe/kubersafe/internal/source"
)

// resources returns the values of the constants of type Resource in package audit.
func resources(t *testing.T) []audit.Resource {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../internal/audit/resource.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []audit.Resource
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Resource" {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, audit.Resource(value))
		return true
	})
	return found
}

// TestReachesKnowsEveryResource: a resource without an entry would be taken for the namespace's own.
func TestReachesKnowsEveryResource(t *testing.T) {
	want := append(resources(t), ledger.SecurityReports, ledger.ClusterSecurityReports)
	slices.Sort(want)
	got := slices.Sorted(maps.Keys(reaches))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("resources in the table (-named +there):\n%s", diff)
	}

	cfg := &rest.Config{Host: "http://unused.invalid"}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	sources := source.New(client)
	if err := source.AddOptional(sources, cfg, http.DefaultClient); err != nil {
		t.Fatal(err)
	}
	ledger.NewStored(sources, client.CoreV1().RESTClient())
	var read []audit.Resource
	for _, s := range sources.Status() {
		read = append(read, audit.Resource(s.Resource))
	}
	read = append(read, audit.ServerVersion, audit.StaticPods) // which are not listed and watched on their own
	slices.Sort(read)
	if diff := cmp.Diff(got, read); diff != "" {
		t.Errorf("resources (-in the table +with a source):\n%s", diff)
	}
}

func TestReachOf(t *testing.T) {
	for name, tc := range map[string]struct {
		event source.Event
		want  reach
	}{
		"a Pod":                                {source.Event{Resource: audit.Pods, Namespace: "shop"}, own},
		"a namespace":                          {source.Event{Resource: audit.Namespaces, Namespace: "shop"}, own},
		"a report":                             {source.Event{Resource: ledger.SecurityReports, Namespace: "shop"}, own},
		"the cluster's report":                 {source.Event{Resource: ledger.ClusterSecurityReports}, cluster},
		"a webhook":                            {source.Event{Resource: audit.ValidatingWebhooks}, cluster},
		"another patch of the API server":      {source.Event{Resource: audit.ServerVersion}, cluster},
		"another minor of the API server":      {source.Event{Resource: audit.ServerVersion, StateChanged: true}, everywhere},
		"Pods that can no longer be read":      {source.Event{Resource: audit.Pods, StateChanged: true}, everywhere},
		"reports of the cluster, readable now": {source.Event{Resource: ledger.ClusterSecurityReports, StateChanged: true}, everywhere},
	} {
		t.Run(name, func(t *testing.T) {
			if got := reachOf(tc.event); got != tc.want {
				t.Errorf("reachOf = %d, want %d", got, tc.want)
			}
		})
	}
}

func TestReachesCluster(t *testing.T) {
	for name, tc := range map[string]struct {
		event source.Event
		want  bool
	}{
		"a node":                                 {source.Event{Resource: audit.Nodes}, true},
		"a static Pod of kube-system":            {source.Event{Resource: audit.StaticPods}, true},
		"any other Pod there":                    {source.Event{Resource: audit.Pods, Namespace: "kube-system"}, false},
		"Pods that can no longer be read":        {source.Event{Resource: audit.Pods, StateChanged: true}, true},
		"a namespace":                            {source.Event{Resource: audit.Namespaces, Namespace: "shop"}, true},
		"a policy of admission":                  {source.Event{Resource: audit.AdmissionPolicies}, true},
		"an exception of the cluster":            {source.Event{Resource: audit.ClusterSecurityExceptions}, true},
		"an exception of a namespace":            {source.Event{Resource: audit.SecurityExceptions, Namespace: "shop"}, false},
		"a report of a node":                     {source.Event{Resource: ledger.ClusterSecurityReports}, true},
		"a report of a namespace":                {source.Event{Resource: ledger.SecurityReports, Namespace: "shop"}, false},
		"ClusterRoles or their bindings":         {source.Event{Resource: audit.ClusterRoleBindings}, true},
		"RoleBindings that lead elsewhere":       {source.Event{Resource: audit.RoleBindings, Namespace: "shop"}, false},
		"another version of the API server":      {source.Event{Resource: audit.ServerVersion}, true},
		"a report on an image":                   {source.Event{Resource: audit.ImageReports, Namespace: "shop"}, false},
		"a report on a version of Kubernetes":    {source.Event{Resource: audit.ImageReports}, true},
		"a Service, even of the control plane's": {source.Event{Resource: audit.Services, Namespace: "kube-system"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := reachesCluster(tc.event); got != tc.want {
				t.Errorf("reachesCluster = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestEventsAddNamespaces(t *testing.T) {
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://unused.invalid"})
	if err != nil {
		t.Fatal(err)
	}
	book := ledger.New()
	book.Put("judged", nil, nil)
	book.Put("", nil, nil)
	s, queue, _ := newTestSchedule(t)
	sources := source.New(client)
	r := &NamespaceReconciler{Sources: sources, Stored: ledger.NewStored(sources, client.CoreV1().RESTClient()), Ledger: book, schedule: s}
	for name, tc := range map[string]struct {
		event source.Event
		want  []string
	}{
		"of a namespace: itself":                           {source.Event{Resource: audit.Pods, Namespace: "shop"}, []string{"shop after 0s"}},
		"one of many that a policy of the cluster selects": {source.Event{Resource: audit.ClusterNetworkPolicies, Namespace: "shop"}, []string{"shop after 0s in bulk"}},
		"a node by itself: none":                           {source.Event{Resource: audit.Nodes}, nil},
		"one of many that have Pods on a node":             {source.Event{Resource: audit.Nodes, Namespace: "shop"}, []string{"shop after 0s in bulk"}},
		"of the cluster's report: none":                    {source.Event{Resource: ledger.ClusterSecurityReports}, nil},
		"of a source: all, those judged before among them": {source.Event{Resource: audit.Pods, StateChanged: true}, []string{"judged after 0s in bulk"}},
	} {
		t.Run(name, func(t *testing.T) {
			queue.added = nil
			r.handle(tc.event)
			if diff := cmp.Diff(tc.want, queue.added); diff != "" {
				t.Errorf("added (-want +got):\n%s", diff)
			}
		})
	}
}

func TestKeepWhereUnseen(t *testing.T) {
	unavailable := func(resources ...audit.Resource) *audit.Inventory {
		i := &audit.Inventory{Unavailable: make(map[audit.Resource]*audit.Unavailable)}
		for _, r := range resources {
			i.Unavailable[r] = &audit.Unavailable{Resource: r}
		}
		return i
	}
	for name, tc := range map[string]struct {
		inventory *audit.Inventory
		kind      string
		want      bool
	}{
		"all can be seen":                       {unavailable(), "Deployment", false},
		"the kind cannot be seen":               {unavailable(audit.Deployments), "Deployment", true},
		"another kind cannot be seen":           {unavailable(audit.Deployments), "StatefulSet", false},
		"Pods cannot be seen, nor bare ones":    {unavailable(audit.Pods), "Pod", true},
		"other kinds are seen by their Pods":    {unavailable(audit.Pods), "Other", true},
		"Pods cannot be seen, but a Deployment": {unavailable(audit.Pods), "Deployment", false},
		"a label that somebody made up":         {unavailable(audit.Deployments), "x", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := keepWhereUnseen(tc.inventory)(tc.kind); got != tc.want {
				t.Errorf("keep = %v, want %v", got, tc.want)
			}
		})
	}
}

// emptyCluster answers that there is nothing of any resource, and no Deployments may be read.
func emptyCluster(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	query := r.URL.Query()
	switch {
	case strings.HasSuffix(r.URL.Path, "/deployments"):
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
	case query.Has("sendInitialEvents"): // as before v1.34
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`)
	case query.Has("watch"):
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	default:
		_, _ = io.WriteString(w, `{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}`)
	}
}

// TestOtherShardsReports: the first shard sees the reports of all. It judges none of another shard's namespaces, and sums up
// what is stored of them.
func TestOtherShardsReports(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(emptyCluster))
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	const mine, other = "shop", "legacy" // of the first and of the second of two shards
	sources := source.NewShard(client, shard.Shard{Index: 0, Count: 2})
	stored := ledger.NewStored(sources, client.CoreV1().RESTClient())
	ctx, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() { _ = sources.Start(ctx) }) // it ends with the context and has no error to return
	t.Cleanup(func() { stop(); reading.Wait(); server.Close() })
	for !sources.Settled() {
		time.Sleep(time.Millisecond)
	}
	s, queue, _ := newTestSchedule(t)
	book, progress := ledger.New(), &Progress{FirstPass: func() {}}
	progress.start(nil)
	namespaces := &NamespaceReconciler{Sources: sources, Stored: stored, Ledger: book, schedule: s}
	told := 0
	cluster := &ClusterReconciler{Elsewhere: func() { told++ }, Sources: sources, Stored: stored, Ledger: book, Configuration: configuration.NewLive(set.Checks(), sources.Configuration), Audited: progress, schedule: s}

	report := func(namespace, kind string) {
		r := &v1alpha1.SecurityReport{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: kind, Labels: map[string]string{v1alpha1.LabelSubjectKind: kind}},
			Summary:    v1alpha1.Summary{High: 1}, Findings: []v1alpha1.Finding{{Check: "c", Severity: v1alpha1.SeverityHigh}},
		}
		if err := stored.Reports.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	event := func(namespace string, want ...string) {
		t.Helper()
		queue.added = nil
		e := source.Event{Resource: ledger.SecurityReports, Namespace: namespace}
		namespaces.handle(e)
		cluster.handle(e)
		if diff := cmp.Diff(want, queue.added); diff != "" {
			t.Errorf("a report in %s adds (-want +got):\n%s", namespace, diff)
		}
	}
	total := func(want int32) {
		t.Helper()
		cluster.sumUpElsewhere()
		if got := book.Totals().Tally.Total(); got != want {
			t.Errorf("%d findings in total, want %d", got, want)
		}
		if len(book.All()) > 0 {
			t.Errorf("the ledger shows %v, want nothing: nothing was judged here", book.All())
		}
	}
	report(mine, "Pod")
	report(other, "Pod")
	report(other, "Deployment")
	event(mine, "shop after 0s")
	total(0)
	event(other, "cluster after 0s")
	total(1) // of the Pod: Deployments cannot be seen
	report(other, "Job")
	total(1) // nobody has told
	cluster.handle(source.Event{Resource: audit.Pods, StateChanged: true})
	total(2)
	if told != 2 {
		t.Errorf("who counts on what is known of other shards was told %d times, want 2", told)
	}
	if got := namespaces.known(); !slices.Equal(got, []string{mine}) {
		t.Errorf("the shard knows %v, want its own", got)
	}
}
