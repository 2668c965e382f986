// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// digestOfNumber returns a digest that ends with a number: the keys of all are the same.
func digestOfNumber(n int) string { return fmt.Sprintf("sha256:%s%02x", strings.Repeat("11", 31), n) }

func imageReport(name, digest string) *v1alpha1.ImageReport {
	return &v1alpha1.ImageReport{
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ImageReportName(name, digest), UID: "u"},
		State:      v1alpha1.ImageScanned, Image: v1alpha1.Image{Name: name, Digest: digest}, Summary: &v1alpha1.ImageSummary{},
	}
}

func recordOf(report *v1alpha1.ImageReport) *ImageRecord {
	return NewImageRecord(ObjectFrom(report), report.DeepCopy())
}

func byKey(records ...*ImageRecord) map[ImageKey][]*ImageRecord {
	by := make(map[ImageKey][]*ImageRecord)
	for _, r := range records {
		for _, key := range r.Keys {
			by[key] = append(by[key], r)
		}
	}
	return by
}

// TestImageRecords: what checks look at is kept, and what no check looks at is neither kept nor a change.
func TestImageRecords(t *testing.T) {
	at := metav1.NewTime(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	full := func() *v1alpha1.ImageReport {
		r := imageReport("example.com/app:1", digestOfNumber(1))
		r.CreationTimestamp, r.ResourceVersion = at, "7"
		r.Image.IndexDigests, r.Image.ConfigDigest = []string{digestOfNumber(2)}, digestOfNumber(3)
		r.Image.Created, r.Image.Distribution = &at, &v1alpha1.Distribution{ID: "debian", EndOfLife: &at}
		r.Image.Packages = []v1alpha1.EcosystemCount{{Ecosystem: "npm", Count: 1}}
		r.Database = &v1alpha1.VulnerabilityDatabase{Version: "1", Modified: at}
		r.Summary.All, r.Summary.Fixable = v1alpha1.VulnerabilityCounts{Total: 2}, v1alpha1.VulnerabilityCounts{Total: 1}
		r.Vulnerabilities = []v1alpha1.Vulnerability{{ID: "CVE-2024-0001", Package: "a", Ecosystem: "npm", Path: "p", CVSS: &v1alpha1.CVSS{Score: "9.8"}}}
		r.References = []v1alpha1.ImageReference{{Name: "docker.io/library/app:1"}, {Name: "example.com/app:1"}}
		return r
	}
	record := recordOf(full())
	want := full()
	want.ObjectMeta, want.Database, want.Image.Packages = metav1.ObjectMeta{}, nil, nil
	want.Vulnerabilities[0] = v1alpha1.Vulnerability{ID: "CVE-2024-0001", Package: "a"}
	got := record.Report()
	got.Image.Created, got.Image.Distribution.EndOfLife = &at, &at // the same moment, of another location
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is kept (-want +got):\n%s", diff)
	}
	if m := MomentOf(at.Time); record.Built != m || record.EndOfLife != m || record.Matched != m || record.Created != m || record.Known.All.Total != 2 || record.Known.Fixable.Total != 1 {
		t.Errorf("record %+v", record)
	}
	if len(record.Keys) != 3 { // one for all digests
		t.Errorf("keys %x", record.Keys)
	}
	for name, tc := range map[string]struct {
		change func(*v1alpha1.ImageReport)
		equal  bool
	}{
		"a version":    {func(r *v1alpha1.ImageReport) { r.ResourceVersion = "8" }, true},
		"a score":      {func(r *v1alpha1.ImageReport) { r.Vulnerabilities[0].CVSS.Score = "1.0" }, true},
		"another UID":  {func(r *v1alpha1.ImageReport) { r.UID = "v" }, false},
		"a state":      {func(r *v1alpha1.ImageReport) { r.State = v1alpha1.ImageStale }, false},
		"a count":      {func(r *v1alpha1.ImageReport) { r.Summary.All.Low++ }, false},
		"a database":   {func(r *v1alpha1.ImageReport) { r.Database.Modified.Time = at.Add(time.Hour) }, false},
		"a tag's move": {func(r *v1alpha1.ImageReport) { r.References[0].CurrentDigest = digestOfNumber(9) }, false},
	} {
		other := full()
		tc.change(other)
		if record.Equal(recordOf(other)) != tc.equal {
			t.Errorf("%s: equal is not %v", name, tc.equal)
		}
	}
}

