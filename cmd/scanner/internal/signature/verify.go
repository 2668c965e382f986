// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
	"github.com/kubersafe/kubersafe/internal/plain"
)

// Names that cosign gives to what it writes, and the predicate of in-toto with which it says that an image is signed:
// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md and BUNDLE_SPEC.md.
const (
	layerType             = "application/vnd.dev.cosign.simplesigning.v1+json"
	signatureAnnotation   = "dev.cosignproject.cosign/signature"
	certificateAnnotation = "dev.sigstore.cosign/certificate"
	logAnnotation         = "dev.sigstore.cosign/bundle"
	timestampAnnotation   = "dev.sigstore.cosign/rfc3161timestamp"
	payloadType           = "cosign container image signature"
	bundlePrefix          = "application/vnd.dev.sigstore.bundle"
	predicateAnnotation   = "dev.sigstore.bundle.predicateType"
	emptyType             = "application/vnd.oci.empty.v1+json"
	statementType         = "application/vnd.in-toto+json"
	predicateType         = "https://sigstore.dev/cosign/sign/v1"
)

const (
	// maxDigests of one image whose signatures are looked at: of its indexes and its manifest. One is signed, or all of some two.
	maxDigests = 8
	// maxSignatures of one digest that are looked at, in each of the two places. Whoever signs anew with each build of the same has a few.
	maxSignatures = 16
	// maxSigner is how much of an identity there is room for in a report.
	maxSigner = 512
)

// Verify looks in a repository for signatures of an image by one of its digests: of its indexes and, at last, of its manifest. An error, a
// problem.Error, is one of asking the registry; what is wrong with what it has is told in the result.
func Verify(ctx context.Context, repository string, digests []string, signers *Signers, o image.Options) (v1alpha1.ImageSignature, error) {
	ref, err := o.Reference(repository)
	if err != nil {
		return v1alpha1.ImageSignature{}, err
	}
	v := verifier{repository: ref.Context(), options: append(image.RemoteOptions(ctx, o), image.Small()), digests: digests, signers: signers}
	manifest := digests[len(digests)-1]
	looked := append(slices.Clone(digests[:min(len(digests)-1, maxDigests-1)]), manifest)
	for _, digest := range looked {
		for _, look := range []func(string) error{v.tag, v.referrers} {
			if err := look(digest); err != nil {
				return v1alpha1.ImageSignature{}, problem.Errorf(problem.Reason(err, ""), "looking for signatures of %s@%s: %w", repository, digest, err)
			}
			if v.signer != "" {
				return v1alpha1.ImageSignature{State: v1alpha1.SignatureVerified, Signer: plain.Clean(v.signer, maxSigner)}, nil
			}
		}
	}
	if v.seen == 0 {
		if err := v.visible(manifest); err != nil {
			return v1alpha1.ImageSignature{}, problem.Errorf(problem.Reason(err, ""), "looking for signatures of %s@%s, which must be there itself: %w", repository, manifest, err)
		}
	}
	return v.result(), nil
}

// visible returns an error where the image itself cannot be seen: some registries tell those who may not look that there is nothing.
func (v *verifier) visible(digest string) error {
	if _, err := remote.Head(v.repository.Digest(digest), v.options...); err != nil {
		if err = image.RegistryError(err); problem.Reason(err, "") != v1alpha1.ReasonManifestInvalid { // a registry may leave the digest out
			return err
		}
	}
	return nil
}

// verifier verifies the signatures of one image.
type verifier struct {
	repository name.Repository
	options    []remote.Option
	digests    []string
	signers    *Signers

	// signer is the name of the key, or the identity, by which a signature is that counts.
	signer string
	// seen signatures that do not count. There are more that were not looked at.
	seen int
	more bool
	// keyless: some could not be verified for want of a root.
	keyless bool
	// wrong is what is wrong with the first of them of which there is more to say than that it is by nobody who counts.
	wrong error
}

