// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
)

// pullSecret makes a pull secret for a registry in a namespace.
func (w *world) pullSecret(namespace, secretName, host, password string) {
	w.Helper()
	text, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"username": registryUser, "password": password}}})
	if err != nil {
		w.Fatal(err)
	}
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: secretName}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: text},
	})
}

// grant lets the scanner read the pull secret "registry" of a namespace, as the sample does that of the namespace "shop".
func (w *world) grant(namespace string) {
	w.Helper()
	sample, err := os.ReadFile(filepath.Join("..", "..", "config", "components", "image-scan", "pull_secrets_sample.yaml"))
	if err != nil {
		w.Fatal(err)
	}
	text := strings.ReplaceAll(string(sample), "namespace: shop", "namespace: "+namespace)
	if _, err := w.Kubectl(w.Context(), strings.NewReader(text), "apply", "-f", "-"); err != nil {
		w.Fatal(err)
	}
}

// image returns the report on an image by one of its names.
func (w *world) image(reference string) *v1alpha1.ImageReport {
	w.Helper()
	list := w.reports()
	for i := range list {
		if slices.ContainsFunc(list[i].References, func(r v1alpha1.ImageReference) bool { return r.Name == reference }) {
			return &list[i]
		}
	}
	return nil
}

// becomes waits until the report on an image has a state and a reason, and returns it.
func (w *world) becomes(reference string, state v1alpha1.ImageState, reason v1alpha1.ImageReason) *v1alpha1.ImageReport {
	w.Helper()
	var r *v1alpha1.ImageReport
	w.eventually(reference+" to be "+string(state), func() string {
		r = w.image(reference)
		switch {
		case r == nil:
			return "there is no report"
		case r.State != state || r.Reason != reason:
			return fmt.Sprintf("%s %s %s", r.State, r.Reason, r.Message)
		}
		return ""
	})
	return r
}

// TestRunCredentials pulls private images with the pull secrets of namespaces in which the scanner may read them.
func TestRunCredentials(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	granted, other := w.namespace(), w.namespace()
	pod := func(namespace, repository, mark string, secrets ...string) string {
		digest := s.push(t, repository, debianImage(t, mark))
		reference := s.host + "/" + repository
		w.pod(namespace, reference, s.host+"/"+strings.Split(repository, ":")[0]+"@"+digest, secrets...)
		return reference
	}
	for _, ns := range []string{granted, other} {
		w.pullSecret(ns, "registry", s.host, registryPassword)
		w.pullSecret(ns, "wrong", s.host, "wrong")
	}
	w.grant(granted)
	mine := pod(granted, "private/mine:1", "mine", "wrong", "registry")
	theirs := pod(other, "private/theirs:1", "theirs", "registry")
	public := pod(other, "public:1", "public", "registry")

	// The names of a template's pull secrets are its ServiceAccount's.
	s.push(t, "private/nightly:1", nodeImage(t, "nightly"))
	nightly := s.host + "/private/nightly:1"
	w.create(&corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: granted, Name: "nightly"}, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "registry"}},
	})
	w.create(&batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: granted, Name: "nightly"},
		Spec: batchv1.CronJobSpec{Schedule: "0 3 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{
			Spec: corev1.PodSpec{
				ServiceAccountName: "nightly", RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "app", Image: nightly}},
			},
		}}}},
	})

	w.scanner()
	for _, reference := range []string{mine, public, nightly} {
		w.becomes(reference, v1alpha1.ImageScanned, "")
	}
	r := w.becomes(theirs, v1alpha1.ImageFailed, v1alpha1.ReasonUnauthorized)
	if !strings.HasPrefix(r.Message, "of the pull secrets and ServiceAccounts of its Pods, the scanner may not read 1, which takes a Role in their namespace: ") ||
		strings.Contains(r.Message, other) {
		t.Errorf("message %q", r.Message)
	}
	if r.Image.Digest != "" || len(r.Image.IndexDigests) != 1 || r.Summary != nil {
		t.Errorf("the report on an image that could not be looked at: %+v", r)
	}
	if text := w.output.String(); !strings.Contains(text, `pull secret `+other+`/registry: secrets \"registry\" is forbidden`) || strings.Contains(text, registryPassword+`"`) {
		t.Errorf("the log does not name the Secret, or has its content")
	}
	w.grant(other)
	w.becomes(theirs, v1alpha1.ImageScanned, "")
	if n := len(w.reports()); n != 4 {
		t.Errorf("there are %d reports, want 4", n)
	}
}

