// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

var created = metav1.NewTime(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))

func metaOf(name string, owners ...metav1.OwnerReference) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "u-1", ResourceVersion: "7", CreationTimestamp: created}
	m.OwnerReferences = owners
	return m
}

func controlledBy(apiVersion, kind, name string) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: name, UID: "o-1", Controller: ptr.To(true)}
}

func template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "api", Image: "a:1"}}},
	}
}

func livePod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1", UID: "u-1", ResourceVersion: "7", Labels: map[string]string{"app": "web"}},
		Spec:       template().Spec,
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
}

// TestTransforms runs every source's transform twice: a streamed list goes through it twice, and what it made it must
// return as it is.
func TestTransforms(t *testing.T) {
	s := everything(t)
	controllers := func(r audit.Resource) cache.TransformFunc { return s.controllers[r].Transformer() }
	transforms := map[audit.Resource]struct {
		transform cache.TransformFunc
		object    runtime.Object
	}{
		audit.Pods:                   {s.pods.Transformer(), livePod()},
		audit.Deployments:            {controllers(audit.Deployments), &appsv1.Deployment{ObjectMeta: metaOf("a"), Spec: appsv1.DeploymentSpec{Template: template()}}},
		audit.ReplicaSets:            {controllers(audit.ReplicaSets), &appsv1.ReplicaSet{ObjectMeta: metaOf("a"), Spec: appsv1.ReplicaSetSpec{Template: template()}}},
		audit.StatefulSets:           {controllers(audit.StatefulSets), &appsv1.StatefulSet{ObjectMeta: metaOf("a"), Spec: appsv1.StatefulSetSpec{Template: template()}}},
		audit.DaemonSets:             {controllers(audit.DaemonSets), &appsv1.DaemonSet{ObjectMeta: metaOf("a"), Spec: appsv1.DaemonSetSpec{Template: template()}}},
		audit.Jobs:                   {controllers(audit.Jobs), &batchv1.Job{ObjectMeta: metaOf("a"), Spec: batchv1.JobSpec{Template: template()}}},
		audit.CronJobs:               {controllers(audit.CronJobs), &batchv1.CronJob{ObjectMeta: metaOf("a")}},
		audit.ReplicationControllers: {controllers(audit.ReplicationControllers), &corev1.ReplicationController{ObjectMeta: metaOf("a")}},
		audit.Namespaces:             {s.namespaces.Transformer(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}},
		audit.ResourceQuotas:         {s.quotas.Transformer(), &corev1.ResourceQuota{ObjectMeta: metaOf("a")}},
		audit.LimitRanges:            {s.limitRanges.Transformer(), &corev1.LimitRange{ObjectMeta: metaOf("a")}},
		audit.NetworkPolicies:        {s.networkPolicies.Transformer(), &networkingv1.NetworkPolicy{ObjectMeta: metaOf("a")}},
		audit.Nodes:                  {s.nodes.Transformer(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a"}}},
		audit.ServiceAccounts:        {s.serviceAccounts.Transformer(), &corev1.ServiceAccount{ObjectMeta: metaOf("a")}},
		audit.Services:               {s.services.Transformer(), &corev1.Service{ObjectMeta: metaOf("a")}},
		audit.Ingresses:              {s.ingresses.Transformer(), &networkingv1.Ingress{ObjectMeta: metaOf("a")}},
		audit.Gateways:               {s.gateways.Transformer(), &gatewayv1.Gateway{ObjectMeta: metaOf("a")}},
		audit.ClusterNetworkPolicies: {s.clusterPolicies.Transformer(), &v1alpha2.ClusterNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "a"}}},
		audit.AuditConfigurations:    {s.configurations.Transformer(), &v1alpha1.AuditConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "default"}}},
		audit.ImageReports:           {s.imageReports.store.Transformer(), &v1alpha1.ImageReport{ObjectMeta: metav1.ObjectMeta{Name: "a"}}},
		audit.SecurityExceptions:     {s.exceptions.Transformer(), &v1alpha1.SecurityException{ObjectMeta: metaOf("a")}},
		audit.ClusterSecurityExceptions: {
			s.clusterExceptions.Transformer(), &v1alpha1.ClusterSecurityException{ObjectMeta: metav1.ObjectMeta{Name: "a"}},
		},
		audit.HTTPRoutes:         {s.httpRoutes.Transformer(), &gatewayv1.HTTPRoute{ObjectMeta: metaOf("a")}},
		audit.EndpointSlices:     {s.cluster.endpoints.Transformer(), &discoveryv1.EndpointSlice{ObjectMeta: metaOf("a")}},
		audit.ValidatingWebhooks: {s.cluster.validating.Transformer(), &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "a"}}},
		audit.MutatingWebhooks:   {s.cluster.mutating.Transformer(), &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "a"}}},
		audit.AdmissionPolicies:  {s.cluster.policies.Transformer(), &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "a"}}},
		audit.AdmissionPolicyBindings: {
			s.cluster.bindings.Transformer(), &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "a"}},
		},
		audit.Roles:               {s.roles[audit.Roles].Transformer(), &rbacv1.Role{ObjectMeta: metaOf("a")}},
		audit.ClusterRoles:        {s.roles[audit.ClusterRoles].Transformer(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "a"}}},
		audit.RoleBindings:        {s.bindings[audit.RoleBindings].Transformer(), &rbacv1.RoleBinding{ObjectMeta: metaOf("a")}},
		audit.ClusterRoleBindings: {s.bindings[audit.ClusterRoleBindings].Transformer(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "a"}}},
	}
	for _, w := range s.watchers {
		tc, ok := transforms[w.resource]
		if !ok {
			t.Errorf("this test does not know %s", w.resource)
			continue
		}
		t.Run(string(w.resource), func(t *testing.T) {
			once, err := tc.transform(tc.object)
			if err != nil {
				t.Fatal(err)
			}
			if _, isObject := once.(runtime.Object); isObject {
				t.Errorf("the object %T is kept", once)
			}
			twice, err := tc.transform(once)
			if err != nil || twice != once {
				t.Errorf("transformed twice it is %v, %v", twice, err)
			}
			if tc.transform == nil {
				t.Fatal("no transform")
			}
			for _, wrong := range []any{&corev1.Event{}, "x", nil} {
				if _, err := tc.transform(wrong); err == nil {
					t.Errorf("no error for %T", wrong)
				}
			}
		})
	}
	if len(transforms) != len(s.watchers) {
		t.Errorf("%d transforms, %d sources", len(transforms), len(s.watchers))
	}
}

