// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/kubersafe/kubersafe/internal/manifest"
	"github.com/kubersafe/kubersafe/internal/source"
)

// readManifests reads files, and returns what is in them and how many errors they have. Those are told as soon as they are
// known. more are kinds that are read beside those of the checks. It is an error if there is nothing in them.
func readManifests(
	paths []string, stdin io.Reader, stderr io.Writer, more ...func() source.Object,
) (objects *manifest.Objects, wrong int, err error) {
	objects = manifest.Read(paths, stdin, more...)
	wrong, err = tellProblems(objects, stderr)
	return objects, wrong, err
}

// tellProblems tells what is wrong with the input, and returns how many errors there are. It is an error if there is nothing in it.
func tellProblems(objects *manifest.Objects, stderr io.Writer) (wrong int, err error) {
	for _, p := range objects.Problems {
		if p.Warning {
			fmt.Fprintln(stderr, "Warning:", p)
			continue
		}
		wrong++
		fmt.Fprintln(stderr, "Error:", p)
	}
	if objects.Found == 0 {
		return 0, errors.New("no Kubernetes object in the input: nothing was judged")
	}
	return wrong, nil
}