// TestRunRegistryDown: a registry that is down holds up its own images only, and those no longer than it is down.
func TestRunRegistryDown(t *testing.T) {
	w := newWorld(t)
	down, up := newServer(t), newServer(t)
	ns := w.namespace()
	var lost []string
	for n := range 3 {
		repository := fmt.Sprintf("lost-%d", n)
		digest := down.push(t, repository, debianImage(t, repository))
		lost = append(lost, down.host+"/"+repository+":latest")
		for range 2 { // which are more Pods than the others have: they come first
			w.pod(ns, down.host+"/"+repository, down.host+"/"+repository+"@"+digest)
		}
	}
	digest := up.push(t, "app:1", debianImage(t, "up"))
	w.pod(ns, up.host+"/app:1", up.host+"/app@"+digest)
	down.stop(t)
	// So long that the registry is back before it is tried again for that reason alone.
	w.scanner("--retry-max=3s")
	w.becomes(up.host+"/app:1", v1alpha1.ImageScanned, "")
	w.eventually("an image to fail", func() string {
		if slices.ContainsFunc(w.reports(), func(r v1alpha1.ImageReport) bool {
			return r.State == v1alpha1.ImageFailed && r.Reason == v1alpha1.ReasonRegistryUnavailable && r.Message != ""
		}) {
			return ""
		}
		return "none has"
	})
	down.start(t)
	for _, reference := range lost {
		w.becomes(reference, v1alpha1.ImageScanned, "")
	}
	if n := len(w.reports()); n != 4 {
		t.Errorf("there are %d reports, want 4: those by name must be gone", n)
	}
}

