// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// count returns how many requests there were of a method for what ends so.
func (s *registryServer) count(method, suffix string) int {
	n := 0
	for _, r := range s.all() {
		if strings.HasPrefix(r, method+" ") && strings.HasSuffix(r, suffix) {
			n++
		}
	}
	return n
}

// tells waits until the report on an image tells something of one of its names.
func (w *world) tells(want v1alpha1.ImageReference) {
	w.Helper()
	w.eventually(want.Name+" to be told of", func() string {
		r := w.image(want.Name)
		if r == nil {
			return "there is no report"
		}
		i := slices.IndexFunc(r.References, func(r v1alpha1.ImageReference) bool { return r.Name == want.Name })
		return cmp.Diff(want, r.References[i])
	})
}

// TestRunTags: reports tell where tags lead, and what the newest version is.
func TestRunTags(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	ns := w.namespace()
	w.pullSecret(ns, "registry", s.host, registryPassword)
	w.grant(ns)
	before, after := debianImage(t, "before"), debianImage(t, "after")
	for _, tag := range []string{"v0.9", "1.10.0", "2.0.0-rc.1", "20260127", "latest"} {
		s.push(t, "private/app:"+tag, nodeImage(t, tag))
	}
	digest := s.push(t, "private/app:1.4", indexOf(t, before))
	reference := s.host + "/private/app:1.4"
	w.pod(ns, reference, s.host+"/private/app@"+digest, "registry")
	byDigest := s.host + "/private/app@" + digest
	w.pod(ns, byDigest, byDigest, "registry")
	s.forget()
	stop := w.scanner()
	w.tells(v1alpha1.ImageReference{Name: reference, CurrentDigest: digestOf(t, before), NewestTag: "1.10.0"})
	w.tells(v1alpha1.ImageReference{Name: byDigest})
	if heads, lists := s.count(http.MethodHead, "/manifests/1.4"), s.count(http.MethodGet, "/tags/list"); heads != 1 || lists != 1 || s.count(http.MethodHead, "") != 1 {
		t.Errorf("the tag was asked for %d times, the repository %d times: %q", heads, lists, s.all())
	}
	stop()

	// The tag is moved, and nothing of the other image is pulled but what tells its digest.
	s.push(t, "private/app:1.4", indexOf(t, after))
	s.push(t, "private/app:1.11", nodeImage(t, "newer"))
	s.forget()
	stop = w.scanner("--recheck=500ms")
	w.tells(v1alpha1.ImageReference{Name: reference, CurrentDigest: digestOf(t, after), NewestTag: "1.11"})
	if r := w.image(reference); r.Image.Digest != digestOf(t, before) {
		t.Errorf("the report is on %s", r.Image.Digest)
	}
	layers, err := after.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if s.count(http.MethodGet, "/blobs/"+digestOf(t, layers[0])) > 0 {
		t.Errorf("the layer of the other image was pulled: %q", s.all())
	}
	asked := s.count(http.MethodHead, "/manifests/1.4")
	w.eventually("the tag to be asked for again", func() string {
		if s.count(http.MethodHead, "/manifests/1.4") > asked {
			return ""
		}
		return fmt.Sprint(asked)
	})

	// What is known stays while the registry is down, also if the scanner begins anew.
	s.stop(t)
	w.eventually("the failure to be logged", func() string {
		if strings.Contains(w.output.String(), `A registry could not be asked, and is asked again","question":"tag"`) {
			return ""
		}
		return "it is not"
	})
	stop()
	w.edit(w.image(reference))
	w.scanner()
	w.eventually("the report to be mended", func() string {
		if r := w.image(reference); r.Image.User != "1000" {
			return r.Image.User
		}
		return ""
	})
	w.tells(v1alpha1.ImageReference{Name: reference, CurrentDigest: digestOf(t, after), NewestTag: "1.11"})
}

