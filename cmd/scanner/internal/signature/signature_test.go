// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

// place is a repository in a registry that counts what it is asked.
type place struct {
	*testing.T
	repository string
	requests   atomic.Int32
	// status that it answers with; 0 is what it has.
	status atomic.Int32
}

func newPlace(t *testing.T) *place {
	p := &place{T: t}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			p.requests.Add(1)
			if status := p.status.Load(); status != 0 {
				w.WriteHeader(int(status))
				return
			}
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.repository = strings.TrimPrefix(server.URL, "http://") + "/shop/cart"
	ref, err := name.ParseReference(p.repository + ":1")
	if err == nil {
		err = remote.WriteIndex(ref, theIndex)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) push(reference string, img v1.Image) {
	p.Helper()
	ref, err := name.ParseReference(reference)
	if err == nil {
		err = remote.Write(ref, img)
	}
	if err != nil {
		p.Fatal(err)
	}
}

// layered returns an image of some layers, as cosign writes it.
func layered(t *testing.T, layers ...mutate.Addendum) v1.Image {
	t.Helper()
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layers...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// layer is a signature of a payload as cosign writes it.
func layer(payload, signature []byte, annotations ...string) mutate.Addendum {
	all := map[string]string{signatureAnnotation: base64.StdEncoding.EncodeToString(signature)}
	for _, a := range annotations {
		all[a] = "something"
	}
	return mutate.Addendum{Layer: static.NewLayer(payload, layerType), MediaType: layerType, Annotations: all}
}

// attach puts signatures where cosign does.
func (p *place) attach(digest string, layers ...mutate.Addendum) {
	p.Helper()
	p.push(p.repository+":"+strings.Replace(digest, ":", "-", 1)+".sig", layered(p.T, layers...))
}

// refer attaches a bundle.
func (p *place) refer(digest string, bundle []byte) {
	p.Helper()
	const bundleType = bundlePrefix + ".v0.3+json"
	// The type of its configuration is that of the artifact where it has none of its own.
	p.attachImage(digest, mutate.ConfigMediaType(layered(p.T, mutate.Addendum{Layer: static.NewLayer(bundle, bundleType), MediaType: bundleType}), bundleType))
}

// attachImage attaches something.
func (p *place) attachImage(digest string, img v1.Image) {
	p.Helper()
	hash, err := v1.NewHash(digest)
	if err != nil {
		p.Fatal(err)
	}
	img = mutate.Subject(img, v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: hash, Size: 1}).(v1.Image)
	attached, err := img.Digest()
	if err != nil {
		p.Fatal(err)
	}
	p.push(p.repository+"@"+attached.String(), img)
}

// payload is what cosign signs.
func payload(digest string) []byte {
	return fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":%q},"type":%q},"optional":null}`, digest, payloadType)
}

// dsseBundle is what cosign attaches to images: a statement on a digest, signed.
func dsseBundle(t *testing.T, signer crypto.Signer, digest, predicate, material string) []byte {
	t.Helper()
	_, hash, _ := strings.Cut(digest, ":")
	statement := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`, hash, predicate)
	signed := bytes.Join([][]byte{[]byte("DSSEv1 28 " + statementType), fmt.Append(nil, len(statement)), statement}, []byte(" "))
	text, err := json.Marshal(map[string]any{
		"mediaType":            bundlePrefix + ".v0.3+json",
		"verificationMaterial": map[string]any{material: map[string]string{"hint": ""}},
		"dsseEnvelope": map[string]any{
			"payloadType": statementType, "payload": statement, "signatures": []map[string][]byte{{"sig": sign(t, signer, signed)}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func sign(t *testing.T, signer crypto.Signer, data []byte) []byte {
	t.Helper()
	hash, message := crypto.SHA256, data
	if _, ok := signer.(ed25519.PrivateKey); ok {
		hash = 0
	} else {
		sum := sha256.Sum256(data)
		message = sum[:]
	}
	signature, err := signer.Sign(rand.Reader, message, hash)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func newECDSA(t *testing.T) crypto.Signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func publicPEM(t *testing.T, signer crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// signers are those of a policy with some keys.
func signers(t *testing.T, keys map[string]crypto.Signer, identities ...v1alpha1.SignatureIdentity) *Signers {
	t.Helper()
	r := v1alpha1.RequiredSignature{Images: []string{"*"}, Identities: identities}
	for keyName, k := range keys {
		r.Keys = append(r.Keys, v1alpha1.SignatureKey{Name: keyName, PublicKey: publicPEM(t, k)})
	}
	return NewPolicy([]v1alpha1.RequiredSignature{r}, nil).Of("registry.example.com/shop/cart:1")
}

// theIndex is of the image that is verified, and has its manifest.
var theIndex = mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: empty.Image})

func digest(digest v1.Hash, err error) string {
	if err != nil {
		panic(err) // of something that is made in memory
	}
	return digest.String()
}

var (
	index, platform, other = digest(theIndex.Digest()), digest(empty.Image.Digest()), "sha256:" + strings.Repeat("f", 64)
	identity               = v1alpha1.SignatureIdentity{Issuer: "https://accounts.example.com", Subject: "release@example.com"}
)

func TestVerify(t *testing.T) {
	release, stranger := newECDSA(t), newECDSA(t)
	byKey := signers(t, map[string]crypto.Signer{"release": release})
	withIdentity := signers(t, map[string]crypto.Signer{"release": release}, identity)
	broken := NewPolicy([]v1alpha1.RequiredSignature{{
		Images: []string{"*"}, Keys: []v1alpha1.SignatureKey{{Name: "broken", PublicKey: "-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----\n"}},
	}}, nil).Of("registry.example.com/a")
	good := func(digest string) mutate.Addendum { return layer(payload(digest), sign(t, release, payload(digest))) }
	bad := layer(payload(index), sign(t, stranger, payload(index)))
	verified := v1alpha1.ImageSignature{State: v1alpha1.SignatureVerified, Signer: "release"}
	rejected := func(message string) v1alpha1.ImageSignature {
		return v1alpha1.ImageSignature{State: v1alpha1.SignatureRejected, Message: message}
	}
	failed := func(message string) v1alpha1.ImageSignature {
		return v1alpha1.ImageSignature{State: v1alpha1.SignatureFailed, Message: message}
	}
	const nobody = "no signature is by a key that counts"
	const nobodyAtAll = "no signature is by a key or an identity that counts"
	const keyless = nobodyAtAll + "; keyless ones are not verified, because the scanner has no trusted root: see --trusted-root"
	const large = "a signature cannot be read: the registry's answer is larger than 1048576 bytes, which is not supported"
	attestation := "https://slsa.dev/provenance/v1"
	for what, tc := range map[string]struct {
		signers  *Signers
		attach   func(*place)
		want     v1alpha1.ImageSignature
		requests int32
	}{
		// Of each digest: the tag, and what refers to it; and whether the image is there, if there is nothing.
		"not signed":                      {byKey, func(*place) {}, v1alpha1.ImageSignature{State: v1alpha1.SignatureUnsigned}, 5},
		"not signed, by whom has no key":  {withIdentity, func(*place) {}, v1alpha1.ImageSignature{State: v1alpha1.SignatureUnsigned}, 5},
		"the index is signed":             {byKey, func(p *place) { p.attach(index, good(index)) }, verified, 2},
		"the manifest is signed":          {byKey, func(p *place) { p.attach(platform, good(platform)) }, verified, 4},
		"signed by another key, too":      {byKey, func(p *place) { p.attach(index, bad, good(index)) }, verified, 3},
		"signed by another key":           {byKey, func(p *place) { p.attach(index, bad) }, rejected(nobody), 5},
		"signed without a key, but by it": {withIdentity, func(p *place) { p.attach(index, layer(payload(index), nil, certificateAnnotation), good(index)) }, verified, 3},
		"signed without a key":            {withIdentity, func(p *place) { p.attach(index, layer(payload(index), nil, certificateAnnotation)) }, failed(keyless), 5},
		"signed without a key, which nobody may": {
			byKey, func(p *place) { p.attach(index, layer(payload(index), nil, certificateAnnotation)) }, rejected(nobody), 5,
		},
		"by a key that does not count, where identities do": {withIdentity, func(p *place) { p.attach(index, bad) }, rejected(nobodyAtAll), 5},
		"the signature of another image": {
			byKey, func(p *place) { p.attach(index, good(other)) }, rejected(`what key "release" has signed is another image, ` + other), 5,
		},
		"the signature of something else": {
			byKey, func(p *place) {
				text := fmt.Appendf(nil, `{"critical":{"image":{"docker-manifest-digest":%q},"type":"nonsense"}}`, index)
				p.attach(index, layer(text, sign(t, release, text)))
			}, rejected(`what key "release" has signed is no signature of an image, but "nonsense"`), 5,
		},
		"the signature of nonsense": {
			byKey, func(p *place) { p.attach(index, layer([]byte("nonsense"), sign(t, release, []byte("nonsense")))) },
			rejected(`what key "release" has signed cannot be read: invalid character 'o' in literal null (expecting 'u')`), 5,
		},
		"no signature": {
			byKey, func(p *place) {
				l := layer(payload(index), nil)
				l.Annotations[signatureAnnotation] = "?"
				p.attach(index, l)
			}, rejected("a signature cannot be read: illegal base64 data at input byte 0"), 5,
		},
		"more signatures than are looked at": {
			byKey, func(p *place) {
				var layers []mutate.Addendum
				for i := range maxSignatures + 1 {
					text := fmt.Append(payload(index), i)
					layers = append(layers, layer(text, sign(t, stranger, text)))
				}
				p.attach(index, append(layers, good(index))...)
			}, rejected(nobody + ", of the first 16 of a digest"), 4 + maxSignatures,
		},
		"a payload that is too large": {
			byKey, func(p *place) { p.attach(index, layer(make([]byte, 1<<20+1), nil)) }, rejected(large), 5,
		},
		"signatures that are too large": {
			byKey, func(p *place) {
				l := good(index)
				l.Annotations["large"] = strings.Repeat("a", 1<<20)
				p.attach(index, l)
			}, rejected(large), 4,
		},
		"a key that cannot be read": {
			broken, func(p *place) { p.attach(index, good(index)) },
			failed(`key "broken" in spec.images.requiredSignatures cannot be read: it is not PEM-encoded`), 5,
		},
		"a bundle":                   {byKey, func(p *place) { p.refer(index, dsseBundle(t, release, index, predicateType, "publicKey")) }, verified, 4},
		"a bundle for the manifest":  {byKey, func(p *place) { p.refer(platform, dsseBundle(t, release, platform, predicateType, "publicKey")) }, verified, 6},
		"a bundle by another key":    {byKey, func(p *place) { p.refer(index, dsseBundle(t, stranger, index, predicateType, "publicKey")) }, rejected(nobody), 6},
		"a bundle without a key":     {withIdentity, func(p *place) { p.refer(index, dsseBundle(t, stranger, index, predicateType, "certificate")) }, failed(keyless), 6},
		"an attestation in a bundle": {byKey, func(p *place) { p.refer(index, dsseBundle(t, release, index, attestation, "publicKey")) }, v1alpha1.ImageSignature{State: v1alpha1.SignatureUnsigned}, 7},
		"an attestation that says so": {
			byKey, func(p *place) {
				annotated := mutate.Annotations(mutate.ConfigMediaType(empty.Image, emptyType), map[string]string{predicateAnnotation: attestation}).(v1.Image)
				p.attachImage(index, annotated)
			}, v1alpha1.ImageSignature{State: v1alpha1.SignatureUnsigned}, 5,
		},
		"something else that is attached": {
			byKey, func(p *place) {
				p.attachImage(index, mutate.ConfigMediaType(layered(p.T, good(index)), emptyType))
				p.attachImage(index, mutate.ConfigMediaType(layered(p.T, good(index)), "application/vnd.example"))
			}, v1alpha1.ImageSignature{State: v1alpha1.SignatureUnsigned}, 6,
		},
		"more bundles than are looked at": {
			byKey, func(p *place) {
				for i := range maxSignatures + 1 {
					p.refer(index, append(dsseBundle(t, stranger, index, predicateType, "publicKey"), strings.Repeat(" ", i)...))
				}
			}, rejected(nobody + ", of the first 16 of a digest"), 4 + 2*maxSignatures,
		},
		"a bundle that is no JSON":     {byKey, func(p *place) { p.refer(index, []byte("?")) }, rejected("a signature cannot be read: invalid character '?' looking for beginning of value"), 6},
		"a bundle without a statement": {byKey, func(p *place) { p.refer(index, []byte("{}")) }, rejected("a signature cannot be read: unexpected end of JSON input"), 6},
		"a bundle for another image": {
			byKey, func(p *place) { p.refer(index, dsseBundle(t, release, other, predicateType, "publicKey")) },
			rejected(`what key "release" has signed is another image, ` + other), 6,
		},
	} {
		t.Run(what, func(t *testing.T) {
			p := newPlace(t)
			tc.attach(p)
			p.requests.Store(0)
			got, err := Verify(t.Context(), p.repository, []string{index, platform}, tc.signers, image.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("signature (-want +got):\n%s", diff)
			}
			if n := p.requests.Load(); n != tc.requests {
				t.Errorf("there were %d requests, want %d", n, tc.requests)
			}
		})
	}
}

func TestKindsOfKeys(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	larger, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	data := payload(index)
	for what, private := range map[string]crypto.Signer{"ECDSA": newECDSA(t), "ECDSA, P-384": larger, "RSA": rsaKey, "Ed25519": ed} {
		t.Run(what, func(t *testing.T) {
			s := signers(t, map[string]crypto.Signer{"stranger": newECDSA(t), "release": private})
			if signer := s.by(data, sign(t, private, data)); signer != "release" {
				t.Errorf("signed by %q", signer)
			}
			if signer := s.by(append(data, ' '), sign(t, private, data)); signer != "" {
				t.Errorf("what was changed is signed by %q", signer)
			}
		})
	}
	// Tools that go by the size of the key.
	h := crypto.SHA384.New()
	h.Write(data)
	signature, err := larger.Sign(rand.Reader, h.Sum(nil), crypto.SHA384)
	if err != nil {
		t.Fatal(err)
	}
	if s := signers(t, map[string]crypto.Signer{"release": larger}); s.by(data, signature) != "release" {
		t.Error("ECDSA with SHA-384 is not signed by the key")
	}
}

func TestRegistryErrors(t *testing.T) {
	s := signers(t, map[string]crypto.Signer{"release": newECDSA(t)})
	for status, want := range map[int32]v1alpha1.ImageReason{
		http.StatusForbidden: v1alpha1.ReasonUnauthorized, http.StatusMethodNotAllowed: v1alpha1.ReasonRegistryUnavailable,
		http.StatusNotFound: v1alpha1.ReasonNotFound, // which some say instead
	} {
		p := newPlace(t)
		p.status.Store(status)
		got, err := Verify(t.Context(), p.repository, []string{index}, s, image.Options{})
		if problem.Reason(err, "") != want || got != (v1alpha1.ImageSignature{}) {
			t.Errorf("status %d: %+v, %v; want the reason %s", status, got, err, want)
		}
	}
}

func TestPolicy(t *testing.T) {
	a, b := newECDSA(t), newECDSA(t)
	keys := func(k crypto.Signer) []v1alpha1.SignatureKey {
		return []v1alpha1.SignatureKey{{Name: "key", PublicKey: publicPEM(t, k)}}
	}
	p := NewPolicy([]v1alpha1.RequiredSignature{
		{Images: []string{"registry.example.com/*"}, Keys: keys(a)},
		{Images: []string{"registry.example.com/shop/*", "docker.io/library/nginx"}, Keys: keys(b)},
		{Images: []string{"registry.example.com/base"}, Keys: keys(a)},
	}, nil)
	base, cart := p.Of("registry.example.com/base:1"), p.Of("registry.example.com/shop/cart@"+index)
	if base == nil || cart == nil || p.Of("nginx") != cart && p.Of("nginx").ID != cart.ID || p.Of("registry.example.com/tool:1").ID != base.ID {
		t.Errorf("base %+v, cart %+v", base, cart)
	}
	if base.ID == cart.ID {
		t.Error("what different keys sign has the same ID")
	}
	if none := p.Of("registry.example.org/shop/cart:1"); none != nil {
		t.Errorf("an image that nothing selects must be signed by %+v", none)
	}
}
