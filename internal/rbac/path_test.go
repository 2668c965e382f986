// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/internal/rbac"
)

// ruleOf reads "create,update pods,deployments.apps/scale name,name".
func ruleOf(text string) rbacv1.PolicyRule {
	parts := strings.Fields(text)
	r := rbacv1.PolicyRule{Verbs: strings.Split(parts[0], ",")}
	for _, resource := range strings.Split(parts[1], ",") {
		name, subresource, isSub := strings.Cut(resource, "/")
		name, group, _ := strings.Cut(name, ".")
		if isSub {
			name += "/" + subresource
		}
		r.Resources, r.APIGroups = append(r.Resources, name), append(r.APIGroups, group)
	}
	if len(parts) > 2 {
		r.ResourceNames = strings.Split(parts[2], ",")
	}
	return r
}

func rulesOf(texts []string) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, text := range texts {
		rules = append(rules, ruleOf(text))
	}
	return rules
}

// stage has a cluster-admin role, namespace shop with the powerful ServiceAccount admin, whose token is in the Secret
// admin-token and mounted by some Pod, and namespace closed, in which Pod Security is restricted.
func stage() *rbac.Cluster {
	c := rbac.NewCluster(true)
	c.SetRole(&rbac.Role{Name: "cluster-admin", Rules: rulesOf([]string{"* *.*"})})
	c.SetBinding(&rbac.Binding{Name: "admin", Role: rbac.RoleKey{Name: "cluster-admin"}, Subjects: []rbac.Subject{
		rbac.ServiceAccount("shop", "admin"), rbac.User("root"), rbac.Group("wheel"),
	}})
	c.SetRole(&rbac.Role{Name: "proxy", Rules: rulesOf([]string{"get nodes/proxy"})})
	c.SetNamespace("shop", true)
	c.SetNamespace("closed", false)
	c.SetAccount("shop", "admin", rbac.Account{Mounted: true, TokenSecrets: []string{"admin-token"}})
	c.SetAccount("shop", "default", rbac.Account{})
	c.SetAccount("closed", "default", rbac.Account{Mounted: true})
	return c
}

