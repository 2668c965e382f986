// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Object identifies a stored object.
type Object struct {
	Namespace       string
	Name            string
	UID             UID
	ResourceVersion string
}

// Identity returns the object itself. Records embed Object and so have it.
func (o *Object) Identity() *Object { return o }

// GetObjectMeta makes every record usable with client-go's stores, which know objects by their metadata.
func (o *Object) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, UID: o.UID.Text(), ResourceVersion: o.ResourceVersion}
}

// ObjectFrom identifies an object of the API.
func ObjectFrom(m metav1.Object) Object {
	return Object{Namespace: m.GetNamespace(), Name: m.GetName(), UID: UIDOf(m.GetUID()), ResourceVersion: m.GetResourceVersion()}
}

// Owner is the controller that an object names in its owner references. Anyone who may create the object can write
// anything there.
type Owner struct {
	APIVersion string
	Kind       string
	Name       string
	UID        UID
}

// OwnerFrom returns the controller that an object names, or nil.
func OwnerFrom(m metav1.Object) *Owner {
	c := metav1.GetControllerOfNoCopy(m)
	if c == nil {
		return nil
	}
	o := &Owner{APIVersion: c.APIVersion, Kind: c.Kind, Name: c.Name, UID: UIDOf(c.UID)}
	// One copy of what most owners are called is enough.
	if gk := (Subject{APIVersion: o.APIVersion, Kind: o.Kind}).groupKind(); workloadKinds[gk].version == o.APIVersion {
		o.APIVersion, o.Kind = workloadKinds[gk].version, workloadKinds[gk].kind
	}
	if strings.HasPrefix(m.GetName(), o.Name) {
		o.Name = m.GetName()[:len(o.Name)]
	}
	return o
}

// isNode says whether the owner is a Node. Anybody may write that.
func (o *Owner) isNode() bool { return o != nil && o.APIVersion == "v1" && o.Kind == "Node" }

func (o *Owner) equal(p *Owner) bool {
	return o == p || o != nil && p != nil && *o == *p
}

// Moment is a time as the API has it, in seconds of Unix time, until the year 2106. It takes a sixth of the memory of a
// time.Time.
type Moment uint32

// MomentOf returns the moment of a time. What is not set is 0.
func MomentOf(t time.Time) Moment { return Moment(max(0, t.Unix())) } //nolint:gosec // G115: until 2106

// Time returns the moment as a time.
func (m Moment) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.Unix(int64(m), 0).UTC()
}

// PodRecord is what is kept of a live Pod.
type PodRecord struct {
	Object
	// Owner is shared with other Pods of the same owner, and nil if there is none.
	Owner   *Owner
	Created Moment
	// Reowned says that it once named another controller, or one that it names no more. What controllers make keeps its own.
	Reowned  bool
	Finished bool
	// Token says that it projects a token for the API server, be it that admission has added it.
	Token bool
	// Mirror says that it has the annotation of a Pod that mirrors a static one. Nobody can add it later, and no kubelet runs what
	// the API server has of such a Pod: it runs the Pods of its own files, and deletes mirrors of any others.
	Mirror bool
	// Labels of the Pod, shared with other Pods of the same labels.
	Labels *Labels
	Shape  *Shape
	// Node is the name of the node that the Pod is or was on; the zero value before it is scheduled.
	Node unique.Handle[string]
	// Running are facts about its containers, shared with other Pods of the same facts; nil if there are none.
	Running *Labels
}

// NodeName returns the name of the node that the Pod is on, or "".
func (p *PodRecord) NodeName() string {
	if p.Node == (unique.Handle[string]{}) {
		return ""
	}
	return p.Node.Value()
}

// Images returns the keys of the images of the Pod's containers: what they ask for, and what they run if that is known apart.
func (p *PodRecord) Images() iter.Seq[ImageKey] { return imagesOf(p.Shape, p.Running) }

func imagesOf(shape *Shape, facts *Labels) iter.Seq[ImageKey] {
	return func(yield func(ImageKey) bool) {
		for key := range shape.Images() {
			if !yield(key) {
				return
			}
		}
		for fact, digest := range facts.All() {
			if strings.HasSuffix(fact, FactDigest) && !yield(keyFrom(digest)) {
				return
			}
		}
	}
}

// Static says whether the Pod mirrors a static one. That a node owns it does not tell: such a reference makes no difference to
// kubelets, and so must not make any to what is found.
func (p *PodRecord) Static() bool { return p.Mirror && p.Owner.isNode() }

// Inherit takes over from the record before, of the same object, what the object does not tell.
func (p *PodRecord) Inherit(before *PodRecord) {
	p.Reowned = reowned(before.Reowned, before.Owner, p.Owner)
}

func reowned(before bool, from, to *Owner) bool { return before || from != nil && !from.equal(to) }

// Equal says whether nothing that is audited differs.
func (p *PodRecord) Equal(q *PodRecord) bool {
	return p.UID == q.UID && p.Owner.equal(q.Owner) && p.Finished == q.Finished && p.Token == q.Token && p.Mirror == q.Mirror && p.Labels == q.Labels && p.Shape == q.Shape &&
		p.Node == q.Node && p.Running == q.Running
}

// ControllerRecord is what is kept of an object that makes Pods: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job,
// CronJob, ReplicationController.
type ControllerRecord struct {
	Object
	Kind string
	// Owner is nil if there is none.
	Owner   *Owner
	Created Moment
	// Reowned says that it once named another controller, or one that it names no more.
	Reowned bool
	// Labels of the Pod template.
	Labels *Labels
	// Shape of the Pod template. It is nil of what another controller owns, if it is not Active: what it would make is no
	// longer made.
	Shape *Shape
	// Active says whether it may still make Pods: it wants replicas, or has not finished.
	Active  bool
	Rollout Rollout
	// TemplateHash changes whenever the Pod template does. It is empty of what another controller owns: that one's template
	// is the subject's.
	TemplateHash string
}

