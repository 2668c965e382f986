// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"cmp"
	"fmt"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Users and groups that mean something to an API server.
const (
	// Masters may do everything, whatever roles and bindings say.
	Masters = "system:masters"

	anonymous       = "system:anonymous"
	unauthenticated = "system:unauthenticated"
	authenticated   = "system:authenticated"
	serviceAccounts = "system:serviceaccounts"
	accountsPrefix  = serviceAccounts + ":"
	accountPrefix   = "system:serviceaccount:"
)

// Subject is a user, a group or a ServiceAccount.
type Subject struct {
	// Kind is "User", "Group" or "ServiceAccount".
	Kind string `json:"kind"`
	// Namespace of a ServiceAccount.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// User returns the user of that name. That of a ServiceAccount is the ServiceAccount.
func User(name string) Subject {
	if rest, ok := strings.CutPrefix(name, accountPrefix); ok {
		if namespace, account, ok := strings.Cut(rest, ":"); ok && namespace != "" && account != "" && !strings.Contains(account, ":") {
			return ServiceAccount(namespace, account)
		}
	}
	return Subject{Kind: rbacv1.UserKind, Name: name}
}

// Group returns the group of that name. As a subject it stands for a member of it of whom nothing else is known.
func Group(name string) Subject { return Subject{Kind: rbacv1.GroupKind, Name: name} }

// ServiceAccount returns a ServiceAccount.
func ServiceAccount(namespace, name string) Subject {
	return Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}
}

// SubjectFrom returns a subject of a binding in a namespace, or in none. It returns false for what stands for nobody: a kind
// that there is not, or a ServiceAccount without a namespace or a name.
func SubjectFrom(s *rbacv1.Subject, namespace string) (Subject, bool) {
	switch s.Kind {
	case rbacv1.UserKind:
		return User(s.Name), true
	case rbacv1.GroupKind:
		return Group(s.Name), true
	case rbacv1.ServiceAccountKind:
		namespace = cmp.Or(s.Namespace, namespace)
		return ServiceAccount(namespace, s.Name), namespace != "" && s.Name != ""
	}
	return Subject{}, false
}

// Groups returns the groups that a subject is in by being what it is.
func (s Subject) Groups() []Subject {
	switch s.Kind {
	case rbacv1.ServiceAccountKind:
		return []Subject{Group(accountsPrefix + s.Namespace), Group(serviceAccounts), Group(authenticated)}
	case rbacv1.UserKind:
		if s.Name == anonymous {
			return []Subject{Group(unauthenticated)}
		}
	case rbacv1.GroupKind:
		switch {
		case s.Name == authenticated, s.Name == unauthenticated:
			return nil
		case strings.HasPrefix(s.Name, accountsPrefix):
			return []Subject{Group(serviceAccounts), Group(authenticated)}
		}
	}
	return []Subject{Group(authenticated)}
}

// implied says whether a subject is a group that others are in by being what they are.
func implied(s Subject) bool {
	return s == Group(unauthenticated) || s == Group(authenticated) || s == Group(serviceAccounts) ||
		s.Kind == rbacv1.GroupKind && strings.HasPrefix(s.Name, accountsPrefix)
}

// String returns `ServiceAccount "shop/ci"`, `User "alice"`.
func (s Subject) String() string {
	if s.Namespace != "" {
		return fmt.Sprintf("%s %q", s.Kind, s.Namespace+"/"+s.Name)
	}
	return fmt.Sprintf("%s %q", s.Kind, s.Name)
}

func (s Subject) compare(t Subject) int {
	return cmp.Or(cmp.Compare(s.Kind, t.Kind), cmp.Compare(s.Namespace, t.Namespace), cmp.Compare(s.Name, t.Name))
}
