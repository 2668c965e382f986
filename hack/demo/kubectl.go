// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	// pollTimeout bounds each wait. All of them take seconds; the rest is for machines that are busy.
	pollTimeout  = 90 * time.Second
	pollInterval = 200 * time.Millisecond
)

func (d *demo) kubectl(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	d.console.status("kubectl %s", strings.Join(args, " "))
	return d.plane.Kubectl(ctx, stdin, args...)
}

// show runs kubectl and prints what a user would see.
func (d *demo) show(ctx context.Context, args ...string) error {
	output, err := d.kubectl(ctx, nil, args...)
	if err != nil {
		return err
	}
	d.console.command(output, args...)
	return nil
}

// apply runs kubectl apply and prints how many objects there were.
func (d *demo) apply(ctx context.Context, stdin io.Reader, args ...string) error {
	output, err := d.kubectl(ctx, stdin, append([]string{"apply"}, args...)...)
	if err != nil {
		return err
	}
	d.console.printf("%d objects applied\n", strings.Count(output, "\n"))
	return nil
}

// poll waits for a condition that needs the operator, and gives up at once if that has ended. The condition's second
// result says what is still missing.
func (d *demo) poll(ctx context.Context, what string, condition func(context.Context) (bool, string, error)) error {
	missing := ""
	err := wait.PollUntilContextTimeout(ctx, pollInterval, pollTimeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-d.operator.Process().Done():
			return false, errors.New("the operator has ended")
		default:
		}
		done, still, err := condition(ctx)
		if still != "" { // a condition that the deadline interrupts says nothing
			missing = still
			d.console.status("waiting for %s: %s", what, missing)
		}
		return done, err
	})
	switch {
	case err == nil:
		return nil
	case missing == "":
		return fmt.Errorf("waiting for %s: %w", what, err)
	default:
		return fmt.Errorf("waiting for %s: %w: %s", what, err, missing)
	}
}

// selectKinds returns those documents that are of one of the kinds.
func selectKinds(documents string, kinds ...string) (string, error) {
	var selected []string
	reader := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(documents)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		var object metav1.TypeMeta
		if err := yaml.Unmarshal(document, &object); err != nil {
			return "", err
		}
		if slices.Contains(kinds, object.Kind) {
			selected = append(selected, string(document))
		}
	}
	if len(selected) == 0 {
		return "", fmt.Errorf("found no %s", strings.Join(kinds, ", "))
	}
	return strings.Join(selected, "\n---\n"), nil
}
