// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package custom

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
	corev1 "k8s.io/api/core/v1"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// The variables of expressions.
const (
	objectVariable    = "object"
	namespaceVariable = "namespaceObject"
)

// language is what expressions about a kind are written in: the functions of ValidatingAdmissionPolicy, and the variables
// with the fields that are kept.
type language struct {
	*cel.Env
	schema *schema
}

// languages are made when the first check needs them: without custom checks they cost nothing.
var languages = func() map[v1alpha1.CustomCheckKind]func() (*language, error) {
	made := make(map[v1alpha1.CustomCheckKind]func() (*language, error), len(kinds))
	for name, k := range kinds {
		made[name] = sync.OnceValues(func() (*language, error) { return languageOf(name, k) })
	}
	return made
}()

func languageOf(name v1alpha1.CustomCheckKind, k *kind) (*language, error) {
	base := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()).StoredExpressionsEnv()
	s := &schema{Provider: base.CELTypeProvider(), structs: make(map[string]*structure)}
	options := []cel.EnvOption{
		cel.Variable(objectVariable, s.declare(objectVariable, k.object, k.only, k.but)),
		cel.CustomTypeProvider(s),
		cel.CustomTypeAdapter(adapter{base.CELTypeAdapter()}),
	}
	if name != v1alpha1.CustomCheckNamespace {
		options = append(options, cel.Variable(namespaceVariable, s.declare(namespaceVariable, corev1.Namespace{}, namespaceFields, nil)))
	}
	env, err := base.Extend(options...)
	return &language{env, s}, err
}

// Items of a list, and characters of a text, that an ordinary object has at most. What is larger may come to the limit of an
// evaluation, and the check is skipped then; what would come to it on ordinary objects is of no use.
const (
	ordinaryList = 16
	ordinaryText = 64
)

// checkCost refuses what could cost more on an ordinary object than ValidatingAdmissionPolicy lets an evaluation cost.
func (l *language) checkCost(expression *cel.Ast) error {
	cost, err := l.EstimateCost(expression, &library.CostEstimator{SizeEstimator: ordinary{}})
	if err != nil {
		return err
	}
	if cost.Max > celconfig.PerCallLimit {
		return fmt.Errorf("the expression is too expensive: where lists have %d items, it may cost %d, and %d is the limit; nest fewer loops",
			ordinaryList, cost.Max, celconfig.PerCallLimit)
	}
	return nil
}

// ordinary says how large the parts of an ordinary object are.
type ordinary struct{}

// EstimateSize implements checker.CostEstimator.
func (ordinary) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	switch node.Type().Kind() {
	case types.BoolKind, types.IntKind, types.UintKind, types.DoubleKind, types.DurationKind, types.TimestampKind, types.NullTypeKind:
		return nil // of a size that CEL knows
	case types.ListKind, types.MapKind, types.StructKind:
		return &checker.SizeEstimate{Max: ordinaryList}
	}
	return &checker.SizeEstimate{Max: ordinaryText}
}

// EstimateCallCost implements checker.CostEstimator.
func (ordinary) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// adapter gives the maps of objects an order: what expressions say of the first of their keys, or of the first that fails,
// would come out one way or the other otherwise.
type adapter struct{ types.Adapter }

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(value any) ref.Val { return ordered(a.Adapter.NativeToValue(value)) }

// literal does the same for the maps that expressions write out.
type literal struct {
	interpreter.InterpretableConstructor
}

func orderLiterals(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	if c, ok := i.(interpreter.InterpretableConstructor); ok && c.Type() == types.MapType {
		return literal{c}, nil
	}
	return i, nil
}

// Eval implements interpreter.Interpretable.
func (l literal) Eval(a interpreter.Activation) ref.Val {
	return ordered(l.InterpretableConstructor.Eval(a))
}

// Exec implements interpreter.InterpretableV2.
func (l literal) Exec(f *interpreter.ExecutionFrame) ref.Val {
	return ordered(l.InterpretableConstructor.Exec(f))
}

func ordered(v ref.Val) ref.Val {
	if _, done := v.(orderedMap); done {
		return v
	}
	if m, ok := v.(traits.Mapper); ok {
		return orderedMap{m}
	}
	return v
}

// orderedMap is a map that is gone through in the order of its keys.
type orderedMap struct{ traits.Mapper }

// Iterator implements traits.Iterable.
func (m orderedMap) Iterator() traits.Iterator {
	var keys []ref.Val
	for it := m.Mapper.Iterator(); it.HasNext() == types.True; {
		keys = append(keys, it.Next())
	}
	slices.SortFunc(keys, func(a, b ref.Val) int {
		return cmp.Or(cmp.Compare(a.Type().TypeName(), b.Type().TypeName()), compareKeys(a, b))
	})
	return types.NewRefValList(types.DefaultTypeAdapter, keys).Iterator()
}

func compareKeys(a, b ref.Val) int {
	if c, ok := a.(traits.Comparer); ok {
		if n, ok := c.Compare(b).(types.Int); ok {
			return int(n)
		}
	}
	return 0
}