func TestPaths(t *testing.T) {
	const (
		inCluster = ` (ClusterRoleBinding "mine", ClusterRole "mine")`
		inShop    = ` (RoleBinding "shop/mine", ClusterRole "mine")`
		inClosed  = ` (RoleBinding "closed/mine", ClusterRole "mine")`
		rootOf    = `, and so run a Pod with the files of a node mounted: Pod Security does not stop it in namespace "shop"`
		keys      = "root on a node has the keys of the control plane, on one of its nodes"
		admin     = `ServiceAccount "shop/admin" may do everything (ClusterRoleBinding "admin", ClusterRole "cluster-admin")`
	)
	for name, tc := range map[string]struct {
		rules []string
		// in is the namespace of the binding, "" for the cluster; to is a Role of it instead of a ClusterRole.
		in   string
		role bool
		// managed: the control plane runs elsewhere.
		managed bool
		want    []string
	}{
		"everything":        {rules: []string{"* *.*"}, want: []string{`User "alice" may do everything` + inCluster}},
		"nothing":           {rules: []string{"get,list pods,services"}},
		"in a namespace":    {rules: []string{"* *.*"}, in: "closed", want: []string{`User "alice" may update namespaces "closed" and create pods in namespace "closed"` + inClosed + ", and so run a Pod with the files of a node mounted, after lifting Pod Security there", keys}},
		"Pods":              {rules: []string{"create pods"}, in: "shop", managed: true, want: []string{`User "alice" may create pods in namespace "shop"` + inShop + `, and so run a Pod as ServiceAccount "shop/admin"`, admin}},
		"Pods everywhere":   {rules: []string{"create cronjobs.batch"}, managed: true, want: []string{`User "alice" may create cronjobs.batch in all namespaces` + inCluster + `, and so run a Pod as ServiceAccount "shop/admin"`, admin}},
		"Pods, but no one":  {rules: []string{"create pods"}, in: "closed"},
		"Pods by name":      {rules: []string{"create pods a"}, in: "shop"},
		"templates":         {rules: []string{"patch deployments.apps"}, in: "shop", want: []string{`User "alice" may patch deployments.apps in namespace "shop"` + inShop + `, and so make its Pods run as ServiceAccount "shop/admin"`, admin}},
		"templates of Jobs": {rules: []string{"patch jobs.batch"}, in: "shop"},
		"exec":              {rules: []string{"get pods/exec"}, in: "shop", want: []string{`User "alice" may get pods/exec in namespace "shop"` + inShop + `, and so take the token of ServiceAccount "shop/admin" from a Pod`, admin}},
		"exec by wildcard":  {rules: []string{"create */exec"}, in: "shop", want: []string{`User "alice" may create pods/exec in namespace "shop"` + inShop + `, and so take the token of ServiceAccount "shop/admin" from a Pod`, admin}},
		"a slash too many":  {rules: []string{"create pods/"}, in: "shop"},
		"exec that is none": {rules: []string{"create pods/*"}, in: "shop"},
		"Pods' images":      {rules: []string{"patch pods/ephemeralcontainers"}, in: "shop", want: []string{`User "alice" may patch pods/ephemeralcontainers in namespace "shop"` + inShop + `, and so run an image of its choice in a Pod of ServiceAccount "shop/admin"`, admin}},
		"tokens":            {rules: []string{"create serviceaccounts/token"}, in: "shop", want: []string{`User "alice" may create serviceaccounts/token in namespace "shop"` + inShop + `, and so get a token of ServiceAccount "shop/admin"`, admin}},
		"a token":           {rules: []string{"create serviceaccounts/token admin"}, want: []string{`User "alice" may create serviceaccounts/token "admin" in all namespaces` + inCluster + `, and so get a token of ServiceAccount "shop/admin"`, admin}},
		"another's token":   {rules: []string{"create serviceaccounts/token default"}, in: "shop"},
		"Secrets":           {rules: []string{"list secrets"}, in: "shop", want: []string{`User "alice" may list secrets in namespace "shop"` + inShop + `, and so read a token of ServiceAccount "shop/admin"`, admin}},
		"a Secret":          {rules: []string{"get secrets admin-token"}, in: "shop", want: []string{`User "alice" may get secrets "admin-token" in namespace "shop"` + inShop + `, and so read a token of ServiceAccount "shop/admin"`, admin}},
		"another Secret":    {rules: []string{"get secrets other"}, in: "shop"},
		"new Secrets":       {rules: []string{"create,get secrets"}, in: "closed"},
		"new Secrets, with somebody there": {rules: []string{"create,watch secrets"}, in: "shop", want: []string{`User "alice" may create secrets in namespace "shop" and watch secrets in namespace "shop"` + inShop +
			`, and so have a token of ServiceAccount "shop/admin" made and read it`, admin}},
		"a user":                       {rules: []string{"impersonate users root"}, want: []string{`User "alice" may impersonate users "root"` + inCluster + `, and so act as User "root"`, `User "root" may do everything (ClusterRoleBinding "admin", ClusterRole "cluster-admin")`}},
		"users":                        {rules: []string{"impersonate users"}, want: []string{`User "alice" may impersonate users` + inCluster + `, and so act as User "root"`, `User "root" may do everything (ClusterRoleBinding "admin", ClusterRole "cluster-admin")`}},
		"a group alone":                {rules: []string{"impersonate groups wheel"}},
		"a group":                      {rules: []string{"impersonate groups wheel", "impersonate users nobody"}, want: []string{`User "alice" may impersonate groups "wheel" and impersonate users "nobody"` + inCluster + `, and so act as Group "wheel"`, `Group "wheel" may do everything (ClusterRoleBinding "admin", ClusterRole "cluster-admin")`}},
		"groups":                       {rules: []string{"impersonate groups,serviceaccounts"}, want: []string{`User "alice" may impersonate groups "system:masters" and impersonate serviceaccounts in all namespaces` + inCluster + `, and so act as a member of group "system:masters"`}},
		"a ServiceAccount":             {rules: []string{"impersonate serviceaccounts"}, in: "shop", want: []string{`User "alice" may impersonate serviceaccounts in namespace "shop"` + inShop + `, and so act as ServiceAccount "shop/admin"`, admin}},
		"escalation":                   {rules: []string{"escalate,patch clusterroles.rbac.authorization.k8s.io mine"}, want: []string{`User "alice" may escalate clusterroles.rbac.authorization.k8s.io "mine" and patch clusterroles.rbac.authorization.k8s.io "mine"` + inCluster + ", and so add every permission to that role, which it has"}},
		"escalation of another's role": {rules: []string{"escalate,patch clusterroles.rbac.authorization.k8s.io other"}},
		"escalation without change":    {rules: []string{"escalate clusterroles.rbac.authorization.k8s.io"}},
		"escalation in a namespace": {rules: []string{"escalate,update roles.rbac.authorization.k8s.io"}, in: "closed", role: true, want: []string{
			`User "alice" may escalate roles.rbac.authorization.k8s.io "mine" in namespace "closed" and update roles.rbac.authorization.k8s.io "mine" in namespace "closed" (RoleBinding "closed/mine", Role "closed/mine"), and so add every permission to that role, which it has in namespace "closed"`,
			`whoever may do everything in namespace "closed" can lift Pod Security there and run a Pod with the files of a node mounted`, keys}},
		"a new role": {rules: []string{"escalate,bind,create roles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io"}, in: "shop", managed: true, want: []string{
			`User "alice" may create roles.rbac.authorization.k8s.io in namespace "shop" and escalate roles.rbac.authorization.k8s.io in namespace "shop" and bind roles.rbac.authorization.k8s.io in namespace "shop" and create rolebindings.rbac.authorization.k8s.io in namespace "shop"` + inShop + `, and so give itself every permission in namespace "shop" by a new role`,
			`whoever may do everything in namespace "shop" can run a Pod as ServiceAccount "shop/admin"`, admin}},
		"binding": {rules: []string{"bind clusterroles.rbac.authorization.k8s.io cluster-admin", "update clusterrolebindings.rbac.authorization.k8s.io"}, want: []string{
			`User "alice" may bind clusterroles.rbac.authorization.k8s.io "cluster-admin" and update clusterrolebindings.rbac.authorization.k8s.io` + inCluster + `, and so bind itself to ClusterRole "cluster-admin"`}},
		"binding to a role that leads on": {rules: []string{"bind clusterroles.rbac.authorization.k8s.io proxy", "update clusterrolebindings.rbac.authorization.k8s.io"}, want: []string{
			`User "alice" may bind clusterroles.rbac.authorization.k8s.io "proxy" and update clusterrolebindings.rbac.authorization.k8s.io` + inCluster + `, and so bind itself to ClusterRole "proxy"`,
			`whoever has ClusterRole "proxy" may get nodes/proxy (ClusterRole "proxy"), and so run commands in the Pods of the control plane`}},
		"binding without bind": {rules: []string{"create clusterrolebindings.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io"}},
		"binding in a namespace": {rules: []string{"bind,create clusterroles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io"}, in: "shop", managed: true, want: []string{
			`User "alice" may bind clusterroles.rbac.authorization.k8s.io in namespace "shop" and create rolebindings.rbac.authorization.k8s.io in namespace "shop"` + inShop + `, and so bind itself to ClusterRole "cluster-admin" in namespace "shop"`,
			`whoever may do everything in namespace "shop" can run a Pod as ServiceAccount "shop/admin"`, admin}},
		"certificates": {rules: []string{"create certificatesigningrequests.certificates.k8s.io", "update certificatesigningrequests.certificates.k8s.io/approval", "approve signers.certificates.k8s.io kubernetes.io/kube-apiserver-client"}, want: []string{
			`User "alice" may create certificatesigningrequests.certificates.k8s.io and update certificatesigningrequests.certificates.k8s.io/approval and approve signers.certificates.k8s.io "kubernetes.io/kube-apiserver-client"` + inCluster + `, and so get a certificate as User "root"`,
			`User "root" may do everything (ClusterRoleBinding "admin", ClusterRole "cluster-admin")`}},
		"certificates of nodes": {rules: []string{"create certificatesigningrequests.certificates.k8s.io", "update certificatesigningrequests.certificates.k8s.io/approval", "approve signers.certificates.k8s.io kubernetes.io/kube-apiserver-client-kubelet"}, want: []string{
			`User "alice" may create certificatesigningrequests.certificates.k8s.io and update certificatesigningrequests.certificates.k8s.io/approval and approve signers.certificates.k8s.io "kubernetes.io/kube-apiserver-client-kubelet"` + inCluster + `, and so get the certificate of a node, and by it the token of ServiceAccount "shop/admin"`, admin}},
		"certificates of another signer":        {rules: []string{"create,update certificatesigningrequests.certificates.k8s.io,certificatesigningrequests.certificates.k8s.io/approval", "approve signers.certificates.k8s.io example.com/mine"}},
		"nodes/proxy":                           {rules: []string{"get nodes/proxy"}, want: []string{`User "alice" may get nodes/proxy` + inCluster + ", and so run commands in the Pods of the control plane"}},
		"nodes/proxy, managed":                  {rules: []string{"get nodes/proxy"}, managed: true, want: []string{`User "alice" may get nodes/proxy` + inCluster + `, and so run commands in a Pod of ServiceAccount "shop/admin"`, admin}},
		"webhooks":                              {rules: []string{"update mutatingwebhookconfigurations.admissionregistration.k8s.io hook"}, want: []string{`User "alice" may update mutatingwebhookconfigurations.admissionregistration.k8s.io "hook"` + inCluster + ", and so change whatever anybody writes, roles and bindings included"}},
		"webhooks that cannot be created":       {rules: []string{"create mutatingwebhookconfigurations.admissionregistration.k8s.io hook"}},
		"mutations":                             {rules: []string{"create mutatingadmissionpolicies.admissionregistration.k8s.io,mutatingadmissionpolicybindings.admissionregistration.k8s.io"}, want: []string{`User "alice" may create mutatingadmissionpolicies.admissionregistration.k8s.io and create mutatingadmissionpolicybindings.admissionregistration.k8s.io` + inCluster + ", and so change whatever anybody writes, roles and bindings included"}},
		"volumes":                               {rules: []string{"create pods,persistentvolumes,persistentvolumeclaims"}, in: "closed"},
		"what cannot be granted in a namespace": {rules: []string{"get nodes/proxy", "impersonate users,groups", "update mutatingwebhookconfigurations.admissionregistration.k8s.io", "escalate,bind,create,update clusterroles.rbac.authorization.k8s.io,clusterrolebindings.rbac.authorization.k8s.io"}, in: "shop"},
	} {
		t.Run(name, func(t *testing.T) {
			c := stage()
			c.SetControlPlaneOnNodes(!tc.managed)
			key := rbac.RoleKey{Name: "mine"}
			if tc.role {
				key.Namespace = tc.in
			}
			c.SetRole(&rbac.Role{Namespace: key.Namespace, Name: "mine", Rules: rulesOf(tc.rules)})
			c.SetBinding(&rbac.Binding{Namespace: tc.in, Name: "mine", Role: key, Subjects: []rbac.Subject{rbac.User("alice")}})
			p, _ := c.Path(rbac.User("alice"))
			var got []string
			for _, s := range p.Steps {
				got = append(got, s.Text)
			}
			if diff := gocmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if len(got) > 0 {
				follow(t, c, p)
			}
		})
	}
}

