// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/testing/data"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
)

// sigstore is a Sigstore of a test.
type sigstore struct {
	*testing.T
	*ca.VirtualSigstore
}

func newSigstore(t *testing.T) *sigstore {
	t.Helper()
	s, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	return &sigstore{t, s}
}

// root is one that trusts it, without what is left out.
func (s *sigstore) root(leftOut ...string) *Root {
	s.Helper()
	r, err := ReadRoot(s.file(leftOut...))
	if err != nil {
		s.Fatal(err)
	}
	return r
}

func (s *sigstore) file(leftOut ...string) string {
	s.Helper()
	left := strings.Join(leftOut, " ")
	logs := func(name string, logs map[string]*root.TransparencyLog) map[string]*root.TransparencyLog {
		if strings.Contains(left, name) {
			return nil
		}
		for id, log := range logs {
			raw, err := hex.DecodeString(id) // which is what its key ID is made of
			if err != nil {
				s.Fatal(err)
			}
			log.ID = raw
		}
		return logs
	}
	authorities, stamps := s.FulcioCertificateAuthorities(), s.TimestampingAuthorities()
	if strings.Contains(left, "authority") {
		authorities = nil
	}
	if strings.Contains(left, "timestamps") {
		stamps = nil
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, authorities, logs("certificates", s.CTLogs()), stamps, logs("log", s.RekorLogs()))
	if err != nil {
		s.Fatal(err)
	}
	return write(s.T, trusted)
}

// write writes a trusted root into a file.
func write(t *testing.T, trusted json.Marshaler) string {
	t.Helper()
	text, err := trusted.MarshalJSON()
	file := filepath.Join(t.TempDir(), "trusted_root.json")
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// material is what is in a bundle on an entity besides what is signed.
func (s *sigstore) material(e *ca.TestEntity) (certificate *x509.Certificate, m *bundlepb.VerificationMaterial) {
	s.Helper()
	content, err := e.VerificationContent()
	if err != nil {
		s.Fatal(err)
	}
	entries, err := e.TlogEntries()
	if err != nil {
		s.Fatal(err)
	}
	stamps, err := e.Timestamps()
	if err != nil {
		s.Fatal(err)
	}
	var kind struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
	}
	// Of which the library leaves out what is not in the log itself.
	entry := entries[0].TransparencyLogEntry()
	if err := json.Unmarshal(entry.GetCanonicalizedBody(), &kind); err != nil {
		s.Fatal(err)
	}
	entry.KindVersion = &rekorpb.KindVersion{Kind: kind.Kind, Version: kind.Version}
	promise, err := s.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(entry.GetCanonicalizedBody()), IntegratedTime: entry.GetIntegratedTime(),
		LogIndex: entry.GetLogIndex(), LogID: hex.EncodeToString(entry.GetLogId().GetKeyId()),
	})
	if err != nil {
		s.Fatal(err)
	}
	entry.InclusionPromise = &rekorpb.InclusionPromise{SignedEntryTimestamp: promise}
	certificate = content.Certificate()
	return certificate, &bundlepb.VerificationMaterial{
		Content:     &bundlepb.VerificationMaterial_Certificate{Certificate: &commonpb.X509Certificate{RawBytes: certificate.Raw}},
		TlogEntries: []*rekorpb.TransparencyLogEntry{entry},
		TimestampVerificationData: &bundlepb.TimestampVerificationData{
			Rfc3161Timestamps: []*commonpb.RFC3161SignedTimestamp{{SignedTimestamp: stamps[0]}},
		},
	}
}

