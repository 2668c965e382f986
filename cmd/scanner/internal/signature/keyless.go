// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// Root is what keyless signatures are verified by: whose certificates, logs and timestamps are trusted.
type Root struct {
	id       string
	verifier *verify.Verifier
}

// ReadRoot reads a trusted root in the JSON of Sigstore's trusted_root.json. If it has transparency logs, signatures must be in one of them;
// if it has certificate transparency logs, their certificates must be in one of those. An error names the file.
func ReadRoot(file string) (*Root, error) {
	data, err := os.ReadFile(file) //nolint:gosec // G304: what the command line names
	if err != nil {
		return nil, err
	}
	trusted, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%q is not a trusted root: %w", file, err)
	}
	if len(trusted.FulcioCertificateAuthorities()) == 0 {
		return nil, fmt.Errorf("the trusted root %q has no certificate authority", file)
	}
	if len(trusted.RekorLogs()) == 0 && len(trusted.TimestampingAuthorities()) == 0 {
		return nil, fmt.Errorf("the trusted root %q has neither a transparency log nor a timestamp authority, so that nobody can tell when something was signed", file)
	}
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate()}
	if len(trusted.RekorLogs()) > 0 {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if len(trusted.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	verifier, err := verify.NewVerifier(trusted, options...)
	if err != nil {
		return nil, err
	}
	return &Root{fmt.Sprintf("%x", sha256.Sum256(data)), verifier}, nil
}

// identityOf returns the demand that a certificate is of an identity.
func identityOf(i *v1alpha1.SignatureIdentity) (verify.PolicyOption, error) {
	subject := strings.ReplaceAll(regexp.QuoteMeta(i.Subject), `\*`, ".*")
	identity, err := verify.NewShortCertificateIdentity(i.Issuer, "", "", "(?s)^"+subject+"$")
	if err != nil {
		return nil, err
	}
	return verify.WithCertificateIdentity(identity), nil
}

// verify reads and verifies a keyless signature, which must be by one of the identities, and returns by whom it is.
func (s *Signers) verify(artifact verify.ArtifactPolicyOption, read func() (*bundle.Bundle, error)) (signer string, result *verify.VerificationResult, err error) {
	defer func() {
		if r := recover(); r != nil { // the library reads what strangers have written
			signer, result, err = "", nil, fmt.Errorf("reading it broke down: %v", r)
		}
	}()
	b, err := read()
	if err != nil {
		return "", nil, err
	}
	if result, err = s.root.verifier.Verify(b, verify.NewPolicy(artifact, s.identities...)); err != nil {
		return "", nil, err
	}
	return result.Signature.Certificate.SubjectAlternativeName, result, nil
}

// verifyStatement verifies a bundle with a statement of in-toto, and returns by whom it is, and which digests it says to be signed.
func (s *Signers) verifyStatement(data []byte) (signer string, digests []string, err error) {
	// Of which image the signature is, the caller compares.
	signer, result, err := s.verify(verify.WithoutArtifactUnsafe(), func() (*bundle.Bundle, error) {
		b := &bundle.Bundle{}
		return b, b.UnmarshalJSON(data)
	})
	if err != nil {
		return "", nil, err
	}
	// What was verified counts, not what others read out of the same bytes.
	if result.Statement.GetPredicateType() != predicateType {
		return "", nil, fmt.Errorf("what is signed is a %q", result.Statement.GetPredicateType())
	}
	for _, subject := range result.Statement.GetSubject() {
		if hash := subject.GetDigest()["sha256"]; hash != "" {
			digests = append(digests, "sha256:"+hash)
		}
	}
	return signer, digests, nil
}

// verifyPayload verifies the signature of a payload in the format "simple signing", and returns by whom it is. Annotations have the rest of it.
func (s *Signers) verifyPayload(payload, signature []byte, annotations map[string]string) (string, error) {
	signer, _, err := s.verify(verify.WithArtifact(bytes.NewReader(payload)), func() (*bundle.Bundle, error) {
		return bundleOf(payload, signature, annotations)
	})
	return signer, err
}

// bundleOf makes a bundle of what cosign wrote before there were bundles.
func bundleOf(payload, signature []byte, annotations map[string]string) (*bundle.Bundle, error) {
	certificate, _ := pem.Decode([]byte(annotations[certificateAnnotation]))
	if certificate == nil {
		return nil, errors.New("its certificate is not PEM-encoded")
	}
	material := &bundlepb.VerificationMaterial{Content: &bundlepb.VerificationMaterial_X509CertificateChain{
		X509CertificateChain: &commonpb.X509CertificateChain{Certificates: []*commonpb.X509Certificate{{RawBytes: certificate.Bytes}}},
	}}
	if text := annotations[logAnnotation]; text != "" {
		entry, err := logEntryOf(text)
		if err != nil {
			return nil, fmt.Errorf("its entry in a transparency log cannot be read: %w", err)
		}
		material.TlogEntries = []*rekorpb.TransparencyLogEntry{entry}
	}
	if text := annotations[timestampAnnotation]; text != "" {
		var timestamp struct {
			Signed []byte `json:"SignedRFC3161Timestamp"`
		}
		if err := json.Unmarshal([]byte(text), &timestamp); err != nil {
			return nil, fmt.Errorf("its timestamp cannot be read: %w", err)
		}
		material.TimestampVerificationData = &bundlepb.TimestampVerificationData{
			Rfc3161Timestamps: []*commonpb.RFC3161SignedTimestamp{{SignedTimestamp: timestamp.Signed}},
		}
	}
	mediaType, err := bundle.MediaTypeString("0.1") // in which logs only promise to have entries
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(payload)
	return bundle.NewBundle(&bundlepb.Bundle{
		MediaType: mediaType, VerificationMaterial: material,
		Content: &bundlepb.Bundle_MessageSignature{MessageSignature: &commonpb.MessageSignature{
			MessageDigest: &commonpb.HashOutput{Algorithm: commonpb.HashAlgorithm_SHA2_256, Digest: digest[:]}, Signature: signature,
		}},
	})
}

// logEntryOf reads what cosign has kept of an entry in a transparency log.
func logEntryOf(text string) (*rekorpb.TransparencyLogEntry, error) {
	var kept struct {
		Promise []byte `json:"SignedEntryTimestamp"`
		Payload struct {
			Body  []byte `json:"body"`
			Time  int64  `json:"integratedTime"`
			Index int64  `json:"logIndex"`
			LogID string `json:"logID"`
		} `json:"Payload"`
	}
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(kept.Payload.LogID)
	if err != nil {
		return nil, err
	}
	var body struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
	}
	if err := json.Unmarshal(kept.Payload.Body, &body); err != nil {
		return nil, err
	}
	return &rekorpb.TransparencyLogEntry{
		LogIndex: kept.Payload.Index, LogId: &commonpb.LogId{KeyId: id}, IntegratedTime: kept.Payload.Time,
		KindVersion:      &rekorpb.KindVersion{Kind: body.Kind, Version: body.Version},
		InclusionPromise: &rekorpb.InclusionPromise{SignedEntryTimestamp: kept.Promise}, CanonicalizedBody: kept.Payload.Body,
	}, nil
}
