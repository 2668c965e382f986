// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ImageReport is what is known of one image: what is in it, and which of that is known to be vulnerable. It is named by the digest
// of the image's platform manifest, also where Pods name an index of several platforms. Many workloads share one.
//
// There is one for each version of Kubernetes that the cluster runs, too, named by it: see KubernetesReportName. Its image has only a name, that
// of the module, such as k8s.io/kubernetes@v1.37.2.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=imgrep,categories=kubersafe
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.image.name`,description="Name under which the image was seen"
// +kubebuilder:printcolumn:name="Critical",type=integer,JSONPath=`.summary.all.critical`,description="Critical vulnerabilities"
// +kubebuilder:printcolumn:name="High",type=integer,JSONPath=`.summary.all.high`,description="High vulnerabilities"
// +kubebuilder:printcolumn:name="Fixable",type=integer,JSONPath=`.summary.fixable.total`,description="Vulnerabilities that a newer version of the package mends"
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.state`,description="Pending, Scanned, Failed, Unsupported or Stale"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.reason`,priority=1,description="Why it is not Scanned"
// +kubebuilder:printcolumn:name="Platform",type=string,JSONPath=`.image.platform`,priority=1,description="Operating system and architecture"
// +kubebuilder:printcolumn:name="Packages",type=integer,JSONPath=`.image.packageCount`,priority=1,description="Packages in the image"
// +kubebuilder:printcolumn:name="OS",type=string,JSONPath=`.image.distribution.name`,priority=1,description="Distribution that the image is built on"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ImageReport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// The image.
	// +required
	Image Image `json:"image"`

	// What has become of scanning it. Only Scanned means that everything in it has been looked at.
	// +required
	State ImageState `json:"state"`

	// Why it is not Scanned, in one word.
	// +optional
	Reason ImageReason `json:"reason,omitempty"`

	// Why it is not Scanned, in a sentence.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// Numbers of known vulnerabilities. Absent as long as nothing could be looked at: absent is not zero.
	// +optional
	Summary *ImageSummary `json:"summary,omitempty"`

	// The worst vulnerabilities: by severity, those that can be fixed first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Vulnerabilities []Vulnerability `json:"vulnerabilities,omitempty"`

	// Number of vulnerabilities that the list leaves out because the report would be too large; the least severe ones.
	// +required
	OmittedVulnerabilities int32 `json:"omittedVulnerabilities"`

	// Ecosystems of packages that could not be matched, because the database does not cover them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=253
	UnmatchedEcosystems []string `json:"unmatchedEcosystems,omitempty"`

	// Database that this result is from. A newer one that leads to the same result is written here once a day, so that it is
	// seen that somebody still looks.
	// +optional
	Database *VulnerabilityDatabase `json:"database,omitempty"`

	// Whether the image is signed as the AuditConfiguration demands. Absent while it demands nothing, or nobody has looked.
	// +optional
	Signature *ImageSignature `json:"signature,omitempty"`

	// Names under which Pods, templates and the AuditConfiguration know the image, sorted.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	References []ImageReference `json:"references,omitempty"`
}

// Image is what an image says of itself, and what is in it.
type Image struct {
	// Name under which the image was seen, such as docker.io/library/nginx:1.29: the first of the references.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name"`

	// Digest of the manifest of this platform. Absent while the registry has not told it; the report is then named by the image's
	// name: see ImageReportName.
	// +optional
	// +kubebuilder:validation:MaxLength=135
	// +kubebuilder:validation:Pattern=`^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$`
	Digest string `json:"digest,omitempty"`

	// Digests of the indexes that lead to it, sorted. Container runtimes may name an image by any of these, too.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=135
	IndexDigests []string `json:"indexDigests,omitempty"`

	// Digest of the configuration, by which some container runtimes name an image.
	// +optional
	// +kubebuilder:validation:MaxLength=135
	ConfigDigest string `json:"configDigest,omitempty"`

	// Operating system, architecture and variant, such as linux/arm64/v8.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Platform string `json:"platform,omitempty"`

	// Size of the compressed layers in bytes.
	// +optional
	// +kubebuilder:validation:Minimum=0
	SizeBytes int64 `json:"sizeBytes,omitempty"`

	// Time at which the image says it was built; absent where it says none, or the epoch, as reproducible builds do.
	// +optional
	Created *metav1.Time `json:"created,omitempty"`

	// User that containers run as unless the Pod says otherwise, as the image has it: a name or a number, and perhaps a group
	// behind a colon. Where platform is set, absent means root.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	User string `json:"user,omitempty"`

	// Distribution that the image is built on; absent where it has none.
	// +optional
	Distribution *Distribution `json:"distribution,omitempty"`

	// Shells and package managers inside, by path, sorted.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	Shells []string `json:"shells,omitempty"`

	// Number of packages.
	// +optional
	// +kubebuilder:validation:Minimum=0
	PackageCount int32 `json:"packageCount,omitempty"`

	// Number of packages of each ecosystem, sorted by its name.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Packages []EcosystemCount `json:"packages,omitempty"`
}