// bundle is the one by an identity that says a digest to be signed, changed a bit.
func (s *sigstore) bundle(i v1alpha1.SignatureIdentity, digest, predicate string, change func(*bundlepb.Bundle)) []byte {
	s.Helper()
	_, hash, _ := strings.Cut(digest, ":")
	statement := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`, hash, predicate)
	e, err := s.AttestAtTime(i.Subject, i.Issuer, statement, time.Now().Add(5*time.Minute), true)
	if err != nil {
		s.Fatal(err)
	}
	content, err := e.SignatureContent()
	if err != nil {
		s.Fatal(err)
	}
	_, material := s.material(e)
	b := &bundlepb.Bundle{
		MediaType: bundlePrefix + ".v0.3+json", VerificationMaterial: material,
		Content: &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{
			PayloadType: statementType, Payload: statement, Signatures: []*dssepb.Signature{{Sig: content.Signature()}},
		}},
	}
	change(b)
	text, err := protojson.Marshal(b)
	if err != nil {
		s.Fatal(err)
	}
	return text
}

// layer is the signature of a payload by an identity as cosign wrote it before there were bundles.
func (s *sigstore) layer(i v1alpha1.SignatureIdentity, payload []byte) mutate.Addendum {
	s.Helper()
	e, err := s.Sign(i.Subject, i.Issuer, payload)
	if err != nil {
		s.Fatal(err)
	}
	content, err := e.SignatureContent()
	if err != nil {
		s.Fatal(err)
	}
	certificate, material := s.material(e)
	entry := material.GetTlogEntries()[0]
	l := layer(payload, content.Signature())
	l.Annotations[certificateAnnotation] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
	l.Annotations[logAnnotation] = fmt.Sprintf(`{"SignedEntryTimestamp":%q,"Payload":{"body":%q,"integratedTime":%d,"logIndex":%d,"logID":"%x"}}`,
		base64.StdEncoding.EncodeToString(entry.GetInclusionPromise().GetSignedEntryTimestamp()),
		base64.StdEncoding.EncodeToString(entry.GetCanonicalizedBody()), entry.GetIntegratedTime(), entry.GetLogIndex(), entry.GetLogId().GetKeyId())
	return l
}

func TestKeyless(t *testing.T) {
	s := newSigstore(t)
	trusted, everything, noLog := s.root("certificates"), s.root(), s.root("certificates", "log")
	elsewhere := newSigstore(t).root("certificates")
	pattern := v1alpha1.SignatureIdentity{Issuer: identity.Issuer, Subject: "https://github.com/example/shop/.github/workflows/*@refs/tags/v*"}
	workflow := func(repository string) v1alpha1.SignatureIdentity {
		return v1alpha1.SignatureIdentity{Issuer: identity.Issuer, Subject: "https://github.com/" + repository + "/.github/workflows/release.yaml@refs/tags/v1.2"}
	}
	same := func(*bundlepb.Bundle) {}
	const refused = "a keyless signature does not count: "
	const notThem = refused + `failed to verify certificate identity: no matching CertificateIdentity found, last error: expected `
	for what, tc := range map[string]struct {
		root *Root
		// wanted is the identity that counts, by that which signs; "" where it is none.
		wanted, by v1alpha1.SignatureIdentity
		// bundle and layer are what is attached to the index; nil is nothing.
		bundle func(v1alpha1.SignatureIdentity) []byte
		layer  func(v1alpha1.SignatureIdentity) mutate.Addendum
		want   v1alpha1.SignatureState
		// message begins so.
		message string
	}{
		"a bundle": {
			trusted, identity, identity, func(i v1alpha1.SignatureIdentity) []byte { return s.bundle(i, index, predicateType, same) }, nil,
			v1alpha1.SignatureVerified, "",
		},
		"a signature": {
			trusted, identity, identity, nil, func(i v1alpha1.SignatureIdentity) mutate.Addendum { return s.layer(i, payload(index)) },
			v1alpha1.SignatureVerified, "",
		},
		"a bundle by whom the pattern means": {
			trusted, pattern, workflow("example/shop"), func(i v1alpha1.SignatureIdentity) []byte { return s.bundle(i, index, predicateType, same) }, nil,
			v1alpha1.SignatureVerified, "",
		},
		"a bundle by whom the pattern does not mean": {
			trusted, pattern, workflow("example/shopXgithub"), func(i v1alpha1.SignatureIdentity) []byte { return s.bundle(i, index, predicateType, same) }, nil,
			v1alpha1.SignatureRejected, notThem + "SAN value to match regex",
		},
		"a bundle by somebody whose name goes on": {
			trusted, identity, v1alpha1.SignatureIdentity{Issuer: identity.Issuer, Subject: identity.Subject + ".org"},
			func(i v1alpha1.SignatureIdentity) []byte { return s.bundle(i, index, predicateType, same) }, nil,
			v1alpha1.SignatureRejected, notThem + "SAN value to match regex",
		},
		"a signature that somebody else vouches for": {
			trusted, identity, v1alpha1.SignatureIdentity{Issuer: identity.Issuer + ".org", Subject: identity.Subject}, nil,
			func(i v1alpha1.SignatureIdentity) mutate.Addendum { return s.layer(i, payload(index)) },
			v1alpha1.SignatureRejected, notThem + `issuer value "https://accounts.example.com"`,
		},
		"a bundle that others trust": {
			elsewhere, identity, identity, func(i v1alpha1.SignatureIdentity) []byte { return s.bundle(i, index, predicateType, same) }, nil,
			v1alpha1.SignatureRejected, refused + "failed to verify log inclusion: not enough verified log entries",
		},
		"a bundle that is in no log": {
			trusted, identity, identity, func(i v1alpha1.SignatureIdentity) []byte {
				return s.bundle(i, index, predicateType, func(b *bundlepb.Bundle) { b.VerificationMaterial.TlogEntries = nil })
			}, nil, v1alpha1.SignatureRejected, refused + "failed to verify log inclusion: not enough verified log entries",
		},
		"a bundle that need be in no log": {
			noLog, identity, identity, func(i v1alpha1.SignatureIdentity) []byte {
				return s.bundle(i, index, predicateType, func(b *bundlepb.Bundle) { b.VerificationMaterial.TlogEntries = nil })
			}, nil, v1alpha1.SignatureVerified, "",
		},
		"a bundle of which nobody knows the time": {
			noLog, identity, identity, func(i v1alpha1.SignatureIdentity) []byte {
				return s.bundle(i, index, predicateType, func(b *bundlepb.Bundle) { b.VerificationMaterial.TimestampVerificationData = nil })
			}, nil, v1alpha1.SignatureRejected, refused + "failed to verify timestamps: threshold not met",
		},
		"a bundle whose certificate is in no log": {
			everything, identity, identity, func(i v1alpha1.SignatureIdentity) []byte { return s.bundle(i, index, predicateType, same) }, nil,
			v1alpha1.SignatureRejected, refused + "failed to verify signed certificate timestamp",
		},
		"a bundle that was changed": {
			noLog, identity, identity, func(i v1alpha1.SignatureIdentity) []byte {
				return s.bundle(i, other, predicateType, func(b *bundlepb.Bundle) {
					e := b.GetDsseEnvelope()
					e.Payload = []byte(strings.ReplaceAll(string(e.Payload), strings.TrimPrefix(other, "sha256:"), strings.TrimPrefix(index, "sha256:")))
				})
			}, nil, v1alpha1.SignatureRejected, refused + "failed to verify signature: could not verify envelope",
		},
		"a bundle for another image": {
			trusted, identity, identity, func(i v1alpha1.SignatureIdentity) []byte { return s.bundle(i, other, predicateType, same) }, nil,
			v1alpha1.SignatureRejected, `what identity "release@example.com" has signed is another image, ` + other,
		},
		"an attestation": {
			trusted, identity, identity, func(i v1alpha1.SignatureIdentity) []byte {
				return s.bundle(i, index, "https://slsa.dev/provenance/v1", same)
			}, nil, v1alpha1.SignatureUnsigned, "",
		},
		"an attestation that looks like a signature": { // to those who read the JSON in another way
			trusted, identity, identity, func(i v1alpha1.SignatureIdentity) []byte {
				attestation := s.bundle(i, index, "https://slsa.dev/provenance/v1", same)
				signature := dsseBundle(t, newECDSA(t), index, predicateType, "certificate")
				var envelope struct {
					E json.RawMessage `json:"dsseEnvelope"`
				}
				if err := json.Unmarshal(signature, &envelope); err != nil {
					t.Fatal(err)
				}
				return fmt.Appendf(nil, `%s,"DSSEEnvelope":%s}`, strings.TrimSuffix(string(attestation), "}"), envelope.E)
			}, nil, v1alpha1.SignatureRejected, refused + "proto:",
		},
		"a signature of another image": {
			trusted, identity, identity, nil, func(i v1alpha1.SignatureIdentity) mutate.Addendum { return s.layer(i, payload(other)) },
			v1alpha1.SignatureRejected, `what identity "release@example.com" has signed is another image, ` + other,
		},
		"a signature of something else": {
			trusted, identity, identity, nil, func(i v1alpha1.SignatureIdentity) mutate.Addendum {
				l := s.layer(i, payload(other))
				fresh := layer(payload(index), nil)
				fresh.Annotations = l.Annotations
				return fresh
			}, v1alpha1.SignatureRejected, refused + "failed to verify log inclusion: transparency log hashedrekord entry digest",
		},
		"a signature without a certificate": {
			trusted, identity, identity, nil, func(i v1alpha1.SignatureIdentity) mutate.Addendum {
				return without(s.layer(i, payload(index)), certificateAnnotation)
			},
			v1alpha1.SignatureRejected, "no signature is by an identity that counts",
		},
		"a signature with nonsense for a certificate": {
			trusted, identity, identity, nil, func(v1alpha1.SignatureIdentity) mutate.Addendum {
				return layer(payload(index), nil, certificateAnnotation)
			},
			v1alpha1.SignatureRejected, refused + "its certificate is not PEM-encoded",
		},
		"a signature with nonsense for a timestamp": {
			trusted, identity, identity, nil, func(i v1alpha1.SignatureIdentity) mutate.Addendum {
				return with(s.layer(i, payload(index)), timestampAnnotation, "?")
			},
			v1alpha1.SignatureRejected, refused + "its timestamp cannot be read: invalid character",
		},
		"a signature with nonsense for an entry": {
			trusted, identity, identity, nil, func(i v1alpha1.SignatureIdentity) mutate.Addendum {
				return with(s.layer(i, payload(index)), logAnnotation, "?")
			},
			v1alpha1.SignatureRejected, refused + "its entry in a transparency log cannot be read: invalid character",
		},
		"a signature with nonsense for a log": {
			trusted, identity, identity, nil, func(i v1alpha1.SignatureIdentity) mutate.Addendum {
				return with(s.layer(i, payload(index)), logAnnotation, `{"Payload":{"logID":"?"}}`)
			}, v1alpha1.SignatureRejected, refused + "its entry in a transparency log cannot be read: encoding/hex: invalid byte",
		},
		"a signature with an entry that is empty": {
			trusted, identity, identity, nil, func(i v1alpha1.SignatureIdentity) mutate.Addendum {
				return with(s.layer(i, payload(index)), logAnnotation, `{}`)
			},
			v1alpha1.SignatureRejected, refused + "its entry in a transparency log cannot be read: unexpected end of JSON input",
		},
		"an identity that nobody can have": {
			trusted, v1alpha1.SignatureIdentity{Issuer: identity.Issuer, Subject: "\xff"}, identity,
			func(i v1alpha1.SignatureIdentity) []byte { return s.bundle(i, index, predicateType, same) }, nil,
			v1alpha1.SignatureFailed, `identity "\xff" in spec.images.requiredSignatures cannot be used: error parsing regexp`,
		},
	} {
		t.Run(what, func(t *testing.T) {
			p := newPlace(t)
			if tc.bundle != nil {
				p.refer(index, tc.bundle(tc.by))
			}
			if tc.layer != nil {
				p.attach(index, tc.layer(tc.by))
			}
			rule := v1alpha1.RequiredSignature{Images: []string{"*"}, Identities: []v1alpha1.SignatureIdentity{tc.wanted}}
			signers := NewPolicy([]v1alpha1.RequiredSignature{rule}, tc.root).Of("registry.example.com/a")
			got, err := Verify(t.Context(), p.repository, []string{index, platform}, signers, image.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got.State != tc.want || !strings.HasPrefix(got.Message, tc.message) || (got.Message == "") != (tc.message == "") {
				t.Errorf("signature %+v, want %s, %q", got, tc.want, tc.message)
			}
			if (got.Signer != "") != (tc.want == v1alpha1.SignatureVerified) || got.Signer != "" && got.Signer != tc.by.Subject {
				t.Errorf("signed by %q", got.Signer)
			}
		})
	}
}

func with(l mutate.Addendum, annotation, value string) mutate.Addendum {
	l.Annotations[annotation] = value
	return l
}

func without(l mutate.Addendum, annotation string) mutate.Addendum {
	delete(l.Annotations, annotation)
	return l
}

// TestPublicSigstore verifies what the Sigstore of the public has signed, with all that it vouches for: an attestation, which counts for nothing here.
func TestPublicSigstore(t *testing.T) {
	trusted, err := ReadRoot(write(t, data.TrustedRoot(t, "public-good.json")))
	if err != nil {
		t.Fatal(err)
	}
	text, err := data.Bundle(t, "sigstore.js@2.0.0-provenance.sigstore.json").MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	const issuer = "https://token.actions.githubusercontent.com"
	for subject, want := range map[string]string{
		"https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/*": `what is signed is a "https://slsa.dev/provenance/v1"`,
		"https://github.com/sigstore/sigstore-js/*@refs/tags/*":                              "failed to verify certificate identity",
	} {
		r := &v1alpha1.RequiredSignature{Identities: []v1alpha1.SignatureIdentity{{Issuer: issuer, Subject: subject}}}
		if _, _, err := newSigners(r, trusted).verifyStatement(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("by %s: %v, want %s", subject, err, want)
		}
	}
}

func TestRoots(t *testing.T) {
	s := newSigstore(t)
	garbage := filepath.Join(t.TempDir(), "garbage.json")
	if err := os.WriteFile(garbage, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		s.file():                    "",
		s.file("log"):               "",
		s.file("timestamps"):        "",
		s.file("authority"):         "has no certificate authority",
		s.file("log", "timestamps"): "has neither a transparency log nor a timestamp authority, so that nobody can tell when something was signed",
		garbage:                     "is not a trusted root: unsupported TrustedRoot media type: ",
		"nothing.json":              "open nothing.json: no such file or directory",
	} {
		_, err := ReadRoot(file)
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	// Another root is another demand, of those whom it has to do with.
	a, b := s.root(), s.root("certificates")
	keyless := &v1alpha1.RequiredSignature{Identities: []v1alpha1.SignatureIdentity{identity}}
	byKey := &v1alpha1.RequiredSignature{Keys: []v1alpha1.SignatureKey{{Name: "release", PublicKey: publicPEM(t, newECDSA(t))}}}
	if newSigners(keyless, a).ID == newSigners(keyless, b).ID || newSigners(keyless, a).ID == newSigners(keyless, nil).ID {
		t.Error("keyless signatures by another root have the same ID")
	}
	if diff := cmp.Diff(newSigners(byKey, a).ID, newSigners(byKey, b).ID); diff != "" {
		t.Errorf("IDs of a key, by another root (-a +b):\n%s", diff)
	}
}
