// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package image finds images where they are: in registries, OCI layouts and docker archives.
package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

// Prefixes of images that are not in a registry.
const (
	LayoutPrefix  = "oci-layout:"
	ArchivePrefix = "docker-archive:"
)

// Options say how to get at an image.
type Options struct {
	// Platform that is wanted. Its variant may be empty.
	Platform v1.Platform
	// Keychain has the credentials for registries; nil is nobody's.
	Keychain authn.Keychain
	// PlainHTTP allows registries without TLS; those of this machine are always allowed it.
	PlainHTTP bool
	// UserAgent is told to registries.
	UserAgent string
}

// Reference parses the reference of something in a registry. Errors are problem.Errors.
func (o *Options) Reference(source string) (name.Reference, error) {
	var options []name.Option
	if o.PlainHTTP {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(source, options...)
	if err != nil {
		return nil, problem.Errorf(v1alpha1.ReasonNotFound, "%q is not a reference of an image: %w", source, err)
	}
	return ref, nil
}

// Image is an image of one platform.
type Image struct {
	v1.Image
	// About is what is known without its layers.
	About v1alpha1.Image
}

const (
	// maxConfig bounds configurations. They are made of the same history as manifests, which registries bound to 4 MiB.
	maxConfig = 8 << 20
	// maxLayers is more than any runtime can stack.
	maxLayers = 1024
	// maxNesting of indexes in indexes; specifications allow it, and nobody has more than two.
	maxNesting = 4
)

// Open finds an image: a reference, oci-layout:DIR, or docker-archive:FILE. Errors are problem.Errors.
func Open(ctx context.Context, source string, o Options) (*Image, error) {
	f := finder{options: o}
	f.about.Name = source
	if dir, ok := strings.CutPrefix(source, LayoutPrefix); ok {
		return f.layout(dir)
	}
	if file, ok := strings.CutPrefix(source, ArchivePrefix); ok {
		return f.archive(file)
	}
	return f.registry(ctx, source)
}

// finder finds one image.
type finder struct {
	options Options
	about   v1alpha1.Image
}

func (f *finder) registry(ctx context.Context, source string) (*Image, error) {
	ref, err := f.options.Reference(source)
	if err != nil {
		return nil, err
	}
	f.about.Name = ref.Name()
	descriptor, err := remote.Get(ref, RemoteOptions(ctx, f.options)...)
	if err != nil {
		return nil, RegistryError(err)
	}
	switch {
	case descriptor.MediaType.IsIndex():
		index, err := descriptor.ImageIndex()
		if err != nil {
			return nil, RegistryError(err)
		}
		return f.index(index, 0)
	case descriptor.MediaType.IsImage():
		img, err := descriptor.Image()
		if err != nil {
			return nil, RegistryError(err)
		}
		return f.image(img)
	default:
		return nil, problem.Errorf(v1alpha1.ReasonMediaTypeUnsupported, "a manifest of type %q is not supported", descriptor.MediaType)
	}
}

// LeadsTo returns the digest of the platform's manifest that a tag leads to. Of a digest that is known to lead to one, as that of an index,
// nothing but that digest is asked for; of others their manifests and configuration. Errors are problem.Errors.
func LeadsTo(ctx context.Context, tag string, known map[string]string, o Options) (digest string, err error) {
	ref, err := o.Reference(tag)
	if err != nil {
		return "", err
	}
	head, err := remote.Head(ref, RemoteOptions(ctx, o)...)
	if err == nil {
		if digest, ok := known[head.Digest.String()]; ok {
			return digest, nil
		}
	} else if err = RegistryError(err); problem.Reason(err, "") != v1alpha1.ReasonManifestInvalid { // a registry may leave the digest out
		return "", err
	}
	found, err := Open(ctx, tag, o)
	if err != nil {
		return "", err
	}
	return found.About.Digest, nil
}

// RemoteOptions are those of every request to a registry.
func RemoteOptions(ctx context.Context, o Options) []remote.Option {
	keychain := o.Keychain
	if keychain == nil {
		keychain = authn.NewMultiKeychain()
	}
	return []remote.Option{
		remote.WithContext(ctx), remote.WithAuthFromKeychain(keychain), remote.WithUserAgent(o.UserAgent), remote.WithTransport(bounded{blobs: true}),
	}
}

// Small is the option that no answer is large: where no blob is asked for, or none but of a few KiB.
func Small() remote.Option { return remote.WithTransport(bounded{}) }

// maxDocument bounds manifests, indexes and lists. The largest in use have some 300 KiB, as that of an image of 1,024 layers; of more, a JSON
// of empty entries would take a hundred times its size in memory. The library allows 100 MiB, and lists of any size.
const maxDocument = 1 << 20

// bounded gives up on answers that are larger than maxDocument. Only blobs may be, which are asked for without saying of which type; that
// stays so where requests are redirected.
type bounded struct{ blobs bool }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := roundTripper.RoundTrip(r)
	if err == nil && (!b.blobs || r.Header.Get("Accept") != "") {
		answer.Body = http.MaxBytesReader(nil, answer.Body, maxDocument)
	}
	return answer, err
}

