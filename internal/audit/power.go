// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kubersafe/kubersafe/internal/rbac"
)

// PowerResources are those without which it is not known what ServiceAccounts may do. They must not be changed.
var PowerResources = []Resource{Roles, ClusterRoles, RoleBindings, ClusterRoleBindings}

// RoleRecord is what is kept of a Role or ClusterRole.
type RoleRecord struct {
	Object
	Role *rbac.Role
}

// Equal says whether nothing that is audited differs.
func (r *RoleRecord) Equal(s *RoleRecord) bool {
	return r.UID == s.UID && equality.Semantic.DeepEqual(r.Role, s.Role)
}

// BindingRecord is what is kept of a RoleBinding or ClusterRoleBinding.
type BindingRecord struct {
	Object
	Binding *rbac.Binding
}

// Equal says whether nothing that is audited differs.
func (b *BindingRecord) Equal(c *BindingRecord) bool {
	return b.UID == c.UID && equality.Semantic.DeepEqual(b.Binding, c.Binding)
}

// Powers are what the ServiceAccounts of a namespace may do, in short.
type Powers struct {
	// Named are those with roles of their own, by name; Others is what all others may.
	Named  map[string]rbac.Power
	Others rbac.Power
	// Pending are those of which it is not known yet, by name, for bindings name them since a moment ago; OthersPending says that
	// it is not known of Others, for the namespace is there since a moment ago.
	Pending       map[string]bool
	OthersPending bool
	// Unseen says what cannot be read that ways to cluster-admin may lead over; nil if nothing.
	Unseen *Unavailable
}

// Of returns the power of a ServiceAccount.
func (p *Powers) Of(account string) rbac.Power {
	if power, named := p.Named[account]; named {
		return power
	}
	return p.Others
}

// Known says whether the power of a ServiceAccount is known by now.
func (p *Powers) Known(account string) bool {
	_, named := p.Named[account]
	return named || !p.Pending[account] && !p.OthersPending
}

// defaultAccount is the ServiceAccount that Pods run as which name none.
const defaultAccount = "default"

// AccountOf returns the name of the ServiceAccount that a Pod runs as.
func AccountOf(spec *corev1.PodSpec) string {
	return cmp.Or(spec.ServiceAccountName, spec.DeprecatedServiceAccount, defaultAccount)
}

// tokens says whether a Pod mounts a token of its ServiceAccount.
type tokens uint8

const (
	// asAccount: the ServiceAccount says.
	asAccount tokens = iota
	mounted
	notMounted
)

// apiAudiences are what an API server accepts unless it is told otherwise.
var apiAudiences = []string{"", "https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local"}

// ForAPI says whether an API server accepts a token of that audience.
func ForAPI(t *corev1.ServiceAccountTokenProjection) bool {
	return t != nil && slices.Contains(apiAudiences, t.Audience)
}

// ProjectsToken says whether a Pod projects a token for the API server by itself.
func ProjectsToken(spec *corev1.PodSpec) bool {
	return slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool {
		return v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(p corev1.VolumeProjection) bool { return ForAPI(p.ServiceAccountToken) })
	})
}

// tokenPath is where programs look for a token of their ServiceAccount.
const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount" //nolint:gosec // G101: a folder

// nameOfToken is what the controller manager appended to the name of a ServiceAccount to name a Secret with a token.
var nameOfToken = regexp.MustCompile(`^-token-[bcdfghjklmnpqrstvwxz2456789]{5}$`)

// MountsTokenSecret says whether a Pod mounts a Secret that has a token of its ServiceAccount: where such are looked for, or one that
// is named as the controller manager named them.
func MountsTokenSecret(spec *corev1.PodSpec) bool {
	for _, v := range spec.Volumes {
		if v.Secret == nil {
			continue
		}
		if suffix, ok := strings.CutPrefix(v.Secret.SecretName, AccountOf(spec)); ok && nameOfToken.MatchString(suffix) {
			return true
		}
		for c := range (&Pod{Spec: *spec}).Containers() {
			if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name && path.Clean(m.MountPath) == tokenPath }) {
				return true
			}
		}
	}
	return false
}

func tokensOf(spec *corev1.PodSpec) tokens {
	if ProjectsToken(spec) || MountsTokenSecret(spec) {
		return mounted
	}
	switch mounts := spec.AutomountServiceAccountToken; {
	case mounts == nil:
		return asAccount
	case *mounts:
		return mounted
	}
	return notMounted
}

// AccountsIn returns the ServiceAccounts of a namespace, and those besides that its Pods run as or are to: whether a token of
// them is mounted, and which Secrets are known to hold one.
func AccountsIn(accounts []*ServiceAccountRecord, pods []*PodRecord, controllers []*ControllerRecord) map[string]rbac.Account {
	found, automount := make(map[string]rbac.Account, len(accounts)), make(map[string]bool, len(accounts))
	for _, a := range accounts {
		found[a.Name], automount[a.Name] = rbac.Account{TokenSecrets: a.TokenSecrets}, a.MountsToken
	}
	note := func(s *Shape, named, token bool) {
		if s.tokens == notMounted && !token || !named && s.account == "" {
			return
		}
		name := cmp.Or(s.account, defaultAccount)
		mounts, known := automount[name]
		if s.tokens == mounted || token || mounts || !known {
			a := found[name]
			a.Mounted = true
			found[name] = a
		}
	}
	for _, p := range pods {
		if !p.Finished {
			note(p.Shape, false, p.Token) // only the mirror of a static Pod names none
		}
	}
	for _, c := range controllers {
		if c.Shape != nil {
			note(c.Shape, true, false)
		}
	}
	return found
}
