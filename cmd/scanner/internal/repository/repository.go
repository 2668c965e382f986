// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package repository finds the images that the AuditConfiguration wants scanned besides those that a cluster uses.
package repository

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/shard"
	"github.com/kubersafe/kubersafe/internal/source"
)

// configuration is what is kept of an AuditConfiguration.
type configuration struct {
	audit.Object
	repositories []v1alpha1.ScannedRepository
}

// Equal implements source.Record.
func (c *configuration) Equal(other *configuration) bool {
	return reflect.DeepEqual(c.repositories, other.repositories)
}

func convert(o runtime.Object) (*configuration, error) {
	a, ok := o.(*v1alpha1.AuditConfiguration)
	if !ok {
		return nil, fmt.Errorf("%T is no AuditConfiguration", o)
	}
	return &configuration{audit.ObjectFrom(a), a.Spec.Images.ScannedRepositories}, nil
}

// Wanted follows which repositories are wanted.
type Wanted struct {
	follower *source.Follower
	store    *source.Store[*configuration]
}

// New returns a Wanted. It calls changed, which must not block, whenever others may be wanted.
func New(cfg *rest.Config, httpClient *http.Client, changed func()) (*Wanted, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	client, err := apiutil.RESTClientForGVK(
		v1alpha1.GroupVersion.WithKind("AuditConfiguration"), false, false, cfg, serializer.NewCodecFactory(scheme), httpClient)
	if err != nil {
		return nil, err
	}
	w := &Wanted{store: source.NewStore(convert)}
	w.follower = source.NewFollower(shard.Shard{}, audit.AuditConfigurations, "", client, &v1alpha1.AuditConfiguration{}, w.store,
		func(string) { changed() }, changed)
	return w, nil
}

// Follow watches until the context ends.
func (w *Wanted) Follow(ctx context.Context) { w.follower.Follow(ctx) }

// Synced says whether it is known which are wanted: none where there can be no AuditConfiguration.
func (w *Wanted) Synced() bool {
	return w.follower.Synced() || w.follower.Status().State == v1alpha1.SourceNotServed
}

// Repositories returns those that are wanted.
func (w *Wanted) Repositories() []v1alpha1.ScannedRepository {
	var all []v1alpha1.ScannedRepository
	for _, c := range w.store.All() {
		all = append(all, c.repositories...)
	}
	return all
}

// List asks a registry for the tags of a repository, and returns the names of the images to scan.
func List(ctx context.Context, r *v1alpha1.ScannedRepository, o image.Options) ([]string, error) {
	var options []name.Option
	if o.PlainHTTP {
		options = append(options, name.Insecure)
	}
	repository, err := name.NewRepository(r.Name, options...)
	if err != nil {
		return nil, fmt.Errorf("repository %q: %w", r.Name, err)
	}
	tags, err := remote.List(repository, image.RemoteOptions(ctx, o)...)
	if err != nil {
		return nil, fmt.Errorf("listing the tags of the repository %q: %w", r.Name, err)
	}
	var images []string
	for _, tag := range pick(tags, r) {
		if image := cluster.NameOf(r.Name + ":" + tag); image != "" {
			images = append(images, image)
		}
	}
	return images, nil
}

// defaultTags is how many tags are scanned unless it is said.
const defaultTags = 3

// pick returns the tags to scan: versions first, the newest of them first, then the others by name.
func pick(tags []string, r *v1alpha1.ScannedRepository) []string {
	tags = slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		return strings.HasPrefix(tag, "sha256-") || // signatures and such of cosign
			len(r.Tags) > 0 && !slices.ContainsFunc(r.Tags, func(pattern string) bool {
				// Neither patterns nor tags have what else is special to it.
				ok, err := path.Match(pattern, tag)
				return ok && err == nil
			})
	})
	slices.SortFunc(tags, compareTags)
	n := defaultTags
	if r.MaxTags != nil {
		n = int(*r.MaxTags)
	}
	return tags[:min(n, len(tags))]
}

func compareTags(a, b string) int {
	v, errA := version.ParseGeneric(a)
	w, errB := version.ParseGeneric(b)
	switch {
	case errA != nil && errB != nil:
		return cmp.Compare(a, b)
	case errA != nil:
		return 1
	case errB != nil:
		return -1
	case v.LessThan(w):
		return 1
	case w.LessThan(v):
		return -1
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) // 1.29 before 1.29-alpine
}
