// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/custom"
)

// TestCustomChecksSeeWhatIsKept sets every field of an object that Kubernetes knows. Each of them must be there with its value
// for an expression, or be one that is not kept.
func TestCustomChecksSeeWhatIsKept(t *testing.T) {
	for kind, object := range map[v1alpha1.CustomCheckKind]Object{
		v1alpha1.CustomCheckPod:           &corev1.Pod{},
		v1alpha1.CustomCheckNamespace:     &corev1.Namespace{},
		v1alpha1.CustomCheckService:       &corev1.Service{},
		v1alpha1.CustomCheckIngress:       &networkingv1.Ingress{},
		v1alpha1.CustomCheckNetworkPolicy: &networkingv1.NetworkPolicy{},
		v1alpha1.CustomCheckResourceQuota: &corev1.ResourceQuota{},
	} {
		t.Run(string(kind), func(t *testing.T) {
			var fields []string
			fill(reflect.ValueOf(object).Elem(), "object", &fields)
			object.SetOwnerReferences(nil) // so that a Pod is its own subject
			static := NewStatic()
			for _, o := range []runtime.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: text}}, object} {
				if err := static.Add(o); err != nil {
					t.Fatal(err)
				}
			}
			ns := audit.Fold(*static.Inventories()[text], time.Now())
			kept, lost := 0, 0
			for _, expression := range fields {
				check, err := custom.Compile(&v1alpha1.CustomCheck{
					ID: "own", Severity: v1alpha1.SeverityLow, Message: "m", Kinds: []v1alpha1.CustomCheckKind{kind}, Expression: expression,
				})
				if err != nil {
					if lost++; !strings.Contains(err.Error(), "the audit does not keep the field") {
						t.Errorf("%s: %v", expression, err)
					}
					continue
				}
				kept++
				set, err := audit.NewSet([]audit.Check{check})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range set.Evaluate(ns) {
					if len(r.Findings)+len(r.Skips) > 0 {
						t.Errorf("%s: %v %v", expression, r.Findings, r.Skips)
					}
				}
			}
			t.Logf("%d are kept, %d are not", kept, lost)
			if kept == 0 || lost == 0 {
				t.Errorf("%d are kept, %d are not", kept, lost)
			}
		})
	}
}

// text is what every field has that is one, key or value.
const text = "text"

// fill sets everything in a value, lists and maps with one element, and appends an expression for each field that is true of it.
func fill(v reflect.Value, path string, fields *[]string) {
	switch set := v.Addr().Interface().(type) {
	case *resource.Quantity:
		*set = resource.MustParse("3")
		is(path, `"3"`, fields)
		return
	case *intstr.IntOrString:
		*set = intstr.FromInt32(7)
		is(path, "7", fields)
		return
	case *metav1.Time:
		*set = created
		is(path, `"2026-11-21T12:00:00Z"`, fields)
		return
	case *metav1.TypeMeta:
		return // as the API server sets it
	case *metav1.FieldsV1:
		*set = *metav1.NewFieldsV1("{}")
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), path, fields)
	case reflect.Bool:
		v.SetBool(true)
		is(path, "true", fields)
	case reflect.String:
		v.SetString(text)
		is(path, strconv.Quote(text), fields)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
		is(path, "7", fields)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), path+"[0]", fields)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		key.SetString(text)
		fill(value, path+"["+strconv.Quote(text)+"]", fields)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous && key == "" {
				fill(v.Field(i), path, fields)
				continue
			}
			*fields = append(*fields, fmt.Sprintf("has(%s.%s)", path, key))
			fill(v.Field(i), path+"."+key, fields)
		}
	}
}

func is(path, value string, fields *[]string) {
	*fields = append(*fields, path+" == "+value)
}
