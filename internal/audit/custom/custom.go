// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package custom makes checks of expressions: CEL in the dialect of ValidatingAdmissionPolicy, over what the audit keeps of
// the cluster. It compiles with the API server's own libraries, and evaluates over the API server's own view of objects.
package custom

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"k8s.io/apiserver/pkg/cel/common"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/credential"
)

// Compile makes a check of a custom one. The error says what is wrong with it, and where in the expression. Whether the id is
// one of another check it does not know.
func Compile(c *v1alpha1.CustomCheck) (audit.Check, error) {
	check := audit.Check{ID: c.ID, Title: titleOf(c), Severity: c.Severity, Category: audit.CategoryCustom}
	names := slices.Clone(c.Kinds)
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return check, errors.New("kinds must not be empty")
	}
	var others []*expression
	for _, name := range names {
		e, err := compile(name, c)
		if err != nil {
			if len(names) > 1 {
				err = fmt.Errorf("for kind %s: %w", name, err)
			}
			return check, err
		}
		if e.uses.namespaceObject {
			check.Needs = []audit.Resource{audit.Namespaces}
		}
		switch {
		case e.kind.objects != nil:
			others = append(others, e)
		case e.uses == uses{}:
			check.Pod = e.judgePod
		default:
			check.Placed, check.Labelled = e.judgePlaced, e.uses.labels || e.uses.namespaceObject
		}
	}
	if len(others) > 0 {
		check.Namespace = func(ns *audit.Namespace, r *audit.Reporter) {
			for _, e := range others {
				e.judgeObjects(ns, r)
			}
		}
	}
	if err := check.Validate(); err != nil {
		return check, err
	}
	return check, nil
}

// titleOf makes a title of a message: one line, without a period.
func titleOf(c *v1alpha1.CustomCheck) string {
	return cmp.Or(strings.TrimRight(strings.Join(strings.Fields(c.Message), " "), ". "), c.ID)
}

// expression is a compiled one, about one kind.
type expression struct {
	name    v1alpha1.CustomCheckKind
	kind    *kind
	message string
	program cel.Program
	uses    uses
}

func compile(name v1alpha1.CustomCheckKind, c *v1alpha1.CustomCheck) (*expression, error) {
	k := kinds[name]
	if k == nil {
		return nil, fmt.Errorf("custom checks cannot judge kind %q", name)
	}
	l, err := languages[name]()
	if err != nil {
		return nil, err
	}
	parsed, issues := l.Parse(c.Expression)
	if problems := problemsOf(issues); len(problems) > 0 {
		return nil, errorOf(problems)
	}
	if problems := absentVariables(name, parsed.NativeRep()); len(problems) > 0 {
		return nil, errorOf(problems)
	}
	checked, issues := l.Check(parsed)
	if problems := problemsOf(issues); len(problems) > 0 {
		return nil, errorOf(problems)
	}
	uses, problems := l.examine(name, checked.NativeRep())
	if len(problems) > 0 {
		return nil, errorOf(problems)
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("the expression must be a bool, and is a %s", checked.OutputType())
	}
	if err := l.checkCost(checked); err != nil {
		return nil, err
	}
	program, err := l.Program(checked, cel.CustomDecoratorV2(orderLiterals))
	if err != nil {
		return nil, err
	}
	return &expression{name: name, kind: k, message: c.Message, program: program, uses: uses}, nil
}

func (e *expression) judgePod(pod *audit.Pod, r *audit.Reporter) {
	e.judge(r, audit.Finding{}, "the Pod", map[string]any{objectVariable: podObject(pod, "", nil)})
}

func (e *expression) judgePlaced(pod *audit.PlacedPod, r *audit.Reporter) {
	vars := map[string]any{objectVariable: podObject(pod.Pod, pod.Around.Name, pod.Labels)}
	if e.uses.namespaceObject {
		if pod.NamespaceLabels == nil {
			r.Skip(v1alpha1.SkipDataMissing, unseen(pod.Around.Name))
			return
		}
		vars[namespaceVariable] = namespaceObject(pod.Around.Name, pod.NamespaceLabels.Map())
	}
	e.judge(r, audit.Finding{}, "the Pod", vars)
}

func (e *expression) judgeObjects(ns *audit.Namespace, r *audit.Reporter) {
	if u := ns.Missing(e.kind.resource); u != nil {
		r.SkipUnavailable(u)
		return
	}
	vars := make(map[string]any)
	if e.uses.namespaceObject || e.name == v1alpha1.CustomCheckNamespace {
		if ns.Namespace == nil {
			r.Skip(v1alpha1.SkipDataMissing, unseen(ns.Name))
			return
		}
		vars[namespaceVariable] = namespaceObject(ns.Name, ns.Namespace.Labels)
	}
	for name, object := range e.kind.objects(ns) {
		var f audit.Finding
		if e.name != v1alpha1.CustomCheckNamespace {
			f.Object = &v1alpha1.ObjectReference{Kind: string(e.name), Name: name}
		}
		vars[objectVariable] = object
		e.judge(r, f, fmt.Sprintf("%s %q", e.kind.named, name), vars)
	}
}

func unseen(namespace string) string {
	return fmt.Sprintf("namespace %q itself has not been seen", namespace)
}

// judge reports what the expression says of one object.
func (e *expression) judge(r *audit.Reporter, f audit.Finding, of string, objects map[string]any) {
	holds, err := e.holds(objects)
	if err != nil {
		r.Skip(v1alpha1.SkipExpressionFailed, fmt.Sprintf("the expression cannot be evaluated on %s: %s", of, textOf(err)))
		return
	}
	if !holds {
		f.Message, f.Path = e.message, e.kind.path
		r.Find(f)
	}
}

// textOf returns the text of an error, which may quote what the expression has read.
func textOf(err error) string {
	text := err.Error()
	if credential.Marked(credential.Redact(text, credential.In(text))) != "" {
		return "the error quotes a credential"
	}
	return text
}

// holds says whether the expression is true. Values are made anew for each evaluation: they remember what was looked at, and
// are not for several at once.
func (e *expression) holds(objects map[string]any) (bool, error) {
	vars := make(map[string]any, len(objects))
	for name, object := range objects {
		vars[name] = common.SchemalessTypedToVal(object)
	}
	result, _, err := e.program.Eval(vars)
	if err != nil {
		return false, err
	}
	holds, ok := result.(types.Bool)
	if !ok {
		return false, fmt.Errorf("it must be a bool, and is a %s", result.Type().TypeName())
	}
	return bool(holds), nil
}
