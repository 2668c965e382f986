// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// What of each kind is kept is decided here and nowhere else. Objects are freshly decoded and given up by the caller, so
// records may share their parts and change them.

func (i *interner) pod(o runtime.Object) (*audit.PodRecord, error) {
	p, ok := o.(*corev1.Pod)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.PodRecord{
		Object:   audit.ObjectFrom(p),
		Owner:    i.ownerOf(p),
		Created:  audit.MomentOf(p.CreationTimestamp.Time),
		Finished: p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed,
		Token:    audit.ProjectsToken(&p.Spec), // a shape does not tell what admission has added
		Mirror:   isMirror(p),
		Labels:   i.labelsOf(p.Labels),
	}
	i.running(r, p)
	r.Shape = i.shapeOf(p.Annotations, &p.Spec) // takes out what is not audited
	return r, nil
}

func isMirror(m metav1.Object) bool {
	_, ok := m.GetAnnotations()[corev1.MirrorPodAnnotationKey]
	return ok
}

func (i *interner) controller(o runtime.Object) (*audit.ControllerRecord, error) {
	kind, template, ok := podTemplate(o)
	if !ok {
		return nil, unexpected(o)
	}
	active := makesPods(o)
	m, err := meta.Accessor(o)
	if err != nil {
		return nil, err
	}
	r := &audit.ControllerRecord{
		Object:  audit.ObjectFrom(m),
		Kind:    kind,
		Owner:   i.ownerOf(m),
		Created: audit.MomentOf(m.GetCreationTimestamp().Time),
		Active:  active,
		Rollout: rolloutOf(o),
	}
	// The ReplicaSets of former revisions can outweigh all Pods.
	folds := audit.Folds(kind, r.Owner)
	if template != nil && (active || i.keepAll || !folds) {
		if !folds {
			r.TemplateHash = templateHash(template)
		}
		r.Labels = i.labelsOf(template.Labels)
		r.Shape = i.shapeOf(template.Annotations, &template.Spec)
	}
	return r, nil
}

// makesPods says whether an object may still make Pods.
func makesPods(o runtime.Object) bool {
	switch c := o.(type) {
	case *appsv1.ReplicaSet:
		return c.Spec.Replicas == nil || *c.Spec.Replicas > 0
	case *batchv1.Job:
		return !slices.ContainsFunc(c.Status.Conditions, func(c batchv1.JobCondition) bool {
			return (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue
		})
	}
	return true
}

// podTemplate returns the kind of an object that makes Pods, and their template, which may be nil.
func podTemplate(o runtime.Object) (kind string, template *corev1.PodTemplateSpec, ok bool) {
	switch c := o.(type) {
	case *appsv1.Deployment:
		return "Deployment", &c.Spec.Template, true
	case *appsv1.ReplicaSet:
		return "ReplicaSet", &c.Spec.Template, true
	case *appsv1.StatefulSet:
		return "StatefulSet", &c.Spec.Template, true
	case *appsv1.DaemonSet:
		return "DaemonSet", &c.Spec.Template, true
	case *batchv1.Job:
		return "Job", &c.Spec.Template, true
	case *batchv1.CronJob:
		return "CronJob", &c.Spec.JobTemplate.Spec.Template, true
	case *corev1.ReplicationController:
		return "ReplicationController", c.Spec.Template, true
	}
	return "", nil, false
}

func namespaceRecord(o runtime.Object) (*audit.NamespaceRecord, error) {
	n, ok := o.(*corev1.Namespace)
	if !ok {
		return nil, unexpected(o)
	}
	return &audit.NamespaceRecord{
		Object: audit.ObjectFrom(n), Labels: n.Labels, Terminating: n.DeletionTimestamp != nil,
	}, nil
}

func (i *interner) node(o runtime.Object) (*audit.NodeRecord, error) {
	n, ok := o.(*corev1.Node)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.NodeRecord{Object: audit.ObjectFrom(n), NodeFacts: audit.NodeFacts{
		Cloud: netpol.CloudOf(n.Spec.ProviderID), CNI: netpol.SeeNode(n.Annotations),
		Platform: platformOf(n), ControlPlane: IsControlPlane(n), Unlisted: unlisted(n.Status.Images),
	}, NodeDetails: nodeDetails(n), Images: i.imagesOf(n.Status.Images)}
	for _, cidr := range append(n.Spec.PodCIDRs, n.Spec.PodCIDR) {
		prefix, err := netip.ParsePrefix(cidr)
		r.IPv6 = r.IPv6 || err == nil && prefix.Addr().Is6()
	}
	for _, a := range n.Status.Addresses { // where the cloud hands out the addresses of Pods
		ip, err := netip.ParseAddr(a.Address)
		r.IPv6 = r.IPv6 || a.Type == corev1.NodeInternalIP && err == nil && ip.Is6()
	}
	return r, nil
}

func quotaRecord(o runtime.Object) (*audit.QuotaRecord, error) {
	q, ok := o.(*corev1.ResourceQuota)
	if !ok {
		return nil, unexpected(o)
	}
	return &audit.QuotaRecord{
		Object: audit.ObjectFrom(q), Usage: audit.QuotaUsages(q), Scopes: q.Spec.Scopes, ScopeSelector: q.Spec.ScopeSelector,
	}, nil
}

func limitRangeRecord(o runtime.Object) (*audit.LimitRangeRecord, error) {
	l, ok := o.(*corev1.LimitRange)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.LimitRangeRecord{Object: audit.ObjectFrom(l)}
	for _, item := range l.Spec.Limits {
		if item.Type != corev1.LimitTypeContainer {
			continue
		}
		// As the API server defaults it: a maximum is a default limit, and that or a minimum a default request.
		for _, values := range []corev1.ResourceList{item.Default, item.Max} {
			r.DefaultLimits = slices.AppendSeq(r.DefaultLimits, maps.Keys(values))
		}
		for _, values := range []corev1.ResourceList{item.DefaultRequest, item.Default, item.Max, item.Min} {
			r.DefaultRequests = slices.AppendSeq(r.DefaultRequests, maps.Keys(values))
		}
	}
	for _, names := range []*[]corev1.ResourceName{&r.DefaultLimits, &r.DefaultRequests} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	return r, nil
}

func serviceAccountRecord(o runtime.Object) (*audit.ServiceAccountRecord, error) {
	a, ok := o.(*corev1.ServiceAccount)
	if !ok {
		return nil, unexpected(o)
	}
	mounts := a.AutomountServiceAccountToken
	return &audit.ServiceAccountRecord{Object: audit.ObjectFrom(a), MountsToken: mounts == nil || *mounts, TokenSecrets: TokenSecretsOf(a)}, nil
}

// TokenSecretsOf returns the Secrets that a ServiceAccount is known to have a token in, sorted: those that the controller manager
// has named. Others that it lists need not be tokens.
func TokenSecretsOf(a *corev1.ServiceAccount) []string {
	var names []string
	for _, s := range a.Secrets {
		if strings.HasPrefix(s.Name, a.Name+"-token-") {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names
}

func networkPolicyRecord(o runtime.Object) (*audit.NetworkPolicyRecord, error) {
	p, ok := o.(*networkingv1.NetworkPolicy)
	if !ok {
		return nil, unexpected(o)
	}
	return audit.NewNetworkPolicyRecord(audit.ObjectFrom(p), &p.Spec), nil
}

func unexpected(o runtime.Object) error {
	return fmt.Errorf("unexpected object %T", o)
}
