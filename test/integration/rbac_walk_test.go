// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/internal/rbac"
)

// stage is a namespace with what privilege paths lead over.
type stage struct {
	namespace string
	// victim runs as the ServiceAccount admin, which is cluster-admin; template is of Pods that run as default.
	victim   *corev1.Pod
	template *appsv1.Deployment
}

const everythingRole = "cluster-admin"

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{namespace: newNamespace(t)}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "admin"}}
	create(t, account)
	bind := func(name string, subject rbacv1.Subject) {
		b := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: rbac.KindClusterRole, Name: everythingRole}, Subjects: []rbacv1.Subject{subject},
		}
		create(t, b)
		t.Cleanup(func() { removeAfterwards(t, b) })
	}
	bind("walk-account", rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: s.namespace, Name: account.Name})
	bind("walk-user", rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "walk-root"})
	bind("walk-group", rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "walk-wheel"})
	create(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "full"}, Rules: everythingRules()})
	create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "admin-token-walk", Annotations: map[string]string{corev1.ServiceAccountNameKey: account.Name}},
		Type:       corev1.SecretTypeServiceAccountToken,
	})
	// As it was done before Kubernetes 1.24. By this it is known which Secrets hold tokens, without reading any.
	change(t, account, func(a *corev1.ServiceAccount) { a.Secrets = []corev1.ObjectReference{{Name: "admin-token-walk"}} })
	s.victim = pod(s.namespace, "victim", restrictedContainer("app", "example.com/app:1"))
	s.victim.Spec.ServiceAccountName = account.Name
	create(t, s.victim)
	s.template = deployment(s.namespace, "template", 1, restrictedContainer("app", "example.com/app:1"))
	create(t, s.template)
	return s
}

func everythingRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}
}

// allow lets a user do what rules say: in a namespace, or in the cluster if it is "". The rules are those of a ClusterRole or,
// if ofRole is set, of a Role of the namespace, with the user's name.
func allow(t *testing.T, user, namespace string, ofRole bool, rules []string) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: user}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: rbac.KindClusterRole, Name: user}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	var list []rbacv1.PolicyRule
	for _, text := range rules {
		list = append(list, ruleOf(text))
	}
	var role, binding client.Object = &rbacv1.ClusterRole{ObjectMeta: meta, Rules: list}, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}
	within := metav1.ObjectMeta{Namespace: namespace, Name: user}
	if ofRole {
		ref.Kind = rbac.KindRole
		role = &rbacv1.Role{ObjectMeta: within, Rules: list}
	}
	if namespace != "" {
		binding = &rbacv1.RoleBinding{ObjectMeta: within, RoleRef: ref, Subjects: subjects}
	}
	for _, o := range []client.Object{role, binding} {
		create(t, o)
		t.Cleanup(func() { removeAfterwards(t, o) })
	}
}

// ruleOf reads "create,patch apps deployments name", where the group may be "core", and several resources are parted by commas.
func ruleOf(text string) rbacv1.PolicyRule {
	words := strings.Fields(text)
	r := rbacv1.PolicyRule{Verbs: strings.Split(words[0], ","), APIGroups: []string{words[1]}, Resources: strings.Split(words[2], ",")}
	if words[1] == "core" {
		r.APIGroups[0] = ""
	}
	if len(words) > 3 {
		r.ResourceNames = words[3:]
	}
	return r
}

const (
	rbacAPI      = rbacv1.GroupName
	certificates = certificatesv1.GroupName
	admissionAPI = admissionregistrationv1.GroupName
)

