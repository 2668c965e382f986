// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImageSettings say what images may be. Names of images in them are complete and without a tag, such as
// docker.io/library/nginx; in patterns "*" stands for any number of characters.
type ImageSettings struct {
	// Registries, or folders or repositories in them, that images may come from, such as registry.example.com or
	// registry.example.com/shop. They are compared by path segments, so the latter does not allow
	// registry.example.com/shop-old. Once any are set, image-registry-not-allowed judges every image, and
	// image-public-registry none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:Pattern=`^[a-zA-Z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`
	// +kubebuilder:validation:items:MaxLength=255
	AllowedRepositories []string `json:"allowedRepositories,omitempty"`

	// Whether every image must be named by its digest: findings of image-not-pinned are High then.
	// +optional
	RequireDigests bool `json:"requireDigests,omitempty"`

	// Size from which an image is found by image-too-large. Default: 1Gi.
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isGreaterThan(quantity('0'))",message="must be greater than 0, such as 1Gi"
	MaxSize *resource.Quantity `json:"maxSize,omitempty"`

	// Number of packages up to which image-too-many-packages allows an image. Default: 500.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxPackages *int32 `json:"maxPackages,omitempty"`

	// Days after it was built until which image-outdated allows an image. Default: 180.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3650
	MaxAgeDays *int32 `json:"maxAgeDays,omitempty"`

	// Days after the newest change in the vulnerability database that images are judged by, until which image-scan-stale allows
	// them. Default: 7.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=365
	MaxScanAgeDays *int32 `json:"maxScanAgeDays,omitempty"`

	// Vulnerabilities that do not count: image-vulnerabilities judges without them, and says how many they are.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=512
	IgnoredVulnerabilities []IgnoredVulnerability `json:"ignoredVulnerabilities,omitempty"`

	// Repositories whose images are scanned besides those that workloads run, such as what is deployed next.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	ScannedRepositories []ScannedRepository `json:"scannedRepositories,omitempty"`

	// Signatures that images must have. Of several entries that select an image, the last holds; an image that none selects
	// needs no signature. Once any are set, image-signature runs.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	RequiredSignatures []RequiredSignature `json:"requiredSignatures,omitempty"`
}

// VulnerabilityStatus says why a vulnerability does not count, in the words of VEX where it has one.
//
// +kubebuilder:validation:Enum=NotAffected;Fixed;Accepted
type VulnerabilityStatus string

// The statuses of vulnerabilities that do not count.
const (
	// VulnerabilityNotAffected (VEX: not_affected): what is vulnerable is not there, or cannot be reached.
	VulnerabilityNotAffected VulnerabilityStatus = "NotAffected"
	// VulnerabilityFixed (VEX: fixed): it is mended in a way that versions do not show.
	VulnerabilityFixed VulnerabilityStatus = "Fixed"
	// VulnerabilityAccepted: it is there, and somebody answers for it.
	VulnerabilityAccepted VulnerabilityStatus = "Accepted"
)

// IgnoredVulnerability is a vulnerability that does not count.
type IgnoredVulnerability struct {
	// Its name: a CVE, or any other that it is known by, such as GHSA-ppp9-7jff-5vj2.
	// +required
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9:._-]*$`
	// +kubebuilder:validation:MaxLength=63
	ID string `json:"id"`

	// Why it does not count.
	// +required
	Status VulnerabilityStatus `json:"status"`

	// Why that is right.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`\S`
	Reason string `json:"reason"`

	// Patterns of names of packages in which it does not count. Absent: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Packages []string `json:"packages,omitempty"`

	// Patterns of images in which it does not count, such as registry.example.com/shop/*. Absent: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Pattern=`^[a-zA-Z0-9*][a-zA-Z0-9.:/_*-]*$`
	// +kubebuilder:validation:items:MaxLength=255
	Images []string `json:"images,omitempty"`

	// When it counts again, such as 2027-01-31T00:00:00Z. Absent: never.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[12]\d{3}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`
}

// ScannedRepository is a repository whose images are scanned although no workload may run them.
type ScannedRepository struct {
	// The repository with its registry, such as registry.example.com/shop/cart.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$`
	// +kubebuilder:validation:MaxLength=255
	Name string `json:"name"`

	// Patterns of tags that are scanned. Default: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Pattern=`^[a-zA-Z0-9_*][a-zA-Z0-9._*-]*$`
	// +kubebuilder:validation:items:MaxLength=128
	Tags []string `json:"tags,omitempty"`

	// How many of those tags are scanned: versions first, the newest of them first, then the others by name. Default: 3.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	MaxTags *int32 `json:"maxTags,omitempty"`
}

// RequiredSignature says which images must be signed, and by whom: any one of the keys and identities.
//
// +kubebuilder:validation:XValidation:rule="has(self.keys) || has(self.identities)",message="set keys, identities, or both: nobody could sign what has neither"
type RequiredSignature struct {
	// Patterns of images that must be signed, such as registry.example.com/*.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Pattern=`^[a-zA-Z0-9*][a-zA-Z0-9.:/_*-]*$`
	// +kubebuilder:validation:items:MaxLength=255
	Images []string `json:"images"`

	// Keys that sign.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Keys []SignatureKey `json:"keys,omitempty"`

	// Identities that sign without a key of their own, by a certificate of Fulcio.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Identities []SignatureIdentity `json:"identities,omitempty"`
}

// SignatureKey is a key that signs images.
type SignatureKey struct {
	// Name of the key, by which reports call it.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// The public key (ECDSA, Ed25519 or RSA), PEM-encoded, as "cosign public-key" prints it.
	// +required
	// +kubebuilder:validation:Pattern=`^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+\n-----END PUBLIC KEY-----\n*$`
	// +kubebuilder:validation:MaxLength=4096
	PublicKey string `json:"publicKey"`
}

// SignatureIdentity is who signs images, as certificates say it.
type SignatureIdentity struct {
	// Who vouches for the subject, exactly as it is in the certificate, such as https://token.actions.githubusercontent.com.
	// +required
	// +kubebuilder:validation:Pattern=`^https://[^\s*]+$`
	// +kubebuilder:validation:MaxLength=512
	Issuer string `json:"issuer"`

	// Pattern of the subject, such as https://github.com/example/shop/.github/workflows/release.yaml@refs/tags/*.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`[^*]`
	Subject string `json:"subject"`
}
