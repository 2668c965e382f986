// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// makeSigner makes a CA that the controller manager signs certificates of clients with, and that the API server trusts beside
// envtest's, whose key is not to be had. The API server notices that the file of its CAs has changed. It returns flags of the
// controller manager.
func (c *ControlPlane) makeSigner() ([]string, error) {
	certificate, key, err := newCA()
	if err != nil {
		return nil, fmt.Errorf("creating a CA: %w", err)
	}
	certPath, keyPath := filepath.Join(c.Dir, "signer.crt"), filepath.Join(c.Dir, "signer.key")
	for path, content := range map[string][]byte{certPath: certificate, keyPath: key} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return nil, fmt.Errorf("writing a CA: %w", err)
		}
	}
	trusted := c.clientAuthorities()
	own, err := os.ReadFile(trusted) //nolint:gosec // G304: a path of ours
	if err != nil {
		return nil, fmt.Errorf("reading the CA of clients: %w", err)
	}
	if err := os.WriteFile(trusted, append(own, certificate...), 0o600); err != nil { //nolint:gosec // G703: a path of ours
		return nil, fmt.Errorf("writing the CAs of clients: %w", err)
	}
	return []string{"--cluster-signing-cert-file=" + certPath, "--cluster-signing-key-file=" + keyPath}, nil
}

// clientAuthorities is the path of the certificates that the API server verifies those of clients against.
func (c *ControlPlane) clientAuthorities() string {
	return filepath.Join(c.env.ControlPlane.APIServer.CertDir, "client-cert-auth-ca.crt") // envtest's name for it
}

// newCA returns a certificate and its key, encoded.
func newCA() (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubersafe-signer"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(tokenSeconds * time.Second),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}), nil
}
