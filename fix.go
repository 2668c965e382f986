// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/fix"
	"github.com/kubersafe/kubersafe/internal/manifest"
	"github.com/kubersafe/kubersafe/internal/output"
	"github.com/kubersafe/kubersafe/internal/report"
)

// maxFixRounds is more than it takes: one fix uncovers what the next round fixes, such as the label of a namespace once its
// Pods are in order. No fixture takes more than three.
const maxFixRounds = 10

// fix audits manifests, prints them with what can be fixed fixed, and tells what that was and what remains.
func (o *auditOptions) runFix(cmd *cobra.Command, judge *judge) error {
	switch {
	case !cmd.Flags().Changed("filename"):
		return command.UsageError(cmd, errors.New("--fix needs --filename: only manifests can be fixed"))
	case o.output.Value != "table":
		return command.UsageError(cmd, errors.New("--fix and --output exclude each other: what is printed are the manifests"))
	}
	stderr := cmd.ErrOrStderr()
	f := fixer{judge: judge, input: manifest.Load(o.files, cmd.InOrStdin())}
	objects := f.input.Objects()
	wrong, err := tellProblems(objects, stderr)
	if err != nil {
		return command.InputError(err)
	}
	judge.wrong += wrong
	exceptions, err := f.run(objects)
	if err != nil {
		return command.InputError(err)
	}
	if _, err := cmd.OutOrStdout().Write(f.input.Bytes()); err != nil {
		return command.InputError(fmt.Errorf("printing manifests: %w", err))
	}
	for _, text := range f.warnings() {
		fmt.Fprintln(stderr, "Warning:", text)
	}
	if text := leftOut(objects.LeftOut); text != "" {
		fmt.Fprintln(stderr, text)
	}
	judge.tellExceptions(exceptions, stderr)
	fmt.Fprintf(stderr, "Fixed %s\n\n", output.Count(len(f.fixed), "finding"))
	t := terminalOf(stderr)
	if err := cmp.Or(t.Table(stderr, f.rows()), output.Table(stderr, t, judge.sorted())); err != nil {
		return command.InputError(fmt.Errorf("printing what remains: %w", err))
	}
	return o.verdict(judge)
}

// fixer fixes what findings have a value for.
type fixer struct {
	judge *judge
	input *manifest.Input
	// fixed are the fields that were set, by the findings that asked for it, and values what they have now.
	fixed  map[finding]bool
	values map[field]string
	// failed are those that could not be in the last round.
	failed map[finding]error
	// writtenOut are documents in which aliases had to be written out, by number, and their files.
	writtenOut map[int]string
}

// field is a field of an object in a document of the input.
type field struct {
	document           int
	file, object, path string
}

// finding is a finding with a value for a field.
type finding struct {
	field
	check string
}

func compareFindings(a, b finding) int {
	return cmp.Or(cmp.Compare(a.document, b.document), cmp.Compare(a.object, b.object), cmp.Compare(a.path, b.path), cmp.Compare(a.check, b.check))
}

// errNoManifest is about objects that the input says something about, and does not hold.
var errNoManifest = errors.New("no manifest describes the object")

// run fixes round by round, until there is nothing more to fix and what has come of it is judged, and returns the exceptions.
func (f *fixer) run(objects *manifest.Objects) ([]*audit.ExceptionRecord, error) {
	f.fixed, f.values, f.writtenOut = make(map[finding]bool), make(map[field]string), make(map[int]string)
	exceptions, err := f.judge.manifests(objects)
	for range maxFixRounds {
		if err != nil || !f.round(objects, f.judge.reports) {
			break
		}
		objects = f.input.Objects()
		exceptions, err = f.judge.manifests(objects)
	}
	return exceptions, err
}

// round fixes what reports find, and says whether it has changed anything. What a namespace itself must be depends on what is
// in it, and is left until that is done. So is what only Pods show whose template is among the manifests: another rollout.
func (f *fixer) round(objects *manifest.Objects, reports []*v1alpha1.SecurityReport) bool {
	f.failed = make(map[finding]error)
	places := placesOf(objects)
	contents, namespaces := make(map[int][]fixable), make(map[int][]fixable)
	for _, r := range reports {
		for i := range r.Findings {
			v := &r.Findings[i]
			if v.SuggestedValue == nil || v.SeenIn == v1alpha1.SeenInPods {
				continue
			}
			s := subjectOf(r, v.Object)
			place, ok := places[s]
			found := finding{field{place.Document, place.File, s.String(), v.Path}, v.Check}
			if !ok {
				f.failed[found] = errNoManifest
				continue
			}
			into := contents
			if r.Subject.Kind == audit.KindNamespace && v.Object == nil {
				into = namespaces
			}
			change := fix.Change{Object: place.Path, Path: v.Path, Value: v.SuggestedValue.Raw}
			into[place.Document] = append(into[place.Document], fixable{found, change})
		}
	}
	return f.apply(contents) || f.apply(namespaces)
}

