// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// versionsOf is the day that the tables of versions are of.
const versionsOf = "2026-11-21"

// versionsAge is how long they are trusted to have missed nothing: Kubernetes has a new minor every four months.
const versionsAge = 4 * 31 * 24 * time.Hour

// minor is what is known of a minor version.
type minor struct {
	// patch is the newest.
	patch uint
	// end is the last day on which it is supported.
	end string
}

// The first and the last minor of the table.
const (
	oldestMinor = 33
	newestMinor = 37
)

// kubernetesMinors are the minors 1.x of Kubernetes. When their support ends is in https://kubernetes.io/releases/1.x/, and
// which patch is the newest in the versions of the module k8s.io/api, v0.x. Minors before the first have no support.
var kubernetesMinors = map[uint]minor{
	33: {13, "2026-06-28"},
	34: {13, "2026-10-27"},
	35: {10, "2027-02-28"},
	36: {6, "2027-06-28"},
	37: {2, "2027-10-28"},
}

// containerdMinors are the minors of containerd and when their support ends, as https://containerd.io/releases/ has it; ""
// where that had not been decided. Of months without a day it is the last.
var containerdMinors = map[[2]uint]string{
	{1, 6}: "2025-08-23", {1, 7}: "2026-09-30", {2, 0}: "2027-03-31", {2, 1}: "2026-07-03", {2, 2}: "2026-11-06", {2, 3}: "2028-04-30",
	{2, 4}: "",
}

// longAgo is a day when everything that is older than the tables had lost its support.
const longAgo = "2025-08-23"

// containerdEnd returns when the support of a version of containerd ends, if it is known.
func containerdEnd(v *version.Version) (end string, known bool) {
	if v.Major() < 1 || v.Major() == 1 && v.Minor() < 6 {
		return longAgo, true
	}
	end, known = containerdMinors[[2]uint{v.Major(), v.Minor()}]
	return end, known
}

// crioEnd returns when the support of a version of CRI-O ends, if it is known. It is that of the same minor of Kubernetes.
func crioEnd(v *version.Version) (end string, known bool) {
	if v.Major() < 1 || v.Major() == 1 && v.Minor() < oldestMinor {
		return longAgo, true
	}
	m, known := kubernetesMinors[v.Minor()]
	return m.end, known && v.Major() == 1
}

// day returns a day of the tables, at midnight UTC.
func day(text string) time.Time {
	t, _ := time.Parse(time.DateOnly, text) // a test says that all of them are days
	return t
}

// stale says whether the tables may have missed versions.
func stale(c *audit.Cluster) bool { return c.Today.Sub(day(versionsOf)) > versionsAge }

// serverVersion returns the API server's version. If it is not known, it skips the check.
func serverVersion(c *audit.Cluster, r *audit.Reporter) (*version.Version, bool) {
	v, err := version.ParseGeneric(c.ServerVersion)
	if err != nil {
		r.Skip(v1alpha1.SkipDataMissing, "the API server's version is not known")
		return nil, false
	}
	return v, true
}

// provided says whether a provider may support Kubernetes, and what nodes run it on, for longer than the projects do that make them,
// or mends it without another version: the version names a build of its own, as those of EKS, GKE, k3s and RKE2 do, nodes are
// OpenShift's, or the control plane is not seen and nodes are in a cloud, as those of AKS.
func provided(c *audit.Cluster) bool {
	return isBuild(c.ServerVersion) || c.OpenShift || len(c.Programs(audit.APIServer)) == 0 && (c.InCloud || c.Missing(audit.Nodes) != nil)
}

// isBuild says whether a version is not one of the project, but somebody's build of it.
func isBuild(version string) bool { return strings.ContainsAny(version, "-+~") }

// olderThan says whether the API server is known to be older than Kubernetes 1.minor.
func olderThan(c *audit.Cluster, minor uint) bool {
	v, err := version.ParseGeneric(c.ServerVersion)
	return err == nil && v.LessThan(version.MajorMinor(1, minor))
}

// versionFinding returns a finding about the API server's version.
func versionFinding(message string) audit.Finding {
	return audit.Finding{Message: message, Path: "gitVersion"}
}