// TestPrivilegePathsCanBeWalked takes every step of every path that the command reports, with nothing but what the steps before
// have given, until it may do everything. Steps that only a kubelet can take are left out; where a Pod runs as somebody, the test
// asks for its token as the kubelet would.
func TestPrivilegePathsCanBeWalked(t *testing.T) {
	s := newStage(t)
	// inCluster are bound in the whole cluster; in the others, in the namespace of the stage.
	type permissions struct {
		inCluster, ofRole bool
		rules             []string
	}
	cases := map[string]permissions{
		"everything":     {inCluster: true, rules: []string{"* * *"}},
		"in-namespace":   {rules: []string{"* * *"}},
		"pods":           {rules: []string{"create core pods"}},
		"deployments":    {rules: []string{"create apps deployments"}},
		"statefulsets":   {rules: []string{"create apps statefulsets"}},
		"replicasets":    {rules: []string{"create apps replicasets"}},
		"jobs":           {rules: []string{"create batch jobs"}},
		"controllers":    {rules: []string{"create core replicationcontrollers"}},
		"pods-anywhere":  {inCluster: true, rules: []string{"create core pods"}},
		"templates":      {rules: []string{"patch apps deployments"}},
		"images":         {rules: []string{"patch core pods"}},
		"debugging":      {rules: []string{"patch core pods/ephemeralcontainers"}},
		"tokens":         {rules: []string{"create core serviceaccounts/token"}},
		"one-token":      {rules: []string{"create core serviceaccounts/token admin"}},
		"secrets":        {rules: []string{"get core secrets"}},
		"secrets-listed": {rules: []string{"list core secrets"}},
		"one-secret":     {rules: []string{"get core secrets admin-token-walk"}},
		"new-secret":     {rules: []string{"create,get core secrets"}},

		"users":         {inCluster: true, rules: []string{"impersonate core users"}},
		"one-user":      {inCluster: true, rules: []string{"impersonate core users walk-root"}},
		"accounts":      {rules: []string{"impersonate core serviceaccounts"}},
		"masters":       {inCluster: true, rules: []string{"impersonate core groups " + rbac.Masters, "impersonate core users walk-nobody"}},
		"one-group":     {inCluster: true, rules: []string{"impersonate core groups walk-wheel", "impersonate core users walk-nobody"}},
		"escalate":      {inCluster: true, rules: []string{"escalate,patch " + rbacAPI + " clusterroles walk-escalate"}},
		"escalate-role": {ofRole: true, rules: []string{"escalate,patch " + rbacAPI + " roles walk-escalate-role"}},
		"new-role":      {rules: []string{"create,escalate,bind " + rbacAPI + " roles", "create " + rbacAPI + " rolebindings"}},
		"bind":          {inCluster: true, rules: []string{"bind " + rbacAPI + " clusterroles", "create " + rbacAPI + " clusterrolebindings"}},
		"bind-one":      {inCluster: true, rules: []string{"bind " + rbacAPI + " clusterroles " + everythingRole, "create " + rbacAPI + " clusterrolebindings"}},
		"bind-by-patch": {inCluster: true, rules: []string{"bind " + rbacAPI + " clusterroles", "patch " + rbacAPI + " clusterrolebindings"}},
		"bind-within":   {rules: []string{"bind " + rbacAPI + " clusterroles", "create " + rbacAPI + " rolebindings"}},
		"bind-role":     {rules: []string{"bind " + rbacAPI + " roles", "create " + rbacAPI + " rolebindings"}},
		"certificate": {inCluster: true, rules: []string{
			"create " + certificates + " certificatesigningrequests", "patch " + certificates + " certificatesigningrequests/approval",
			"approve " + certificates + " signers " + certificatesv1.KubeAPIServerClientSignerName,
		}},
		"webhook":  {inCluster: true, rules: []string{"create " + admissionAPI + " mutatingwebhookconfigurations"}},
		"mutation": {inCluster: true, rules: []string{"create " + admissionAPI + " mutatingadmissionpolicies,mutatingadmissionpolicybindings"}},
	}
	// These lead nowhere, however alike they look.
	safe := map[string]permissions{
		"secret-by-name":   {rules: []string{"get core secrets another"}},
		"bind-only":        {rules: []string{"create " + rbacAPI + " rolebindings,roles"}},
		"escalate-another": {ofRole: true, rules: []string{"escalate,patch " + rbacAPI + " roles another"}},
		"escalate-only":    {inCluster: true, rules: []string{"escalate " + rbacAPI + " clusterroles"}},
		"approve-only":     {inCluster: true, rules: []string{"create " + certificates + " certificatesigningrequests", "patch " + certificates + " certificatesigningrequests/approval"}},
		"groups-only":      {inCluster: true, rules: []string{"impersonate core groups"}},
	}
	for _, all := range []map[string]permissions{cases, safe} {
		for name, permissions := range all {
			namespace := s.namespace
			if permissions.inCluster {
				namespace = ""
			}
			allow(t, "walk-"+name, namespace, permissions.ofRole, permissions.rules)
		}
	}
	waitForAuthorizer(t, s.namespace)

	paths := canReachAdmin(t)
	for name := range safe {
		if steps := paths[rbac.User("walk-"+name).String()]; steps != nil {
			t.Errorf("%s: %v", name, steps)
		}
	}
	for _, known := range []rbac.Subject{rbac.User("walk-root"), rbac.Group("walk-wheel"), rbac.ServiceAccount(s.namespace, "admin")} {
		if len(paths[known.String()]) != 1 {
			t.Errorf("%v is cluster-admin, and found with %v", known, paths[known.String()])
		}
	}
	for name := range cases {
		t.Run(name, func(t *testing.T) {
			user := "walk-" + name
			steps := paths[rbac.User(user).String()]
			if len(steps) == 0 {
				t.Fatal("no path is found")
			}
			w := newWalker(t, s, user)
			if name != "everything" && w.mayDoEverything(t.Context()) {
				t.Fatal("may do everything already")
			}
			for _, step := range steps {
				w.take(t, &step)
			}
			eventually(t, "to be cluster-admin", func(ctx context.Context) (bool, string) { return w.mayDoEverything(ctx), fmt.Sprint(steps) })
		})
	}
}

