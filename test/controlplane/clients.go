// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// tokenSeconds outlives every test and a day of looking around in a demo.
const tokenSeconds = 24 * 60 * 60

// Kubectl runs kubectl as the administrator and returns its standard output. The error includes its standard error.
func (c *ControlPlane) Kubectl(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	// Nothing of the user's own kubectl settings may change what happens.
	args = append([]string{"--kubeconfig=" + c.Kubeconfig, "--cache-dir=" + filepath.Join(c.Dir, "kubectl-cache")}, args...)
	cmd := exec.CommandContext(ctx, c.KubectlPath(), args...) //nolint:gosec // running what tests and the demo ask for is its purpose
	cmd.Env = append(os.Environ(), "KUBERC=off")
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return stdout.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args[2:], " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// KubectlPath is the path of the kubectl that belongs to the control plane.
func (c *ControlPlane) KubectlPath() string { return c.binaries.path("kubectl") }

// Etcd is the URL of the etcd that the API server stores its objects in. It asks nobody who they are.
func (c *ControlPlane) Etcd() string { return c.env.ControlPlane.Etcd.URL.String() }

// ServiceAccount returns a client configuration, and the path of a kubeconfig, that can do exactly what the
// ServiceAccount may. It must exist.
func (c *ControlPlane) ServiceAccount(ctx context.Context, namespace, name string) (*rest.Config, string, error) {
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return nil, "", fmt.Errorf("creating a client: %w", err)
	}
	seconds := int64(tokenSeconds)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return nil, "", fmt.Errorf("requesting a token of ServiceAccount %s/%s: %w", namespace, name, err)
	}
	config := rest.AnonymousClientConfig(c.Config)
	config.BearerToken = token.Status.Token
	// An underscore is in no name, so that no two accounts share a file.
	path := filepath.Join(c.Dir, fmt.Sprintf("serviceaccount_%s_%s.kubeconfig", namespace, name))
	if err := WriteKubeconfig(path, config); err != nil {
		return nil, "", err
	}
	return config, path, nil
}

// WriteKubeconfig writes a client configuration, as far as the control plane makes such, into a kubeconfig that only its owner
// can read.
func WriteKubeconfig(path string, config *rest.Config) error {
	const name = "kubersafe"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	kubeconfig.AuthInfos[name] = &clientcmdapi.AuthInfo{
		ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken,
	}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	kubeconfig.CurrentContext = name
	content, err := clientcmd.Write(*kubeconfig)
	if err != nil {
		return fmt.Errorf("encoding a kubeconfig: %w", err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return nil
}

// User returns a client configuration of a user with a certificate of his own. Beside those groups he is in
// system:authenticated.
func (c *ControlPlane) User(name string, groups ...string) (*rest.Config, error) {
	user, err := c.env.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		return nil, fmt.Errorf("creating user %q: %w", name, err)
	}
	return user.Config(), nil
}
