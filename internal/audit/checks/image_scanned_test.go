// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
)

// What a check could not look at is no case of a fixture.
func TestImageChecksSkipWhatIsNotKnown(t *testing.T) {
	all, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	settings := audit.DefaultSettings()
	settings.RequiredSignatures = []audit.RequiredSignature{audit.NewRequiredSignature(&v1alpha1.RequiredSignature{Images: []string{"*"}})}
	enabled := slices.Clone(all.Checks())
	for i := range enabled {
		enabled[i].Off = false
	}
	set, err := audit.NewSetWith(enabled, settings)
	if err != nil {
		t.Fatal(err)
	}
	const image = "example.com/app:1@sha256:b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	unscanned := "not all images have been scanned yet"
	failed := `image "` + image + `" is Failed: no (Unauthorized)`
	notVerified := `the signatures of image "` + image + `" have not been verified yet`
	noTag := `it is not known where the tag of image "` + image + `" leads`
	every := map[string]string{
		"image-vulnerabilities": unscanned, "image-scan-stale": unscanned, "image-outdated": unscanned, "image-too-many-packages": unscanned,
		"image-has-shell": unscanned, "image-update-available": unscanned, "image-runs-as-root": unscanned, "image-signature": notVerified,
	}
	with := func(changes map[string]string) map[string]string {
		want := maps.Clone(every)
		for check, message := range changes {
			if want[check] = message; message == "" {
				delete(want, check)
			}
		}
		return want
	}
	scanned := func(change func(*v1alpha1.ImageReport)) *v1alpha1.ImageReport {
		r := &v1alpha1.ImageReport{State: v1alpha1.ImageScanned, Summary: &v1alpha1.ImageSummary{}, Signature: &v1alpha1.ImageSignature{State: v1alpha1.SignatureVerified}}
		r.Image.Platform, r.Image.User, r.Image.Created = "linux/amd64", "1", &metav1.Time{Time: now}
		r.References = []v1alpha1.ImageReference{{Name: "example.com/app:1", CurrentDigest: "sha256:b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"}}
		change(r)
		return r
	}
	for name, tc := range map[string]struct {
		report *v1alpha1.ImageReport
		want   map[string]string
		found  []string
	}{
		"no report": {nil, every, nil},
		"one that waits": {
			&v1alpha1.ImageReport{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))}, State: v1alpha1.ImagePending, Reason: v1alpha1.ReasonQueued},
			with(map[string]string{
				"image-vulnerabilities": `image "` + image + `" is Pending: Queued`, "image-outdated": `image "` + image + `" is Pending: Queued`,
				"image-too-many-packages": `image "` + image + `" is Pending: Queued`, "image-has-shell": `image "` + image + `" is Pending: Queued`,
				"image-update-available": noTag,
			}), nil,
		},
		"one that failed": {
			&v1alpha1.ImageReport{State: v1alpha1.ImageFailed, Reason: v1alpha1.ReasonUnauthorized, Message: "no"},
			with(map[string]string{
				"image-vulnerabilities": failed, "image-outdated": failed, "image-too-many-packages": failed, "image-has-shell": failed,
				"image-update-available": noTag, "image-scan-stale": "",
			}), []string{"image-scan-stale"},
		},
		"one of which all is known": {scanned(func(*v1alpha1.ImageReport) {}), map[string]string{}, nil},
		"one that is judged in part": {
			scanned(func(r *v1alpha1.ImageReport) {
				r.State, r.Message, r.Summary.All.Total, r.Summary.All.Low = v1alpha1.ImageUnsupported, "no", 1, 1
			}),
			map[string]string{}, []string{"image-scan-stale", "image-vulnerabilities"},
		},
		"one that is judged in part, with nothing found": {
			scanned(func(r *v1alpha1.ImageReport) {
				r.State, r.Reason, r.Message = v1alpha1.ImageUnsupported, v1alpha1.ReasonFilesUnreadable, "no"
			}),
			map[string]string{"image-vulnerabilities": `image "` + image + `" is Unsupported: no (FilesUnreadable)`}, []string{"image-scan-stale"},
		},
		"one that nothing was found in by an old database": {
			scanned(func(r *v1alpha1.ImageReport) {
				r.Database = &v1alpha1.VulnerabilityDatabase{Modified: metav1.NewTime(now.Add(-7 * 24 * time.Hour))}
			}),
			map[string]string{"image-vulnerabilities": "the vulnerability database is older than 7 days"}, []string{"image-scan-stale"},
		},
		"without a time, with a name for its user, signatures that could not be read": {
			scanned(func(r *v1alpha1.ImageReport) {
				r.Image.Created, r.Image.User = nil, "app"
				r.Signature = &v1alpha1.ImageSignature{State: v1alpha1.SignatureFailed, Message: "away"}
			}),
			map[string]string{
				"image-outdated":     `image "` + image + `" does not say when it was built`,
				"image-runs-as-root": `image "` + image + `" runs as user "app": what that is only the image knows`,
				"image-signature":    `the signatures of image "` + image + `" could not be verified: away`,
			}, nil,
		},
	} {
		inventory := audit.Inventory{Surroundings: audit.Surroundings{Name: "shop"}, Pods: []*audit.PodRecord{{
			Object: audit.Object{Name: "web", UID: "p"}, Labels: &audit.Labels{},
			Shape: audit.NewShape(&audit.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}}}),
		}}}
		if tc.report != nil {
			tc.report.Image.Digest, tc.report.Image.Name = "sha256:"+strings.Split(image, ":")[2], "example.com/app:1"
			record := audit.NewImageRecord(audit.Object{Name: "r", UID: "r"}, tc.report)
			inventory.NewestMatched = record.Matched
			inventory.ImageReports = map[audit.ImageKey][]*audit.ImageRecord{audit.ReferenceOf(image).Key(): {record}}
		}
		result := set.Evaluate(audit.Fold(inventory, now))[0]
		skipped, found := make(map[string]string), []string(nil)
		for _, s := range result.Skips {
			if set.Check(s.Check).Scanned != nil {
				skipped[s.Check] = s.Message
			}
		}
		for _, f := range result.Findings {
			if set.Check(f.Check).Scanned != nil {
				found = append(found, f.Check)
			}
		}
		slices.Sort(found)
		if diff := gocmp.Diff(tc.want, skipped); diff != "" {
			t.Errorf("%s: skips (-want +got):\n%s", name, diff)
		}
		if diff := gocmp.Diff(tc.found, found); diff != "" {
			t.Errorf("%s: found (-want +got):\n%s", name, diff)
		}
	}
}
