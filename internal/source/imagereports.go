// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// imageReports is what a scanner tells of images, by all keys of an image.
type imageReports struct {
	store *Store[*audit.ImageRecord]
	// wake is sent to when keys have changed.
	wake chan struct{}

	mu    sync.RWMutex
	told  told[*audit.ImageRecord]
	byKey map[audit.ImageKey][]*audit.ImageRecord
	// newest is of when the newest change is in the newest database that any image was matched against.
	newest audit.Moment
	// changed are the keys of reports that have changed since namespaces were last told, and kubernetesChanged says that some on
	// Kubernetes has.
	changed           map[audit.ImageKey]bool
	kubernetesChanged bool
}

func newImageReports() *imageReports {
	return &imageReports{
		store: NewStore(imageRecord), wake: make(chan struct{}, 1),
		byKey: make(map[audit.ImageKey][]*audit.ImageRecord), changed: make(map[audit.ImageKey]bool),
	}
}

func imageRecord(o runtime.Object) (*audit.ImageRecord, error) {
	report, ok := o.(*v1alpha1.ImageReport)
	if !ok {
		return nil, unexpected(o)
	}
	return audit.NewImageRecord(audit.ObjectFrom(report), report), nil
}

// look takes in what the store holds now. It is called after every change of it.
func (x *imageReports) look() {
	records := x.store.List("")
	x.mu.Lock()
	defer x.mu.Unlock()
	for was, is := range x.told.changes(records) {
		if was != nil {
			x.remove(was)
		}
		if is != nil {
			x.add(is)
		}
	}
	before := x.newest
	x.newest = newestOf(records)
	if before != x.newest && before != 0 && time.Since(before.Time()) > shortestScanAge {
		for key := range x.byKey { // all may have been found stale
			x.changed[key] = true
		}
	}
	select {
	case x.wake <- struct{}{}:
	default: // it is about to be looked anyway
	}
}

// shortestScanAge is the least that can be set for the age of a database.
const shortestScanAge = 24 * time.Hour

func newestOf(records []*audit.ImageRecord) audit.Moment {
	var newest audit.Moment
	for _, r := range records {
		newest = max(newest, r.Matched)
	}
	return newest
}

func (x *imageReports) add(r *audit.ImageRecord) {
	x.kubernetesChanged = x.kubernetesChanged || r.OnKubernetes()
	for _, key := range r.Keys {
		records := x.byKey[key]
		at, _ := slices.BinarySearchFunc(records, r.Name, func(s *audit.ImageRecord, name string) int { return cmp.Compare(s.Name, name) })
		x.byKey[key] = slices.Insert(slices.Clone(records), at, r) // others read the old list
		x.changed[key] = true
	}
}

func (x *imageReports) remove(r *audit.ImageRecord) {
	x.kubernetesChanged = x.kubernetesChanged || r.OnKubernetes()
	for _, key := range r.Keys {
		x.byKey[key] = slices.DeleteFunc(slices.Clone(x.byKey[key]), func(s *audit.ImageRecord) bool { return s.Name == r.Name })
		if len(x.byKey[key]) == 0 {
			delete(x.byKey, key)
		}
		x.changed[key] = true
	}
}

// none says whether there are no reports.
func (x *imageReports) none() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.told) == 0
}

// ImageTotals returns what is known of all images together, and whether ImageReports can be read.
func (s *Sources) ImageTotals() (audit.ImageTotals, bool) {
	totals := audit.ImageTotals{States: make(map[v1alpha1.ImageState]int)}
	records := s.imageReports.store.List("")
	totals.Matched = newestOf(records)
	for _, r := range records {
		if !r.OnKubernetes() {
			totals.States[r.State]++
		}
	}
	return totals, s.readable(audit.ImageReports)
}

// addTo adds to an inventory what is known of the images of its Pods and templates.
func (x *imageReports) addTo(i *audit.Inventory) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(x.byKey) == 0 {
		return
	}
	found := make(map[audit.ImageKey][]*audit.ImageRecord)
	note := func(shape *audit.Shape, facts *audit.Labels) {
		for key := range audit.ImageKeys(shape, facts) {
			if records := x.byKey[key]; records != nil {
				found[key] = records
			}
		}
	}
	for n, p := range i.Pods {
		if n == 0 || p.Shape != i.Pods[n-1].Shape || p.Running != i.Pods[n-1].Running {
			note(p.Shape, p.Running)
		}
	}
	for _, c := range i.Controllers {
		if c.Shape != nil {
			note(c.Shape, nil)
		}
	}
	i.ImageReports, i.NewestMatched = found, x.newest
}

// onKubernetes returns the reports on versions of Kubernetes.
func (x *imageReports) onKubernetes() []*audit.ImageRecord {
	var found []*audit.ImageRecord
	for _, r := range x.store.List("") {
		if r.OnKubernetes() {
			found = append(found, r)
		}
	}
	return found
}

// takeChanged returns the keys of reports that have changed, and whether some on Kubernetes has, and forgets them.
func (x *imageReports) takeChanged() (changed map[audit.ImageKey]bool, kubernetes bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	changed, kubernetes = x.changed, x.kubernetesChanged
	x.changed, x.kubernetesChanged = make(map[audit.ImageKey]bool), false
	return changed, kubernetes
}

// imageWindow is the least time between two searches for the namespaces that reports concern. A new database changes reports by
// the thousand, and each search goes through all Pods.
const imageWindow = time.Second

// followImageReports tells of the namespaces whose Pods and templates name images of which reports have changed, until the context
// ends.
func (s *Sources) followImageReports(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.imageReports.wake:
		}
		s.tellOfImageReports()
		select {
		case <-ctx.Done():
			return
		case <-time.After(imageWindow):
		}
	}
}

func (s *Sources) tellOfImageReports() {
	changed, kubernetes := s.imageReports.takeChanged()
	if !s.read() { // before, nothing is judged
		return
	}
	if kubernetes {
		s.tell(Event{Resource: audit.ImageReports})
	}
	if len(changed) == 0 {
		return
	}
	concerned := make(map[string]bool)
	for _, namespace := range s.pods.NamespacesWith(func(p *audit.PodRecord) bool { return anyOf(audit.ImageKeys(p.Shape, p.Running), changed) }) {
		concerned[namespace] = true
	}
	for _, controllers := range s.controllers {
		for _, namespace := range controllers.NamespacesWith(func(c *audit.ControllerRecord) bool {
			return c.Shape != nil && anyOf(c.Shape.Images(), changed)
		}) {
			concerned[namespace] = true
		}
	}
	for namespace := range concerned {
		s.tell(Event{Resource: audit.ImageReports, Namespace: namespace})
	}
}