func TestPathsOverNodes(t *testing.T) {
	c := stage()
	c.SetControlPlaneOnNodes(true)
	c.DeleteAccount("shop", "admin")
	allow := func(name, namespace string, rules ...string) {
		c.SetRole(&rbac.Role{Name: name, Rules: rulesOf(rules)})
		c.SetBinding(&rbac.Binding{Namespace: namespace, Name: name, Role: rbac.RoleKey{Name: name}, Subjects: []rbac.Subject{rbac.User("alice")}})
	}
	text := func() string {
		p, _ := c.Path(rbac.User("alice"))
		if len(p.Steps) == 0 {
			return ""
		}
		return p.Steps[0].Text
	}
	want := func(what string) {
		t.Helper()
		if got := text(); got != what {
			t.Errorf("got  %s\nwant %s", got, what)
		}
	}
	allow("pods", "closed", "create pods")
	want("")
	allow("volumes", "", "create persistentvolumes")
	allow("claims", "closed", "create persistentvolumeclaims")
	want(`User "alice" may create persistentvolumes (ClusterRoleBinding "volumes", ClusterRole "volumes") and create persistentvolumeclaims in namespace "closed" (RoleBinding "closed/claims", ClusterRole "claims")` +
		` and create pods in namespace "closed" (RoleBinding "closed/pods", ClusterRole "pods"), and so mount the files of a node by a volume, which Pod Security does not look into`)
	allow("label", "", "patch namespaces closed")
	want(`User "alice" may patch namespaces "closed" (ClusterRoleBinding "label", ClusterRole "label") and create pods in namespace "closed" (RoleBinding "closed/pods", ClusterRole "pods")` +
		", and so run a Pod with the files of a node mounted, after lifting Pod Security there")
	c.SetNamespace("shop", false)
	c.DeleteBinding(rbac.BindingKey{Namespace: "closed", Name: "pods"})
	allow("pods", "", "create pods")
	c.DeleteBinding(rbac.BindingKey{Name: "volumes"})
	c.DeleteBinding(rbac.BindingKey{Namespace: "closed", Name: "claims"})
	want(`User "alice" may patch namespaces "closed" (ClusterRoleBinding "label", ClusterRole "label") and create pods in namespace "closed" (ClusterRoleBinding "pods", ClusterRole "pods")` +
		", and so run a Pod with the files of a node mounted, after lifting Pod Security there")
	c.DeleteBinding(rbac.BindingKey{Name: "pods"})
	allow("pods", "closed", "create pods")
	c.SetNamespace("closed", true)
	want(`User "alice" may create pods in namespace "closed" (RoleBinding "closed/pods", ClusterRole "pods")` +
		`, and so run a Pod with the files of a node mounted: Pod Security does not stop it in namespace "closed"`)
	c.DeleteBinding(rbac.BindingKey{Namespace: "closed", Name: "pods"})
	allow("templates", "closed", "update daemonsets.apps")
	want(`User "alice" may update daemonsets.apps in namespace "closed" (RoleBinding "closed/templates", ClusterRole "templates")` +
		`, and so make its Pods run with the files of a node mounted: Pod Security does not stop it in namespace "closed"`)
	c.SetAccount("closed", "default", rbac.Account{})
	want("") // no Pod is known whose template could be changed
}