func TestPodRecordsDifferOnlyWhereAudited(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   bool
	}{
		"nothing":            {func(*corev1.Pod) {}, true},
		"the version":        {func(p *corev1.Pod) { p.ResourceVersion = "8" }, true},
		"that it is pending": {func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }, true},
		"its conditions":     {func(p *corev1.Pod) { p.Status.Conditions = []corev1.PodCondition{{Type: "Ready"}} }, true},
		"an annotation":      {func(p *corev1.Pod) { p.Annotations = map[string]string{"a": "b"} }, true},
		"its node":           {func(p *corev1.Pod) { p.Spec.NodeName = "n1" }, false},
		"that a container is ready": {func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "api", Ready: true, RestartCount: 1}}
		}, true},
		"the image that it runs": {func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "api", ImageID: "sha256:" + strings.Repeat("01", 32)}}
		}, false},
		"that it has succeeded": {func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, false},
		"that it has failed":    {func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, false},
		"its UID":               {func(p *corev1.Pod) { p.UID = "v" }, false},
		"a label":               {func(p *corev1.Pod) { p.Labels["x"] = "y" }, false},
		"no labels":             {func(p *corev1.Pod) { p.Labels = nil }, false},
		"its owner": {func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{controlledBy("apps/v1", "ReplicaSet", "rs")}
		}, false},
		"an owner that does not control":              {func(p *corev1.Pod) { p.OwnerReferences = []metav1.OwnerReference{{Kind: "X", Name: "x", UID: "x"}} }, true},
		"its image":                                   {func(p *corev1.Pod) { p.Spec.Containers[0].Image = "b" }, false},
		"an ephemeral container":                      {func(p *corev1.Pod) { p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{}} }, false},
		"an AppArmor profile":                         {func(p *corev1.Pod) { p.Annotations = map[string]string{auditedAnnotations[0] + "api": "unconfined"} }, false},
		"a seccomp profile":                           {func(p *corev1.Pod) { p.Annotations = map[string]string{auditedAnnotations[1] + "pod": "unconfined"} }, false},
		"a container's seccomp profile, the old way":  {func(p *corev1.Pod) { p.Annotations = map[string]string{auditedAnnotations[2] + "api": "unconfined"} }, false},
		"when it was created, which never changes":    {func(p *corev1.Pod) { p.CreationTimestamp = created }, true},
		"that it is being deleted: it still runs":     {func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(created) }, true},
		"who manages which of its fields, every time": {func(p *corev1.Pod) { p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInterner()
			before, err := i.pod(livePod())
			if err != nil {
				t.Fatal(err)
			}
			p := livePod()
			tc.change(p)
			after, err := i.pod(p)
			if err != nil {
				t.Fatal(err)
			}
			if got := after.Equal(before); got != tc.want {
				t.Errorf("equal: %v, want %v", got, tc.want)
			}
			if before.Equal(after) != after.Equal(before) {
				t.Error("equality depends on the order")
			}
		})
	}
}