// TestWaysToNodesCanBeWalked walks up to a Pod that mounts the files of a node of the control plane. What comes then takes a node.
func TestWaysToNodesCanBeWalked(t *testing.T) {
	closed := newLabelledNamespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	create(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "walk", Labels: map[string]string{"node-role.kubernetes.io/control-plane": ""}}})
	t.Cleanup(func() { removeAfterwards(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "walk"}}) })
	allow(t, "walk-label", closed, false, []string{"create core pods", "patch core namespaces"})
	allow(t, "walk-claim", closed, false, []string{"create core pods,persistentvolumeclaims"})
	allow(t, "walk-volume", "", false, []string{"create core persistentvolumes"})
	allow(t, "walk-none", closed, false, []string{"create core pods,persistentvolumeclaims"})
	// Both of these are the same user's.
	b := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "walk-volume-claim"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: rbac.KindClusterRole, Name: "walk-volume"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "walk-claim"}},
	}
	create(t, b)
	t.Cleanup(func() { removeAfterwards(t, b) })
	waitForAuthorizer(t, closed)

	paths := canReachAdmin(t)
	for user, want := range map[string]bool{"walk-label": true, "walk-claim": true, "walk-volume": false, "walk-none": false} {
		steps := paths[rbac.User(user).String()]
		if (len(steps) == 2) != want {
			t.Errorf("%s: %v", user, steps)
		}
		if !want || len(steps) != 2 {
			continue
		}
		if steps[0].To != "root on a node" || steps[1].To != everythingRole || len(steps[1].Permissions) > 0 {
			t.Errorf("%s: %v", user, steps)
		}
		t.Run(user, func(t *testing.T) { newWalker(t, &stage{namespace: closed}, user).take(t, &steps[0]) })
	}
}

// walker is somebody on the way to cluster-admin, with the credentials that he has by now. What he makes has the name of the
// user that he began as.
type walker struct {
	*stage
	user   string
	as     rbac.Subject
	config *rest.Config
	client.Client
}

func newWalker(t *testing.T, s *stage, user string) *walker {
	t.Helper()
	config, err := cluster.User(user)
	if err != nil {
		t.Fatal(err)
	}
	w := &walker{stage: s, user: user, as: rbac.User(user)}
	w.become(t, config)
	return w
}

func (w *walker) become(t *testing.T, config *rest.Config) {
	t.Helper()
	w.config = rest.CopyConfig(config)
	w.config.QPS = -1
	var err error
	if w.Client, err = client.New(w.config, client.Options{Scheme: admin.Scheme(), Mapper: admin.RESTMapper()}); err != nil {
		t.Fatal(err)
	}
}

func (w *walker) mayDoEverything(ctx context.Context) bool {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "*", Group: "*", Resource: "*"},
	}}
	return w.Create(ctx, review) == nil && review.Status.Allowed
}

// must makes a request. What has just been granted takes the API server a moment to know.
func (w *walker) must(t *testing.T, what string, request func(context.Context) error) {
	t.Helper()
	eventually(t, what, func(ctx context.Context) (bool, string) {
		err := request(ctx)
		return err == nil, fmt.Sprint(err)
	})
}

