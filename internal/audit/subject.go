// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Subject is the object that a report is about.
type Subject struct {
	APIVersion string
	Kind       string
	Name       string
	// UID is set only where the audit has seen the object itself; elsewhere the subject is known from owner references,
	// which anyone can write.
	UID UID
}

// Kinds of subjects that make Pods and that the audit reads itself, by group and kind: the version and the prefix of
// paths in their Pod templates.
var workloadKinds = map[schema.GroupKind]struct {
	version    string
	kind       string
	pathPrefix string
}{
	{Group: "", Kind: "Pod"}:                   {"v1", "Pod", ""},
	{Group: "", Kind: "ReplicationController"}: {"v1", "ReplicationController", "spec.template."},
	{Group: "apps", Kind: "Deployment"}:        {"apps/v1", "Deployment", "spec.template."},
	{Group: "apps", Kind: "ReplicaSet"}:        {"apps/v1", "ReplicaSet", "spec.template."},
	{Group: "apps", Kind: "StatefulSet"}:       {"apps/v1", "StatefulSet", "spec.template."},
	{Group: "apps", Kind: "DaemonSet"}:         {"apps/v1", "DaemonSet", "spec.template."},
	{Group: "batch", Kind: "Job"}:              {"batch/v1", "Job", "spec.template."},
	{Group: "batch", Kind: "CronJob"}:          {"batch/v1", "CronJob", "spec.jobTemplate.spec.template."},
}

// ResourceOfSubject returns the resource that subjects with that kind label are seen in. Others are seen by their Pods.
func ResourceOfSubject(kindLabel string) Resource {
	if r, ok := kindResources[kindLabel]; ok {
		return r
	}
	switch kindLabel {
	case KindNamespace:
		return Namespaces
	case KindNode:
		return Nodes
	case KindClusterRole:
		return ClusterRoles
	case KindClusterRoleBinding:
		return ClusterRoleBindings
	}
	return Pods
}

// Kinds of subjects outside workloadKinds, as label values. Cluster, ControlPlane and Admission are kinds of ours: nothing in
// the API stands for them.
const (
	KindNamespace    = "Namespace"
	KindNode         = "Node"
	KindCluster      = "Cluster"
	KindControlPlane = "ControlPlane"
	KindAdmission    = "Admission"
	KindOther        = "Other"

	KindClusterRole        = rbac.KindClusterRole
	KindClusterRoleBinding = rbac.KindClusterRoleBinding
)

// Sort is a sort of subjects: those that the same checks judge.
type Sort int

// The sorts of subjects.
const (
	SortWorkload Sort = iota
	SortNamespace
	SortNode
	SortControlPlane
	SortAdmission
	SortClusterRole
	SortClusterRoleBinding
	// Sorts is how many there are.
	Sorts
)

// SortOf returns the sort of subjects with that kind label.
func SortOf(kindLabel string) Sort {
	switch kindLabel {
	case KindNamespace:
		return SortNamespace
	case KindNode:
		return SortNode
	case KindControlPlane:
		return SortControlPlane
	case KindAdmission:
		return SortAdmission
	case KindClusterRole:
		return SortClusterRole
	case KindClusterRoleBinding:
		return SortClusterRoleBinding
	}
	return SortWorkload
}

func (s Subject) groupKind() schema.GroupKind {
	group, _, found := strings.Cut(s.APIVersion, "/")
	if !found {
		group = "" // "v1"
	}
	return schema.GroupKind{Group: group, Kind: s.Kind}
}

// KindLabel returns the kind as a value from a closed set: one of the eight kinds that make Pods, Namespace, Node, ClusterRole,
// ClusterRoleBinding, Cluster, ControlPlane, Admission, or Other.
func (s Subject) KindLabel() string {
	gk := s.groupKind()
	if _, ok := workloadKinds[gk]; ok || reportedKinds[gk] {
		return s.Kind
	}
	return KindOther
}

// reportedKinds are the kinds outside workloadKinds that have reports.
var reportedKinds = map[schema.GroupKind]bool{
	{Kind: KindNamespace}: true, {Kind: KindNode}: true, {Group: v1alpha1.GroupVersion.Group, Kind: KindCluster}: true,
	{Group: v1alpha1.GroupVersion.Group, Kind: KindControlPlane}: true, {Group: v1alpha1.GroupVersion.Group, Kind: KindAdmission}: true,
	{Group: rbacv1.GroupName, Kind: KindClusterRole}: true, {Group: rbacv1.GroupName, Kind: KindClusterRoleBinding}: true,
}

func (s Subject) pathPrefix() string { return workloadKinds[s.groupKind()].pathPrefix }

var (
	plainKind = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)
	plainName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	oddRunes  = regexp.MustCompile(`[^a-z0-9]+`)
)

// ReportName returns the name of the subject's report, a valid object name: <kind>-<name> for kinds that the audit reads,
// <kind>.<group>-<name> for others. What does not fit an object's name is cut, and a hash of the whole makes up for it.
//
// Nobody can choose names so that two subjects, one of which the audit reads itself, share a report: the one form has a
// dot before its first dash, the other has none.
func (s Subject) ReportName() string {
	gk := s.groupKind()
	kind := strings.ToLower(gk.Kind)
	if s.KindLabel() == KindOther {
		group := gk.Group
		if group == "" {
			group = "core"
		}
		if !plainKind.MatchString(gk.Kind) || !plainName.MatchString(group) {
			kind = strings.ReplaceAll(squash(kind), "-", "")
			return hashed(kind+"."+squash(group)+"-"+squash(s.Name), s)
		}
		kind += "." + group
	}
	name := kind + "-" + s.Name
	switch {
	case !plainName.MatchString(name):
		return hashed(kind+"-"+squash(s.Name), s)
	case len(name) >= v1alpha1.MaxName:
		return hashed(name, s) // at full length it could be somebody's copy of one that was cut
	}
	return name
}

// squash makes any text part of a valid object name.
func squash(text string) string {
	text = strings.Trim(oddRunes.ReplaceAllString(strings.ToLower(text), "-"), "-")
	if text == "" {
		return "x"
	}
	return text
}

// hashed cuts a name so that a hash of the whole subject fits behind it.
func hashed(name string, s Subject) string {
	const hashLen = 10
	sum := sha256.Sum256([]byte(s.groupKind().Group + "\x00" + s.Kind + "\x00" + s.Name))
	if limit := v1alpha1.MaxName - hashLen - 1; len(name) > limit {
		name = name[:limit]
	}
	end := strings.TrimRight(name, "-.")
	return end + strings.Repeat("x", len(name)-len(end)) + "-" + hex.EncodeToString(sum[:])[:hashLen]
}