// roundTripper gives up on registries that do not answer; how long answers take is up to the context.
var roundTripper = &http.Transport{
	Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, TLSHandshakeTimeout: 10 * time.Second,
	ResponseHeaderTimeout: time.Minute, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
}

func (f *finder) layout(dir string) (*Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, problem.Errorf(v1alpha1.ReasonNotFound, "reading the OCI layout %q: %w", dir, err)
	}
	return f.pick(index, 0) // the digest of index.json is nobody's name for an image
}

func (f *finder) archive(file string) (*Image, error) {
	img, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		return nil, problem.Errorf(v1alpha1.ReasonNotFound, "reading the docker archive %q: %w", file, err)
	}
	// It has no manifest of its own, and to make one would compress all layers.
	config, err := img.ConfigFile()
	if err != nil {
		return nil, problem.Errorf(v1alpha1.ReasonManifestInvalid, "reading the configuration: %w", err)
	}
	return f.describe(img, config)
}

// index picks the image of the platform, and remembers the digest of the index.
func (f *finder) index(index v1.ImageIndex, depth int) (*Image, error) {
	digest, err := index.Digest()
	if err != nil {
		return nil, RegistryError(err)
	}
	f.about.IndexDigests = append(f.about.IndexDigests, digest.String())
	slices.Sort(f.about.IndexDigests)
	return f.pick(index, depth)
}