// TestRunDatabase: none, a damaged one, an old one.
func TestRunDatabase(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	digest := s.push(t, "app:1", debianImage(t, "app"))
	reference := s.host + "/app:1"
	w.pod(w.namespace(), reference, s.host+"/app@"+digest)
	whole, err := os.ReadFile(filepath.Join(w.database, "Debian", "all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(w.database, "Debian", "all.zip")
	write := func(content []byte) {
		t.Helper()
		// As publishers of files do: at once.
		if err := os.WriteFile(archive+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(archive+".new", archive); err != nil {
			t.Fatal(err)
		}
	}
	write(whole[:len(whole)/2])
	stop := w.scanner()
	r := w.becomes(reference, v1alpha1.ImagePending, v1alpha1.ReasonDatabaseMissing)
	w.eventually("the reason", func() string {
		if r = w.image(reference); strings.Contains(r.Message, "the vulnerability database of Debian: the archive is not valid: ") {
			return ""
		}
		return r.Message
	})
	if r.Image.PackageCount != 1 || r.Summary != nil {
		t.Errorf("what is in the image is known, and not what is vulnerable: %+v", r)
	}
	write(whole)
	r = w.becomes(reference, v1alpha1.ImageScanned, "")
	version := r.Database.Version

	// A damaged one does not take the place of a good one.
	tries := strings.Count(w.output.String(), "could not be updated")
	write(whole[:len(whole)/3])
	w.eventually("the update to fail", func() string {
		if strings.Count(w.output.String(), "could not be updated") > tries {
			return ""
		}
		return "it has not"
	})
	if r = w.image(reference); r.State != v1alpha1.ImageScanned || r.Database.Version != version {
		t.Errorf("%s of %s", r.State, r.Database.Version)
	}

	// An old one is told to be.
	write(whole)
	published := time.Now().Add(-8 * 24 * time.Hour)
	if err := os.Chtimes(archive, published, published); err != nil {
		t.Fatal(err)
	}
	r = w.becomes(reference, v1alpha1.ImageStale, v1alpha1.ReasonDatabaseOutdated)
	if r.Summary == nil || len(r.Vulnerabilities) == 0 {
		t.Errorf("what is known is gone: %+v", r)
	}
	write(whole)
	w.becomes(reference, v1alpha1.ImageScanned, "")

	// What is damaged on the scanner's own disk is fetched again.
	stop()
	states, err := filepath.Glob(filepath.Join(w.dir, "db", "state-*", "Debian.zip"))
	if err != nil || len(states) == 0 {
		t.Fatal(states, err)
	}
	for _, file := range states {
		if err := os.Truncate(file, 10); err != nil {
			t.Fatal(err)
		}
	}
	w.edit(w.image(reference)) // so that it is looked at
	w.scanner()
	w.eventually("the database to be fetched again", func() string {
		r = w.image(reference)
		if r.Image.User != "1000" || r.State != v1alpha1.ImageScanned || !strings.Contains(w.output.String(), "cannot be read and is fetched again") {
			return fmt.Sprint(r.State, r.Message)
		}
		return ""
	})
}

// TestRunCorruptImage: what is wrong with one image is told, and is no other's problem.
func TestRunCorruptImage(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	ns := w.namespace()
	broken := s.push(t, "broken:1", fixture.Image(t, fixture.LayerOf(t, []byte(strings.Repeat("no archive ", 200)))))
	w.pod(ns, s.host+"/broken:1", s.host+"/broken@"+broken)
	w.pod(ns, s.host+"/broken:1", s.host+"/broken@"+broken)
	good := s.push(t, "good:1", debianImage(t, "good"))
	w.pod(ns, s.host+"/good:1", s.host+"/good@"+good)
	// A runtime that knows the image by its configuration only, and a tag that leads elsewhere.
	moved := debianImage(t, "as it runs")
	config, err := moved.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	s.push(t, "moved:1", debianImage(t, "moved"))
	w.pod(ns, s.host+"/moved:1", config.String())
	same := debianImage(t, "same")
	if config, err = same.ConfigName(); err != nil {
		t.Fatal(err)
	}
	s.push(t, "same:1", same)
	w.pod(ns, s.host+"/same:1", "docker://"+config.String())
	w.scanner()
	w.becomes(s.host+"/good:1", v1alpha1.ImageScanned, "")
	w.becomes(s.host+"/same:1", v1alpha1.ImageScanned, "")
	r := w.becomes(s.host+"/broken:1", v1alpha1.ImageFailed, v1alpha1.ReasonLayerCorrupt)
	if r.Name != v1alpha1.ImageReportName("", broken) || r.Summary != nil || !strings.Contains(r.Message, "layer 1 of 1") {
		t.Errorf("the report on a broken image: %+v", r)
	}
	r = w.becomes(s.host+"/moved:1", v1alpha1.ImageFailed, v1alpha1.ReasonNotFound)
	if r.Image.ConfigDigest == "" || !strings.Contains(r.Message, "another image under this name than the one that runs") {
		t.Errorf("the report on an image that its registry does not have: %+v", r)
	}
	w.eventually("the names to be the only ones", func() string {
		if n := len(w.reports()); n != 4 {
			return fmt.Sprint(n)
		}
		return ""
	})
}

// TestRunDamagedStore: of an image that is kept in a file that cannot be read, the layers are pulled again.
func TestRunDamagedStore(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	digest := s.push(t, "app:1", debianImage(t, "app"))
	w.pod(w.namespace(), s.host+"/app:1", s.host+"/app@"+digest)
	stop := w.scanner()
	w.becomes(s.host+"/app:1", v1alpha1.ImageScanned, "")
	stop()
	files, err := filepath.Glob(filepath.Join(w.dir, "images", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	whole, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files[0], 10); err != nil {
		t.Fatal(err)
	}
	w.scanner()
	w.eventually("it to be mended", func() string {
		info, err := os.Stat(files[0])
		if err != nil || info.Size() != whole.Size() {
			return fmt.Sprint(info, err)
		}
		return ""
	})
	if r := w.image(s.host + "/app:1"); r.State != v1alpha1.ImageScanned || r.Summary == nil {
		t.Errorf("what was known is gone: %+v", r)
	}
}

// TestRunRepositories scans what the AuditConfiguration wants scanned besides what runs.
func TestRunRepositories(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	for _, tag := range []string{"1.0", "1.1", "latest"} {
		s.push(t, "next:"+tag, debianImage(t, tag))
	}
	wanted := &v1alpha1.AuditConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	wanted.Spec.Images.ScannedRepositories = []v1alpha1.ScannedRepository{{Name: s.host + "/next", Tags: []string{"1.*"}}, {Name: s.host + "/gone"}}
	w.create(wanted)
	t.Cleanup(func() {
		if err := w.admin.Delete(context.Background(), wanted); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
	w.scanner("--keep=0s")
	w.await("the versions to be scanned", 2, isScanned)
	w.becomes(s.host+"/next:1.0", v1alpha1.ImageScanned, "")
	w.becomes(s.host+"/next:1.1", v1alpha1.ImageScanned, "")
	if err := w.admin.Delete(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	w.await("the reports to be gone", 0, isScanned)
}