func TestControllerRecords(t *testing.T) {
	kept, none := template(), audit.ControllerRecord{}
	hash := templateHash(&kept)
	for name, tc := range map[string]struct {
		object runtime.Object
		want   audit.ControllerRecord
		// wantTemplate: the template is kept.
		wantTemplate bool
	}{
		"a Deployment":  {&appsv1.Deployment{ObjectMeta: metaOf("a"), Spec: appsv1.DeploymentSpec{Template: template()}}, audit.ControllerRecord{Kind: "Deployment"}, true},
		"a StatefulSet": {&appsv1.StatefulSet{ObjectMeta: metaOf("a"), Spec: appsv1.StatefulSetSpec{Template: template()}}, audit.ControllerRecord{Kind: "StatefulSet"}, true},
		"a DaemonSet":   {&appsv1.DaemonSet{ObjectMeta: metaOf("a"), Spec: appsv1.DaemonSetSpec{Template: template()}}, audit.ControllerRecord{Kind: "DaemonSet"}, true},
		"a lone Job":    {&batchv1.Job{ObjectMeta: metaOf("a"), Spec: batchv1.JobSpec{Template: template()}}, audit.ControllerRecord{Kind: "Job"}, true},
		"a lone ReplicaSet": {
			&appsv1.ReplicaSet{ObjectMeta: metaOf("a"), Spec: appsv1.ReplicaSetSpec{Template: template()}}, audit.ControllerRecord{Kind: "ReplicaSet"}, true,
		},
		"a CronJob": {
			&batchv1.CronJob{ObjectMeta: metaOf("a"), Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template()}}}},
			audit.ControllerRecord{Kind: "CronJob"}, true,
		},
		"a ReplicationController": {
			&corev1.ReplicationController{ObjectMeta: metaOf("a"), Spec: corev1.ReplicationControllerSpec{Template: &kept}}, audit.ControllerRecord{Kind: "ReplicationController"}, true,
		},
		"a ReplicationController without a template": {
			&corev1.ReplicationController{ObjectMeta: metaOf("a")}, audit.ControllerRecord{Kind: "ReplicationController"}, false,
		},
		"a Deployment's ReplicaSet that wants Pods, whose template is kept": {
			&appsv1.ReplicaSet{ObjectMeta: metaOf("a", controlledBy("apps/v1", "Deployment", "web")), Spec: appsv1.ReplicaSetSpec{Template: template()}},
			audit.ControllerRecord{Kind: "ReplicaSet", Owner: &audit.Owner{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "o-1"}}, true,
		},
		"a Deployment's ReplicaSet that wants none, whose template is not kept": {
			&appsv1.ReplicaSet{ObjectMeta: metaOf("a", controlledBy("apps/v1", "Deployment", "web")), Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To(int32(0)), Template: template()}},
			audit.ControllerRecord{Kind: "ReplicaSet", Owner: &audit.Owner{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "o-1"}}, false,
		},
		"a CronJob's Job that has not finished, whose template is kept": {
			&batchv1.Job{
				ObjectMeta: metaOf("a", controlledBy("batch/v1", "CronJob", "web")), Spec: batchv1.JobSpec{Template: template()},
				Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionFalse}}},
			},
			audit.ControllerRecord{Kind: "Job", Owner: &audit.Owner{APIVersion: "batch/v1", Kind: "CronJob", Name: "web", UID: "o-1"}}, true,
		},
		"a CronJob's Job that has finished, whose template is not kept": {
			&batchv1.Job{
				ObjectMeta: metaOf("a", controlledBy("batch/v1", "CronJob", "web")), Spec: batchv1.JobSpec{Template: template()},
				Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}},
			},
			audit.ControllerRecord{Kind: "Job", Owner: &audit.Owner{APIVersion: "batch/v1", Kind: "CronJob", Name: "web", UID: "o-1"}}, false,
		},
		"a Job that no kind it names could control, whose template is kept": {
			&batchv1.Job{ObjectMeta: metaOf("a", controlledBy("apps/v1", "Deployment", "web")), Spec: batchv1.JobSpec{Template: template()}},
			audit.ControllerRecord{Kind: "Job", Owner: &audit.Owner{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "o-1"}}, true,
		},
		"an operator's StatefulSet, whose template is kept": {
			&appsv1.StatefulSet{ObjectMeta: metaOf("a", controlledBy("db.example/v1", "Database", "db")), Spec: appsv1.StatefulSetSpec{Template: template()}},
			audit.ControllerRecord{Kind: "StatefulSet", Owner: &audit.Owner{APIVersion: "db.example/v1", Kind: "Database", Name: "db", UID: "o-1"}}, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInterner()
			got, err := i.controller(tc.object)
			if err != nil {
				t.Fatal(err)
			}
			if hasTemplate := got.Shape != nil; hasTemplate != tc.wantTemplate || (got.Labels != nil) != tc.wantTemplate {
				t.Fatalf("template kept: %v, want %v", hasTemplate, tc.wantTemplate)
			}
			want := tc.want
			want.Object = audit.Object{Namespace: "shop", Name: "a", UID: "u-1", ResourceVersion: "7"}
			want.Created = audit.MomentOf(created.Time)
			want.Active = !strings.Contains(name, "is not kept")
			if tc.wantTemplate {
				if !strings.HasPrefix(name, "a Deployment's") && !strings.HasPrefix(name, "a CronJob's") {
					want.TemplateHash = hash
				}
				if got.Labels.Get("app") != "web" || got.Shape.Pod().Spec.Containers[0].Image != "a:1" {
					t.Errorf("template %v %v", got.Labels, got.Shape.Pod())
				}
			}
			same := *got
			if !got.Equal(&same) || got.Equal(&none) {
				t.Error("a record does not equal itself, or equals nothing")
			}
			rest := *got
			rest.Shape, rest.Labels = nil, nil
			if diff := cmp.Diff(want, rest); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTemplateHashTellsEveryChange(t *testing.T) {
	base := template()
	before := templateHash(&base)
	for name, change := range map[string]func(*corev1.PodTemplateSpec){
		"a label":                    func(p *corev1.PodTemplateSpec) { p.Labels["x"] = "y" },
		"an annotation":              func(p *corev1.PodTemplateSpec) { p.Annotations = map[string]string{"a": "b"} },
		"an image":                   func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Image = "b" },
		"a variable's value":         func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", Value: "b"}} },
		"a field set to its default": func(p *corev1.PodTemplateSpec) { p.Spec.HostUsers = ptr.To(true) },
		"a volume":                   func(p *corev1.PodTemplateSpec) { p.Spec.Volumes = []corev1.Volume{{Name: "v"}} },
		"an annotation that restarts": func(p *corev1.PodTemplateSpec) {
			p.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": "now"}
		},
	} {
		changed := template()
		if change(&changed); templateHash(&changed) == before {
			t.Errorf("%s does not change the hash", name)
		}
	}
	again := template()
	if templateHash(&again) != before || len(before) != 10 {
		t.Errorf("hash %q, then %q", before, templateHash(&again))
	}
}