func (w *walker) mustCreate(t *testing.T, o client.Object) {
	t.Helper()
	w.must(t, fmt.Sprintf("to create %T", o), func(ctx context.Context) error {
		o.SetResourceVersion("")
		return w.Create(ctx, o)
	})
	t.Cleanup(func() { removeAfterwards(t, o) })
}

func (w *walker) mustPatch(t *testing.T, o client.Object, patch client.Patch, subresource string) {
	t.Helper()
	w.must(t, fmt.Sprintf("to patch %T", o), func(ctx context.Context) error {
		if subresource != "" {
			return w.SubResource(subresource).Patch(ctx, o, patch)
		}
		return w.Patch(ctx, o, patch)
	})
}

func jsonPatch(operations string) client.Patch {
	return client.RawPatch(types.JSONPatchType, []byte(operations))
}

func strategic(patch string) client.Patch {
	return client.RawPatch(types.StrategicMergePatchType, []byte(patch))
}

// subjectOf reads `ServiceAccount "shop/ci"`.
func subjectOf(t *testing.T, text string) rbac.Subject {
	t.Helper()
	kind, name, found := strings.Cut(strings.TrimSuffix(text, `"`), ` "`)
	s := rbac.Subject{Kind: kind, Name: name}
	if kind == rbacv1.ServiceAccountKind {
		s.Namespace, s.Name, found = strings.Cut(name, "/")
	}
	if !found {
		t.Fatalf("%s is no subject", text)
	}
	return s
}

// take takes a step: it does what the permissions allow, and gets what the step leads to.
func (w *walker) take(t *testing.T, step *pathStep) {
	t.Helper()
	t.Log(step.Text)
	what := ""
	var p rbac.Request
	if len(step.Permissions) > 0 {
		p = step.Permissions[0]
		what = strings.TrimSuffix(p.Verb+" "+p.Resource+"/"+p.Subresource, "/")
	}
	switch what {
	case "* *": // it is there
	case "": // everything in a namespace
		w.runPod(t, subjectOf(t, step.To), "pods")
	case "create pods", "create deployments", "create statefulsets", "create replicasets", "create jobs", "create replicationcontrollers":
		w.runPod(t, subjectOf(t, step.To), p.Resource)
	case "patch deployments":
		w.changeTemplate(t, subjectOf(t, step.To))
	case "patch pods":
		w.mustPatch(t, w.victim.DeepCopy(), strategic(`{"spec":{"containers":[{"name":"app","image":"example.com/theirs:1"}]}}`), "")
		w.takeTokenOf(t, w.victim, subjectOf(t, step.To))
	case "patch pods/ephemeralcontainers":
		w.mustPatch(t, w.victim.DeepCopy(), strategic(`{"spec":{"ephemeralContainers":[{"name":"debug","image":"example.com/theirs:1"}]}}`), "ephemeralcontainers")
		w.takeTokenOf(t, w.victim, subjectOf(t, step.To))
	case "create serviceaccounts/token":
		s, request := subjectOf(t, step.To), &authenticationv1.TokenRequest{}
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}
		w.must(t, "a token", func(ctx context.Context) error { return w.SubResource("token").Create(ctx, account, request) })
		w.use(t, request.Status.Token)
	case "get secrets", "list secrets", "create secrets":
		w.readToken(t, step)
	case "impersonate users", "impersonate serviceaccounts", "impersonate groups":
		w.impersonate(t, step)
	case "escalate clusterroles":
		w.mustPatch(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: p.Name}}, jsonPatch(addEverything), "")
	case "escalate roles":
		w.mustPatch(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}}, jsonPatch(addEverything), "")
	case "create roles":
		w.mustCreate(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "theirs"}, Rules: everythingRules()})
		w.bindItself(t, rbac.KindRole, "theirs", w.namespace)
	case "bind clusterroles", "bind roles":
		w.bind(t, step)
	case "create certificatesigningrequests":
		w.getCertificate(t, subjectOf(t, step.To))
	case "create mutatingwebhookconfigurations":
		w.mutateByWebhook(t)
	case "create mutatingadmissionpolicies":
		w.mutateByPolicy(t)
	case "update namespaces", "patch namespaces":
		w.mountNode(t, true)
	case "create persistentvolumes":
		w.mountNode(t, false)
	default:
		t.Fatalf("%q is a step that nobody has tried", what)
	}
	if strings.HasSuffix(step.To, `"`) && !strings.HasPrefix(step.To, "whoever") {
		w.as = subjectOf(t, step.To)
	}
}