// Inherit takes over from the record before, of the same object, what the object does not tell.
func (c *ControllerRecord) Inherit(before *ControllerRecord) {
	c.Reowned = reowned(before.Reowned, before.Owner, c.Owner)
}

// Equal says whether nothing that is audited differs.
func (c *ControllerRecord) Equal(d *ControllerRecord) bool {
	return c.UID == d.UID && c.Owner.equal(d.Owner) && c.Labels == d.Labels && c.Shape == d.Shape && c.Active == d.Active &&
		c.Rollout == d.Rollout && c.TemplateHash == d.TemplateHash
}

// NamespaceRecord is what is kept of a Namespace.
type NamespaceRecord struct {
	Object
	Labels      map[string]string
	Terminating bool
}

// GetLabels returns the labels; of a namespace that has not been seen none are known.
func (n *NamespaceRecord) GetLabels() map[string]string {
	if n == nil {
		return nil
	}
	return n.Labels
}

// Equal says whether nothing that is audited differs.
func (n *NamespaceRecord) Equal(o *NamespaceRecord) bool {
	return n.UID == o.UID && n.Terminating == o.Terminating && maps.Equal(n.Labels, o.Labels)
}

// QuotaRecord is what is kept of a ResourceQuota.
type QuotaRecord struct {
	Object
	// Usage of every bounded resource, sorted by name.
	Usage []QuotaUsage
	// Scopes and ScopeSelector narrow down which Pods the quota counts.
	Scopes        []corev1.ResourceQuotaScope
	ScopeSelector *corev1.ScopeSelector
}

// Equal says whether nothing that is audited differs.
func (q *QuotaRecord) Equal(r *QuotaRecord) bool {
	return q.UID == r.UID && slices.Equal(q.Usage, r.Usage) && slices.Equal(q.Scopes, r.Scopes) &&
		equality.Semantic.DeepEqual(q.ScopeSelector, r.ScopeSelector)
}

// NetworkPolicyRecord is what is kept of a NetworkPolicy. Its spec is kept encoded, which takes a fourth of the memory.
type NetworkPolicyRecord struct {
	Object
	encoded string
}

// NewNetworkPolicyRecord returns the record of a NetworkPolicy.
func NewNetworkPolicyRecord(o Object, spec *networkingv1.NetworkPolicySpec) *NetworkPolicyRecord {
	encoded, _ := spec.Marshal() // generated code that writes into memory: it has no error to return
	return &NetworkPolicyRecord{Object: o, encoded: string(encoded)}
}

// Spec returns the spec, decoded anew each time.
func (n *NetworkPolicyRecord) Spec() *networkingv1.NetworkPolicySpec {
	var spec networkingv1.NetworkPolicySpec
	_ = spec.Unmarshal([]byte(n.encoded)) // what NewNetworkPolicyRecord wrote
	return &spec
}

// Equal says whether nothing that is audited differs.
func (n *NetworkPolicyRecord) Equal(o *NetworkPolicyRecord) bool {
	return n.UID == o.UID && n.encoded == o.encoded
}

// ClusterPolicyRecord is what is kept of a ClusterNetworkPolicy.
type ClusterPolicyRecord struct {
	Object
	// Generation changes with the policy's spec, and not with its status.
	Generation int64
	// Policy is compiled; nil if it has no effect whatever there is.
	Policy *netpol.ClusterPolicy
	// Problems are what is wrong with it, in the order of its fields.
	Problems []netpol.Problem
}

// Astray says whether the policy selects nobody, whatever there is, because its tier or subject is not valid.
func (c *ClusterPolicyRecord) Astray() bool {
	return slices.ContainsFunc(c.Problems, func(p netpol.Problem) bool {
		return p.Path == "spec.tier" || strings.HasPrefix(p.Path, "spec.subject")
	})
}

// Equal says whether nothing that is audited differs.
func (c *ClusterPolicyRecord) Equal(d *ClusterPolicyRecord) bool {
	return c.UID == d.UID && c.Generation == d.Generation
}

// Concerns says whether the policy may select Pods of a namespace with those labels, or may have been meant to.
func (c *ClusterPolicyRecord) Concerns(namespace string, labels map[string]string) bool {
	return c.Astray() || c.Policy.SelectsIn(namespace, labels)
}

// LimitRangeRecord is what is kept of a LimitRange: for which resources it gives containers that say nothing a default.
type LimitRangeRecord struct {
	Object
	// DefaultRequests and DefaultLimits are sorted.
	DefaultRequests, DefaultLimits []corev1.ResourceName
}

// Equal says whether nothing that is audited differs.
func (l *LimitRangeRecord) Equal(m *LimitRangeRecord) bool {
	return l.UID == m.UID && slices.Equal(l.DefaultRequests, m.DefaultRequests) && slices.Equal(l.DefaultLimits, m.DefaultLimits)
}

// ServiceAccountRecord is what is kept of a ServiceAccount.
type ServiceAccountRecord struct {
	Object
	// MountsToken is automountServiceAccountToken, true if that is unset.
	MountsToken bool
	// TokenSecrets are the Secrets that it is known to have a token in, sorted.
	TokenSecrets []string
}

// Equal says whether nothing that is audited differs.
func (s *ServiceAccountRecord) Equal(t *ServiceAccountRecord) bool {
	return s.UID == t.UID && s.MountsToken == t.MountsToken && slices.Equal(s.TokenSecrets, t.TokenSecrets)
}
