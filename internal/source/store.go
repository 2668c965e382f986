// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// Record is what a store keeps of an object. Records are not changed once they are stored.
type Record[R any] interface {
	Identity() *audit.Object
	// Equal says whether a change from one to the other can change no verdict.
	Equal(R) bool
}

// Store keeps records of one resource by namespace, filled by a client-go Reflector. It keeps the record that its convert
// function makes of an object and drops the object, and it tells of changes only where the records differ.
type Store[R Record[R]] struct {
	convert func(runtime.Object) (R, error)
	notify  func(namespace string)
	// stored and removed are told of records while the store is locked: of each that differs from the one in its place, after the
	// one that it replaces is removed.
	stored, removed func(R)
	// share makes a record that is equal to the old one in its place keep the parts of that: whoever was told of the old one keeps
	// them too. It may be nil.
	share func(fresh, old R)
	// inherit makes a record take over what only the one that it replaces tells, of the same object. It may be nil.
	inherit func(fresh, old R)
	// bucket says in which namespace an object counts.
	bucket func(*audit.Object) string

	mu   sync.RWMutex
	data map[string]*records[R]
}

// records of one namespace, sorted by name: a map would take several times the memory. They share one copy of the
// namespace's name.
type records[R Record[R]] struct {
	namespace string
	sorted    []R
}

// find returns where among sorted records that of a name is, or belongs.
func find[R Record[R]](sorted []R, name string) (at int, ok bool) {
	return slices.BinarySearchFunc(sorted, name, func(r R, name string) int { return cmp.Compare(r.Identity().Name, name) })
}

// NewStore returns an empty store. convert must not keep the object beyond what the record needs.
func NewStore[R Record[R]](convert func(runtime.Object) (R, error)) *Store[R] {
	return &Store[R]{
		convert: convert,
		bucket:  func(o *audit.Object) string { return o.Namespace },
		data:    make(map[string]*records[R]),
	}
}

// Transformer lets a Reflector convert objects as they stream in, so that the first list never is in memory whole.
func (s *Store[R]) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) { return s.record(obj) }
}

// record converts objects; records, which come here a second time after a streamed list, stay as they are.
func (s *Store[R]) record(obj any) (R, error) {
	if r, ok := obj.(R); ok {
		return r, nil
	}
	o, ok := obj.(runtime.Object)
	if !ok {
		var none R
		return none, fmt.Errorf("store got %T, which is no API object", obj)
	}
	return s.convert(o)
}

// Add implements cache.ReflectorStore.
func (s *Store[R]) Add(obj any) error { return s.Update(obj) }

// Update implements cache.ReflectorStore.
func (s *Store[R]) Update(obj any) error {
	r, err := s.record(obj)
	if err != nil {
		return err
	}
	if s.put(r) {
		s.changed(s.bucket(r.Identity()))
	}
	return nil
}

// Delete implements cache.ReflectorStore.
func (s *Store[R]) Delete(obj any) error {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	id := audit.ObjectFrom(m)
	if s.delete(&id) {
		s.changed(s.bucket(&id))
	}
	return nil
}

// Replace implements cache.ReflectorStore.
func (s *Store[R]) Replace(list []any, _ string) error {
	fresh := make(map[string][]R)
	for _, obj := range list {
		r, err := s.record(obj)
		if err != nil {
			return err
		}
		namespace := s.bucket(r.Identity())
		fresh[namespace] = append(fresh[namespace], r)
	}
	var dirty []string
	s.mu.Lock()
	for namespace := range s.data {
		if fresh[namespace] == nil {
			fresh[namespace] = nil // nothing is left of it
		}
	}
	for namespace, list := range fresh {
		if s.replace(namespace, list) {
			dirty = append(dirty, namespace)
		}
	}
	s.mu.Unlock()
	for _, namespace := range dirty {
		s.changed(namespace)
	}
	return nil
}

// replace stores the records of a namespace in place of those that are there, and says whether that changes anything.
func (s *Store[R]) replace(namespace string, list []R) (changes bool) {
	in := s.in(namespace)
	old := in.sorted
	in.sorted = slices.Clone(list) // as large as it must be
	slices.SortFunc(in.sorted, func(a, b R) int { return cmp.Compare(a.Identity().Name, b.Identity().Name) })
	for _, r := range old {
		at, ok := find(in.sorted, r.Identity().Name)
		if !ok || in.sorted[at].Identity().UID != r.Identity().UID {
			s.forget(r)
		} else {
			s.succeed(in.sorted[at], r)
		}
		changes = changes || !ok || !in.sorted[at].Equal(r)
	}
	for _, r := range in.sorted {
		in.own(r)
		if at, ok := find(old, r.Identity().Name); !ok || !r.Equal(old[at]) {
			s.keep(r)
		} else {
			s.adopt(r, old[at])
		}
	}
	if len(in.sorted) == 0 {
		delete(s.data, namespace)
	}
	return changes || len(in.sorted) > len(old)
}