// sign puts a signature of an image where cosign does, by a key.
func (s *registryServer) sign(t *testing.T, repository, digest string, private *ecdsa.PrivateKey) {
	t.Helper()
	payload := fmt.Appendf(nil, `{"critical":{"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"}}`, digest)
	hash := sha256.Sum256(payload)
	signature, err := ecdsa.SignASN1(rand.Reader, private, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	const layerType = "application/vnd.dev.cosign.simplesigning.v1+json"
	signed, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer: static.NewLayer(payload, layerType), MediaType: layerType,
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(signature)},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.push(t, repository+":"+strings.Replace(digest, ":", "-", 1)+".sig", signed)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// demand makes an AuditConfiguration that demands signatures.
func (w *world) demand(signatures ...v1alpha1.RequiredSignature) *v1alpha1.AuditConfiguration {
	w.Helper()
	wanted := &v1alpha1.AuditConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	wanted.Spec.Images.RequiredSignatures = signatures
	w.create(wanted)
	w.Cleanup(func() {
		if err := w.admin.Delete(context.Background(), wanted); client.IgnoreNotFound(err) != nil {
			w.Error(err)
		}
	})
	return wanted
}

// signedBy is what the AuditConfiguration has to say of a key.
func signedBy(t *testing.T, keyName string, private *ecdsa.PrivateKey) v1alpha1.SignatureKey {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return v1alpha1.SignatureKey{Name: keyName, PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

// signature waits until the report on an image tells of its signatures; nil is nothing.
func (w *world) signature(reference string, want *v1alpha1.ImageSignature) {
	w.Helper()
	w.eventually("the signature of "+reference, func() string {
		r := w.image(reference)
		if r == nil {
			return "there is no report"
		}
		return cmp.Diff(want, r.Signature)
	})
}

// TestRunSignatures: reports tell whether images are signed as the AuditConfiguration demands.
func TestRunSignatures(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	ns := w.namespace()
	w.pullSecret(ns, "registry", s.host, registryPassword)
	w.grant(ns)
	keys := []*ecdsa.PrivateKey{newKey(t), newKey(t)}
	digests := make(map[string]string)
	for _, repository := range []string{"signed", "unsigned", "foreign", "hidden"} {
		repository = "private/" + repository
		digests[repository] = s.push(t, repository+":1", indexOf(t, debianImage(t, repository)))
		w.pod(ns, s.host+"/"+repository+":1", s.host+"/"+repository+"@"+digests[repository], "registry")
	}
	s.sign(t, "private/signed", digests["private/signed"], keys[0])
	s.sign(t, "private/foreign", digests["private/foreign"], keys[1])
	s.refused = map[string]int{"/private/hidden/manifests/" + strings.Replace(digests["private/hidden"], ":", "-", 1) + ".sig": http.StatusForbidden}
	free := s.push(t, "free:1", debianImage(t, "free"))
	w.pod(ns, s.host+"/free:1", s.host+"/free@"+free)
	wanted := w.demand(v1alpha1.RequiredSignature{Images: []string{s.host + "/private/*"}, Keys: []v1alpha1.SignatureKey{signedBy(t, "release", keys[0])}})
	signed, unsigned, foreign := s.host+"/private/signed:1", s.host+"/private/unsigned:1", s.host+"/private/foreign:1"
	verified := &v1alpha1.ImageSignature{State: v1alpha1.SignatureVerified, Signer: "release"}
	rejected := &v1alpha1.ImageSignature{State: v1alpha1.SignatureRejected, Message: "no signature is by a key that counts"}
	s.forget()
	stop := w.scanner("--recheck=1s")
	w.signature(signed, verified)
	w.signature(unsigned, &v1alpha1.ImageSignature{State: v1alpha1.SignatureUnsigned})
	w.signature(foreign, rejected)
	w.signature(s.host+"/free:1", nil)

	w.eventually("it to be told that it could not be looked", func() string {
		r := w.image(s.host + "/private/hidden:1")
		if r.Signature == nil || r.Signature.State != v1alpha1.SignatureFailed ||
			!strings.HasPrefix(r.Signature.Message, "looking for signatures of "+s.host+"/private/hidden@"+digests["private/hidden"]+": ") {
			return fmt.Sprintf("%+v", r.Signature)
		}
		return ""
	})

	// It may be signed later; what is signed is not asked again.
	s.sign(t, "private/unsigned", digests["private/unsigned"], keys[0])
	w.signature(unsigned, verified)
	if n := s.count(http.MethodGet, "private/signed/manifests/"+strings.Replace(digests["private/signed"], ":", "-", 1)+".sig"); n != 1 {
		t.Errorf("what is signed was asked for %d times", n)
	}
	stop()

	// What is known stays while the registry is down, and another demand is not met by it.
	s.stop(t)
	before := w.writes()
	w.scanner("--retry-max=100ms")
	w.eventually("the registry to be asked", func() string {
		if n := strings.Count(w.output.String(), `"reason":"RegistryUnavailable"`); n < 3 {
			return fmt.Sprint(n)
		}
		return ""
	})
	if writes := since(before, w.writes()); len(writes) > 0 {
		t.Errorf("what is known was written again: %q", writes)
	}
	w.signature(signed, verified)
	wanted.Spec.Images.RequiredSignatures[0].Keys = []v1alpha1.SignatureKey{signedBy(t, "release", keys[1])}
	if err := w.admin.Update(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	w.signature(signed, nil) // nobody has looked
	s.start(t)
	w.signature(signed, rejected)
	w.signature(foreign, verified)

	// Nothing is told of what nobody wants to know.
	if err := w.admin.Delete(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	for _, reference := range []string{signed, unsigned, foreign} {
		w.signature(reference, nil)
	}
}

// TestRunSignaturesOfManyNames: each name of an image may have a demand of its own, also those that there is no room for in a report; and
// what is signed may be an index that comes to be known later.
func TestRunSignaturesOfManyNames(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	ns := w.namespace()
	many, one := newKey(t), newKey(t)
	img := debianImage(t, "many names")
	digest := s.push(t, "many:0", img)
	for i := range v1alpha1.MaxImageReferences {
		w.pod(ns, fmt.Sprintf("%s/many:%d", s.host, i), s.host+"/many@"+digest)
	}
	s.push(t, "one:1", img)
	w.pod(ns, s.host+"/one:1", s.host+"/one@"+digest)
	s.sign(t, "many", digest, many)
	w.demand(
		v1alpha1.RequiredSignature{Images: []string{s.host + "/many"}, Keys: []v1alpha1.SignatureKey{signedBy(t, "release", many)}},
		v1alpha1.RequiredSignature{Images: []string{s.host + "/one"}, Keys: []v1alpha1.SignatureKey{signedBy(t, "release", one)}},
	)
	w.scanner()
	w.signature(s.host+"/many:0", &v1alpha1.ImageSignature{State: v1alpha1.SignatureUnsigned})
	if n := len(w.image(s.host + "/many:0").References); n != v1alpha1.MaxImageReferences {
		t.Errorf("the report has %d names", n)
	}
	index := s.push(t, "one:2", indexOf(t, img))
	s.sign(t, "one", index, one)
	w.pod(ns, s.host+"/one:2", s.host+"/one@"+index)
	w.signature(s.host+"/many:0", &v1alpha1.ImageSignature{State: v1alpha1.SignatureVerified, Signer: "release"})
}

// TestRunRegistryWithoutTags: a registry that does not list tags is not taken for one that is down, and metrics tell of it.
func TestRunRegistryWithoutTags(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	s.refused = map[string]int{"/tags/list": http.StatusMethodNotAllowed}
	ns := w.namespace()
	run := func(repository string) {
		digest := s.push(t, repository+":1", debianImage(t, repository))
		w.pod(ns, s.host+"/"+repository+":1", s.host+"/"+repository+"@"+digest)
		w.tells(v1alpha1.ImageReference{Name: s.host + "/" + repository + ":1", CurrentDigest: digest})
	}
	w.scanner("--retry-min=1h", "--retry-max=1h")
	run("first")
	w.eventually("the failure to be logged", func() string {
		if strings.Contains(w.output.String(), `"question":"newest_tag","of":"`+s.host+`/first","reason":"RegistryUnavailable"`) {
			return ""
		}
		return "it is not"
	})
	run("second")
}

// TestRunKeyless: what cosign has signed by the key of a certificate is verified by the trusted root, if there is one.
func TestRunKeyless(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	dir := filepath.Join("internal", "signature", "testdata", "certificate")
	saved, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := saved.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	digests := make(map[string]string)
	for _, d := range manifest.Manifests {
		reference := "cart@" + d.Digest.String()
		if tag := d.Annotations["org.opencontainers.image.ref.name"]; tag != "" {
			reference, digests[tag] = "cart:"+tag, d.Digest.String()
		}
		var content remote.Taggable
		if content, err = saved.Image(d.Digest); d.MediaType.IsIndex() {
			content, err = saved.ImageIndex(d.Digest)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.push(t, reference, content)
	}
	image := s.host + "/cart:simple-signing"
	w.pod(w.namespace(), image, s.host+"/cart@"+digests["simple-signing"])
	w.demand(v1alpha1.RequiredSignature{
		Images: []string{s.host + "/*"}, Identities: []v1alpha1.SignatureIdentity{{Issuer: "https://accounts.example.com", Subject: "*@example.com"}},
	})
	stop := w.scanner()
	w.signature(image, &v1alpha1.ImageSignature{
		State:   v1alpha1.SignatureFailed,
		Message: "no signature is by an identity that counts; keyless ones are not verified, because the scanner has no trusted root: see --trusted-root",
	})
	stop()
	w.scanner("--trusted-root=" + filepath.Join(dir, "trusted_root.json"))
	w.signature(image, &v1alpha1.ImageSignature{State: v1alpha1.SignatureVerified, Signer: "release@example.com"})
}
