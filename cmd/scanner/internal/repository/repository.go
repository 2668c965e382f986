// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package repository knows what the AuditConfiguration wants to know of images, and which tags repositories have.
package repository

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/shard"
	"github.com/kubersafe/kubersafe/internal/source"
)

// configuration is what is kept of an AuditConfiguration.
type configuration struct {
	audit.Object
	repositories []v1alpha1.ScannedRepository
	signatures   []v1alpha1.RequiredSignature
}

// Equal implements source.Record.
func (c *configuration) Equal(other *configuration) bool {
	return reflect.DeepEqual(c.repositories, other.repositories) && reflect.DeepEqual(c.signatures, other.signatures)
}

func convert(o runtime.Object) (*configuration, error) {
	a, ok := o.(*v1alpha1.AuditConfiguration)
	if !ok {
		return nil, fmt.Errorf("%T is no AuditConfiguration", o)
	}
	return &configuration{audit.ObjectFrom(a), a.Spec.Images.ScannedRepositories, a.Spec.Images.RequiredSignatures}, nil
}

// Wanted follows which repositories and signatures are wanted.
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

// Signatures returns those that images must have.
func (w *Wanted) Signatures() []v1alpha1.RequiredSignature {
	var all []v1alpha1.RequiredSignature
	for _, c := range w.store.All() {
		all = append(all, c.signatures...)
	}
	return all
}

// List asks a registry for the tags of a repository, and returns the names of the images to scan. Errors are problem.Errors.
func List(ctx context.Context, r *v1alpha1.ScannedRepository, o image.Options) ([]string, error) {
	tags, _, err := list(ctx, r.Name, o, func(tags []string) []string { return pick(tags, r) })
	if err != nil {
		return nil, err
	}
	var images []string
	for _, tag := range tags {
		if image := cluster.NameOf(r.Name + ":" + tag); image != "" {
			images = append(images, image)
		}
	}
	return images, nil
}

// Newest asks a registry for the tags of a repository, and returns the newest that is a version. It is "" where there is none, or where
// there are so many tags that it is not known. Errors are problem.Errors.
func Newest(ctx context.Context, repository string, o image.Options) (string, error) {
	tags, complete, err := list(ctx, repository, o, newest)
	if err != nil || !complete || len(tags) == 0 {
		return "", err
	}
	return tags[0], nil
}

// newest returns the newest of some tags that are versions, if any is.
func newest(tags []string) []string {
	tags = slices.DeleteFunc(tags, func(tag string) bool { return !release.MatchString(tag) })
	slices.SortFunc(tags, compareTags)
	return tags[:min(1, len(tags))]
}

// release is a tag that is a version, as 1.29.3 or v2.1: not 1.30.0-rc.1, nor a day as 20260127.
var release = regexp.MustCompile(`^v?[0-9]{1,9}(\.[0-9]{1,9}){1,3}$`)

const (
	// pageSize of listing tags. Registries have less if they like.
	pageSize = 1000
	// maxPages bounds how often one listing asks. Of 20,000 tags nobody has made versions by hand.
	maxPages = 20
)

// list asks a registry for the tags of a repository, and returns those that are picked of them, and whether it has looked at all. Picking
// from what was picked and from more of them must be the same as from all: no more than one page is kept at a time. Errors are problem.Errors.
func list(ctx context.Context, repository string, o image.Options, pick func([]string) []string) (tags []string, complete bool, err error) {
	ref, err := o.Reference(repository)
	if err != nil {
		return nil, false, err
	}
	fail := func(err error) ([]string, bool, error) {
		err = image.RegistryError(err)
		return nil, false, problem.Errorf(problem.Reason(err, ""), "listing the tags of the repository %q: %w", repository, err)
	}
	puller, err := remote.NewPuller(append(image.RemoteOptions(ctx, o), remote.WithPageSize(pageSize), image.Small())...)
	if err != nil {
		return fail(err)
	}
	lister, err := puller.Lister(ctx, ref.Context())
	if err != nil {
		return fail(err)
	}
	for range maxPages {
		page, err := lister.Next(ctx)
		if err != nil {
			return fail(err)
		}
		tags = pick(append(tags, page.Tags...))
		if !lister.HasNext() {
			return tags, true, nil
		}
	}
	return tags, false, nil
}

// defaultTags is how many tags are scanned unless it is said.
const defaultTags = 3

// pick returns the tags to scan: versions first, the newest of them first, then the others by name.
func pick(tags []string, r *v1alpha1.ScannedRepository) []string {
	tags = slices.DeleteFunc(tags, func(tag string) bool {
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
	v, errA := version.ParseGeneric(zeros.ReplaceAllString(a, "$1$2"))
	w, errB := version.ParseGeneric(zeros.ReplaceAllString(b, "$1$2"))
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

// zeros are those that numbers begin with, as in 24.04, and that versions must not have.
var zeros = regexp.MustCompile(`(^v?|\.)0+([0-9])`)