func TestPathsThroughGroups(t *testing.T) {
	c := stage()
	c.SetBinding(&rbac.Binding{Name: "all", Role: rbac.RoleKey{Name: "cluster-admin"}, Subjects: []rbac.Subject{rbac.Group("system:serviceaccounts")}})
	p, _ := c.Path(rbac.ServiceAccount("closed", "default"))
	want := `ServiceAccount "closed/default", as a member of group "system:serviceaccounts", may do everything (ClusterRoleBinding "all", ClusterRole "cluster-admin")`
	if len(p.Steps) != 1 || p.Steps[0].Text != want {
		t.Errorf("got %+v, want %s", p.Steps, want)
	}
	var listed []string
	for _, p := range c.Paths() {
		listed = append(listed, p.Subject.String())
	}
	if diff := gocmp.Diff([]string{`Group "system:serviceaccounts"`, `Group "wheel"`, `User "root"`}, listed); diff != "" {
		t.Errorf("members of a group that is listed, shop/admin by a role that all have too, must not be: %s", diff)
	}
}

// TestGroupsAddToOwnPowers: what one may do oneself, and what all may in a namespace, lead somewhere together only.
func TestGroupsAddToOwnPowers(t *testing.T) {
	c := stage()
	c.SetControlPlaneOnNodes(true)
	c.SetRole(&rbac.Role{Name: "pods", Rules: rulesOf([]string{"create pods,persistentvolumeclaims"})})
	c.SetBinding(&rbac.Binding{Namespace: "closed", Name: "all", Role: rbac.RoleKey{Name: "pods"}, Subjects: []rbac.Subject{rbac.Group("system:authenticated")}})
	c.SetRole(&rbac.Role{Name: "volumes", Rules: rulesOf([]string{"create persistentvolumes"})})
	c.SetBinding(&rbac.Binding{Name: "alice", Role: rbac.RoleKey{Name: "volumes"}, Subjects: []rbac.Subject{rbac.User("alice")}})
	want := `User "alice" may create persistentvolumes (ClusterRoleBinding "alice", ClusterRole "volumes") and create persistentvolumeclaims in namespace "closed" and create pods in namespace "closed"` +
		` (RoleBinding "closed/all", ClusterRole "pods"), and so mount the files of a node by a volume, which Pod Security does not look into`
	p, _ := c.Path(rbac.User("alice"))
	if len(p.Steps) != 2 || p.Steps[0].Text != want {
		t.Errorf("got %+v, want %s", p.Steps, want)
	}
	if p, found := c.Path(rbac.User("bob")); found {
		t.Errorf("bob may create no volumes: %+v", p)
	}
}

