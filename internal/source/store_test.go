// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// record is what the store under test keeps of a ConfigMap: what is in it is audited.
type record struct {
	audit.Object
	value string
}

func (r *record) Equal(s *record) bool { return r.UID == s.UID && r.value == s.value }

var errConvert = errors.New("cannot convert")

func convertConfigMap(o runtime.Object) (*record, error) {
	c, ok := o.(*corev1.ConfigMap)
	if !ok || c.Data["value"] == "bad" {
		return nil, errConvert
	}
	return &record{audit.ObjectFrom(c), c.Data["value"]}, nil
}

func configMap(namespace, name, uid, version, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(uid), ResourceVersion: version},
		Data:       map[string]string{"value": value},
	}
}

// testStore is a store with what it has told.
type testStore struct {
	*Store[*record]
	told, gone []string
}

func newTestStore() *testStore {
	s := &testStore{Store: NewStore(convertConfigMap)}
	s.notify = func(namespace string) {
		s.List(namespace) // it may be read at once
		s.told = append(s.told, namespace)
	}
	s.removed = func(r *record) { s.gone = append(s.gone, r.Name+"/"+string(r.UID)) }
	return s
}

// contents lists "namespace/name version value".
func (s *testStore) contents() []string {
	var out []string
	s.Namespaces(func(namespace string) {
		for _, r := range s.data[namespace].sorted {
			out = append(out, namespace+"/"+r.Name+" "+r.ResourceVersion+" "+r.value)
		}
	})
	slices.Sort(out)
	return out
}

