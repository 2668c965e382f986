// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package pullsecret_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/pullsecret"
)

// secret makes a pull secret whose user is its own name.
func secret(t *testing.T, namespace, secretName string, registries ...string) *corev1.Secret {
	t.Helper()
	auths := make(map[string]any)
	for _, r := range registries {
		auths[r] = map[string]string{"username": secretName, "password": "x"}
	}
	text, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: secretName}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: text},
	}
}

func TestAttempts(t *testing.T) {
	broken := secret(t, "shop", "broken")
	broken.Data[corev1.DockerConfigJsonKey] = []byte("{")
	client := fake.NewClientset(
		secret(t, "shop", "hub", "https://index.docker.io/v1/"), secret(t, "shop", "quay", "quay.io"), secret(t, "shop", "team", "quay.io/team"), broken,
		secret(t, "blog", "quay", "quay.io"),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "hub"}}},
	)
	reads := 0
	client.PrependReactor("get", "secrets", func(a clienttesting.Action) (bool, runtime.Object, error) {
		reads++
		if a.GetNamespace() == "locked" {
			return true, nil, apierrors.NewForbidden(corev1.Resource("secrets"), "any", errors.New("no"))
		}
		return false, nil, nil
	})
	many := make([]cluster.Source, 0, 20)
	var manyWant []string
	for i := range 20 {
		namespace := fmt.Sprint("ns-", i)
		s := secret(t, namespace, fmt.Sprint("user-", i), "quay.io")
		if err := client.Tracker().Add(s); err != nil {
			t.Fatal(err)
		}
		many = append(many, cluster.Source{Reference: "quay.io/a:1", Namespace: namespace, Secrets: s.Name})
		if i < 7 {
			manyWant = append(manyWant, "quay.io/a:1 "+s.Name)
		}
	}
	for title, tc := range map[string]struct {
		sources []cluster.Source
		want    []string // reference and user
		unread  int
	}{
		"nobody's credentials":                  {[]cluster.Source{{Reference: "quay.io/a:1", Namespace: "shop"}}, []string{"quay.io/a:1 fallback"}, 0},
		"only what fits":                        {[]cluster.Source{{Reference: "quay.io/a:1", Namespace: "shop", Secrets: "hub,quay,team"}}, []string{"quay.io/a:1 quay", "quay.io/a:1 fallback"}, 0},
		"every secret in its turn":              {[]cluster.Source{{Reference: "quay.io/team/a:1", Namespace: "shop", Secrets: "quay,team"}}, []string{"quay.io/team/a:1 quay", "quay.io/team/a:1 team", "quay.io/team/a:1 fallback"}, 0},
		"Docker Hub, by the ServiceAccount":     {[]cluster.Source{{Reference: "docker.io/library/nginx:1", Namespace: "shop", ServiceAccount: "app"}}, []string{"docker.io/library/nginx:1 hub", "docker.io/library/nginx:1 fallback"}, 0},
		"a ServiceAccount that is not there":    {[]cluster.Source{{Reference: "quay.io/a:1", Namespace: "shop", ServiceAccount: "gone"}}, []string{"quay.io/a:1 fallback"}, 1},
		"what may not be read harms no other":   {[]cluster.Source{{Reference: "quay.io/a:1", Namespace: "locked", Secrets: "quay"}, {Reference: "quay.io/a:1", Namespace: "shop", Secrets: "broken,gone,quay"}}, []string{"quay.io/a:1 quay", "quay.io/a:1 fallback"}, 3},
		"the same credentials are tried once":   {[]cluster.Source{{Reference: "quay.io/a:1", Namespace: "blog", Secrets: "quay"}, {Reference: "quay.io/a:1", Namespace: "shop", Secrets: "quay"}}, []string{"quay.io/a:1 quay", "quay.io/a:1 fallback"}, 0},
		"several repositories":                  {[]cluster.Source{{Reference: "mirror.example/a:1", Namespace: "shop", Secrets: "quay"}, {Reference: "quay.io/a:1", Namespace: "shop", Secrets: "quay"}}, []string{"quay.io/a:1 quay", "mirror.example/a:1 fallback", "quay.io/a:1 fallback"}, 0},
		"no registry is taken by storm":         {many, append(manyWant, "quay.io/a:1 fallback"), 0},
		"a name that no registry would take":    {[]cluster.Source{{Reference: "quay.io/A B", Namespace: "shop", Secrets: "quay"}}, []string{"quay.io/A B fallback"}, 0},
		"a Pod's own secrets, and no account's": {[]cluster.Source{{Reference: "quay.io/a:1", Namespace: "shop", Secrets: "quay", ServiceAccount: "app"}}, []string{"quay.io/a:1 quay", "quay.io/a:1 fallback"}, 0},
	} {
		t.Run(title, func(t *testing.T) {
			reads = 0
			fallback := authn.NewKeychainFromHelper(helper{})
			r := &pullsecret.Reader{Client: client, Fallback: fallback}
			attempts, unread := r.Attempts(t.Context(), tc.sources)
			var got []string
			for _, a := range attempts {
				user := "fallback"
				if a.Keychain != fallback {
					ref, err := name.ParseReference(a.Reference)
					if err != nil {
						t.Fatal(err)
					}
					auth, err := a.Keychain.Resolve(ref.Context())
					if err != nil {
						t.Fatal(err)
					}
					config, err := auth.Authorization()
					if err != nil {
						t.Fatal(err)
					}
					user = config.Username
				}
				got = append(got, a.Reference+" "+user)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("attempts (-want +got):\n%s", diff)
			}
			if len(unread) != tc.unread {
				t.Errorf("unread: %v, want %d", unread, tc.unread)
			}
			if reads > 20 {
				t.Errorf("Secrets were read %d times", reads)
			}
		})
	}
}

// helper is a fallback.
type helper struct{}

func (helper) Get(string) (string, string, error) { return "fallback", "x", nil }
