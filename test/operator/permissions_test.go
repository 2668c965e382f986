// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/test/controlplane"
)

func TestUndeclared(t *testing.T) {
	granted := Permissions{
		"": {
			{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}},
			{APIGroups: []string{"audit.kubersafe.io"}, Resources: []string{"securityexceptions/status"}, Verbs: []string{"patch"}},
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}, ResourceNames: []string{"one"}},
		},
		"home": {{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"update"}}},
	}
	pods := controlplane.AuditEvent{User: User, Verb: "list", Path: "/api/v1/pods", Resource: "pods"}
	status := controlplane.AuditEvent{
		User: User, Verb: "patch", Path: "/status", Group: "audit.kubersafe.io", Resource: "securityexceptions", Subresource: "status", Namespace: "a",
	}
	lease := controlplane.AuditEvent{User: User, Verb: "update", Path: "/lease", Group: "coordination.k8s.io", Resource: "leases", Namespace: "home"}
	one := controlplane.AuditEvent{User: User, Verb: "get", Path: "/one", Resource: "configmaps", Namespace: "a", Name: "one"}
	versions := controlplane.AuditEvent{User: User, Verb: "get", Path: "/apis/apps/v1"}
	with := func(e controlplane.AuditEvent, change func(*controlplane.AuditEvent)) controlplane.AuditEvent {
		change(&e)
		return e
	}
	for name, tc := range map[string]struct {
		event controlplane.AuditEvent
		want  []string
	}{
		"what is granted everywhere":                     {event: pods},
		"another verb":                                   {with(pods, func(e *controlplane.AuditEvent) { e.Verb = "delete" }), []string{"delete /api/v1/pods"}},
		"another group":                                  {with(pods, func(e *controlplane.AuditEvent) { e.Group = "metrics.k8s.io" }), []string{"list /api/v1/pods"}},
		"another resource":                               {with(pods, func(e *controlplane.AuditEvent) { e.Resource = "secrets" }), []string{"list /api/v1/pods"}},
		"a subresource of what is granted":               {with(pods, func(e *controlplane.AuditEvent) { e.Subresource = "log" }), []string{"list /api/v1/pods"}},
		"another user's":                                 {event: with(pods, func(e *controlplane.AuditEvent) { e.User, e.Verb = "admin", "delete" })},
		"a subresource that is granted":                  {event: status},
		"what a subresource of is granted":               {with(status, func(e *controlplane.AuditEvent) { e.Subresource = "" }), []string{"patch /status"}},
		"what is granted in the namespace":               {event: lease},
		"what is granted in another namespace":           {with(lease, func(e *controlplane.AuditEvent) { e.Namespace = "away" }), []string{"update /lease"}},
		"what is granted in a namespace, in all of them": {with(lease, func(e *controlplane.AuditEvent) { e.Namespace = "" }), []string{"update /lease"}},
		"what is granted by name":                        {event: one},
		"another name":                                   {with(one, func(e *controlplane.AuditEvent) { e.Name = "two" }), []string{"get /one"}},
		"which versions are served":                      {event: versions},
		"to post there":                                  {with(versions, func(e *controlplane.AuditEvent) { e.Verb = "post" }), []string{"post /apis/apps/v1"}},
		"a path that nobody is granted":                  {with(versions, func(e *controlplane.AuditEvent) { e.Path = "/apiserver" }), []string{"get /apiserver"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, granted.Undeclared([]controlplane.AuditEvent{tc.event, tc.event})); diff != "" {
				t.Errorf("undeclared (-want +got):\n%s", diff)
			}
		})
	}
}
