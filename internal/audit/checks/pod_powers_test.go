// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// TestPowersThatAreNotKnown: what is not known for sure is skipped, and neither passed nor found.
func TestPowersThatAreNotKnown(t *testing.T) {
	const tokenMounted, canEscalate, readsSecrets = "service-account-token-mounted", "workload-can-escalate", "workload-reads-secrets"
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	named := func(p rbac.Power) audit.Powers { return audit.Powers{Named: map[string]rbac.Power{"app": p}} }
	unseen := func(p rbac.Power) audit.Powers {
		return audit.Powers{Named: map[string]rbac.Power{"app": p}, Unseen: &audit.Unavailable{Resource: audit.Pods, Reason: v1alpha1.SkipSourceForbidden}}
	}
	for name, tc := range map[string]struct {
		powers    audit.Powers
		manifests bool
		// tokenless: the ServiceAccount says that none is mounted; token: the Pod is from before it said so.
		tokenless, token bool
		found            []string
		skipped          map[string]v1alpha1.SkipReason
	}{
		"nothing":                  {found: []string{tokenMounted}},
		"nothing, and no token":    {tokenless: true},
		"nothing, and a token":     {tokenless: true, token: true, found: []string{tokenMounted}},
		"everything":               {powers: named(rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1}), found: []string{canEscalate, readsSecrets}},
		"everything, but no token": {powers: named(rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1}), tokenless: true},
		"everything, by a token of before": {
			powers: named(rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1}), tokenless: true, token: true, found: []string{canEscalate, readsSecrets},
		},
		"not known yet": {
			powers:  audit.Powers{Pending: map[string]bool{"app": true}},
			skipped: map[string]v1alpha1.SkipReason{tokenMounted: v1alpha1.SkipSourceSyncing, canEscalate: v1alpha1.SkipSourceSyncing, readsSecrets: v1alpha1.SkipSourceSyncing},
		},
		"of nobody yet": {
			powers:  audit.Powers{OthersPending: true},
			skipped: map[string]v1alpha1.SkipReason{tokenMounted: v1alpha1.SkipSourceSyncing, canEscalate: v1alpha1.SkipSourceSyncing, readsSecrets: v1alpha1.SkipSourceSyncing},
		},
		"of another": {powers: audit.Powers{Pending: map[string]bool{"other": true}}, found: []string{tokenMounted}},
		"perhaps a way": {
			powers: named(rbac.Power{Granted: true, Unsure: true}), skipped: map[string]v1alpha1.SkipReason{canEscalate: v1alpha1.SkipDataMissing},
		},
		"ways that are not seen": {
			powers: unseen(rbac.Power{Granted: true}), skipped: map[string]v1alpha1.SkipReason{canEscalate: v1alpha1.SkipSourceForbidden},
		},
		"a way besides those that are not seen": {powers: unseen(rbac.Power{Granted: true, Steps: 2}), found: []string{canEscalate}},
		"manifests that grant nothing": {
			manifests: true,
			skipped:   map[string]v1alpha1.SkipReason{tokenMounted: v1alpha1.SkipDataMissing, canEscalate: v1alpha1.SkipDataMissing, readsSecrets: v1alpha1.SkipDataMissing},
		},
		"manifests that grant something": {
			powers: named(rbac.Power{Granted: true, Secrets: rbac.OwnSecrets}), manifests: true, found: []string{readsSecrets},
			skipped: map[string]v1alpha1.SkipReason{canEscalate: v1alpha1.SkipDataMissing},
		},
		"manifests without a token": {manifests: true, tokenless: true},
	} {
		t.Run(name, func(t *testing.T) {
			pod := audit.Pod{Spec: corev1.PodSpec{ServiceAccountName: "app", Containers: []corev1.Container{{Name: "app", Image: "app"}}}}
			before := audit.PodRecord{Object: audit.Object{Name: "before"}, Shape: audit.NewShape(&pod), Labels: &audit.Labels{}, Token: tc.token}
			i := audit.Inventory{
				Surroundings: audit.Surroundings{
					FromManifests: tc.manifests, Powers: tc.powers,
					ServiceAccounts: []*audit.ServiceAccountRecord{{Object: audit.Object{Name: "app"}, MountsToken: !tc.tokenless}},
				},
				Pods: []*audit.PodRecord{&before},
			}
			of := []string{tokenMounted, canEscalate, readsSecrets}
			var found []string
			skipped := make(map[string]v1alpha1.SkipReason)
			result := set.Evaluate(audit.Fold(i, time.Now()))[0]
			for _, f := range result.Findings {
				if slices.Contains(of, f.Check) {
					found = append(found, f.Check)
				}
			}
			for _, s := range result.Skips {
				if slices.Contains(of, s.Check) {
					skipped[s.Check] = s.Reason
				}
			}
			slices.Sort(found)
			if tc.skipped == nil {
				tc.skipped = make(map[string]v1alpha1.SkipReason)
			}
			if diff := cmp.Diff(tc.found, found) + cmp.Diff(tc.skipped, skipped); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMountsTokenSecret(t *testing.T) {
	const path = "/var/run/secrets/kubernetes.io/serviceaccount"
	for name, tc := range map[string]struct {
		secret, path string
		want         bool
	}{
		"named as the controller manager did": {"app-token-x7k2d", "/tokens", true},
		"where tokens are looked for":         {"legacy", path + "/", true},
		"another name":                        {"app-token-admin", "/tokens", false},
		"another's":                           {"other-token-x7k2d", "/tokens", false},
		"anything else":                       {"app", "/etc/app", false},
	} {
		pod := corev1.PodSpec{
			ServiceAccountName: "app",
			Volumes: []corev1.Volume{
				{Name: "none"}, {Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: tc.secret}}},
			},
			Containers: []corev1.Container{{Name: "app", VolumeMounts: []corev1.VolumeMount{{Name: "none", MountPath: path}, {Name: "secret", MountPath: tc.path}}}},
		}
		if got := audit.MountsTokenSecret(&pod); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
