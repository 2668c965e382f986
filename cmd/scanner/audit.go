// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/manifest"
	"github.com/kubersafe/kubersafe/internal/source"
)

func newAuditCommand() *cobra.Command {
	o := imageOptions{
		many:   true,
		output: command.Choice{Value: "table", Values: []string{"table", "json", "sarif"}},
		failOn: command.Choice{Value: "high", Values: []string{"critical", "high", "medium", "low", never}},
	}
	var files []string
	cmd := &cobra.Command{
		Use:   "audit -f FILE",
		Short: "Scan the images that manifests name",
		Long: `Scan the images that manifests name, each once, and print what is known to be vulnerable in them, as "kubersafe-scanner image" does: it
says where credentials and the database come from.

Exit codes:
  0  everything was judged, and no vulnerability is as severe as --fail-on
  1  some vulnerability is as severe as --fail-on, or more
  2  a manifest, an image or the database could not be read, or not all of an image could be judged, or the command line is wrong; what
     could be judged is printed all the same`,
		Example: `  kubersafe-scanner audit -f deploy/
  helm template shop charts/shop | kubersafe-scanner audit -f - --fail-on critical --only-fixable
  kubersafe-scanner audit -f deploy/ -o sarif > findings.sarif`,
		Args: func(cmd *cobra.Command, args []string) error {
			return command.UsageError(cmd, cobra.NoArgs(cmd, args))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return command.UsageError(cmd, errors.New("-f must be set: name files or folders, or - for the standard input"))
			}
			return o.audit(cmd, files)
		},
	}
	o.add(cmd, "What to print: findings as a table, a list of ImageReports, or SARIF.")
	cmd.Flags().StringArrayVarP(&files, "filename", "f", nil, "File or folder with manifests, or - for the standard input. Can be given several times.")
	return cmd
}

// audit scans the images of manifests.
func (o *imageOptions) audit(cmd *cobra.Command, files []string) error {
	objects := manifest.Read(files, cmd.InOrStdin())
	wrong := 0
	for _, p := range objects.Problems {
		if p.Warning {
			fmt.Fprintln(cmd.ErrOrStderr(), "Warning:", p)
			continue
		}
		wrong++
		fmt.Fprintln(cmd.ErrOrStderr(), "Error:", p)
	}
	if objects.Found == 0 {
		return command.InputError(errors.New("no Kubernetes object in the input: nothing was scanned"))
	}
	images, invalid := imagesIn(objects.All, cmd.ErrOrStderr())
	wrong += invalid
	if len(images) == 0 && wrong == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "Warning: the manifests name no image")
	}
	err := o.run(cmd, images)
	if wrong > 0 && (err == nil || errors.Is(err, command.ErrFindings)) {
		return command.InputError(fmt.Errorf("%s in the input: not all of it was scanned", count(wrong, "error")))
	}
	return err
}

// imagesIn returns the names of the images of manifests, sorted, and tells of those that are none.
func imagesIn(objects []source.Object, stderr io.Writer) (images []string, invalid int) {
	for _, o := range objects {
		spec := podSpecOf(o)
		if spec == nil {
			continue
		}
		for container, image := range cluster.ImagesOf(spec) {
			if name := cluster.NameOf(image); name != "" {
				images = append(images, name)
				continue
			}
			invalid++
			kind := strings.TrimPrefix(fmt.Sprintf("%T", o), "*v1.")
			fmt.Fprintf(stderr, "Error: %s %s/%s: container %q: %q is no name of an image\n", kind, o.GetNamespace(), o.GetName(), container, image)
		}
	}
	slices.Sort(images)
	return slices.Compact(images), invalid
}

// podSpecOf returns the specification of the Pods that an object is or makes, or nil.
func podSpecOf(o source.Object) *corev1.PodSpec {
	switch o := o.(type) {
	case *corev1.Pod:
		return &o.Spec
	case *corev1.ReplicationController:
		if o.Spec.Template == nil {
			return nil
		}
		return &o.Spec.Template.Spec
	case *appsv1.Deployment:
		return &o.Spec.Template.Spec
	case *appsv1.ReplicaSet:
		return &o.Spec.Template.Spec
	case *appsv1.StatefulSet:
		return &o.Spec.Template.Spec
	case *appsv1.DaemonSet:
		return &o.Spec.Template.Spec
	case *batchv1.Job:
		return &o.Spec.Template.Spec
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template.Spec
	}
	return nil
}