// Resync implements cache.ReflectorStore. Nothing is ever done again without a change.
func (s *Store[R]) Resync() error { return nil }

// Observe takes in what the API server answered to our own write, ahead of the watch and without telling anybody.
func (s *Store[R]) Observe(obj runtime.Object) error {
	r, err := s.record(obj)
	if err == nil {
		s.put(r)
	}
	return err
}

// Forget drops what we have deleted ourselves, ahead of the watch.
func (s *Store[R]) Forget(namespace, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(namespace, name)
}

// List returns the records of a namespace, sorted by name.
func (s *Store[R]) List(namespace string) []R {
	s.mu.RLock()
	defer s.mu.RUnlock()
	in := s.data[namespace]
	if in == nil {
		return nil
	}
	return slices.Clone(in.sorted)
}

// All returns the records of all namespaces, in no order.
func (s *Store[R]) All() []R {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []R
	for _, in := range s.data {
		all = append(all, in.sorted...)
	}
	return all
}

// Get returns one record.
func (s *Store[R]) Get(namespace, name string) (R, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.get(namespace, name)
}

func (s *Store[R]) get(namespace, name string) (R, bool) {
	if in := s.data[namespace]; in != nil {
		if at, ok := find(in.sorted, name); ok {
			return in.sorted[at], true
		}
	}
	var none R
	return none, false
}

// Namespaces calls yield for every namespace that has records.
func (s *Store[R]) Namespaces(yield func(string)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for namespace := range s.data {
		yield(namespace)
	}
}

// NamespacesWith returns the namespaces that have a record which matches, in no order.
func (s *Store[R]) NamespacesWith(match func(R) bool) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []string
	for namespace, in := range s.data {
		if slices.ContainsFunc(in.sorted, match) {
			found = append(found, namespace)
		}
	}
	return found
}

// put stores a record unless a newer one is there, which comes from our own write, and says whether that changes anything.
func (s *Store[R]) put(r R) bool {
	id := r.Identity()
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.get(s.bucket(id), id.Name)
	if ok && newer(old.Identity(), id) {
		return false
	}
	if ok && old.Identity().UID == id.UID {
		s.succeed(r, old)
	}
	changes := !ok || !r.Equal(old)
	if !changes {
		s.adopt(r, old)
	}
	s.set(r)
	if ok && old.Identity().UID != id.UID {
		s.forget(old)
	}
	if changes {
		s.keep(r)
	}
	return changes
}

func (s *Store[R]) delete(id *audit.Object) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.get(s.bucket(id), id.Name)
	if !ok || newer(old.Identity(), id) {
		return false
	}
	s.remove(s.bucket(id), id.Name)
	s.forget(old)
	return true
}

func (s *Store[R]) set(r R) {
	in := s.in(s.bucket(r.Identity()))
	in.own(r)
	at, ok := find(in.sorted, r.Identity().Name)
	if ok {
		in.sorted[at] = r
	} else {
		in.sorted = slices.Insert(in.sorted, at, r)
	}
}

// in returns the records of a namespace, to put some there.
func (s *Store[R]) in(namespace string) *records[R] {
	in := s.data[namespace]
	if in == nil {
		in = &records[R]{namespace: namespace}
		s.data[namespace] = in
	}
	return in
}

// own makes a record share the namespace's name.
func (in *records[R]) own(r R) {
	if id := r.Identity(); id.Namespace == in.namespace {
		id.Namespace = in.namespace
	}
}

func (s *Store[R]) remove(namespace, name string) {
	in := s.data[namespace]
	if in == nil {
		return
	}
	if at, ok := find(in.sorted, name); ok {
		in.sorted = slices.Delete(in.sorted, at, at+1)
	}
	if len(in.sorted) == 0 {
		delete(s.data, namespace)
	}
}

func (s *Store[R]) keep(r R) {
	if s.stored != nil {
		s.stored(r)
	}
}

func (s *Store[R]) adopt(fresh, old R) {
	if s.share != nil {
		s.share(fresh, old)
	}
}

func (s *Store[R]) succeed(fresh, old R) {
	if s.inherit != nil {
		s.inherit(fresh, old)
	}
}

func (s *Store[R]) forget(r R) {
	if s.removed != nil {
		s.removed(r)
	}
}

func (s *Store[R]) changed(namespace string) {
	if s.notify != nil {
		s.notify(namespace)
	}
}

// newer says whether a is a later version than b of anything in the same place. Versions that cannot be compared are not.
func newer(a, b *audit.Object) bool {
	c, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && c > 0
}
