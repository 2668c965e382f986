// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package osvdb

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
)

// PublicSource is where the OSV project publishes the database.
const PublicSource = "https://osv-vulnerabilities.storage.googleapis.com"

// OCIPrefix is that of sources and targets in a registry.
const OCIPrefix = "oci://"

// DefaultEcosystems are those of the packages that images are searched for, as far as their versions can be compared.
var DefaultEcosystems = []string{
	"AlmaLinux", "Alpaquita", "Alpine", "Chainguard", "Debian", "Go", "Maven", "MinimOS", "NuGet", "PyPI", "RubyGems", "Ubuntu", "Wolfi",
	"crates.io", "npm",
}

// archiveName is the file of an ecosystem, as in the OSV project's own storage.
const archiveName = "all.zip"

// maxArchive bounds the archive of one ecosystem. The largest, npm's, has some 200 MB.
const maxArchive = 4 << 30

// Archive is the archive of one ecosystem at a source.
type Archive struct {
	Ecosystem string
	// Version changes when its content does: a digest, an ETag, or a size and a time.
	Version string
	// Published is the time at which the archive was made; zero if nobody says. Mirrors keep it.
	Published time.Time
}

// Source is a place that the database comes from.
type Source interface {
	// List returns the archives there, sorted by ecosystem. It is cheap: it reads none of them.
	List(ctx context.Context) ([]Archive, error)
	// Fetch copies an archive.
	Fetch(ctx context.Context, a Archive, to io.Writer) error
}

// NewSource returns the source of a location: oci://REFERENCE, an http:// or https:// URL, or a folder. Of a URL that does not list its
// ecosystems, those wanted are asked for; of others, those that are not wanted are left out. An empty list wants all.
func NewSource(location string, wanted []string, o image.Options) (Source, error) {
	var s Source
	switch {
	case location == "":
		return nil, errors.New("no database: name a folder, a URL or oci://REFERENCE")
	case strings.HasPrefix(location, OCIPrefix):
		ref, err := parseOCI(location, o)
		if err != nil {
			return nil, err
		}
		s = &ociSource{ref: ref, options: o}
	case strings.HasPrefix(location, "http://"), strings.HasPrefix(location, "https://"):
		base, err := url.Parse(location)
		if err != nil {
			return nil, fmt.Errorf("%q is not a URL: %w", location, err)
		}
		s = &httpSource{base: base, wanted: wanted, userAgent: o.UserAgent}
	default:
		s = folderSource(location)
	}
	return wantedSource{s, wanted}, nil
}

// wantedSource leaves ecosystems out that nobody wants, or that are no names.
type wantedSource struct {
	Source
	wanted []string
}

