// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"strings"
	"testing"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

func TestKubernetesReportName(t *testing.T) {
	for version, want := range map[string]string{
		"v1.37.2":                             "kubernetes-v1.37.2",
		"1.37.2":                              "kubernetes-v1.37.2",
		"v1.37.2+k3s1":                        "kubernetes-v1.37.2",
		"v1.37.2-gke.100":                     "kubernetes-v1.37.2",
		"v1.30.14-eks-931bdca":                "kubernetes-v1.30.14",
		"v1.38.0-rc.1":                        "kubernetes-v1.38.0-rc.1",
		"v1.38.0-alpha.0.123+0a1b2c3":         "kubernetes-v1.38.0-alpha.0.123",
		"v1.38.0-beta":                        "kubernetes-v1.38.0-beta",
		"v1.38.0-rc.1-gke.5":                  "kubernetes-v1.38.0-rc.1",
		"v1.38.0-rcx.1":                       "kubernetes-v1.38.0",
		"v1.37":                               "",
		"v1.37.2.1":                           "",
		"v1.37.02":                            "",
		"v1.37.2/../x":                        "",
		"v1.37.2\n":                           "",
		"version 1.37.2":                      "",
		"v1.37.99999999999999999999":          "",
		"":                                    "",
		"v1.37.2-" + strings.Repeat("x", 300): "kubernetes-v1.37.2",
	} {
		if got := v1alpha1.KubernetesReportName(version); got != want {
			t.Errorf("%q: %q, want %q", version, got, want)
		}
	}
}

func TestKubernetesVersionOf(t *testing.T) {
	for report, want := range map[string]string{
		v1alpha1.KubernetesReportName("v1.37.2+k3s1"):                   "v1.37.2",
		v1alpha1.ImageReportName("k8s.io/kubernetes:v1.37.2", ""):       "",
		v1alpha1.ImageReportName("", "sha256:"+strings.Repeat("1", 64)): "",
	} {
		if got := v1alpha1.KubernetesVersionOf(report); got != want {
			t.Errorf("%q: %q, want %q", report, got, want)
		}
	}
}
