// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// The limits of the schema, in characters or items. Those who build reports cut to them, so that no input makes one that the
// API server refuses; a test compares them with the generated CRDs.
const (
	// MaxFindings of one report. More are counted in the summary and in omittedFindings.
	MaxFindings = 256
	// MaxExemptions listed in one report.
	MaxExemptions = 256
	// MaxSkips listed in one report.
	MaxSkips = 256
	// MaxSources listed in the cluster's report.
	MaxSources = 64
	// MaxFrameworks in the cluster's report.
	MaxFrameworks = 16
	// MaxControls in one list of a framework.
	MaxControls = 256
	// MaxMessage is the longest message or reason.
	MaxMessage = 1024
	// MaxPath is the longest field path.
	MaxPath = 512
	// MaxName is the longest name of an object.
	MaxName = 253
	// MaxKind is the longest name of a kind, check, control, UID or version.
	MaxKind = 63
	// MaxAPIVersion is a group (253), a slash and a version (63).
	MaxAPIVersion = 317

	// MaxVulnerabilities listed in one ImageReport. More are counted in its summary and in omittedVulnerabilities.
	MaxVulnerabilities = 100
	// MaxAliases of one vulnerability.
	MaxAliases = 16
	// MaxEcosystems in one list of an ImageReport.
	MaxEcosystems = 32
	// MaxShells listed in one ImageReport.
	MaxShells = 16
	// MaxImageReferences of one image, and digests of indexes.
	MaxImageReferences = 32
	// MaxImageName is the longest name of an image, signer or vector.
	MaxImageName = 512
	// MaxDigest is sha512, a colon and 128 digits.
	MaxDigest = 135
	// MaxTag is the longest tag that registries take.
	MaxTag = 128
	// MaxScore is the length of 10.0.
	MaxScore = 4
)
