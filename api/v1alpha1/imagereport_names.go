// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// ImageReportName returns the name of the ImageReport of an image: "sha256-…" from the digest "sha256:…" of its platform manifest,
// or "name-" and a hash of its name while there is no digest.
func ImageReportName(name, digest string) string {
	if digest == "" {
		return fmt.Sprintf("name-%x", sha256.Sum256([]byte(name)))
	}
	return strings.Replace(digest, ":", "-", 1)
}

const kubernetesReport = "kubernetes-"

// preRelease is what the Kubernetes project adds to the versions of its pre-releases, such as rc.1, before what others add to any.
var preRelease = regexp.MustCompile(`^(?:alpha|beta|rc)(?:\.[0-9]{1,9}){0,2}\b`)

// KubernetesReportName returns the name of the ImageReport on a version of Kubernetes: "kubernetes-v1.37.2" for "v1.37.2", and for builds that
// others make of it, such as "v1.37.2+k3s1"; "" for what is no version.
func KubernetesReportName(of string) string {
	v, err := version.ParseSemantic(of)
	if err != nil {
		return ""
	}
	name := fmt.Sprintf("%sv%d.%d.%d", kubernetesReport, v.Major(), v.Minor(), v.Patch())
	if pre := preRelease.FindString(v.PreRelease()); pre != "" {
		name += "-" + pre
	}
	return name
}

// KubernetesVersionOf returns the version of Kubernetes that an ImageReport of that name is on, such as "v1.37.2"; "" if it is on an image.
func KubernetesVersionOf(report string) string {
	if version, ok := strings.CutPrefix(report, kubernetesReport); ok {
		return version
	}
	return ""
}

// Packages of vulnerabilities of Kubernetes of which it is known that they are in one program only. All others are in modules of Go.
const (
	KubernetesAPIServer = "kube-apiserver"
	KubernetesKubelet   = "kubelet"
)
