// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// metricsServer is the operator's metrics endpoint, and how to trust it.
type metricsServer struct {
	address      string
	certificates string // directory with tls.crt and tls.key
	trusted      *x509.CertPool
}

// newMetricsServer makes a CA and a serving certificate, as cert-manager would in a cluster.
func newMetricsServer(dir, address string) (metricsServer, error) {
	server := metricsServer{address: address, certificates: dir, trusted: x509.NewCertPool()}
	ca, caKey, err := newCertificate(&x509.Certificate{
		Subject: pkix.Name{CommonName: "kubersafe demo CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	if err != nil {
		return server, err
	}
	server.trusted.AddCert(ca)
	serving, key, err := newCertificate(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "kubersafe metrics"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, ca, caKey)
	if err != nil {
		return server, err
	}
	return server, writeCertificate(dir, serving, key)
}

// newCertificate signs a certificate, with its own key if there is no issuer.
func newCertificate(template, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generating a key: %w", err)
	}
	if issuer == nil {
		issuer, issuerKey = template, key
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, fmt.Errorf("generating a serial number: %w", err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(7*24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		return nil, nil, fmt.Errorf("signing a certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing a certificate: %w", err)
	}
	return certificate, key, nil
}

func writeCertificate(dir string, certificate *x509.Certificate, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding a key: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("creating a directory: %w", err)
	}
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: certificate.Raw},
		"tls.key": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return fmt.Errorf("writing a certificate: %w", err)
		}
	}
	return nil
}

// scrape gets the metrics, with the certificate verified.
func (s metricsServer) scrape(ctx context.Context, token string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.address+"/metrics", nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.trusted, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Timeout: requestTimeout, Transport: transport}).Do(request)
	if err != nil {
		return 0, "", fmt.Errorf("scraping the metrics: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", fmt.Errorf("scraping the metrics: %w", err)
	}
	return response.StatusCode, string(body), nil
}

// scrapeMetrics scrapes as a ServiceAccount that may, after making sure that others may not.
func (d *demo) scrapeMetrics(ctx context.Context) error {
	for _, args := range [][]string{
		{"create", "serviceaccount", "prometheus", "-n", "default"},
		{"create", "serviceaccount", "stranger", "-n", "default"},
		{"create", "clusterrolebinding", "prometheus-kubersafe-metrics", "--clusterrole=kubersafe-metrics-reader", "--serviceaccount=default:prometheus"},
	} {
		if _, err := d.kubectl(ctx, nil, args...); err != nil {
			return err
		}
	}
	if err := d.checkRefused(ctx); err != nil {
		return err
	}
	prometheus, _, err := d.plane.ServiceAccount(ctx, "default", "prometheus")
	if err != nil {
		return err
	}
	var series []string
	err = d.poll(ctx, "kubersafe_violations", func(ctx context.Context) (bool, string, error) {
		code, body, err := d.metrics.scrape(ctx, prometheus.BearerToken)
		series = linesWithPrefix(body, "kubersafe_violations{")
		return len(series) > 0, fmt.Sprintf("answer %d with %d series", code, len(series)), err
	})
	if err != nil {
		return err
	}
	d.console.printf("\n$ curl --cacert ca.crt -H \"Authorization: Bearer …\" https://%s/metrics | grep '^kubersafe_violations'\n%s\n",
		d.metrics.address, strings.Join(series, "\n"))
	return nil
}

// checkRefused fails if anybody may read the metrics.
func (d *demo) checkRefused(ctx context.Context) error {
	stranger, _, err := d.plane.ServiceAccount(ctx, "default", "stranger")
	if err != nil {
		return err
	}
	for who, token := range map[string]string{"no token": "", "the token of a ServiceAccount without the role": stranger.BearerToken} {
		code, _, err := d.metrics.scrape(ctx, token)
		if err != nil {
			return err
		}
		if code != http.StatusUnauthorized && code != http.StatusForbidden {
			return fmt.Errorf("a scrape with %s is answered %d, want 401 or 403", who, code)
		}
		d.console.printf("a scrape with %s is answered %d\n", who, code)
	}
	return nil
}

func linesWithPrefix(text, prefix string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