func TestMastersMayDoEverything(t *testing.T) {
	c := rbac.NewCluster(false)
	if _, allowed := c.Allows(rbac.Group(rbac.Masters), rbac.Request{Verb: "get", Resource: "secrets"}); !allowed {
		t.Error("they may, whatever roles say")
	}
	p, _ := c.Path(rbac.Group(rbac.Masters))
	if len(p.Steps) != 1 || p.Steps[0].Text != `Group "system:masters" may do everything, whatever roles say` {
		t.Errorf("got %+v", p.Steps)
	}
}

// TestRulesAreKeptOnce is about memory: the same rules in many namespaces are one list.
func TestRulesAreKeptOnce(t *testing.T) {
	c := rbac.NewCluster(true)
	names := []string{"a", "b", "c"}
	for i := range 3 {
		c.SetRole(&rbac.Role{Namespace: "a", Name: "same", Rules: rulesOf([]string{fmt.Sprint("get pods", i/2)})})
		if got := c.RuleSets(); got != 1 {
			t.Errorf("%d lists of rules of one role, want 1", got)
		}
	}
	c.SetRole(&rbac.Role{Name: "collects", Aggregation: []metav1.LabelSelector{{}}})
	for i := range 3 {
		c.SetRole(&rbac.Role{Name: "collected", Rules: rulesOf([]string{fmt.Sprint("get pods", i)})})
		c.Paths()
	}
	c.DeleteRole(rbac.RoleKey{Name: "collects"})
	c.DeleteRole(rbac.RoleKey{Name: "collected"})
	for range 2 { // the second time nothing is new
		for _, name := range names {
			c.SetRole(&rbac.Role{Namespace: name, Name: "same", Rules: rulesOf([]string{"get pods"})})
			c.SetRole(&rbac.Role{Name: name, Rules: rulesOf([]string{"get pods"})})
		}
		if got := c.RuleSets(); got != 1 {
			t.Errorf("%d lists of rules, want 1", got)
		}
	}
	for _, name := range names {
		if got := c.RuleSets(); got != 1 {
			t.Errorf("%d lists of rules while they are used, want 1", got)
		}
		c.DeleteRole(rbac.RoleKey{Namespace: name, Name: "same"})
		c.DeleteRole(rbac.RoleKey{Name: name})
	}
	if got := c.RuleSets(); got != 0 {
		t.Errorf("%d lists of rules without roles", got)
	}
}