func TestOtherRecords(t *testing.T) {
	object := audit.Object{Namespace: "shop", Name: "a", UID: "u-1", ResourceVersion: "7"}
	quantity := resource.MustParse
	for name, tc := range map[string]struct {
		convert func(runtime.Object) (any, error)
		object  runtime.Object
		want    any
	}{
		"a namespace": {
			func(o runtime.Object) (any, error) { return namespaceRecord(o) },
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "u-1", ResourceVersion: "7", Labels: map[string]string{"a": "b"}}},
			&audit.NamespaceRecord{Object: audit.Object{Name: "shop", UID: "u-1", ResourceVersion: "7"}, Labels: map[string]string{"a": "b"}},
		},
		"a namespace that is being deleted": {
			func(o runtime.Object) (any, error) { return namespaceRecord(o) },
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", DeletionTimestamp: &created}},
			&audit.NamespaceRecord{Object: audit.Object{Name: "shop"}, Terminating: true},
		},
		"a quota": {
			func(o runtime.Object) (any, error) { return quotaRecord(o) },
			&corev1.ResourceQuota{
				ObjectMeta: metaOf("a"),
				Spec: corev1.ResourceQuotaSpec{
					Hard: corev1.ResourceList{"pods": quantity("10")}, Scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort},
					ScopeSelector: &corev1.ScopeSelector{},
				},
				Status: corev1.ResourceQuotaStatus{Used: corev1.ResourceList{"pods": quantity("9")}},
			},
			&audit.QuotaRecord{
				Object: object, Usage: []audit.QuotaUsage{{Resource: "pods", Hard: "10", Level: 90}},
				Scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}, ScopeSelector: &corev1.ScopeSelector{},
			},
		},
		"a limit range, of which only containers' defaults count": {
			func(o runtime.Object) (any, error) { return limitRangeRecord(o) },
			&corev1.LimitRange{ObjectMeta: metaOf("a"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{
				{Type: corev1.LimitTypeContainer, Default: corev1.ResourceList{"memory": quantity("1"), "cpu": quantity("1")}},
				{Type: corev1.LimitTypeContainer, DefaultRequest: corev1.ResourceList{"storage": quantity("1"), "cpu": quantity("1")}},
				{Type: corev1.LimitTypePod, Default: corev1.ResourceList{"gpu": quantity("1")}, Max: corev1.ResourceList{"gpu": quantity("1")}},
			}}},
			&audit.LimitRangeRecord{
				Object: object, DefaultLimits: []corev1.ResourceName{"cpu", "memory"}, DefaultRequests: []corev1.ResourceName{"cpu", "memory", "storage"},
			},
		},
		"a limit range of bounds, which are defaults too": {
			func(o runtime.Object) (any, error) { return limitRangeRecord(o) },
			&corev1.LimitRange{ObjectMeta: metaOf("a"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{
				{Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{"memory": quantity("1")}, Min: corev1.ResourceList{"cpu": quantity("1")}},
			}}},
			&audit.LimitRangeRecord{Object: object, DefaultLimits: []corev1.ResourceName{"memory"}, DefaultRequests: []corev1.ResourceName{"cpu", "memory"}},
		},
		"a network policy": {
			func(o runtime.Object) (any, error) { return networkPolicyRecord(o) },
			&networkingv1.NetworkPolicy{ObjectMeta: metaOf("a"), Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress"}}},
			audit.NewNetworkPolicyRecord(object, &networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress"}}),
		},
		"a service account": {
			func(o runtime.Object) (any, error) { return serviceAccountRecord(o) },
			&corev1.ServiceAccount{ObjectMeta: metaOf("a")}, &audit.ServiceAccountRecord{Object: object, MountsToken: true},
		},
		"a service account that mounts no token": {
			func(o runtime.Object) (any, error) { return serviceAccountRecord(o) },
			&corev1.ServiceAccount{ObjectMeta: metaOf("a"), AutomountServiceAccountToken: ptr.To(false)}, &audit.ServiceAccountRecord{Object: object},
		},
		"a service": {
			func(o runtime.Object) (any, error) { return serviceRecord(o) },
			&corev1.Service{
				ObjectMeta: metaOf("a"),
				Spec: corev1.ServiceSpec{Type: "LoadBalancer", Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{
					{Port: 80, TargetPort: intstr.FromInt32(8080), NodePort: 30080}, {Port: 443, TargetPort: intstr.FromString("https")},
				}},
				Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "10.0.0.1"}, {IP: "3.120.0.7"}, {IP: "3.120.0.8"}}}},
			},
			&audit.ServiceRecord{Object: object, ServiceFacts: audit.ServiceFacts{
				Type: "LoadBalancer", Selector: audit.NewLabels(map[string]string{"app": "web"}), PublicAddress: "3.120.0.7",
				Ports: []audit.ServicePort{{Protocol: "TCP", Port: 80, TargetPort: 8080}, {Protocol: "TCP", Port: 443, TargetName: "https"}},
			}},
		},
		"an ingress": {
			func(o runtime.Object) (any, error) { return ingressRecord(o) },
			&networkingv1.Ingress{ObjectMeta: metaOf("a"), Spec: networkingv1.IngressSpec{
				DefaultBackend: backend("web"), TLS: []networkingv1.IngressTLS{{}, {Hosts: []string{"x"}}},
				Rules: []networkingv1.IngressRule{{Host: "x"}, {IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
					Paths: []networkingv1.HTTPIngressPath{{Backend: *backend("web")}, {Backend: *backend("api")}, {}},
				}}}},
			}},
			&audit.IngressRecord{Object: object, IngressFacts: audit.IngressFacts{
				Hosts: []string{"x", ""}, DefaultBackend: true, TLSHosts: []string{"", "x"}, Backends: []string{"api", "web"},
			}},
		},
		"a gateway": {
			func(o runtime.Object) (any, error) { return gatewayRecord(o) },
			&gatewayv1.Gateway{ObjectMeta: metaOf("a"), Spec: gatewayv1.GatewaySpec{Listeners: []gatewayv1.Listener{{Name: "x", Protocol: "HTTP", Port: 80}}}},
			&audit.GatewayRecord{Object: object, GatewayFacts: audit.GatewayFacts{Listeners: []audit.GatewayListener{{Name: "x", Protocol: "HTTP", Port: 80}}}},
		},
		"a route": {
			func(o runtime.Object) (any, error) { return httpRouteRecord(o) },
			&gatewayv1.HTTPRoute{ObjectMeta: metaOf("a"), Spec: gatewayv1.HTTPRouteSpec{
				CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{
					{Name: "door", Port: ptr.To(gatewayv1.PortNumber(80))}, {Name: "mesh", Kind: ptr.To(gatewayv1.Kind("Service"))},
					{Name: "far", Namespace: ptr.To(gatewayv1.Namespace("other"))},
				}},
				Hostnames: []gatewayv1.Hostname{"x"},
				Rules: []gatewayv1.HTTPRouteRule{{BackendRefs: []gatewayv1.HTTPBackendRef{
					leadTo("web", "", ""), leadTo("api", "Service", "shop"), leadTo("bucket", "Bucket", ""), leadTo("far", "", "other"),
				}}},
			}},
			&audit.HTTPRouteRecord{Object: object, HTTPRouteFacts: audit.HTTPRouteFacts{
				Hostnames: []string{"x"}, Parents: []audit.RouteParent{{Gateway: "door", Port: 80}}, Elsewhere: true, Backends: []string{"api", "web"},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.convert(tc.object)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOtherRecordsDifferOnlyWhereAudited(t *testing.T) {
	id := func(version string) audit.Object { return audit.Object{UID: "u", ResourceVersion: version} }
	other := audit.Object{UID: "v"}
	policy := func(app string) *audit.NetworkPolicyRecord {
		return audit.NewNetworkPolicyRecord(audit.Object{}, &networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
		})
	}
	usage := func(level audit.QuotaLevel) []audit.QuotaUsage {
		return []audit.QuotaUsage{{Resource: "pods", Level: level}}
	}
	for name, tc := range map[string]struct{ got, want bool }{
		"namespaces, another version": {(&audit.NamespaceRecord{Object: id("1")}).Equal(&audit.NamespaceRecord{Object: id("2")}), true},
		"namespaces, another UID":     {(&audit.NamespaceRecord{Object: id("1")}).Equal(&audit.NamespaceRecord{Object: other}), false},
		"namespaces, terminating":     {(&audit.NamespaceRecord{}).Equal(&audit.NamespaceRecord{Terminating: true}), false},
		"namespaces, labels":          {(&audit.NamespaceRecord{}).Equal(&audit.NamespaceRecord{Labels: map[string]string{"a": ""}}), false},
		"namespaces, no labels":       {(&audit.NamespaceRecord{}).Equal(&audit.NamespaceRecord{Labels: map[string]string{}}), true},
		"quotas, another version":     {(&audit.QuotaRecord{Object: id("1")}).Equal(&audit.QuotaRecord{Object: id("2")}), true},
		"quotas, another UID":         {(&audit.QuotaRecord{Object: id("1")}).Equal(&audit.QuotaRecord{Object: other}), false},
		"quotas, the same level":      {(&audit.QuotaRecord{Usage: usage(1)}).Equal(&audit.QuotaRecord{Usage: usage(1)}), true},
		"quotas, another level":       {(&audit.QuotaRecord{Usage: usage(1)}).Equal(&audit.QuotaRecord{Usage: usage(2)}), false},
		"quotas, another bound": {
			(&audit.QuotaRecord{Usage: []audit.QuotaUsage{{Hard: "1"}}}).Equal(&audit.QuotaRecord{Usage: []audit.QuotaUsage{{Hard: "2"}}}), false,
		},
		"quotas, scopes":             {(&audit.QuotaRecord{}).Equal(&audit.QuotaRecord{Scopes: []corev1.ResourceQuotaScope{"x"}}), false},
		"quotas, scope selector":     {(&audit.QuotaRecord{}).Equal(&audit.QuotaRecord{ScopeSelector: &corev1.ScopeSelector{}}), false},
		"limits, another version":    {(&audit.LimitRangeRecord{Object: id("1")}).Equal(&audit.LimitRangeRecord{Object: id("2")}), true},
		"limits, another UID":        {(&audit.LimitRangeRecord{Object: id("1")}).Equal(&audit.LimitRangeRecord{Object: other}), false},
		"limits, defaults":           {(&audit.LimitRangeRecord{}).Equal(&audit.LimitRangeRecord{DefaultLimits: []corev1.ResourceName{"cpu"}}), false},
		"limits, default requests":   {(&audit.LimitRangeRecord{}).Equal(&audit.LimitRangeRecord{DefaultRequests: []corev1.ResourceName{"cpu"}}), false},
		"policies, another version":  {(&audit.NetworkPolicyRecord{Object: id("1")}).Equal(&audit.NetworkPolicyRecord{Object: id("2")}), true},
		"policies, another UID":      {(&audit.NetworkPolicyRecord{Object: id("1")}).Equal(&audit.NetworkPolicyRecord{Object: other}), false},
		"policies, the same":         {policy("a").Equal(policy("a")), true},
		"policies, another selector": {policy("a").Equal(policy("b")), false},
		"accounts, another version":  {(&audit.ServiceAccountRecord{Object: id("1")}).Equal(&audit.ServiceAccountRecord{Object: id("2")}), true},
		"accounts, another UID":      {(&audit.ServiceAccountRecord{Object: id("1")}).Equal(&audit.ServiceAccountRecord{Object: other}), false},
		"accounts, a token":          {(&audit.ServiceAccountRecord{}).Equal(&audit.ServiceAccountRecord{MountsToken: true}), false},
		"services, another version":  {(&audit.ServiceRecord{Object: id("1")}).Equal(&audit.ServiceRecord{Object: id("2")}), true},
		"services, another UID":      {(&audit.ServiceRecord{Object: id("1")}).Equal(&audit.ServiceRecord{Object: other}), false},
		"services, an address":       {(&audit.ServiceRecord{}).Equal(&audit.ServiceRecord{ServiceFacts: audit.ServiceFacts{PublicAddress: "x"}}), false},
		"ingresses, another version": {(&audit.IngressRecord{Object: id("1")}).Equal(&audit.IngressRecord{Object: id("2")}), true},
		"ingresses, another UID":     {(&audit.IngressRecord{Object: id("1")}).Equal(&audit.IngressRecord{Object: other}), false},
		"ingresses, a host":          {(&audit.IngressRecord{}).Equal(&audit.IngressRecord{IngressFacts: audit.IngressFacts{Hosts: []string{""}}}), false},
		"gateways, another version":  {(&audit.GatewayRecord{Object: id("1")}).Equal(&audit.GatewayRecord{Object: id("2")}), true},
		"gateways, another UID":      {(&audit.GatewayRecord{Object: id("1")}).Equal(&audit.GatewayRecord{Object: other}), false},
		"gateways, a listener":       {(&audit.GatewayRecord{}).Equal(&audit.GatewayRecord{GatewayFacts: audit.GatewayFacts{Listeners: make([]audit.GatewayListener, 1)}}), false},
		"routes, another version":    {(&audit.HTTPRouteRecord{Object: id("1")}).Equal(&audit.HTTPRouteRecord{Object: id("2")}), true},
		"routes, another UID":        {(&audit.HTTPRouteRecord{Object: id("1")}).Equal(&audit.HTTPRouteRecord{Object: other}), false},
		"routes, a host":             {(&audit.HTTPRouteRecord{}).Equal(&audit.HTTPRouteRecord{HTTPRouteFacts: audit.HTTPRouteFacts{Hostnames: []string{""}}}), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: equal %v, want %v", name, tc.got, tc.want)
		}
	}
}

// TestStatic: the same objects make the same records, whether they are watched or read.
func TestStatic(t *testing.T) {
	s := NewStatic()
	for _, o := range []runtime.Object{
		livePod(), &appsv1.Deployment{ObjectMeta: metaOf("web"), Spec: appsv1.DeploymentSpec{Template: template()}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, &corev1.ResourceQuota{ObjectMeta: metaOf("q")},
		&corev1.LimitRange{ObjectMeta: metaOf("l")}, &corev1.ServiceAccount{ObjectMeta: metaOf("s")}, &networkingv1.NetworkPolicy{ObjectMeta: metaOf("n")},
		&corev1.Service{ObjectMeta: metaOf("s")}, &networkingv1.Ingress{ObjectMeta: metaOf("i")}, &gatewayv1.Gateway{ObjectMeta: metaOf("g")},
		&gatewayv1.HTTPRoute{ObjectMeta: metaOf("h")},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "elsewhere", Name: "c"}},
	} {
		if err := s.Add(o); err != nil {
			t.Errorf("%T: %v", o, err)
		}
	}
	if err := s.Add(&corev1.PodList{}); err == nil {
		t.Error("no error for a list")
	}
	var names []string
	for name := range s.Inventories() {
		names = append(names, name)
	}
	if diff := cmp.Diff([]string{"shop"}, names); diff != "" {
		t.Fatalf("namespaces (-want +got):\n%s", diff)
	}
	i := s.Inventories()["shop"]
	counts := []int{len(i.Pods), len(i.Controllers), len(i.Quotas), len(i.LimitRanges), len(i.ServiceAccounts), len(i.NetworkPolicies), len(i.Services), len(i.Ingresses), len(i.Gateways), len(i.HTTPRoutes)}
	if i.Namespace == nil || slices.ContainsFunc(counts, func(n int) bool { return n != 1 }) {
		t.Errorf("inventory %+v", i)
	}
	if i.Pods[0].Shape != i.Controllers[0].Shape || i.Pods[0].Labels != i.Controllers[0].Labels {
		t.Error("a Pod and its equal template have not one shape and one set of labels")
	}
	if !i.Controllers[0].Created.Time().IsZero() {
		t.Error("what is read from a file is given time for its owner to arrive")
	}
}

func backend(service string) *networkingv1.IngressBackend {
	return &networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: service}}
}

func leadTo(name, kind, namespace string) gatewayv1.HTTPBackendRef {
	var r gatewayv1.HTTPBackendRef
	r.Name = gatewayv1.ObjectName(name)
	if kind != "" {
		r.Kind = ptr.To(gatewayv1.Kind(kind))
	}
	if namespace != "" {
		r.Namespace = ptr.To(gatewayv1.Namespace(namespace))
	}
	return r
}