// Distribution is what the image says of its operating system in /etc/os-release.
type Distribution struct {
	// Name, such as debian.
	// +required
	// +kubebuilder:validation:MaxLength=63
	ID string `json:"id"`

	// Version, such as 12 or 3.22.1.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Version string `json:"version,omitempty"`

	// Name for people, such as Debian GNU/Linux 12 (bookworm).
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// Day from which on there are no security updates for everybody any more; absent where it is not known.
	// +optional
	EndOfLife *metav1.Time `json:"endOfLife,omitempty"`
}

// EcosystemCount is a number of packages.
type EcosystemCount struct {
	// Ecosystem as in the OSV schema, such as Debian:12, Go or npm; "unknown" for packages of none.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Ecosystem string `json:"ecosystem"`

	// Number of packages.
	// +required
	Count int32 `json:"count"`
}

// ImageState says what has become of scanning an image.
//
// +kubebuilder:validation:Enum=Pending;Scanned;Failed;Unsupported;Stale
type ImageState string

// The states of an image.
const (
	// ImagePending: not looked at yet.
	ImagePending ImageState = "Pending"
	// ImageScanned: everything in it has been looked at, and matched against the database.
	ImageScanned ImageState = "Scanned"
	// ImageFailed: it could not be looked at. It is tried again.
	ImageFailed ImageState = "Failed"
	// ImageUnsupported: something in it cannot be judged; what can be is in the summary.
	ImageUnsupported ImageState = "Unsupported"
	// ImageStale: the result is from a database that is too old.
	ImageStale ImageState = "Stale"
)

// ImageReason says why an image is not scanned.
//
// +kubebuilder:validation:Enum=Queued;DatabaseMissing;Unauthorized;NotFound;RegistryUnavailable;ManifestInvalid;LayerCorrupt;LayerInvalid;LimitExceeded;TimedOut;DiskFull;ExtractionFailed;PlatformUnsupported;DistributionUnsupported;EcosystemUnsupported;MediaTypeUnsupported;FilesUnreadable;VersionInvalid;DatabaseInvalid;DatabaseOutdated
type ImageReason string

// The reasons for which an image is not scanned.
const (
	// ReasonQueued (Pending): its turn has not come.
	ReasonQueued ImageReason = "Queued"
	// ReasonDatabaseMissing (Pending): its packages are known, but there is no database to match them against.
	ReasonDatabaseMissing ImageReason = "DatabaseMissing"
	// ReasonUnauthorized (Failed): the registry wants other credentials.
	ReasonUnauthorized ImageReason = "Unauthorized"
	// ReasonNotFound (Failed): the registry does not have it.
	ReasonNotFound ImageReason = "NotFound"
	// ReasonRegistryUnavailable (Failed): the registry cannot be reached, or does not answer as it should.
	ReasonRegistryUnavailable ImageReason = "RegistryUnavailable"
	// ReasonManifestInvalid (Failed): its manifest or configuration is not valid.
	ReasonManifestInvalid ImageReason = "ManifestInvalid"
	// ReasonLayerCorrupt (Failed): the bytes of a layer are not those that the manifest promises.
	ReasonLayerCorrupt ImageReason = "LayerCorrupt"
	// ReasonLayerInvalid (Failed): a layer is as promised, but could not be unpacked by a container runtime either.
	ReasonLayerInvalid ImageReason = "LayerInvalid"
	// ReasonLimitExceeded (Failed): it is larger, or has more files, than the scanner is allowed to handle.
	ReasonLimitExceeded ImageReason = "LimitExceeded"
	// ReasonTimedOut (Failed): it took longer than allowed.
	ReasonTimedOut ImageReason = "TimedOut"
	// ReasonDiskFull (Failed): the scanner's disk is full.
	ReasonDiskFull ImageReason = "DiskFull"
	// ReasonExtractionFailed (Failed): the packages of its distribution could not be read.
	ReasonExtractionFailed ImageReason = "ExtractionFailed"
	// ReasonDatabaseInvalid (Failed): the database cannot be read.
	ReasonDatabaseInvalid ImageReason = "DatabaseInvalid"
	// ReasonPlatformUnsupported (Unsupported): it is not for Linux, or not for the platform wanted.
	ReasonPlatformUnsupported ImageReason = "PlatformUnsupported"
	// ReasonDistributionUnsupported (Unsupported): the database does not cover its distribution.
	ReasonDistributionUnsupported ImageReason = "DistributionUnsupported"
	// ReasonEcosystemUnsupported (Unsupported): the database does not cover an ecosystem of its packages.
	ReasonEcosystemUnsupported ImageReason = "EcosystemUnsupported"
	// ReasonMediaTypeUnsupported (Unsupported): it is no container image, or of a kind that is not known.
	ReasonMediaTypeUnsupported ImageReason = "MediaTypeUnsupported"
	// ReasonFilesUnreadable (Unsupported): files that show packages could not be read; those of its distribution could.
	ReasonFilesUnreadable ImageReason = "FilesUnreadable"
	// ReasonVersionInvalid (Unsupported): the version of a package cannot be compared.
	ReasonVersionInvalid ImageReason = "VersionInvalid"
	// ReasonDatabaseOutdated (Stale): the database has not been updated for longer than allowed.
	ReasonDatabaseOutdated ImageReason = "DatabaseOutdated"
)