// itself is the walker as a subject of a binding.
func (w *walker) itself() rbacv1.Subject {
	s := rbacv1.Subject{Kind: w.as.Kind, Namespace: w.as.Namespace, Name: w.as.Name}
	if s.Kind != rbacv1.ServiceAccountKind {
		s.APIGroup = rbacv1.GroupName
	}
	return s
}

const addEverything = `[{"op":"add","path":"/rules/-","value":{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}}]`

// use goes on with the token of a ServiceAccount.
func (w *walker) use(t *testing.T, token string) {
	t.Helper()
	config := rest.AnonymousClientConfig(cluster.Config)
	config.BearerToken = token
	w.become(t, config)
}

// takeTokenOf goes on with the token that a kubelet would mount into a Pod.
func (w *walker) takeTokenOf(t *testing.T, pod *corev1.Pod, account rbac.Subject) {
	t.Helper()
	if pod.Spec.ServiceAccountName != account.Name || pod.Namespace != account.Namespace {
		t.Fatalf("the Pod %s/%s runs as %q, not as %v", pod.Namespace, pod.Name, pod.Spec.ServiceAccountName, account)
	}
	if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(p corev1.VolumeProjection) bool { return p.ServiceAccountToken != nil })
	}) {
		t.Fatalf("the Pod %s mounts no token", pod.Name)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID},
	}}
	if err := admin.SubResource("token").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: account.Name}}, request); err != nil {
		t.Fatal(err)
	}
	w.use(t, request.Status.Token)
}

// runPod runs a Pod as a ServiceAccount, by itself or by what makes Pods.
func (w *walker) runPod(t *testing.T, account rbac.Subject, resource string) {
	t.Helper()
	name := w.user
	meta := metav1.ObjectMeta{Namespace: account.Namespace, Name: name}
	template := podTemplate(name, restrictedContainer("theirs", "example.com/theirs:1"))
	template.Spec.ServiceAccountName = account.Name
	selector := &metav1.LabelSelector{MatchLabels: template.Labels}
	var o client.Object
	switch resource {
	case "deployments":
		o = &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: selector, Template: template}}
	case "statefulsets":
		o = &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Selector: selector, Template: template}}
	case "replicasets":
		o = &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Selector: selector, Template: template}}
	case "jobs":
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
		o = &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{Template: template}}
	case "replicationcontrollers":
		o = &corev1.ReplicationController{ObjectMeta: meta, Spec: corev1.ReplicationControllerSpec{Selector: template.Labels, Template: &template}}
	default:
		meta.Labels = template.Labels
		o = &corev1.Pod{ObjectMeta: meta, Spec: template.Spec}
	}
	w.mustCreate(t, o)
	w.takeTokenOf(t, &waitForPods(t, account.Namespace, name, 1)[0], account)
}

// changeTemplate has the Pods of a Deployment run as a ServiceAccount.
func (w *walker) changeTemplate(t *testing.T, account rbac.Subject) {
	t.Helper()
	w.mustPatch(t, w.template.DeepCopy(), strategic(fmt.Sprintf(`{"spec":{"template":{"spec":{"serviceAccountName":%q}}}}`, account.Name)), "")
	var changed *corev1.Pod
	eventually(t, "a Pod of the changed template", func(ctx context.Context) (bool, string) {
		list := &corev1.PodList{}
		err := admin.List(ctx, list, client.InNamespace(w.namespace), client.MatchingLabels{"app": w.template.Name})
		for i := range list.Items {
			if list.Items[i].Spec.ServiceAccountName == account.Name {
				changed = &list.Items[i]
			}
		}
		return changed != nil, fmt.Sprint(err)
	})
	w.takeTokenOf(t, changed, account)
}