// ecosystemPattern keeps names of ecosystems, which become names of files, from leading elsewhere.
var ecosystemPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$`)

func (s wantedSource) List(ctx context.Context) ([]Archive, error) {
	list, err := s.Source.List(ctx)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(a Archive) bool {
		return !ecosystemPattern.MatchString(a.Ecosystem) || len(s.wanted) > 0 && !slices.Contains(s.wanted, a.Ecosystem)
	})
	slices.SortFunc(list, func(a, b Archive) int { return strings.Compare(a.Ecosystem, b.Ecosystem) })
	if len(list) == 0 {
		return nil, errors.New("there is no archive of an ecosystem that is wanted")
	}
	for i := range list[1:] {
		if list[i].Ecosystem == list[i+1].Ecosystem {
			return nil, fmt.Errorf("there are two archives of the ecosystem %q", list[i].Ecosystem)
		}
	}
	return list, nil
}

// folderSource is a folder with <ecosystem>/all.zip.
type folderSource string

func (s folderSource) List(context.Context) ([]Archive, error) {
	entries, err := os.ReadDir(string(s))
	if err != nil {
		return nil, err
	}
	var list []Archive
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(string(s), e.Name(), archiveName)) // entries may be symbolic links, as in mounted volumes
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		if err != nil {
			if strings.HasPrefix(e.Name(), ".") || !e.IsDir() {
				continue // a file has nothing below it
			}
			return nil, err
		}
		published := info.ModTime().UTC()
		list = append(list, Archive{e.Name(), fmt.Sprintf("%d bytes of %s", info.Size(), published.Format(time.RFC3339Nano)), published.Truncate(time.Second)})
	}
	return list, nil
}

func (s folderSource) Fetch(_ context.Context, a Archive, to io.Writer) error {
	f, err := os.Open(filepath.Join(string(s), a.Ecosystem, archiveName))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	return copyBounded(to, f)
}

// copyBounded copies an archive.
func copyBounded(to io.Writer, from io.Reader) error {
	n, err := io.Copy(to, io.LimitReader(from, maxArchive+1))
	if err == nil && n > maxArchive {
		err = fmt.Errorf("it has more than %d bytes", int64(maxArchive))
	}
	return err
}

// httpSource is a URL with <ecosystem>/all.zip below it, and perhaps ecosystems.txt, which lists them.
type httpSource struct {
	base      *url.URL
	wanted    []string
	userAgent string
}

// httpClient gives up on servers that do not answer; how long answers take is up to the context.
var httpClient = &http.Client{Transport: &http.Transport{
	Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute,
}}

func (s *httpSource) do(ctx context.Context, method string, path ...string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.base.JoinPath(path...).String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", s.userAgent)
	response, err := httpClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(&statusError{request.URL.Redacted(), response.StatusCode}, response.Body.Close())
	}
	return response, nil
}

// statusError is an answer that is not 200.
type statusError struct {
	url  string
	code int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: %d %s", e.url, e.code, http.StatusText(e.code))
}

func notFound(err error) bool {
	var e *statusError
	return errors.As(err, &e) && (e.code == http.StatusNotFound || e.code == http.StatusForbidden) // object stores say 403 for "no such object"
}

func (s *httpSource) List(ctx context.Context) ([]Archive, error) {
	ecosystems, err := s.ecosystems(ctx)
	if err != nil {
		return nil, err
	}
	var list []Archive
	for _, ecosystem := range ecosystems {
		response, err := s.do(ctx, http.MethodHead, ecosystem, archiveName)
		if notFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := response.Body.Close(); err != nil {
			return nil, err
		}
		version := response.Header.Get("ETag")
		if version == "" {
			version = fmt.Sprintf("%d bytes of %s", response.ContentLength, response.Header.Get("Last-Modified"))
		}
		published, err := http.ParseTime(response.Header.Get("Last-Modified"))
		if err != nil {
			published = time.Time{}
		}
		list = append(list, Archive{ecosystem, version, published.UTC()})
	}
	return list, nil
}

// ecosystems returns those to ask for.
func (s *httpSource) ecosystems(ctx context.Context) ([]string, error) {
	response, err := s.do(ctx, http.MethodGet, "ecosystems.txt")
	if notFound(err) {
		return s.wanted, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // only read
	var listed []string
	for lines := bufio.NewScanner(io.LimitReader(response.Body, 1<<20)); lines.Scan(); {
		// The list has releases too, such as Debian:12, which are in the archive of Debian.
		if e := strings.TrimSpace(lines.Text()); ecosystemPattern.MatchString(e) && (len(s.wanted) == 0 || slices.Contains(s.wanted, e)) {
			listed = append(listed, e)
		}
	}
	return listed, nil
}

func (s *httpSource) Fetch(ctx context.Context, a Archive, to io.Writer) error {
	response, err := s.do(ctx, http.MethodGet, a.Ecosystem, archiveName)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // only read
	return copyBounded(to, response.Body)
}

const (
	// artifactType is that of the database in a registry.
	artifactType = types.MediaType("application/vnd.kubersafe.vulnerability-database.v1")
	// archiveType is that of its layers: one for each ecosystem.
	archiveType = types.MediaType("application/vnd.kubersafe.osv.v1+zip")
	// ecosystemAnnotation of a layer names the ecosystem, publishedAnnotation the time at which the archive was made.
	ecosystemAnnotation = "audit.kubersafe.io/ecosystem"
	publishedAnnotation = "audit.kubersafe.io/published"
)

// ociSource is an artifact in a registry.
type ociSource struct {
	ref     name.Reference
	options image.Options

	known    string // digest of the manifest below
	manifest *v1.Manifest
}

func parseOCI(location string, o image.Options) (name.Reference, error) {
	var options []name.Option
	if o.PlainHTTP {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(strings.TrimPrefix(location, OCIPrefix), options...)
	if err != nil {
		return nil, fmt.Errorf("%q is not a reference: %w", location, err)
	}
	return ref, nil
}

// List asks for the digest, and for the manifest only if that has changed.
func (s *ociSource) List(ctx context.Context) ([]Archive, error) {
	options := image.RemoteOptions(ctx, s.options)
	head, err := remote.Head(s.ref, options...)
	if err != nil {
		return nil, err
	}
	if s.known != head.Digest.String() {
		img, err := remote.Image(s.ref.Context().Digest(head.Digest.String()), options...)
		if err != nil {
			return nil, err
		}
		manifest, err := img.Manifest()
		if err != nil {
			return nil, err
		}
		s.known, s.manifest = head.Digest.String(), manifest
	}
	var list []Archive
	for _, l := range s.manifest.Layers {
		if ecosystem := l.Annotations[ecosystemAnnotation]; ecosystem != "" && l.MediaType == archiveType {
			published, err := time.Parse(time.RFC3339, l.Annotations[publishedAnnotation])
			if err != nil {
				published = time.Time{}
			}
			list = append(list, Archive{ecosystem, l.Digest.String(), published.UTC()})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s is not a vulnerability database", s.ref)
	}
	return list, nil
}

// Fetch copies a layer. The library compares its digest.
func (s *ociSource) Fetch(ctx context.Context, a Archive, to io.Writer) error {
	layer, err := remote.Layer(s.ref.Context().Digest(a.Version), image.RemoteOptions(ctx, s.options)...)
	if err != nil {
		return err
	}
	content, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }() // only read
	return copyBounded(to, content)
}

// digestOf returns the digest of a file, and its size.
func digestOf(file string) (string, int64, error) {
	f, err := os.Open(file) //nolint:gosec // G304: an archive
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }() // only read
	hash := sha256.New()
	n, err := io.Copy(hash, f)
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), n, err
}