// ImageSummary counts the known vulnerabilities of an image. One that is known by several names counts once in each package.
type ImageSummary struct {
	// All of them.
	// +required
	All VulnerabilityCounts `json:"all"`

	// Those that a newer version of the package mends.
	// +required
	Fixable VulnerabilityCounts `json:"fixable"`
}

// VulnerabilityCounts are numbers of vulnerabilities.
type VulnerabilityCounts struct {
	// Number of all.
	// +required
	Total int32 `json:"total"`

	// Number of Critical ones.
	// +required
	Critical int32 `json:"critical"`

	// Number of High ones.
	// +required
	High int32 `json:"high"`

	// Number of Medium ones.
	// +required
	Medium int32 `json:"medium"`

	// Number of Low ones.
	// +required
	Low int32 `json:"low"`

	// Number of those whose severity nobody has published.
	// +required
	Unknown int32 `json:"unknown"`
}

// VulnerabilitySeverity says how bad a vulnerability is: the distribution's word where it has one, else by the CVSS score.
//
// +kubebuilder:validation:Enum=Critical;High;Medium;Low;Unknown
type VulnerabilitySeverity string

// The severities of vulnerabilities, worst first.
const (
	VulnerabilityCritical VulnerabilitySeverity = "Critical"
	VulnerabilityHigh     VulnerabilitySeverity = "High"
	VulnerabilityMedium   VulnerabilitySeverity = "Medium"
	VulnerabilityLow      VulnerabilitySeverity = "Low"
	VulnerabilityUnknown  VulnerabilitySeverity = "Unknown"
)

// Vulnerability is a known vulnerability of one package.
type Vulnerability struct {
	// Name: the CVE where there is one.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	ID string `json:"id"`

	// Its other names, sorted.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=63
	Aliases []string `json:"aliases,omitempty"`

	// How bad it is.
	// +required
	Severity VulnerabilitySeverity `json:"severity"`

	// Name of the package.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Package string `json:"package"`

	// Ecosystem of the package as in the OSV schema, such as Debian:12, Go or npm.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Ecosystem string `json:"ecosystem"`

	// Version of the package in the image.
	// +required
	// +kubebuilder:validation:MaxLength=253
	InstalledVersion string `json:"installedVersion"`

	// Smallest version above it that mends the vulnerability; absent where there is none yet.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	FixedVersion string `json:"fixedVersion,omitempty"`

	// CVSS, as published with the advisory.
	// +optional
	CVSS *CVSS `json:"cvss,omitempty"`

	// File in the image that shows the package.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path,omitempty"`
}

// CVSS is a score of the Common Vulnerability Scoring System.
type CVSS struct {
	// Base score, from 0.0 to 10.0.
	// +required
	// +kubebuilder:validation:MaxLength=4
	Score string `json:"score"`

	// Vector that the score is computed from, such as CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Vector string `json:"vector"`
}

// VulnerabilityDatabase names one state of the database.
type VulnerabilityDatabase struct {
	// Digest of what it consists of.
	// +required
	// +kubebuilder:validation:MaxLength=135
	Version string `json:"version"`

	// Time of the newest change in it.
	// +required
	Modified metav1.Time `json:"modified"`
}

// SignatureState says whether an image is signed as demanded.
//
// +kubebuilder:validation:Enum=Verified;Unsigned;Rejected;Failed
type SignatureState string

// The states of a signature.
const (
	// SignatureVerified: signed by a key or identity that the AuditConfiguration names.
	SignatureVerified SignatureState = "Verified"
	// SignatureUnsigned: there is no signature.
	SignatureUnsigned SignatureState = "Unsigned"
	// SignatureRejected: there are signatures, and none of them is by such a key or identity, or valid.
	SignatureRejected SignatureState = "Rejected"
	// SignatureFailed: it could not be looked.
	SignatureFailed SignatureState = "Failed"
)

// ImageSignature is what became of verifying an image's signatures.
type ImageSignature struct {
	// Whether it is signed as demanded.
	// +required
	State SignatureState `json:"state"`

	// Name of the key or the identity that has signed it.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Signer string `json:"signer,omitempty"`

	// Why it is not verified.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// ImageReference is a name of an image.
type ImageReference struct {
	// Name with registry and tag or digest, such as docker.io/library/nginx:1.29.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name"`

	// Digest of the platform manifest that the tag leads to now. Another one than the image's means that there is an update.
	// Absent for names without a tag, and while nobody has looked.
	// +optional
	// +kubebuilder:validation:MaxLength=135
	CurrentDigest string `json:"currentDigest,omitempty"`

	// Newest tag of the repository that is a version, without pre-releases; absent where it is not known.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	NewestTag string `json:"newestTag,omitempty"`
}

// ImageReportList is a list of ImageReports.
//
// +kubebuilder:object:root=true
type ImageReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []ImageReport `json:"items"`
}
