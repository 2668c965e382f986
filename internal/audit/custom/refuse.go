// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package custom

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// problem is what is wrong at one place of an expression. Lines count from 1, columns from 0; line 0 is the whole.
type problem struct {
	line, column int
	text         string
}

func problemAt(a *ast.AST, e ast.Expr, format string, args ...any) problem {
	at := a.SourceInfo().GetStartLocation(e.ID())
	return problem{at.Line(), at.Column(), fmt.Sprintf(format, args...)}
}

// maxProblems is how many are told at once. What follows is mostly a consequence of the first.
const maxProblems = 3

// errorOf returns problems in the order of the expression, or nil if there are none.
func errorOf(problems []problem) error {
	slices.SortStableFunc(problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column), cmp.Compare(a.text, b.text))
	})
	problems = slices.Compact(problems)
	var texts []string
	for _, p := range problems[:min(len(problems), maxProblems)] {
		text := strings.Join(strings.Fields(p.text), " ")
		if p.line > 0 {
			text = fmt.Sprintf("line %d, column %d: %s", p.line, p.column+1, text)
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return nil
	}
	return errors.New(strings.Join(texts, "; "))
}

func problemsOf(issues *cel.Issues) []problem {
	var problems []problem
	for _, e := range issues.Errors() {
		problems = append(problems, problem{e.Location.Line(), e.Location.Column(), e.Message})
	}
	return problems
}

const noRequest = "what is stored is judged, and there is no request"

// absent are the variables of ValidatingAdmissionPolicy that there are not, and why.
var absent = map[string]string{
	"oldObject":  noRequest,
	"request":    noRequest,
	"authorizer": noRequest,
	"params":     "custom checks have no parameters",
	"variables":  "custom checks have no other expressions: write it out",
}

// absentVariables finds the variables that are not there for a kind. The expression is parsed, and not checked.
func absentVariables(kind v1alpha1.CustomCheckKind, a *ast.AST) []problem {
	var problems []problem
	bound := make(map[string]bool)
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.ComprehensionKind {
			bound[e.AsComprehension().IterVar()], bound[e.AsComprehension().IterVar2()] = true, true
		}
	}))
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.IdentKind || bound[e.AsIdent()] {
			return
		}
		name := e.AsIdent()
		if why := absent[name]; why != "" {
			problems = append(problems, problemAt(a, e, "%q is not available: %s", name, why))
		} else if name == namespaceVariable && kind == v1alpha1.CustomCheckNamespace {
			problems = append(problems, problemAt(a, e, `%q is not available: "object" is the namespace`, name))
		}
	}))
	return problems
}

// uses is what an expression looks at, apart from the object itself.
type uses struct {
	// labels of the object, which of Pods are not in their shapes.
	labels bool
	// namespace that the object is in.
	namespace bool
	// namespaceObject: the namespace as an object.
	namespaceObject bool
}

// examiner looks for what a checked expression must not use.
type examiner struct {
	*ast.AST
	kind     v1alpha1.CustomCheckKind
	schema   *schema
	uses     uses
	texts    []ast.Expr
	problems []problem
}

// examine returns what a checked expression uses, and what it must not.
func (l *language) examine(kind v1alpha1.CustomCheckKind, a *ast.AST) (uses, []problem) {
	x := examiner{AST: a, kind: kind, schema: l.schema}
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(x.visit))
	if kind == v1alpha1.CustomCheckPod && x.uses.labels {
		for _, e := range x.texts {
			if text, ok := e.AsLiteral().Value().(string); ok && audit.ReplicaLabel(text) {
				x.add(e, "the audit does not keep the label %q of Pods: it differs between replicas", text)
			}
		}
	}
	return x.uses, x.problems
}

func (x *examiner) add(e ast.Expr, format string, args ...any) {
	x.problems = append(x.problems, problemAt(x.AST, e, format, args...))
}