func TestStore(t *testing.T) {
	one := configMap("shop", "a", "u", "5", "x")
	asRecord := func(c *corev1.ConfigMap) *record {
		r, err := convertConfigMap(c)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, tc := range map[string]struct {
		do       func(*testStore) error
		want     []string
		wantTold []string
		wantGone []string
		wantErr  bool
	}{
		"a new object": {
			do:   func(s *testStore) error { return s.Add(configMap("shop", "b", "u", "6", "x")) },
			want: []string{"shop/a 5 x", "shop/b 6 x"}, wantTold: []string{"shop"},
		},
		"an object in another namespace": {
			do:   func(s *testStore) error { return s.Add(configMap("blog", "a", "u", "6", "x")) },
			want: []string{"blog/a 6 x", "shop/a 5 x"}, wantTold: []string{"blog"},
		},
		"a record, as a streamed list brings it": {
			do:   func(s *testStore) error { return s.Add(asRecord(configMap("shop", "b", "u", "6", "x"))) },
			want: []string{"shop/a 5 x", "shop/b 6 x"}, wantTold: []string{"shop"},
		},
		"a change that is audited": {
			do:   func(s *testStore) error { return s.Update(configMap("shop", "a", "u", "6", "y")) },
			want: []string{"shop/a 6 y"}, wantTold: []string{"shop"},
		},
		"a change that is not audited": {
			do: func(s *testStore) error { return s.Update(configMap("shop", "a", "u", "6", "x")) }, want: []string{"shop/a 6 x"},
		},
		"the same again":       {do: func(s *testStore) error { return s.Update(one) }, want: []string{"shop/a 5 x"}},
		"an older version":     {do: func(s *testStore) error { return s.Update(configMap("shop", "a", "u", "4", "y")) }, want: []string{"shop/a 5 x"}},
		"an older, by numbers": {do: func(s *testStore) error { return s.Update(configMap("shop", "a", "u", "40", "y")) }, want: []string{"shop/a 40 y"}, wantTold: []string{"shop"}},
		"a version that cannot be compared": {
			do:   func(s *testStore) error { return s.Update(configMap("shop", "a", "u", "", "y")) },
			want: []string{"shop/a  y"}, wantTold: []string{"shop"},
		},
		"another object in its place": {
			do:   func(s *testStore) error { return s.Update(configMap("shop", "a", "v", "6", "x")) },
			want: []string{"shop/a 6 x"}, wantTold: []string{"shop"}, wantGone: []string{"a/u"},
		},
		"an object that cannot be converted": {
			do: func(s *testStore) error { return s.Update(configMap("shop", "a", "u", "6", "bad")) }, want: []string{"shop/a 5 x"}, wantErr: true,
		},
		"something that is no object": {do: func(s *testStore) error { return s.Update("x") }, want: []string{"shop/a 5 x"}, wantErr: true},
		"a deletion":                  {do: func(s *testStore) error { return s.Delete(configMap("shop", "a", "u", "6", "x")) }, wantTold: []string{"shop"}, wantGone: []string{"a/u"}},
		"a deletion of a record":      {do: func(s *testStore) error { return s.Delete(asRecord(one)) }, wantTold: []string{"shop"}, wantGone: []string{"a/u"}},
		"a deletion that was only noticed": {
			do:       func(s *testStore) error { return s.Delete(cache.DeletedFinalStateUnknown{Key: "shop/a", Obj: one}) },
			wantTold: []string{"shop"}, wantGone: []string{"a/u"},
		},
		"a deletion of what has come anew since": {
			do: func(s *testStore) error { return s.Delete(configMap("shop", "a", "t", "4", "x")) }, want: []string{"shop/a 5 x"},
		},
		"a deletion of what is not there": {
			do: func(s *testStore) error { return s.Delete(configMap("shop", "b", "u", "6", "x")) }, want: []string{"shop/a 5 x"},
		},
		"a deletion of something that is no object": {do: func(s *testStore) error { return s.Delete("x") }, want: []string{"shop/a 5 x"}, wantErr: true},
		"a list of the same": {
			do: func(s *testStore) error { return s.Replace([]any{configMap("shop", "a", "u", "9", "x")}, "9") }, want: []string{"shop/a 9 x"},
		},
		"a list with a change, a new one and another namespace: each namespace is told of once": {
			do: func(s *testStore) error {
				return s.Replace([]any{configMap("shop", "a", "u", "9", "y"), configMap("shop", "b", "u", "9", "x"), asRecord(configMap("blog", "a", "u", "9", "x"))}, "9")
			},
			want: []string{"blog/a 9 x", "shop/a 9 y", "shop/b 9 x"}, wantTold: []string{"blog", "shop"},
		},
		"an empty list": {do: func(s *testStore) error { return s.Replace(nil, "9") }, wantTold: []string{"shop"}, wantGone: []string{"a/u"}},
		"a list with another object in its place": {
			do:   func(s *testStore) error { return s.Replace([]any{configMap("shop", "a", "v", "9", "x")}, "9") },
			want: []string{"shop/a 9 x"}, wantTold: []string{"shop"}, wantGone: []string{"a/u"},
		},
		"a list that cannot be converted changes nothing": {
			do: func(s *testStore) error {
				return s.Replace([]any{configMap("shop", "b", "u", "9", "x"), configMap("shop", "c", "u", "9", "bad")}, "9")
			},
			want: []string{"shop/a 5 x"}, wantErr: true,
		},
		"our own write tells nobody": {
			do: func(s *testStore) error { return s.Observe(configMap("shop", "a", "u", "6", "y")) }, want: []string{"shop/a 6 y"},
		},
		"our own write, and then its echo, tells nobody": {
			do: func(s *testStore) error {
				return errors.Join(s.Observe(configMap("shop", "a", "u", "6", "y")), s.Update(configMap("shop", "a", "u", "6", "y")))
			},
			want: []string{"shop/a 6 y"},
		},
		"our own write, and then what was before it, late": {
			do: func(s *testStore) error {
				return errors.Join(s.Observe(configMap("shop", "a", "u", "8", "y")), s.Update(configMap("shop", "a", "u", "7", "z")))
			},
			want: []string{"shop/a 8 y"},
		},
		"our own write, and then somebody else's": {
			do: func(s *testStore) error {
				return errors.Join(s.Observe(configMap("shop", "a", "u", "6", "y")), s.Update(configMap("shop", "a", "u", "7", "z")))
			},
			want: []string{"shop/a 7 z"}, wantTold: []string{"shop"},
		},
		"the answer to our own write that came after a newer version": {
			do: func(s *testStore) error { return s.Observe(configMap("shop", "a", "u", "4", "y")) }, want: []string{"shop/a 5 x"},
		},
		"our own write that cannot be converted": {
			do: func(s *testStore) error { return s.Observe(configMap("shop", "a", "u", "6", "bad")) }, want: []string{"shop/a 5 x"}, wantErr: true,
		},
		"our own deletion, and then its echo, tells nobody": {
			do: func(s *testStore) error {
				s.Forget("shop", "a")
				s.Forget("shop", "never there")
				s.Forget("never", "there")
				return s.Delete(configMap("shop", "a", "u", "6", "x"))
			},
		},
		"a resync does nothing": {do: func(s *testStore) error { return s.Resync() }, want: []string{"shop/a 5 x"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStore()
			if err := s.Add(one); err != nil {
				t.Fatal(err)
			}
			s.told = nil
			if err := tc.do(s); (err != nil) != tc.wantErr {
				t.Errorf("error %v, want one: %v", err, tc.wantErr)
			}
			slices.Sort(s.told) // namespaces come in any order
			if diff := cmp.Diff(tc.want, s.contents()); diff != "" {
				t.Errorf("contents (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantTold, s.told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantGone, s.gone); diff != "" {
				t.Errorf("gone (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStoreReads(t *testing.T) {
	s := newTestStore()
	for _, c := range []*corev1.ConfigMap{configMap("shop", "a", "u", "5", "x"), configMap("shop", "b", "u", "5", "y"), configMap("blog", "a", "u", "5", "z")} {
		if err := s.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	if r, ok := s.Get("shop", "b"); !ok || r.value != "y" {
		t.Errorf("Get = %v, %v", r, ok)
	}
	for _, key := range [][2]string{{"shop", "c"}, {"none", "a"}, {"", ""}} {
		if r, ok := s.Get(key[0], key[1]); ok || r != nil {
			t.Errorf("Get of what is not there = %v, %v", r, ok)
		}
	}
	if got := len(s.List("shop")); got != 2 {
		t.Errorf("List has %d records", got)
	}
	if got := len(s.List("none")); got != 0 {
		t.Errorf("List of nothing has %d records", got)
	}
}

func TestStoreOfNamespacesCountsThemWithWhatTheyHold(t *testing.T) {
	s := newTestStore()
	s.bucket = func(o *audit.Object) string { return o.Name }
	shop := configMap("", "shop", "u", "5", "x")
	for i, do := range []func() error{
		func() error { return s.Add(shop) },
		func() error { return s.Update(configMap("", "shop", "u", "6", "y")) },
		func() error { return s.Replace([]any{configMap("", "shop", "u", "7", "z")}, "7") },
		func() error { return s.Delete(configMap("", "shop", "u", "8", "z")) },
		func() error { return s.Replace([]any{shop}, "9") },
		func() error { return s.Replace(nil, "10") },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"shop"}, s.told); diff != "" {
			t.Errorf("told by step %d (-want +got):\n%s", i, diff)
		}
		if _, ok := s.Get("shop", "shop"); ok == (i == 3 || i == 5) {
			t.Errorf("after step %d it is there: %v", i, ok)
		}
		s.told = nil
	}
}

func TestStoreWithoutListeners(t *testing.T) {
	s := NewStore(convertConfigMap)
	c := configMap("shop", "a", "u", "5", "x")
	if err := errors.Join(s.Add(c), s.Delete(c), s.Replace([]any{c}, "5"), s.Replace(nil, "6")); err != nil {
		t.Error(err)
	}
}

func TestNewer(t *testing.T) {
	for name, tc := range map[string]struct {
		a, b string
		want bool
	}{
		"later":            {"10", "9", true},
		"the same":         {"9", "9", false},
		"earlier":          {"9", "10", false},
		"none":             {"", "9", false},
		"against none":     {"9", "", false},
		"not a number":     {"x", "9", false},
		"zero":             {"9", "0", false},
		"beyond a uint64":  {"100000000000000000000", "99999999999999999999", true},
		"below, that long": {"99999999999999999999", "100000000000000000000", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := newer(&audit.Object{ResourceVersion: tc.a}, &audit.Object{ResourceVersion: tc.b}); got != tc.want {
				t.Errorf("newer(%q, %q) = %v", tc.a, tc.b, got)
			}
		})
	}
}