// TestRecordsOfImages: an image is what its digest says, and not what somebody makes look like it.
func TestRecordsOfImages(t *testing.T) {
	one, two := imageReport("example.com/app:1", digestOfNumber(1)), imageReport("example.com/app:2", digestOfNumber(2))
	two.References = []v1alpha1.ImageReference{{Name: "example.com/app"}, {Name: "example.com/app@" + digestOfNumber(4)}}
	two.Image.IndexDigests = []string{digestOfNumber(4)}
	ns := &Namespace{Inventory: Inventory{ImageReports: byKey(recordOf(one), recordOf(two))}}
	for name, tc := range map[string]struct {
		image, digest string
		want          string
	}{
		"a digest of the platform":     {"example.com/app:2", digestOfNumber(1), "[1]"},
		"a digest of the index":        {"example.com/app:1", digestOfNumber(4), "[2]"},
		"another that begins the same": {"example.com/app:1", digestOfNumber(5), "[]"},
		"a name":                       {"example.com/app:1", "", "[1]"},
		"a name without a tag":         {"example.com/app", "", "[2]"},
		"a digest in the reference":    {"other.example.com/app:1@" + digestOfNumber(4), "", "[2]"},
		"another in the reference":     {"example.com/app:1@" + digestOfNumber(6), "", "[]"},
		"a name that nobody knows":     {"example.com/app:3", "", "[]"},
		"what is no reference":         {"UPPER", "", "[]"},
	} {
		got := []string{}
		for _, r := range ns.recordsOf(ReferenceOf(tc.image), tc.digest, make(map[*ImageRecord]*v1alpha1.ImageReport)) {
			got = append(got, r.Name[len(r.Name)-1:])
		}
		if s := fmt.Sprint(got); s != tc.want {
			t.Errorf("%s: %s, want %s", name, s, tc.want)
		}
	}
}

func imageSet(t *testing.T, settings Settings) *Set {
	t.Helper()
	set, err := NewSetWith([]Check{{
		ID: "scanned", Title: "T", Severity: v1alpha1.SeverityLow, Category: CategoryImages, Rationale: "R.", Remediation: "R.", Before: "b", After: "a",
		Scanned: func(i *ScannedImage, r *Reporter) {
			if i.Report == nil {
				r.Skip(v1alpha1.SkipDataMissing, i.Image.Image)
			} else if i.Report.Summary.All.Total > 0 {
				r.Find(Finding{Message: string(i.Report.State), Path: i.Path("image")})
			}
		},
	}}, settings)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestInputsOfScannedImages: a verdict is made anew where what is known of an image changes, or a time has come that decides, and
// nowhere else.
func TestInputsOfScannedImages(t *testing.T) {
	begin := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	settings := DefaultSettings()
	until := metav1.NewTime(begin.Add(20 * 24 * time.Hour))
	settings.IgnoredVulnerabilities = []IgnoredVulnerability{NewIgnoredVulnerability(&v1alpha1.IgnoredVulnerability{ID: "CVE-2024-0001", ExpirationTime: &until})}
	set := imageSet(t, settings)
	shape := NewShape(&Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "example.com/app:1"}}}})
	facts := NewLabels(map[string]string{"app" + FactImageID: strings.Repeat("\x11", 31) + "\x02"})
	report := imageReport("example.com/app:1", digestOfNumber(1))
	built := metav1.NewTime(begin.Add(-170 * 24 * time.Hour))
	report.Image.Created, report.Database = &built, &v1alpha1.VulnerabilityDatabase{Modified: metav1.NewTime(begin)}
	fold := func(now time.Time, records ...*ImageRecord) (*Namespace, *Workload) {
		ns := Fold(Inventory{
			Surroundings: Surroundings{Name: "shop"}, ImageReports: byKey(records...), NewestMatched: newest(records),
			Pods: []*PodRecord{{Object: Object{Name: "web", UID: "p"}, Shape: shape, Labels: &Labels{}, Running: facts}},
		}, now)
		return ns, ns.Workloads[0]
	}
	inputs := func(now time.Time, records ...*ImageRecord) (Inputs, time.Time) {
		ns, w := fold(now, records...)
		return set.InputsOf(ns, w), ns.Recheck
	}
	before, recheck := inputs(begin, recordOf(report))
	if want := begin.Add(7 * 24 * time.Hour); !recheck.Equal(want) {
		t.Errorf("it is looked again at %v, want %v", recheck, want)
	}
	for name, tc := range map[string]struct {
		now     time.Time
		records []*ImageRecord
		equal   bool
	}{
		"nothing":            {begin, []*ImageRecord{recordOf(report)}, true},
		"some time":          {begin.Add(6 * 24 * time.Hour), []*ImageRecord{recordOf(report)}, true},
		"an old database":    {begin.Add(8 * 24 * time.Hour), []*ImageRecord{recordOf(report)}, false},
		"a newer one":        {begin.Add(8 * 24 * time.Hour), []*ImageRecord{changed(report, func(r *v1alpha1.ImageReport) { r.Database.Modified = metav1.NewTime(begin.Add(7 * 24 * time.Hour)) })}, true},
		"age":                {begin.Add(11 * 24 * time.Hour), []*ImageRecord{changed(report, func(r *v1alpha1.ImageReport) { r.Database = nil })}, false},
		"another result":     {begin, []*ImageRecord{changed(report, func(r *v1alpha1.ImageReport) { r.Summary.All.Total = 1 })}, false},
		"the image's ID":     {begin, []*ImageRecord{recordOf(report), recordOf(imageReport("example.com/other:1", digestOfNumber(2)))}, false},
		"no report any more": {begin, nil, false},
	} {
		now, _ := inputs(tc.now, tc.records...)
		if before.Equal(&now) != tc.equal {
			t.Errorf("%s: equal is not %v", name, tc.equal)
		}
	}
	timeless := changed(report, func(r *v1alpha1.ImageReport) { r.Database, r.Image.Created = nil, nil })
	while, recheck := inputs(begin, timeless)
	after, _ := inputs(until.Time, timeless)
	if !recheck.Equal(until.Time) || while.Equal(&after) {
		t.Errorf("what is ignored until %v is looked at again at %v; the inputs are the same then: %v", until, recheck, while.Equal(&after))
	}
	// Another image's report is none of its business, even among those of the namespace.
	alone, _ := inputs(begin)
	other, _ := inputs(begin, recordOf(imageReport("example.com/nobody:1", "sha256:"+strings.Repeat("ab", 32))))
	if !alone.Equal(&other) {
		t.Error("an image that it does not run changes its inputs")
	}
}