func (x *examiner) visit(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		x.uses.namespaceObject = x.uses.namespaceObject || e.AsIdent() == namespaceVariable
	case ast.LiteralKind:
		x.texts = append(x.texts, e)
	case ast.SelectKind:
		x.selects(e, e.AsSelect().Operand(), e.AsSelect().FieldName())
	case ast.CallKind:
		x.calls(e)
	case ast.ListKind:
		x.mustNotHide(e, e.AsList().Elements()...)
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			x.mustNotHide(e, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		x.mustNotHide(e, c.AccuInit(), c.LoopStep(), c.Result())
	}
}

// selects looks at a field that is used, or whose presence is tested.
func (x *examiner) selects(e, operand ast.Expr, name string) {
	of := x.GetType(operand.ID())
	if of.TypeName() == cel.OptionalType(cel.DynType).TypeName() {
		of = of.Parameters()[0]
	}
	f, known := x.schema.field(of, name)
	switch {
	case known && !f.kept:
		x.add(e, "the audit does not keep the field %q", pathOf(operand)+"."+name)
	case known && of.TypeName() == objectVariable+"/ObjectMeta":
		x.uses.labels = x.uses.labels || name == "labels"
		x.uses.namespace = x.uses.namespace || name == "namespace"
	}
}

// passing are the functions that hand objects on, or parts of them, without looking into them.
var passing = map[string]bool{
	operators.Index: true, operators.OptIndex: true, operators.OptSelect: true, operators.Conditional: true, operators.Add: true,
	"size": true, "cel.@mapInsert": true,
	"optional.of": true, "hasValue": true, "value": true, "or": true, "orValue": true,
	"first": true, "last": true, "reverse": true, "slice": true, "flatten": true,
}

// calls looks at a function and at what it is given.
func (x *examiner) calls(e ast.Expr) {
	call := e.AsCall()
	args := call.Args()
	if call.IsMemberFunction() {
		args = append(slices.Clone(args), call.Target())
	}
	if name := call.FunctionName(); name == operators.OptSelect && len(args) == 2 {
		if field, ok := args[1].AsLiteral().(types.String); ok {
			x.selects(e, args[0], string(field))
		}
	}
	if passing[call.FunctionName()] {
		x.mustNotHide(e, args...)
		return
	}
	for _, arg := range args {
		if t := x.GetType(arg.ID()); !x.schema.isWhole(t) {
			x.add(e, "%s would look at all of %q, and the audit does not keep all of it: use single fields", functionOf(call), pathOf(arg))
		}
	}
}

// mustNotHide refuses an expression that takes the type from objects of which not all is kept: nobody could tell which fields
// of it are used.
func (x *examiner) mustNotHide(e ast.Expr, from ...ast.Expr) {
	if !isDynamic(x.GetType(e.ID())) {
		return
	}
	for _, f := range from {
		if !x.schema.isWhole(x.GetType(f.ID())) {
			x.add(e, "%q must not be mixed with values of other types: the audit does not keep all of it", pathOf(f))
		}
	}
}

func isDynamic(t *cel.Type) bool {
	return t.Kind() == types.DynKind || t.Kind() == types.AnyKind || slices.ContainsFunc(t.Parameters(), isDynamic)
}

func functionOf(call ast.CallExpr) string {
	if display, ok := operators.FindReverse(call.FunctionName()); ok && display != "" {
		return fmt.Sprintf("%q", display)
	}
	return fmt.Sprintf("%q", strings.TrimPrefix(call.FunctionName(), "@"))
}

// pathOf returns what an expression reads like, as far as it is a path.
func pathOf(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent()
	case ast.SelectKind:
		return pathOf(e.AsSelect().Operand()) + "." + e.AsSelect().FieldName()
	case ast.CallKind:
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.Index, operators.OptIndex:
			index := "…"
			if args[1].Kind() == ast.LiteralKind {
				index = fmt.Sprint(args[1].AsLiteral().Value())
			}
			return pathOf(args[0]) + "[" + index + "]"
		case operators.OptSelect:
			if field, ok := args[1].AsLiteral().(types.String); ok {
				return pathOf(args[0]) + "." + string(field)
			}
		}
	}
	return "…"
}
