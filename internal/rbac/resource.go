// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// servedResources are those of Kubernetes 1.36: generated, see hack/controlplane/kubernetes/rbac.
//
//go:embed resources.json
var servedResources []byte

// Resource is what rules are about.
type Resource struct {
	Group string `json:"group"`
	Name  string `json:"name"`
	// Names that it has besides: its singular, short ones.
	Names      []string `json:"names"`
	Namespaced bool     `json:"namespaced"`
}

var resources = sync.OnceValue(func() []Resource {
	// Some are only there for permissions: to impersonate somebody, to approve what a signer will sign.
	list := []Resource{
		{Name: "users"}, {Name: "groups"}, {Group: "authentication.k8s.io", Name: "uids"}, {Group: "authentication.k8s.io", Name: "userextras"},
		{Group: certificates, Name: "signers"},
		// Network policies of whole clusters, whichever version of their API there is.
		{Group: "policy.networking.k8s.io", Name: "clusternetworkpolicies"}, {Group: "policy.networking.k8s.io", Name: "adminnetworkpolicies"},
		{Group: "policy.networking.k8s.io", Name: "baselineadminnetworkpolicies"},
	}
	var served []Resource
	_ = json.Unmarshal(servedResources, &served) // a test reads it
	return append(list, served...)
})

// ParseResource reads what a user calls a resource, such as "pods", "po", "deployments.apps", "pods/exec" or "*". A group that
// is left out is that of Kubernetes' own resource. Those of other groups count as namespaced.
func ParseResource(text string) (r Resource, subresource string, err error) {
	name, subresource, _ := strings.Cut(text, "/")
	name, group, hasGroup := strings.Cut(name, ".")
	if name == "*" {
		if !hasGroup {
			group = "*"
		}
		return Resource{Group: group, Name: name, Namespaced: true}, subresource, nil
	}
	for _, known := range resources() { // the core group comes first
		if (known.Name == name || slices.Contains(known.Names, name)) && (!hasGroup || known.Group == group) {
			return known, subresource, nil
		}
	}
	if !hasGroup {
		return Resource{}, "", fmt.Errorf("Kubernetes has no resource %q: name the group of others, such as certificates.cert-manager.io", name) //nolint:staticcheck // a name
	}
	return Resource{Group: group, Name: name, Namespaced: true}, subresource, nil
}

// namespaced says whether a request is about something in a namespace.
func (r *Request) namespaced() bool {
	return r.Path == "" && !slices.ContainsFunc(resources(), func(known Resource) bool {
		return known.Group == r.Group && known.Name == r.Resource && !known.Namespaced
	})
}

// InNamespaces says whether a Role, or a ClusterRole that a RoleBinding binds, can allow a request. Who binds a ClusterRole in a
// namespace is asked there whether he may.
func (r *Request) InNamespaces() bool { return r.namespaced() || r.Verb == "bind" }

// knownNamespaced says whether a resource, or a subresource of it, as rules name it, is known to be in namespaces.
func knownNamespaced(group, resource string) bool {
	name, _, _ := strings.Cut(resource, "/")
	return slices.ContainsFunc(resources(), func(known Resource) bool { return known.Group == group && known.Name == name && known.Namespaced })
}