func newest(records []*ImageRecord) Moment {
	var m Moment
	for _, r := range records {
		m = max(m, r.Matched)
	}
	return m
}

func changed(report *v1alpha1.ImageReport, change func(*v1alpha1.ImageReport)) *ImageRecord {
	report = report.DeepCopy()
	change(report)
	return recordOf(report)
}

// TestScannedImagesOfWorkloads: templates are judged by name, Pods by what they run, and both are told apart.
func TestScannedImagesOfWorkloads(t *testing.T) {
	set := imageSet(t, DefaultSettings())
	old, current := imageReport("example.com/app:1", digestOfNumber(1)), imageReport("example.com/app:1", digestOfNumber(2))
	old.State, old.Summary.All.Total = v1alpha1.ImageStale, 1
	for _, r := range []*v1alpha1.ImageReport{old, current} {
		r.References = []v1alpha1.ImageReference{{Name: "example.com/app:1", CurrentDigest: digestOfNumber(2)}}
	}
	shape := NewShape(&Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "example.com/app:1"}}}})
	deployment := &ControllerRecord{Object: Object{Name: "web", UID: "d"}, Kind: "Deployment", Labels: &Labels{}, Shape: shape, Active: true}
	owner := &Owner{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "d"}
	// What is made of the same template says no more than the template.
	replicaSet := &ControllerRecord{Object: Object{Name: "web-1", UID: "r"}, Kind: "ReplicaSet", Owner: owner, Labels: &Labels{}, Shape: shape, Active: true}
	judge := func(i Inventory) Result {
		i.Name, i.Controllers = "shop", []*ControllerRecord{deployment, replicaSet}
		ns := Fold(i, time.Now())
		return set.EvaluateWorkload(ns, ns.Workloads[0])
	}
	runs := func(n byte) []*PodRecord {
		facts := NewLabels(map[string]string{"app" + FactDigest: strings.Repeat("\x11", 31) + string([]byte{n})})
		return []*PodRecord{{Object: Object{Name: "web-0", UID: "p"}, Owner: owner, Shape: shape, Labels: &Labels{}, Running: facts}}
	}
	reports := byKey(recordOf(old), recordOf(current))
	other := recordOf(imageReport("example.com/app:0", digestOfNumber(2)))
	for name, tc := range map[string]struct {
		inventory Inventory
		found     v1alpha1.SeenIn
		n         int
		skipped   v1alpha1.SkipReason
	}{
		"Pods of an old image":                        {Inventory{Pods: runs(1), ImageReports: reports}, v1alpha1.SeenInPods, 1, ""},
		"Pods of the current one":                     {Inventory{Pods: runs(2), ImageReports: reports}, "", 0, ""},
		"a template of an old image, Pods of another": {Inventory{Pods: runs(2), ImageReports: byKey(recordOf(old), other)}, v1alpha1.SeenInTemplate, 1, ""},
		"no Pods":                   {Inventory{ImageReports: reports}, "", 0, ""},
		"both are of the old one":   {Inventory{Pods: runs(1), ImageReports: byKey(recordOf(old))}, "", 1, ""},
		"Pods of what nobody knows": {Inventory{Pods: runs(3), ImageReports: reports}, "", 0, v1alpha1.SkipDataMissing},
		"no reports":                {Inventory{Pods: runs(1)}, "", 0, v1alpha1.SkipDataMissing},
		"no scanner":                {Inventory{Unavailable: map[Resource]*Unavailable{ImageReports: {Resource: ImageReports, Reason: v1alpha1.SkipSourceNotServed}}}, "", 0, v1alpha1.SkipSourceNotServed},
	} {
		result := judge(tc.inventory)
		var skipped v1alpha1.SkipReason
		if len(result.Skips) == 1 {
			skipped = result.Skips[0].Reason
		}
		if len(result.Images) != tc.n {
			t.Errorf("%s: vulnerable images %+v", name, result.Images)
		}
		if len(result.Findings) != tc.n || tc.n == 1 && result.Findings[0].SeenIn != tc.found || skipped != tc.skipped {
			t.Errorf("%s: found %+v, skipped %+v", name, result.Findings, result.Skips)
		}
	}
}
