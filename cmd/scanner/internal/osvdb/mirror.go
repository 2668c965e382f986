// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package osvdb

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
)

// Copy copies the state to a registry (oci://REFERENCE) or a folder, as sources have it. What is there already is not copied again.
func (v *View) Copy(ctx context.Context, to string, o image.Options) error {
	if strings.HasPrefix(to, OCIPrefix) {
		return v.push(ctx, to, o)
	}
	for _, e := range v.Ecosystems {
		if err := v.copyArchive(ctx, filepath.Join(to, e.Name), e); err != nil {
			return err
		}
	}
	return nil
}

// copyArchive copies an archive into a folder of its own. Who reads it meanwhile sees the one before.
func (v *View) copyArchive(ctx context.Context, folder string, e Ecosystem) error {
	target := filepath.Join(folder, archiveName)
	if digest, _, err := digestOf(target); err == nil && digest == e.Digest {
		return os.Chtimes(target, time.Time{}, e.Published)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // G301: mirrors are published
		return err
	}
	in, err := os.Open(v.archive(e.Name))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	next := target + ".new"
	out, err := os.Create(next) //nolint:gosec // G304: where the user wants it
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return errors.Join(os.Chtimes(next, time.Time{}, e.Published), os.Rename(next, target))
}

func (v *View) archive(ecosystem string) string {
	return filepath.Join(v.folder, ecosystem+archiveSuffix)
}

// push makes an artifact of the state, with a layer for each ecosystem. The same state is the same artifact.
func (v *View) push(ctx context.Context, to string, o image.Options) error {
	ref, err := parseOCI(to, o)
	if err != nil {
		return err
	}
	artifact := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), artifactType)
	for _, e := range v.Ecosystems {
		artifact, err = mutate.Append(artifact, mutate.Addendum{
			Layer: archiveLayer{v.archive(e.Name), e}, MediaType: archiveType, Annotations: map[string]string{
				ecosystemAnnotation: e.Name, publishedAnnotation: e.Published.Format(time.RFC3339),
			},
		})
		if err != nil {
			return err
		}
	}
	return remote.Write(ref, artifact, image.RemoteOptions(ctx, o)...)
}

// archiveLayer is an archive as a layer. It is compressed already.
type archiveLayer struct {
	file string
	Ecosystem
}

func (l archiveLayer) Digest() (v1.Hash, error) { return v1.NewHash(l.Ecosystem.Digest) }

func (l archiveLayer) DiffID() (v1.Hash, error) { return l.Digest() }

func (l archiveLayer) Compressed() (io.ReadCloser, error) { return os.Open(l.file) }

func (l archiveLayer) Uncompressed() (io.ReadCloser, error) { return l.Compressed() }

func (l archiveLayer) Size() (int64, error) { return l.Ecosystem.Size, nil }

func (l archiveLayer) MediaType() (types.MediaType, error) { return archiveType, nil }
