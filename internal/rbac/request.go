// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Request is what somebody wants to do, as the API server asks its authorizers about it.
type Request struct {
	Verb string `json:"verb"`
	// Group and Resource; the core group is "".
	Group    string `json:"group"`
	Resource string `json:"resource,omitempty"`
	// Subresource such as "log", or "".
	Subresource string `json:"subresource,omitempty"`
	// Namespace that it is about. It is "" for what is in no namespace, and for all namespaces at once. A request about one
	// Namespace has its name here too.
	Namespace string `json:"namespace,omitempty"`
	// Name of the object. It is "" for create and for lists; a list that selects metadata.name has it.
	Name string `json:"name,omitempty"`
	// Path of a request about no resource, such as "/metrics". Then all but Verb is left out.
	Path string `json:"path,omitempty"`
}

// allows says whether a rule of a role allows a request, wherever it may be bound. It decides as RuleAllows of Kubernetes
// does (plugin/pkg/auth/authorizer/rbac).
func allows(rule *rbacv1.PolicyRule, r *Request) bool {
	if r.Path != "" {
		return matches(rule.Verbs, r.Verb) && slices.ContainsFunc(rule.NonResourceURLs, func(url string) bool { return urlMatches(url, r.Path) })
	}
	return allowsKind(rule, r) && (len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, r.Name))
}

// allowsKind is like allows, but leaves names aside.
func allowsKind(rule *rbacv1.PolicyRule, r *Request) bool {
	return matches(rule.Verbs, r.Verb) && matches(rule.APIGroups, r.Group) && resourceMatches(rule.Resources, r)
}

func matches(list []string, value string) bool {
	return slices.Contains(list, value) || slices.Contains(list, rbacv1.VerbAll) // which is the same for groups
}

// resourceMatches: "*" is every resource with all of its subresources, and "*/log" that subresource of all. No other
// wildcard exists: "pods/*" is none.
func resourceMatches(list []string, r *Request) bool {
	for _, resource := range list {
		if resource == rbacv1.ResourceAll {
			return true
		}
		name, subresource, isSub := strings.Cut(resource, "/")
		if subresource == r.Subresource && isSub == (r.Subresource != "") && (name == r.Resource || name == "*") {
			return true
		}
	}
	return false
}

// urlMatches: only a "*" at the end is a wildcard.
func urlMatches(url, path string) bool {
	return url == path || strings.HasSuffix(url, "*") && strings.HasPrefix(path, strings.TrimRight(url, "*"))
}