// readToken reads the token of a ServiceAccount from a Secret, which it makes itself if it may.
func (w *walker) readToken(t *testing.T, step *pathStep) {
	t.Helper()
	account := subjectOf(t, step.To)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: "admin-token-walk"}}
	if step.Permissions[0].Verb == "create" {
		w.mustCreate(t, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: w.user, Annotations: map[string]string{corev1.ServiceAccountNameKey: account.Name}},
			Type:       corev1.SecretTypeServiceAccountToken,
		})
		secret.Name = w.user
	}
	eventually(t, "a token in Secret "+secret.Name, func(ctx context.Context) (bool, string) {
		if step.Permissions[0].Verb != "list" {
			err := w.Get(ctx, client.ObjectKeyFromObject(secret), secret)
			return err == nil && len(secret.Data[corev1.ServiceAccountTokenKey]) > 0, fmt.Sprint(err)
		}
		list := &corev1.SecretList{}
		err := w.List(ctx, list, client.InNamespace(account.Namespace))
		for _, s := range list.Items {
			if s.Annotations[corev1.ServiceAccountNameKey] == account.Name {
				secret = &s
			}
		}
		return err == nil && len(secret.Data[corev1.ServiceAccountTokenKey]) > 0, fmt.Sprint(err)
	})
	w.use(t, string(secret.Data[corev1.ServiceAccountTokenKey]))
}

// impersonate goes on as somebody else, or as a member of a group.
func (w *walker) impersonate(t *testing.T, step *pathStep) {
	t.Helper()
	config := rest.CopyConfig(w.config)
	for _, p := range step.Permissions {
		switch p.Resource {
		case "users":
			config.Impersonate.UserName = p.Name
		case "serviceaccounts":
			config.Impersonate.UserName = "system:serviceaccount:" + p.Namespace + ":" + p.Name
		case "groups":
			config.Impersonate.Groups = []string{p.Name}
		}
	}
	if config.Impersonate.Groups == nil {
		config.Impersonate.UserName = userInfo(subjectOf(t, step.To)).Username
	}
	w.become(t, config)
}

// bind binds itself to what the step says.
func (w *walker) bind(t *testing.T, step *pathStep) {
	t.Helper()
	p := step.Permissions
	kind, name, namespace := rbac.KindClusterRole, everythingRole, p[1].Namespace
	if p[0].Resource == "roles" {
		kind, name = rbac.KindRole, "full"
	}
	if p[1].Verb == "patch" {
		itself, err := json.Marshal(w.itself())
		if err != nil {
			t.Fatal(err)
		}
		add := jsonPatch(fmt.Sprintf(`[{"op":"add","path":"/subjects/-","value":%s}]`, itself))
		w.mustPatch(t, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "walk-user"}}, add, "")
		return
	}
	w.bindItself(t, kind, name, namespace)
}

func (w *walker) bindItself(t *testing.T, kind, name, namespace string) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: w.user + "-theirs"}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
	subjects := []rbacv1.Subject{w.itself()}
	if namespace == "" {
		w.mustCreate(t, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects})
	} else {
		w.mustCreate(t, &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects})
	}
}

// getCertificate asks for a certificate of somebody, approves it, and goes on with it. To read what was signed it takes no
// permission: a patch that changes nothing answers it.
func (w *walker) getCertificate(t *testing.T, s rbac.Subject) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	info := userInfo(s)
	groups := slices.DeleteFunc(info.Groups, func(g string) bool { return strings.HasPrefix(g, "system:") })
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: info.Username, Organization: groups}}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr := &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: w.user},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}),
			SignerName: certificatesv1.KubeAPIServerClientSignerName, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
	}
	w.mustCreate(t, csr)
	approval := strategic(`{"status":{"conditions":[{"type":"Approved","status":"True","reason":"Mine"}]}}`)
	w.must(t, "a certificate", func(ctx context.Context) error {
		if err := w.SubResource("approval").Patch(ctx, csr, approval); err != nil {
			return err
		}
		if len(csr.Status.Certificate) == 0 {
			return fmt.Errorf("it is not signed yet: %v", csr.Status.Conditions)
		}
		return nil
	})
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(cluster.Config)
	config.CertData, config.KeyData = csr.Status.Certificate, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	w.become(t, config)
}

