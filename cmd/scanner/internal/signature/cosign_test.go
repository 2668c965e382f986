// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

// TestCosign verifies what cosign v3.1.3 has written, which testdata keeps, by
//
//	cosign sign --key=cosign.key --use-signing-config=false --tlog-upload=false --new-bundle-format=false REPOSITORY@DIGEST
//	cosign sign --key=cosign.key --use-signing-config=false --tlog-upload=false --new-bundle-format=true REPOSITORY@DIGEST
//
// and, with --certificate=FILE --timestamp-server-url=URL, by the key of a certificate as Fulcio makes them.
func TestCosign(t *testing.T) {
	public, err := os.ReadFile(filepath.Join("testdata", "key", "cosign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := ReadRoot(filepath.Join("testdata", "certificate", "trusted_root.json"))
	if err != nil {
		t.Fatal(err)
	}
	signers := func(publicKey, subject string) *Signers {
		r := v1alpha1.RequiredSignature{Images: []string{"*"}, Identities: []v1alpha1.SignatureIdentity{{Issuer: identity.Issuer, Subject: subject}}}
		r.Keys = []v1alpha1.SignatureKey{{Name: "release", PublicKey: publicKey}}
		return NewPolicy([]v1alpha1.RequiredSignature{r}, root).Of("registry.example.com/a")
	}
	us, others := signers(string(public), identity.Subject), signers(publicPEM(t, newECDSA(t)), "stranger@example.com")
	for saved, signer := range map[string]string{"key": "release", "certificate": identity.Subject} {
		for _, withReferrers := range []bool{true, false} { // or the tag that stands for them
			repository, digests := restore(t, filepath.Join("testdata", saved), withReferrers)
			for _, format := range []string{"simple-signing", "bundle"} {
				t.Run(fmt.Sprintf("%s, %s, referrers: %t", saved, format, withReferrers), func(t *testing.T) {
					verify := func(s *Signers, digests ...string) (v1alpha1.ImageSignature, error) {
						return Verify(t.Context(), repository, digests, s, image.Options{})
					}
					got, err := verify(us, digests[format])
					if diff := cmp.Diff(v1alpha1.ImageSignature{State: v1alpha1.SignatureVerified, Signer: signer}, got); diff != "" || err != nil {
						t.Errorf("signature, %v (-want +got):\n%s", err, diff)
					}
					if got, err := verify(others, digests[format]); got.State != v1alpha1.SignatureRejected || err != nil {
						t.Errorf("by others: %+v, %v", got, err)
					}
					if got, err := verify(us, digests["unsigned"]); got.State != v1alpha1.SignatureUnsigned || err != nil {
						t.Errorf("of another image: %+v, %v", got, err)
					}
					if got, err := verify(us, platform); problem.Reason(err, "") != v1alpha1.ReasonNotFound {
						t.Errorf("of an image that is not there: %+v, %v", got, err)
					}
				})
			}
		}
	}
}

// restore pushes what a layout keeps of a repository, and returns digests by their tags.
func restore(t *testing.T, dir string, withReferrers bool) (repository string, digests map[string]string) {
	t.Helper()
	saved, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := saved.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(withReferrers)))
	t.Cleanup(server.Close)
	repository = strings.TrimPrefix(server.URL, "http://") + "/shop/cart"
	digests = make(map[string]string)
	for _, d := range manifest.Manifests {
		reference := repository + "@" + d.Digest.String()
		if tag := d.Annotations["org.opencontainers.image.ref.name"]; tag != "" {
			reference = repository + ":" + tag
			digests[tag] = d.Digest.String()
		}
		push(t, saved, d, reference)
	}
	return repository, digests
}

// push pushes what a layout has.
func push(t *testing.T, saved v1.ImageIndex, d v1.Descriptor, reference string) {
	t.Helper()
	ref, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	if d.MediaType.IsIndex() {
		index, err := saved.ImageIndex(d.Digest)
		if err == nil {
			err = remote.WriteIndex(ref, index)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	img, err := saved.Image(d.Digest)
	if err == nil {
		err = remote.Write(ref, img)
	}
	if err != nil {
		t.Fatal(err)
	}
}