// TestChangesAreLocal shows that a change of one binding is found out about its own subjects alone.
func TestChangesAreLocal(t *testing.T) {
	c := stage()
	for i := range 100 {
		namespace := fmt.Sprint("tenant-", i)
		c.SetNamespace(namespace, true)
		c.SetBinding(&rbac.Binding{Namespace: namespace, Name: "dev", Role: rbac.RoleKey{Name: "dev"}, Subjects: []rbac.Subject{rbac.Group(namespace)}})
	}
	c.SetRole(&rbac.Role{Name: "dev", Rules: rulesOf([]string{"create pods"})})
	c.Paths()
	for what, tc := range map[string]struct {
		change func()
		want   int
	}{
		"a binding": {func() {
			c.SetBinding(&rbac.Binding{Namespace: "tenant-7", Name: "dev", Role: rbac.RoleKey{Name: "dev"}, Subjects: []rbac.Subject{rbac.Group("tenant-7"), rbac.User("bob")}})
		}, 2},
		"the same again": {func() {
			c.SetBinding(&rbac.Binding{Namespace: "tenant-8", Name: "dev", Role: rbac.RoleKey{Name: "dev"}, Subjects: []rbac.Subject{rbac.Group("tenant-8")}})
		}, 0},
		"a role that nobody has": {func() { c.SetRole(&rbac.Role{Namespace: "tenant-9", Name: "new", Rules: rulesOf([]string{"* *.*"})}) }, 0},
		"a namespace":            {func() { c.SetNamespace("tenant-9", false) }, 0},
	} {
		before := c.Derived()
		tc.change()
		c.Paths()
		if got := c.Derived() - before; got != tc.want {
			t.Errorf("%s: found out about %d subjects, want %d", what, got, tc.want)
		}
	}
}

