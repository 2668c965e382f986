// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package custom

import (
	"reflect"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// schema types expressions as Kubernetes' API does. It knows the fields that are not kept too, so that whoever uses one is
// told that, and not that Kubernetes has no such field.
type schema struct {
	types.Provider
	structs map[string]*structure
}

type structure struct {
	fields map[string]field
	// whole says that everything in it is kept.
	whole bool
}

type field struct {
	celType *cel.Type
	kept    bool
}

// declare adds the type of a value of Kubernetes' API and of what is in it, and returns it. The variable tells apart types
// of which more is kept of one variable than of another.
func (s *schema) declare(variable string, of any, only, but map[string]string) *cel.Type {
	d := declarer{s, variable, only, but}
	return d.typeOf(reflect.TypeOf(of))
}

type declarer struct {
	*schema
	variable  string
	only, but map[string]string
}

// The values that have a type of their own in JSON, as ValidatingAdmissionPolicy sees them.
var valueTypes = map[reflect.Type]*cel.Type{
	reflect.TypeFor[resource.Quantity]():  cel.StringType,
	reflect.TypeFor[intstr.IntOrString](): cel.DynType,
	reflect.TypeFor[metav1.Time]():        cel.StringType,
	reflect.TypeFor[metav1.FieldsV1]():    cel.DynType,
	reflect.TypeFor[[]byte]():             cel.StringType,
}

func (d *declarer) typeOf(t reflect.Type) *cel.Type {
	if known := valueTypes[t]; known != nil {
		return known
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.typeOf(t.Elem())
	case reflect.Bool:
		return cel.BoolType
	case reflect.String:
		return cel.StringType
	case reflect.Int, reflect.Int32, reflect.Int64:
		return cel.IntType
	case reflect.Slice:
		return cel.ListType(d.typeOf(t.Elem()))
	case reflect.Map:
		return cel.MapType(cel.StringType, d.typeOf(t.Elem()))
	case reflect.Struct:
		return d.structOf(t)
	}
	return cel.DynType // nothing that is kept
}

func (d *declarer) structOf(t reflect.Type) *cel.Type {
	name := d.variable + "/" + t.Name() // the slash keeps expressions from naming it
	if d.structs[name] == nil {
		s := &structure{fields: make(map[string]field), whole: true}
		d.structs[name] = s
		d.addFields(s, t, t.Name())
	}
	return cel.ObjectType(name)
}

// addFields adds the fields of a type and of those that it is made of in JSON.
func (d *declarer) addFields(s *structure, t reflect.Type, name string) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && key == "" {
			d.addFields(s, f.Type, name)
			continue
		}
		only, limited := d.only[name]
		kept := field{d.typeOf(f.Type), (!limited || has(only, key)) && !has(d.but[name], key)}
		s.fields[key] = kept
		s.whole = s.whole && kept.kept && d.isWhole(kept.celType)
	}
}

func has(names, name string) bool { return slices.Contains(strings.Fields(names), name) }

// isWhole says whether everything in values of a type is kept.
func (s *schema) isWhole(t *cel.Type) bool {
	if known := s.structs[t.TypeName()]; known != nil && !known.whole {
		return false
	}
	return !slices.ContainsFunc(t.Parameters(), func(p *cel.Type) bool { return !s.isWhole(p) })
}

// field returns a field of a type, if the type is one of the schema and has it.
func (s *schema) field(t *cel.Type, name string) (field, bool) {
	if t == nil || s.structs[t.TypeName()] == nil {
		return field{}, false
	}
	f, ok := s.structs[t.TypeName()].fields[name]
	return f, ok
}

// FindStructType implements types.Provider.
func (s *schema) FindStructType(name string) (*types.Type, bool) {
	if s.structs[name] != nil {
		return types.NewTypeTypeWithParam(cel.ObjectType(name)), true
	}
	return s.Provider.FindStructType(name)
}

// FindStructFieldType implements types.Provider.
func (s *schema) FindStructFieldType(name, fieldName string) (*types.FieldType, bool) {
	known := s.structs[name]
	if known == nil {
		return s.Provider.FindStructFieldType(name, fieldName)
	}
	f, ok := known.fields[fieldName]
	return &types.FieldType{Type: f.celType}, ok
}