// fixable is a finding and what fixes it.
type fixable struct {
	finding
	change fix.Change
}

// apply applies changes by document, and says whether any document has changed.
func (f *fixer) apply(fixables map[int][]fixable) (changed bool) {
	for document, todo := range fixables {
		changes := make([]fix.Change, 0, len(todo))
		for i := range todo {
			changes = append(changes, todo[i].change)
		}
		text := f.input.Text(document)
		result := fix.Apply(text, changes)
		differs := !bytes.Equal(result.Text, text)
		for i, err := range result.Errors {
			switch found := todo[i].finding; {
			case err != nil:
				f.failed[found] = err
			case differs:
				f.fixed[found] = true
				f.values[found.field] = string(changes[i].Value) // of several, the last one counts
			}
		}
		if result.WrittenOut {
			f.writtenOut[document] = todo[0].file
		}
		f.input.SetText(document, result.Text)
		changed = changed || differs
	}
	return changed
}

// subject is an object of the audit, by which its place is found. apiVersion is "" where findings do not tell it.
type subject struct{ apiVersion, namespace, kind, name string }

func (s subject) String() string {
	if s.kind == audit.KindNamespace {
		return s.kind + " " + s.name
	}
	return s.kind + " " + s.namespace + "/" + s.name
}

func subjectOf(r *v1alpha1.SecurityReport, object *v1alpha1.ObjectReference) subject {
	if object != nil {
		namespace := r.Namespace
		if namespace == "" && object.Kind == "Pod" {
			namespace = audit.SystemNamespace // where those of the control plane are
		}
		return subject{"", namespace, object.Kind, object.Name}
	}
	return subject{r.Subject.APIVersion, r.Namespace, r.Subject.Kind, r.Subject.Name}
}

// placesOf returns where objects stand. Those that reports do not tell apart are left out.
func placesOf(objects *manifest.Objects) map[subject]manifest.Place {
	places, again := make(map[subject]manifest.Place), make(map[subject]bool)
	for i, place := range objects.Places {
		o := objects.All[i]
		gvk := o.GetObjectKind().GroupVersionKind()
		s := subject{"", report.CleanName(o.GetNamespace()), gvk.Kind, report.CleanName(o.GetName())}
		if s.kind == audit.KindNamespace {
			s.namespace = s.name // whose report is in it
		}
		for _, s.apiVersion = range []string{"", gvk.GroupVersion().String()} {
			_, again[s] = places[s]
			places[s] = place
		}
	}
	maps.DeleteFunc(places, func(s subject, _ manifest.Place) bool { return again[s] })
	return places
}

// rows are those of the table of what was fixed.
func (f *fixer) rows() [][]string {
	if len(f.fixed) == 0 {
		return nil
	}
	rows := [][]string{{"FIXED CHECK", "OBJECT", "PATH", "VALUE", "FILE"}}
	for _, k := range slices.SortedFunc(maps.Keys(f.fixed), compareFindings) {
		rows = append(rows, []string{k.check, k.object, k.path, f.values[k.field], manifest.QuoteFile(k.file)})
	}
	return rows
}

// warnings tell what could not be fixed although there is a value, and what had to be changed beside.
func (f *fixer) warnings() []string {
	var texts []string
	for _, document := range slices.Sorted(maps.Keys(f.writtenOut)) {
		texts = append(texts, manifest.QuoteFile(f.writtenOut[document])+": what aliases stand for is written out, because a fix is not for all that share it")
	}
	for _, k := range slices.SortedFunc(maps.Keys(f.failed), compareFindings) {
		where := k.object
		if k.file != "" {
			where = manifest.QuoteFile(k.file) + ": " + where
		}
		texts = append(texts, fmt.Sprintf("%s: %s must be fixed by hand: %v", where, k.path, f.failed[k]))
	}
	return texts
}