// result is what there is to say where no signature counts.
func (v *verifier) result() v1alpha1.ImageSignature {
	if v.seen == 0 {
		return v1alpha1.ImageSignature{State: v1alpha1.SignatureUnsigned}
	}
	nobody := fmt.Sprintf("no signature is by %s that counts", v.signers.who())
	if v.more {
		nobody += fmt.Sprintf(", of the first %d of a digest", maxSignatures)
	}
	state, message := v1alpha1.SignatureRejected, nobody
	switch {
	case v.signers.wrong != nil:
		state, message = v1alpha1.SignatureFailed, v.signers.wrong.Error()
	case v.keyless:
		state, message = v1alpha1.SignatureFailed, nobody+"; keyless ones are not verified, because the scanner has no trusted root: see --trusted-root"
	case v.wrong != nil:
		message = v.wrong.Error()
	}
	return v1alpha1.ImageSignature{State: state, Message: plain.Clean(message, v1alpha1.MaxMessage)}
}

// reject takes in something that does not count.
func (v *verifier) reject(err error) {
	v.seen++
	if v.wrong == nil {
		v.wrong = err
	}
}

// asked sorts the errors of asking a registry: returned are those of asking. What is not there is no signature, and what it has but cannot be
// read is one that does not count: whoever can push must not turn "rejected" into "failed".
func (v *verifier) asked(err error) error {
	if err == nil {
		return nil
	}
	err = image.RegistryError(err)
	switch problem.Reason(err, "") {
	case v1alpha1.ReasonNotFound:
		return nil
	case v1alpha1.ReasonManifestInvalid, v1alpha1.ReasonLimitExceeded:
		v.reject(fmt.Errorf("a signature cannot be read: %w", err))
		return nil
	}
	return err
}

// tag looks at the image that cosign tags by the digest of what it signs: a layer for each signature, which is an annotation of it.
func (v *verifier) tag(digest string) error {
	tag := strings.Replace(digest, ":", "-", 1) + ".sig"
	img, err := remote.Image(v.repository.Tag(tag), v.options...)
	if err != nil {
		return v.asked(err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		return v.asked(err)
	}
	looked := 0
	for i := range manifest.Layers {
		layer := &manifest.Layers[i]
		if layer.MediaType != layerType || v.signer != "" {
			continue
		}
		if looked == maxSignatures {
			v.more = true
			break
		}
		looked++
		payload, err := v.read(layer)
		if err != nil {
			return err
		}
		if payload != nil {
			v.simple(payload, layer.Annotations)
		}
	}
	return nil
}

// read reads a layer. It returns nil if that is nothing to go by.
func (v *verifier) read(layer *v1.Descriptor) ([]byte, error) {
	blob, err := remote.Layer(v.repository.Digest(layer.Digest.String()), v.options...)
	if err != nil {
		return nil, v.asked(err)
	}
	content, err := blob.Compressed()
	if err != nil {
		return nil, v.asked(err)
	}
	defer func() { _ = content.Close() }() // only read
	data, err := io.ReadAll(content)       // all of which is compared with the digest
	if err != nil {
		return nil, v.asked(err)
	}
	return data, nil
}

// simple looks at a signature of a payload in the format "simple signing".
func (v *verifier) simple(payload []byte, annotations map[string]string) {
	signature, err := base64.StdEncoding.DecodeString(annotations[signatureAnnotation])
	if err != nil {
		v.reject(fmt.Errorf("a signature cannot be read: %w", err))
		return
	}
	signer, as := v.signers.by(payload, signature), "key"
	if signer == "" {
		if annotations[certificateAnnotation] == "" || !v.mayBeKeyless() {
			v.seen++
			return
		}
		if signer, err = v.signers.verifyPayload(payload, signature, annotations); err != nil {
			v.reject(fmt.Errorf("a keyless signature does not count: %w", err))
			return
		}
		as = "identity"
	}
	var signed struct {
		Critical struct {
			Type  string `json:"type"`
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			} `json:"image"`
		} `json:"critical"`
	}
	if err := json.Unmarshal(payload, &signed); err != nil {
		v.reject(fmt.Errorf("what %s %q has signed cannot be read: %w", as, signer, err))
		return
	}
	if signed.Critical.Type != payloadType {
		v.reject(fmt.Errorf("what %s %q has signed is no signature of an image, but %q", as, signer, signed.Critical.Type))
		return
	}
	v.accept(signer, as, signed.Critical.Image.Digest)
}