// TestBindingsNameThousands: a binding may name any number of ServiceAccounts that are nowhere. They are little to keep, they are found
// out about together, and nothing is told of them until there is such a namespace.
func TestBindingsNameThousands(t *testing.T) {
	const bindings, subjects = 10, 5000
	c := stage()
	c.SetRole(&rbac.Role{Name: "dev", Rules: rulesOf([]string{"create pods", "get secrets", "get pods/exec"})})
	c.TakeChanges()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range bindings {
		b := &rbac.Binding{Namespace: "shop", Name: fmt.Sprint("many-", n), Role: rbac.RoleKey{Name: "dev"}}
		for i := range subjects {
			b.Subjects = append(b.Subjects, rbac.ServiceAccount(fmt.Sprint("tenant-", n, "-", i), "default"))
		}
		c.SetBinding(b)
	}
	if changes := c.TakeChanges(); len(changes.Powers) > bindings {
		t.Errorf("%d powers are told of ServiceAccounts that are nowhere", len(changes.Powers))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	// Measured: 290, about as much as it takes to know who is bound by what; and 780 where each has steps and a place of his own.
	if each := (after.HeapAlloc - before.HeapAlloc) / (bindings * subjects); each > 450 {
		t.Errorf("each subject takes %d bytes", each)
	}

	of := rbac.ServiceAccount("tenant-3-7", "default")
	want := c.Power(of)
	if want.Steps == 0 {
		t.Fatalf("%+v", want)
	}
	c.SetNamespace("tenant-3-7", true)
	told := c.TakeChanges().Powers
	maps.DeleteFunc(told, func(s rbac.Subject, _ rbac.Power) bool { return s.Namespace == "shop" }) // the graph is another one
	if diff := gocmp.Diff(map[rbac.Subject]rbac.Power{of: want, rbac.Others("tenant-3-7"): {}}, told); diff != "" {
		t.Errorf("powers when the namespace is there (-want +got):\n%s", diff)
	}
	c.DeleteNamespace("tenant-3-7")
	gone := c.TakeChanges().Gone
	slices.SortFunc(gone, func(a, b rbac.Subject) int { return strings.Compare(a.String(), b.String()) })
	if diff := gocmp.Diff([]rbac.Subject{rbac.Others("tenant-3-7"), of}, gone); diff != "" {
		t.Errorf("gone with the namespace (-want +got):\n%s", diff)
	}
}

// TestUnsure: a way over what is not seen, or over objects by name of which it is not known what they are, may be one or not.
func TestUnsure(t *testing.T) {
	for name, tc := range map[string]struct {
		rules []string
		// in is the namespace of the binding, "" for the cluster.
		in string
		// unseen: it is not seen what mounts tokens of ServiceAccounts.
		unseen bool
		want   rbac.Power
	}{
		"exec, seen":                    {rules: []string{"get pods/exec"}, in: "shop", want: rbac.Power{Granted: true, Steps: 2}},
		"exec":                          {rules: []string{"get pods/exec"}, in: "shop", unseen: true, want: rbac.Power{Granted: true, Unsure: true}},
		"exec where nobody is more":     {rules: []string{"get pods/exec"}, in: "closed", unseen: true, want: rbac.Power{Granted: true}},
		"templates":                     {rules: []string{"patch deployments.apps"}, in: "shop", unseen: true, want: rbac.Power{Granted: true, Unsure: true}},
		"Pods of one's own":             {rules: []string{"create pods"}, in: "shop", unseen: true, want: rbac.Power{Granted: true, Steps: 2}},
		"a template":                    {rules: []string{"patch deployments.apps web"}, in: "shop", want: rbac.Power{Granted: true, Unsure: true}},
		"a template where nobody is":    {rules: []string{"patch deployments.apps web"}, in: "closed", want: rbac.Power{Granted: true}},
		"a Pod":                         {rules: []string{"create pods/exec web"}, in: "shop", want: rbac.Power{Granted: true, Unsure: true}},
		"a Pod and any other":           {rules: []string{"create pods/exec web", "get pods/exec"}, in: "shop", want: rbac.Power{Granted: true, Steps: 2}},
		"a node":                        {rules: []string{"get nodes/proxy one"}, want: rbac.Power{Granted: true, Unsure: true}},
		"a binding":                     {rules: []string{"update clusterrolebindings.rbac.authorization.k8s.io mine", "bind clusterroles.rbac.authorization.k8s.io cluster-admin"}, want: rbac.Power{Granted: true, Unsure: true}},
		"a binding, and nothing for it": {rules: []string{"update clusterrolebindings.rbac.authorization.k8s.io mine"}, want: rbac.Power{Granted: true}},
		"what is created has no name":   {rules: []string{"create pods web"}, in: "shop", want: rbac.Power{Granted: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c := stage()
			c.SetControlPlaneOnNodes(true)
			c.SetNamespace("shop", false)
			if tc.unseen {
				c.SetAccount("shop", "admin", rbac.Account{Unseen: true})
				c.SetAccount("closed", "default", rbac.Account{Unseen: true})
			}
			c.SetRole(&rbac.Role{Name: "mine", Rules: rulesOf(tc.rules)})
			c.SetBinding(&rbac.Binding{Namespace: tc.in, Name: "mine", Role: rbac.RoleKey{Name: "mine"}, Subjects: []rbac.Subject{rbac.ServiceAccount("closed", "default")}})
			if got := c.Power(rbac.ServiceAccount("closed", "default")); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if _, told := c.Path(rbac.ServiceAccount("closed", "default")); told != (tc.want.Steps > 0) {
				t.Errorf("a way is told: %v", told)
			}
		})
	}
}
