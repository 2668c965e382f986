// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package signature verifies that images are signed as the AuditConfiguration demands: by cosign, with a key or, by a trusted root, without
// one. Nobody but the registry is asked.
package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // larger curves are signed with
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Policy says which images must be signed, and by whom.
type Policy struct {
	rules []rule
}

type rule struct {
	audit.RequiredSignature
	*Signers
}

// Signers are those whose signatures count.
type Signers struct {
	// ID is the same for the same signers.
	ID   string
	keys []key
	// identities sign without a key of their own, which is verified by a root; nil is none.
	identities []verify.PolicyOption
	root       *Root
	// wrong is why the first of them that cannot be used cannot.
	wrong error
}

type key struct {
	name   string
	public crypto.PublicKey
}

// NewPolicy returns the policy of an AuditConfiguration. Without a root nobody can sign without a key.
func NewPolicy(required []v1alpha1.RequiredSignature, root *Root) *Policy {
	p := &Policy{}
	for i := range required {
		p.rules = append(p.rules, rule{audit.NewRequiredSignature(&required[i]), newSigners(&required[i], root)})
	}
	return p
}

func newSigners(r *v1alpha1.RequiredSignature, root *Root) *Signers {
	text := fmt.Appendf(nil, "%q %q", r.Keys, r.Identities)
	if root != nil && len(r.Identities) > 0 {
		text = append(text, root.id...)
	}
	s := &Signers{ID: fmt.Sprintf("%x", sha256.Sum256(text)), root: root}
	for i := range r.Keys {
		public, err := parseKey(r.Keys[i].PublicKey)
		if err == nil {
			s.keys = append(s.keys, key{r.Keys[i].Name, public})
		} else if s.wrong == nil {
			s.wrong = fmt.Errorf("key %q in spec.images.requiredSignatures cannot be read: %w", r.Keys[i].Name, err)
		}
	}
	for i := range r.Identities {
		identity, err := identityOf(&r.Identities[i])
		if err == nil {
			s.identities = append(s.identities, identity)
		} else if s.wrong == nil {
			s.wrong = fmt.Errorf("identity %q in spec.images.requiredSignatures cannot be used: %w", r.Identities[i].Subject, err)
		}
	}
	return s
}

// who says in words who they are.
func (s *Signers) who() string {
	switch {
	case len(s.identities) == 0:
		return "a key"
	case len(s.keys) == 0:
		return "an identity"
	}
	return "a key or an identity"
}

// Of returns whose signatures count for an image by one of its names, or nil if it needs none. The last rule holds that selects it.
func (p *Policy) Of(name string) *Signers {
	for _, r := range slices.Backward(p.rules) {
		if r.Selects(audit.ReferenceOf(name)) {
			return r.Signers
		}
	}
	return nil
}

func parseKey(text string) (crypto.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("it is not PEM-encoded")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	switch public.(type) {
	case *ecdsa.PublicKey, *rsa.PublicKey, ed25519.PublicKey:
		return public, nil
	}
	return nil, fmt.Errorf("keys of type %T are not supported", public)
}

// signs says whether a signature of some data is by a key. Which hash is used, tools decide by the size of the key, or take the first.
func signs(public crypto.PublicKey, data, signature []byte) bool {
	if public, ok := public.(ed25519.PublicKey); ok {
		return ed25519.Verify(public, data, signature)
	}
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		h := hash.New()
		h.Write(data)
		digest := h.Sum(nil)
		switch public := public.(type) {
		case *ecdsa.PublicKey:
			if ecdsa.VerifyASN1(public, digest, signature) {
				return true
			}
		case *rsa.PublicKey:
			if rsa.VerifyPKCS1v15(public, hash, digest, signature) == nil {
				return true
			}
		}
	}
	return false
}

// by returns the name of the key that has signed some data, or "".
func (s *Signers) by(data, signature []byte) string {
	for _, k := range s.keys {
		if signs(k.public, data, signature) {
			return k.name
		}
	}
	return ""
}
