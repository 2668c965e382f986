// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/ledger"
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

	client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://unused.invalid"})
	if err != nil {
		t.Fatal(err)
	}
	sources := source.New(client)
	ledger.NewStored(sources, client.CoreV1().RESTClient())
	var read []audit.Resource
	for _, s := range sources.Status() {
		read = append(read, audit.Resource(s.Resource))
	}
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
