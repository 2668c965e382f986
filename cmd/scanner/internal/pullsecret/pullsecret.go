// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pullsecret finds the credentials that the cluster has for an image: the pull secrets of whoever uses it, as far as they may be read.
package pullsecret

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	kauth "github.com/google/go-containerregistry/pkg/authn/kubernetes"
	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
)

// Reader reads pull secrets, each by its name.
type Reader struct {
	Client kubernetes.Interface
	// Fallback has credentials that are nobody's in particular: those that the scanner itself was given. nil has none.
	Fallback authn.Keychain
}

// Attempt is a way to pull an image.
type Attempt struct {
	Reference string
	Keychain  authn.Keychain
}

// Registry returns the name of the registry.
func (a *Attempt) Registry() string {
	ref, err := name.ParseReference(a.Reference)
	if err != nil {
		return ""
	}
	return ref.Context().RegistryStr()
}

const (
	// maxAttempts at one image. Its registry may take more for an attack.
	maxAttempts = 8
	// maxSecrets that are read for one image: hundreds of namespaces may use it.
	maxSecrets = 256
)

// Attempts returns the ways to pull an image, at least one: with the credentials of those who use it, in their order, and then with the
// fallback or nobody's. The errors say what could not be read; what could be is tried all the same.
func (r *Reader) Attempts(ctx context.Context, sources []cluster.Source) (attempts []Attempt, unread []error) {
	g := gatherer{Reader: r, read: make(map[string]*secret)}
	var references []string
	for _, s := range sources {
		if !slices.Contains(references, s.Reference) {
			references = append(references, s.Reference)
		}
		for _, secretName := range g.secretsOf(ctx, s) {
			g.add(s.Reference, g.secret(ctx, s.Namespace, secretName))
		}
	}
	fallback := r.Fallback
	if fallback == nil {
		fallback = authn.NewMultiKeychain()
	}
	attempts = g.attempts[:min(len(g.attempts), maxAttempts-1)]
	for _, reference := range references[:min(len(references), maxAttempts-len(attempts))] {
		attempts = append(attempts, Attempt{reference, fallback})
	}
	return attempts, g.errs
}

type secret struct {
	keychain authn.Keychain // nil if it cannot be used
}

// gatherer gathers the attempts at one image.
type gatherer struct {
	*Reader
	read     map[string]*secret
	attempts []Attempt
	known    []credential // of the attempts
	errs     []error
}

type credential struct {
	reference string
	authn.AuthConfig
}

// secretsOf returns the names of pull secrets: of a ServiceAccount they count only where the Pods' own specification has none, as when
// Pods are made.
func (g *gatherer) secretsOf(ctx context.Context, s cluster.Source) []string {
	if s.Secrets != "" {
		return strings.Split(s.Secrets, ",")
	}
	if s.ServiceAccount == "" {
		return nil
	}
	account, err := g.Client.CoreV1().ServiceAccounts(s.Namespace).Get(ctx, s.ServiceAccount, metav1.GetOptions{})
	if err != nil {
		g.errs = append(g.errs, fmt.Errorf("ServiceAccount %s/%s: %w", s.Namespace, s.ServiceAccount, err))
		return nil
	}
	var names []string
	for _, ref := range account.ImagePullSecrets {
		names = append(names, ref.Name)
	}
	return names
}

// secret reads one pull secret, once.
func (g *gatherer) secret(ctx context.Context, namespace, secretName string) *secret {
	key := namespace + "/" + secretName
	if s, ok := g.read[key]; ok {
		return s
	}
	s := &secret{}
	if len(g.read) >= maxSecrets {
		return s
	}
	g.read[key] = s
	object, err := g.Client.CoreV1().Secrets(namespace).Get(ctx, secretName, metav1.GetOptions{})
	if err == nil {
		s.keychain, err = kauth.NewFromPullSecrets(ctx, []corev1.Secret{*object})
	}
	if err != nil {
		s.keychain = nil
		g.errs = append(g.errs, fmt.Errorf("pull secret %s: %w", key, err))
	}
	return s
}

// add adds an attempt, if the secret has credentials for the reference that are not tried already.
func (g *gatherer) add(reference string, s *secret) {
	if s.keychain == nil {
		return
	}
	ref, err := name.ParseReference(reference)
	if err != nil {
		return // whoever pulls it says so
	}
	auth, err := s.keychain.Resolve(ref.Context())
	if err != nil || auth == authn.Anonymous {
		return
	}
	config, err := auth.Authorization()
	if err != nil || slices.Contains(g.known, credential{reference, *config}) {
		return
	}
	g.known = append(g.known, credential{reference, *config})
	g.attempts = append(g.attempts, Attempt{reference, s.keychain})
}