// mayBeKeyless says whether keyless signatures count, and can be verified.
func (v *verifier) mayBeKeyless() bool {
	if len(v.signers.identities) == 0 {
		return false
	}
	v.keyless = v.keyless || v.signers.root == nil
	return v.signers.root != nil
}

// accept takes in that somebody who counts, as a key or an identity, has signed digests.
func (v *verifier) accept(signer, as string, digests ...string) {
	if slices.ContainsFunc(digests, func(d string) bool { return slices.Contains(v.digests, d) }) {
		v.signer = signer
		return
	}
	v.reject(fmt.Errorf("what %s %q has signed is another image, %s", as, signer, strings.Join(digests, ", ")))
}

// referrers looks at the bundles that refer to a digest.
func (v *verifier) referrers(digest string) error {
	index, err := remote.Referrers(v.repository.Digest(digest), v.options...)
	if err != nil {
		return v.asked(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return v.asked(err)
	}
	looked := 0
	for i := range manifest.Manifests {
		d := &manifest.Manifests[i]
		if !mayBeSignature(d) || v.signer != "" {
			continue
		}
		if looked == maxSignatures {
			v.more = true
			break
		}
		looked++
		if err := v.bundle(d); err != nil {
			return err
		}
	}
	return nil
}

// mayBeSignature says whether what refers to an image may be a bundle with a signature. Some registries do not tell the type of an artifact, but
// that of its configuration, which cosign leaves empty. Bundles have other things, too, and mostly say which.
func mayBeSignature(d *v1.Descriptor) bool {
	predicate := d.Annotations[predicateAnnotation]
	return (strings.HasPrefix(d.ArtifactType, bundlePrefix) || d.ArtifactType == emptyType) && (predicate == "" || predicate == predicateType)
}

// bundle looks at what may be a bundle.
func (v *verifier) bundle(d *v1.Descriptor) error {
	img, err := remote.Image(v.repository.Digest(d.Digest.String()), v.options...)
	if err != nil {
		return v.asked(err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		return v.asked(err)
	}
	if len(manifest.Layers) != 1 || !strings.HasPrefix(string(manifest.Layers[0].MediaType), bundlePrefix) {
		return nil // something else
	}
	data, err := v.read(&manifest.Layers[0])
	if err != nil || data == nil {
		return err
	}
	if err := v.envelope(data); err != nil {
		v.reject(err)
	}
	return nil
}

// envelope looks at the envelope in a bundle: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md. An error is what is wrong
// with it. Other things than signatures are attached in bundles, too.
func (v *verifier) envelope(data []byte) error {
	var bundle struct {
		Material struct {
			PublicKey *struct{} `json:"publicKey"`
		} `json:"verificationMaterial"`
		Envelope struct {
			Type       string `json:"payloadType"`
			Payload    []byte `json:"payload"`
			Signatures []struct {
				Signature []byte `json:"sig"`
			} `json:"signatures"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(data, &bundle); err != nil {
		return fmt.Errorf("a signature cannot be read: %w", err)
	}
	e := &bundle.Envelope
	var statement struct {
		Subject []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
		Predicate string `json:"predicateType"`
	}
	if err := json.Unmarshal(e.Payload, &statement); err != nil {
		return fmt.Errorf("a signature cannot be read: %w", err)
	}
	if statement.Predicate != predicateType {
		return nil // an attestation of something else
	}
	if e.Type != statementType || len(e.Signatures) != 1 {
		return errors.New("a signature cannot be read: its envelope must have one signature, of a statement of in-toto")
	}
	signed := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(e.Type), e.Type, len(e.Payload), e.Payload)
	if signer := v.signers.by(signed, e.Signatures[0].Signature); signer != "" {
		var digests []string
		for _, s := range statement.Subject {
			if hash := s.Digest["sha256"]; hash != "" {
				digests = append(digests, "sha256:"+hash)
			}
		}
		v.accept(signer, "key", digests...)
		return nil
	}
	if bundle.Material.PublicKey != nil || !v.mayBeKeyless() {
		v.seen++
		return nil
	}
	signer, digests, err := v.signers.verifyStatement(data)
	if err != nil {
		return fmt.Errorf("a keyless signature does not count: %w", err)
	}
	v.accept(signer, "identity", digests...)
	return nil
}