func (f *finder) pick(index v1.ImageIndex, depth int) (*Image, error) {
	if depth == maxNesting {
		return nil, problem.Errorf(v1alpha1.ReasonManifestInvalid, "indexes are nested more than %d deep", maxNesting)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, RegistryError(err)
	}
	var platforms []string
	for _, d := range manifest.Manifests {
		switch {
		case d.MediaType.IsIndex():
			nested, err := index.ImageIndex(d.Digest)
			if err != nil {
				return nil, RegistryError(err)
			}
			before := f.about.IndexDigests
			img, err := f.index(nested, depth+1)
			if problem.Reason(err, "") != v1alpha1.ReasonPlatformUnsupported {
				return img, err
			}
			f.about.IndexDigests = before
			platforms = append(platforms, "an index without it")
		case d.MediaType.IsImage() && d.Platform == nil:
			img, err := index.Image(d.Digest)
			if err != nil {
				return nil, RegistryError(err)
			}
			config, err := configOf(img)
			if err != nil {
				return nil, err
			}
			p := platformOf(config)
			if p.Satisfies(f.options.Platform) {
				return f.image(img)
			}
			platforms = append(platforms, p.String())
		case d.MediaType.IsImage() && d.Platform.Satisfies(f.options.Platform):
			img, err := index.Image(d.Digest)
			if err != nil {
				return nil, RegistryError(err)
			}
			return f.image(img)
		case d.MediaType.IsImage() && d.Platform.OS != "unknown": // attestations are "unknown"
			platforms = append(platforms, d.Platform.String())
		}
	}
	return nil, problem.Errorf(v1alpha1.ReasonPlatformUnsupported, "there is no image for %s, but for %s",
		f.options.Platform, orNothing(platforms))
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// image describes an image that has a manifest.
func (f *finder) image(img v1.Image) (*Image, error) {
	digest, err := img.Digest()
	if err != nil {
		return nil, RegistryError(err)
	}
	f.about.Digest = digest.String()
	manifest, err := img.Manifest()
	if err != nil {
		return nil, RegistryError(err)
	}
	if len(manifest.Layers) > maxLayers {
		return nil, problem.Errorf(v1alpha1.ReasonLimitExceeded, "the image has %d layers, and more than %d are not supported", len(manifest.Layers), maxLayers)
	}
	for i, l := range manifest.Layers {
		if !l.MediaType.IsLayer() || !l.MediaType.IsDistributable() {
			return nil, problem.Errorf(v1alpha1.ReasonMediaTypeUnsupported, "layer %d of %d is of type %q, which is not supported",
				i+1, len(manifest.Layers), l.MediaType)
		}
		f.about.SizeBytes += l.Size
	}
	config, err := configOf(img)
	if err != nil {
		return nil, err
	}
	return f.describe(img, config)
}

// describe adds what the configuration says.
func (f *finder) describe(img v1.Image, config *v1.ConfigFile) (*Image, error) {
	digest, err := img.ConfigName()
	if err != nil {
		return nil, RegistryError(err)
	}
	f.about.ConfigDigest = digest.String()
	platform := platformOf(config)
	f.about.Platform = platform.String()
	f.about.User = config.Config.User
	if t := config.Created.Time; t.After(time.Unix(0, 0)) && t.Year() != 1980 { // the epochs of Unix and of ZIP stand for "no time"
		created := metav1.NewTime(t.UTC().Truncate(time.Second))
		f.about.Created = &created
	}
	if platform.OS != "linux" {
		return nil, problem.Errorf(v1alpha1.ReasonPlatformUnsupported, "images for %s are not supported", platform)
	}
	if n := len(config.RootFS.DiffIDs); n > maxLayers {
		return nil, problem.Errorf(v1alpha1.ReasonLimitExceeded, "the image has %d layers, and more than %d are not supported", n, maxLayers)
	}
	return &Image{Image: img, About: f.about}, nil
}

// platformOf returns the platform that a configuration names. Some tools leave it out; runtimes then take it for their own.
func platformOf(config *v1.ConfigFile) v1.Platform {
	return v1.Platform{
		OS: cmp.Or(config.OS, "linux"), Architecture: cmp.Or(config.Architecture, "amd64"), Variant: config.Variant, OSVersion: config.OSVersion,
	}
}

// configOf returns the configuration of an image, if it has one of a container.
func configOf(img v1.Image) (*v1.ConfigFile, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return nil, RegistryError(err)
	}
	switch {
	case manifest.Config.MediaType != types.OCIConfigJSON && manifest.Config.MediaType != types.DockerConfigJSON:
		return nil, problem.Errorf(v1alpha1.ReasonMediaTypeUnsupported, "it is no container image: its configuration is of type %q", manifest.Config.MediaType)
	case manifest.Config.Size > maxConfig:
		return nil, problem.Errorf(v1alpha1.ReasonLimitExceeded, "its configuration has %d bytes, and more than %d are not supported", manifest.Config.Size, maxConfig)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, RegistryError(err)
	}
	return config, nil
}

// Answers says whether a registry can be reached although asking it for something has failed: what it refuses, or does not know to do, says
// nothing of what else it has.
func Answers(err error) bool {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return true
}

// RegistryError says what an error of a registry, or of reading what it has sent, means.
func RegistryError(err error) error {
	var (
		answer  *transport.Error
		large   *http.MaxBytesError
		network interface{ Timeout() bool }
	)
	reason := v1alpha1.ReasonManifestInvalid
	switch {
	case errors.As(err, &answer):
		switch answer.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			reason = v1alpha1.ReasonUnauthorized
		case http.StatusNotFound:
			reason = v1alpha1.ReasonNotFound
		default:
			reason = v1alpha1.ReasonRegistryUnavailable
		}
	case errors.As(err, &large):
		return problem.Errorf(v1alpha1.ReasonLimitExceeded, "the registry's answer is larger than %d bytes, which is not supported", large.Limit)
	case errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF):
		reason = v1alpha1.ReasonRegistryUnavailable
	}
	return problem.Errorf(problem.Reason(err, reason), "%w", err)
}

// ParsePlatform parses OS/ARCH or OS/ARCH/VARIANT.
func ParsePlatform(text string) (v1.Platform, error) {
	p, err := v1.ParsePlatform(text)
	if err != nil || p.OS == "" || p.Architecture == "" {
		return v1.Platform{}, fmt.Errorf("%q is not a platform: it must be like linux/amd64 or linux/arm64/v8", text)
	}
	return *p, nil
}
