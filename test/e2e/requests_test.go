// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/test/controlplane"
)

// writable is what the operator may write, and how. Everything else it reads.
var writable = map[string][]string{
	"securityreports":                  {"create", "update", "delete"},
	"clustersecurityreports":           {"create", "update", "delete"},
	"auditconfigurations/status":       {"patch"},
	"clustersecurityexceptions/status": {"patch"},
	"securityexceptions/status":        {"patch"},
	"leases":                           {"create", "update"},
	"events":                           {"create", "patch"},
	"tokenreviews":                     {"create"},
	"subjectaccessreviews":             {"create"},
}

// events are everything that the operator has asked the API server for; none where that is not known.
func (i *installation) events(t *testing.T) []controlplane.AuditEvent {
	t.Helper()
	if i.auditLog == "" {
		return nil
	}
	log, err := os.ReadFile(i.auditLog)
	if err != nil {
		t.Fatal(err)
	}
	// The API server may be writing a line.
	events, err := controlplane.ParseAuditLog(log[:bytes.LastIndexByte(log, '\n')+1])
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(events, func(e controlplane.AuditEvent) bool { return e.User != operatorUser })
}

// written are the reports that the operator has asked to write, by namespace and name, once for each request.
func (i *installation) written(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, e := range i.events(t) {
		if strings.HasSuffix(e.Resource, "securityreports") && slices.Contains([]string{"create", "update", "delete"}, e.Verb) {
			names = append(names, e.Namespace+"/"+e.Name)
		}
	}
	return names
}

// checkWrites compares the reports with those before: the ones that are named have changed, and no other has been written since, when
// there had been so many requests to write.
func (i *installation) checkWrites(t *testing.T, before reports, written int, changed ...string) {
	t.Helper()
	after, err := getReports(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want, got := before.versions(), after.versions()
	for _, name := range changed {
		if got[name] == want[name] {
			t.Errorf("report %s is as it was", name)
		}
		delete(want, name)
		delete(got, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports of what did not change (-before +after):\n%s", diff)
	}
	// An update that changes nothing leaves no trace but in the log.
	for _, name := range i.written(t)[written:] {
		if !slices.Contains(changed, name) {
			t.Errorf("report %s was written again", name)
		}
	}
}

// requests looks at everything that the operator has asked the API server for.
func (i *installation) requests(t *testing.T) {
	if i.auditLog == "" {
		t.Skip("the audit log of this cluster's API server is not known")
	}
	created := make(map[string]int)
	events := i.events(t)
	for _, e := range events {
		resource := e.Resource
		if e.Subresource != "" {
			resource += "/" + e.Subresource
		}
		if e.Code == 401 || e.Code == 403 {
			t.Errorf("%s %s %s/%s is answered %d", e.Verb, resource, e.Namespace, e.Name, e.Code)
		}
		if !slices.Contains([]string{"get", "list", "watch"}, e.Verb) && !slices.Contains(writable[resource], e.Verb) {
			t.Errorf("%s %s %s/%s is not for the operator to do", e.Verb, resource, e.Namespace, e.Name)
		}
		if resource == "leases" && e.Namespace != operatorNamespace {
			t.Errorf("%s %s %s/%s is outside of the operator's namespace", e.Verb, resource, e.Namespace, e.Name)
		}
		if strings.HasSuffix(resource, "securityreports") && e.Verb == "create" && e.Code == 201 {
			created[e.Namespace+"/"+e.Name]++
		}
	}
	for name, n := range created {
		if n != 1 {
			t.Errorf("report %s was created %d times", name, n)
		}
	}
	if len(created) == 0 {
		t.Errorf("the log has %d requests of the operator, and no report that it created", len(events))
	}
	t.Logf("%d requests of the operator; %d reports created, each once", len(events), len(created))
}
