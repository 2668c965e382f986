// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// Settings are what the owners of a cluster can set of how a namespace is judged. They are not changed once a Set has them.
type Settings struct {
	// Excluded leaves the namespace out: nothing in it is judged.
	Excluded bool
	// SystemNamespaces are part of the platform.
	SystemNamespaces map[string]bool
	// AllowedRepositories are where images may come from; nil: from anywhere.
	AllowedRepositories []Repository
	// RequireDigests says that every image must be named by its digest.
	RequireDigests bool
	// MaxImageSize is the size in bytes from which an image is too large.
	MaxImageSize int64
	// MaxPackages is the number of packages up to which an image is allowed.
	MaxPackages int
	// MaxImageAge is how long ago an image may have been built, MaxScanAge of how long ago the database may be that it was matched
	// against.
	MaxImageAge, MaxScanAge time.Duration
	// IgnoredVulnerabilities do not count.
	IgnoredVulnerabilities []IgnoredVulnerability
	// RequiredSignatures select images that must be signed.
	RequiredSignatures []RequiredSignature
	// Sensitive are the labels of the Pods of sensitive workloads.
	Sensitive labels.Selector
	// AllSensitive says that all workloads of the namespace are.
	AllSensitive bool
	// SandboxRuntimeClasses are the RuntimeClasses that sandbox.
	SandboxRuntimeClasses map[string]bool
	// DedicatedNodeKeys are the keys of labels and taints of dedicated nodes; none: any key may be one.
	DedicatedNodeKeys map[string]bool
	// QuotaResources are what quotas must bound for all Pods.
	QuotaResources []corev1.ResourceName
	// QuotaNearlyExhausted is the percentage of a bound from which it is nearly exhausted.
	QuotaNearlyExhausted int
	// MaxAdmins is how many subjects may be bound to everything in the cluster; 0: any number.
	MaxAdmins int
	// Exceptions are the limits of exceptions.
	Exceptions ExceptionLimits
}

// Repository is a registry, or a folder or repository in it.
type Repository struct {
	Registry, Folder string
}

// Holds says whether an image comes from there. Paths are compared by segments.
func (r Repository) Holds(image *Reference) bool {
	return image.Registry == r.Registry && (image.Repository == r.Folder || image.In(r.Folder))
}

// RepositoryOf reads a registry, or a registry and a folder: the part before the first slash is the registry.
func RepositoryOf(text string) Repository {
	registry, folder, _ := strings.Cut(text, "/")
	if registry == "index.docker.io" {
		registry = "docker.io"
	}
	return Repository{Registry: registry, Folder: folder}
}

// ExceptionLimits say which exceptions hold in a namespace.
type ExceptionLimits struct {
	// Namespaced says whether any SecurityException does.
	Namespaced bool
	// MaxAge is how long a SecurityException may hold from its creation; 0 is without bound.
	MaxAge time.Duration
	// Severities of findings that a SecurityException may exempt.
	Severities map[v1alpha1.Severity]bool
	// ClusterUnlimited says whether ClusterSecurityExceptions may hold for ever.
	ClusterUnlimited bool
}

// DefaultSettings returns what holds where nobody has set anything.
func DefaultSettings() Settings {
	return Settings{
		SystemNamespaces:      setOf("kube-system", "kube-public", "kube-node-lease"),
		MaxImageSize:          1 << 30,
		MaxPackages:           500,
		MaxImageAge:           180 * 24 * time.Hour,
		MaxScanAge:            7 * 24 * time.Hour,
		SandboxRuntimeClasses: setOf("gvisor", "kata", "kata-clh", "kata-fc", "kata-qemu"),
		QuotaResources: []corev1.ResourceName{
			corev1.ResourcePods, corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory,
		},
		QuotaNearlyExhausted: 90,
		Exceptions: ExceptionLimits{
			Namespaced: true, MaxAge: 90 * 24 * time.Hour, Severities: setOf(v1alpha1.SeverityMedium, v1alpha1.SeverityLow),
		},
	}
}

func setOf[T comparable](members ...T) map[T]bool {
	set := make(map[T]bool, len(members))
	for _, m := range members {
		set[m] = true
	}
	return set
}

// TellSensitive says whether any workload may be sensitive.
func (s *Settings) TellSensitive() bool { return s.AllSensitive || s.Sensitive != nil }

// IsSensitive says whether a workload is: by its namespace, or by the labels of any of its Pods.
func (s *Settings) IsSensitive(w *Workload) bool {
	if s.AllSensitive || s.Sensitive == nil {
		return s.AllSensitive
	}
	for labels := range w.podLabels() {
		if s.Sensitive.Matches(labels) {
			return true
		}
	}
	return false
}