// bystander has an administrator bind somebody to cluster-admin, again and again until that is the walker.
func (w *walker) bystander(t *testing.T) {
	t.Helper()
	eventually(t, "somebody's binding to be changed", func(ctx context.Context) (bool, string) {
		b := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: w.user + "-bystander"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: rbac.KindClusterRole, Name: everythingRole},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "walk-bystander"}},
		}
		if err := admin.Create(ctx, b); err != nil {
			return false, err.Error()
		}
		if b.Subjects[0].Name == w.as.Name {
			t.Cleanup(func() { removeAfterwards(t, b) })
			return true, ""
		}
		return false, fmt.Sprint(admin.Delete(ctx, b))
	})
}

// mutateByWebhook changes the binding of a bystander.
func (w *walker) mutateByWebhook(t *testing.T) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(in.Body).Decode(&review); err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{
			UID: review.Request.UID, Allowed: true, PatchType: new(admissionv1.PatchTypeJSONPatch),
			Patch: fmt.Appendf(nil, `[{"op":"replace","path":"/subjects/0/name","value":%q}]`, w.as.Name),
		}
		review.Request = nil
		_ = json.NewEncoder(out).Encode(&review)
	}))
	t.Cleanup(server.Close)
	w.mustCreate(t, &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: w.user},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "theirs.example.com", AdmissionReviewVersions: []string{"v1"},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL: &server.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{w.bystanders()}, MatchConditions: w.onlyBystander(),
			SideEffects: new(admissionregistrationv1.SideEffectClassNone), FailurePolicy: new(admissionregistrationv1.Ignore),
		}},
	})
	w.bystander(t)
}

// mutateByPolicy does the same without a server.
func (w *walker) mutateByPolicy(t *testing.T) {
	t.Helper()
	w.mustCreate(t, &admissionregistrationv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: w.user},
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: w.bystanders()}},
			},
			MatchConditions: w.onlyBystander(), ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
			Mutations: []admissionregistrationv1.Mutation{{
				PatchType: admissionregistrationv1.PatchTypeJSONPatch,
				JSONPatch: &admissionregistrationv1.JSONPatch{Expression: fmt.Sprintf(`[JSONPatch{op: "replace", path: "/subjects/0/name", value: %q}]`, w.as.Name)},
			}},
		},
	})
	w.mustCreate(t, &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: w.user}, Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: w.user},
	})
	w.bystander(t)
}

func (w *walker) bystanders() admissionregistrationv1.RuleWithOperations {
	return admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{rbacAPI}, APIVersions: []string{"v1"}, Resources: []string{"clusterrolebindings"}},
	}
}

func (w *walker) onlyBystander() []admissionregistrationv1.MatchCondition {
	return []admissionregistrationv1.MatchCondition{{Name: "bystander", Expression: fmt.Sprintf("object.metadata.name == %q", w.user+"-bystander")}}
}

// mountNode runs a Pod with the files of a node of the control plane, where Pod Security does not let it: it lifts Pod Security,
// or mounts them by a volume.
func (w *walker) mountNode(t *testing.T, lift bool) {
	t.Helper()
	attack := pod(w.namespace, w.user, restrictedContainer("theirs", "example.com/theirs:1"))
	attack.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1000))}
	attack.Spec.NodeName = "walk"
	attack.Spec.Volumes = []corev1.Volume{{Name: "root", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
	if err := w.Create(t.Context(), attack.DeepCopy()); !apierrors.IsForbidden(err) {
		t.Fatalf("Pod Security must refuse it at first: %v", err)
	}
	if lift {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
		w.mustPatch(t, namespace, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":null}}}`)), "")
		t.Cleanup(func() {
			change(t, namespace, func(n *corev1.Namespace) { n.Labels["pod-security.kubernetes.io/enforce"] = "restricted" })
		})
	} else {
		volume, amount := w.user+"-"+w.namespace, corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
		w.mustCreate(t, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: volume}, Spec: corev1.PersistentVolumeSpec{
			Capacity: amount, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: "walk",
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}},
		}})
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: w.user}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: new("walk"), VolumeName: volume,
			Resources: corev1.VolumeResourceRequirements{Requests: amount},
		}}
		w.mustCreate(t, claim)
		eventually(t, "the claim to have the volume", func(ctx context.Context) (bool, string) {
			err := admin.Get(ctx, client.ObjectKeyFromObject(claim), claim)
			return claim.Status.Phase == corev1.ClaimBound, fmt.Sprint(claim.Status.Phase, err)
		})
		attack.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: w.user}}
	}
	w.mustCreate(t, attack)
}
