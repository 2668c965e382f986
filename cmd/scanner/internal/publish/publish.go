// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package publish keeps the ImageReports in the cluster as they are to be.
package publish

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/plain"
	"github.com/kubersafe/kubersafe/internal/shard"
	"github.com/kubersafe/kubersafe/internal/source"
)

const (
	// fieldOwner of what is written.
	fieldOwner = "kubersafe-scanner"
	// unusedSince is the annotation with the time since when nothing refers to an image.
	unusedSince = "audit.kubersafe.io/unused-since"
	// SignatureDemand is the annotation with what stands for the demand by which an image's signatures were verified.
	SignatureDemand = "audit.kubersafe.io/signature-demand"
	// databaseInterval is how much newer a database must be for that to be written alone.
	databaseInterval = 24 * time.Hour
	// resource is what the reports are to the API server.
	resource audit.Resource = "imagereports.audit.kubersafe.io"
)

// Reports are the ImageReports in the cluster.
type Reports struct {
	// Written is told of every write.
	Written func(operation string, err error)

	client   client.Client
	follower *source.Follower
	store    *source.Store[*stored]

	mu sync.Mutex
	// seen are the versions of reports that are as they are to be, by name.
	seen map[string]string
}

// stored is what is kept of a report.
type stored struct {
	audit.Object
	State      v1alpha1.ImageState
	image      v1alpha1.Image // name, digests and platform
	ecosystems []string       // of its packages
	references []v1alpha1.ImageReference
	unused     bool
	// signature is whether it is signed as demanded, and demand stands for what was demanded.
	signature *v1alpha1.ImageSignature
	demand    string
}

// Equal implements source.Record. Every version counts: it may be somebody else's.
func (s *stored) Equal(other *stored) bool {
	return s.UID == other.UID && s.ResourceVersion == other.ResourceVersion
}

func convert(o runtime.Object) (*stored, error) {
	r, ok := o.(*v1alpha1.ImageReport)
	if !ok {
		return nil, fmt.Errorf("%T is no ImageReport", o)
	}
	s := &stored{Object: audit.ObjectFrom(r), State: r.State, unused: r.Annotations[unusedSince] != ""}
	s.references, s.signature, s.demand = r.References, r.Signature, r.Annotations[SignatureDemand]
	s.image = v1alpha1.Image{Name: r.Image.Name, Digest: r.Image.Digest, IndexDigests: r.Image.IndexDigests, Platform: r.Image.Platform}
	for _, e := range r.Image.Packages {
		base, _, _ := strings.Cut(e.Ecosystem, ":")
		if !slices.Contains(s.ecosystems, base) {
			s.ecosystems = append(s.ecosystems, base)
		}
	}
	return s, nil
}

// New returns the reports of a cluster. It calls changed, which must not block, whenever they may be other ones.
func New(cfg *rest.Config, httpClient *http.Client, changed func()) (*Reports, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	writer, err := client.New(cfg, client.Options{Scheme: scheme, HTTPClient: httpClient})
	if err != nil {
		return nil, err
	}
	reader, err := apiutil.RESTClientForGVK(
		v1alpha1.GroupVersion.WithKind("ImageReport"), false, false, cfg, serializer.NewCodecFactory(scheme), httpClient)
	if err != nil {
		return nil, err
	}
	r := &Reports{
		Written: func(string, error) {}, client: client.WithFieldOwner(writer, fieldOwner), store: source.NewStore(convert), seen: make(map[string]string),
	}
	r.follower = source.NewFollower(
		shard.Shard{}, resource, "", reader, &v1alpha1.ImageReport{}, r.store, func(string) { changed() }, changed)
	return r, nil
}

// Follow watches until the context ends.
func (r *Reports) Follow(ctx context.Context) { r.follower.Follow(ctx) }

// Synced says whether all reports are read.
func (r *Reports) Synced() bool { return r.follower.Synced() }

// Foreign returns the reports that may not be as they are to be: somebody else has written or deleted them, or they are from before.
func (r *Reports) Foreign() []string {
	all := r.store.All()
	r.mu.Lock()
	defer r.mu.Unlock()
	there := make(map[string]bool, len(all))
	var names []string
	for _, s := range all {
		there[s.Name] = true
		if r.seen[s.Name] != s.ResourceVersion {
			names = append(names, s.Name)
		}
	}
	for name := range r.seen {
		if !there[name] {
			delete(r.seen, name)
			names = append(names, name)
		}
	}
	return names
}

// Names returns the names of all reports.
func (r *Reports) Names() []string {
	var names []string
	for _, s := range r.store.All() {
		names = append(names, s.Name)
	}
	return names
}

// States counts the reports on images in use, by state.
func (r *Reports) States() map[v1alpha1.ImageState]int {
	count := make(map[v1alpha1.ImageState]int)
	for _, s := range r.store.All() {
		if !s.unused && v1alpha1.KubernetesVersionOf(s.Name) == "" {
			count[s.State]++
		}
	}
	return count
}

// Remembered returns what the reports say of an image: the digest of its platform's manifest, and those of indexes.
func (r *Reports) Remembered(image cluster.Image) (v1alpha1.Image, bool) {
	for _, s := range r.store.All() {
		if s.image.Digest != "" && s.matches(image) {
			return s.image, true
		}
	}
	return v1alpha1.Image{}, false
}

func (s *stored) matches(image cluster.Image) bool {
	switch {
	case image.Digest != "" && image.Digest == s.image.Digest:
		return true
	case s.image.Platform != image.Platform && !strings.HasPrefix(s.image.Platform, image.Platform+"/"): // arm64 has the variant v8
		return false
	case image.Digest != "":
		return slices.Contains(s.image.IndexDigests, image.Digest)
	default:
		return image.Config == "" && !s.unused && slices.ContainsFunc(s.references, func(r v1alpha1.ImageReference) bool { return r.Name == image.Name })
	}
}

// Reference returns what a report says of a name of its image; nothing where it does not know it.
func (r *Reports) Reference(report, name string) v1alpha1.ImageReference {
	if s, ok := r.store.Get("", report); ok {
		if i := slices.IndexFunc(s.references, func(r v1alpha1.ImageReference) bool { return r.Name == name }); i >= 0 {
			return s.references[i]
		}
	}
	return v1alpha1.ImageReference{Name: name}
}

// Signature returns what a report says of an image's signatures, if that is by some demand; else nil.
func (r *Reports) Signature(name, demand string) *v1alpha1.ImageSignature {
	if s, ok := r.store.Get("", name); ok && s.demand == demand {
		return s.signature
	}
	return nil
}

// HasAny says whether the packages of an image are of one of some ecosystems, or whether that is not known.
func (r *Reports) HasAny(name string, ecosystems map[string]bool) bool {
	s, ok := r.store.Get("", name)
	return !ok || s.image.Digest == "" || s.State == v1alpha1.ImageFailed || s.State == v1alpha1.ImagePending ||
		slices.ContainsFunc(s.ecosystems, func(e string) bool { return ecosystems[e] })
}

// Put makes a report be as it is to be, if it is not. Where another database has led to the same result, that is written once a day: whoever
// reads it sees that somebody still looks.
func (r *Reports) Put(ctx context.Context, report *v1alpha1.ImageReport) error {
	old := &v1alpha1.ImageReport{}
	err := r.client.Get(ctx, client.ObjectKeyFromObject(report), old)
	if apierrors.IsNotFound(err) {
		err = r.client.Create(ctx, report)
		return r.observe("create", report, err)
	}
	if err != nil {
		return fmt.Errorf("ImageReport %q: %w", report.Name, err)
	}
	fresh := report.DeepCopy()
	fresh.ObjectMeta = *old.ObjectMeta.DeepCopy()
	annotate(fresh, report.Annotations[SignatureDemand])
	if report.Summary == nil && old.Summary != nil {
		keepResult(fresh, old)
	}
	fresh.Image.IndexDigests = indexes(fresh, old)
	if old.Database != nil && fresh.Database != nil && fresh.Database.Modified.Sub(old.Database.Modified.Time) < databaseInterval {
		fresh.Database = old.Database
	}
	if equality.Semantic.DeepEqual(withoutKind(old), withoutKind(fresh)) {
		return r.keep(old)
	}
	if report.Database != nil {
		fresh.Database = report.Database
	}
	return r.observe("update", fresh, r.client.Update(ctx, fresh))
}

// annotate makes the annotations of a report that is used be as they are to be.
func annotate(report *v1alpha1.ImageReport, demand string) {
	delete(report.Annotations, unusedSince)
	delete(report.Annotations, SignatureDemand)
	if demand == "" {
		return
	}
	if report.Annotations == nil {
		report.Annotations = make(map[string]string)
	}
	report.Annotations[SignatureDemand] = demand
}

// keepResult keeps the result of before on an image of which it is not known now what is in it, as after a start with an empty disk: what is
// known does not come and go with the scanner. If the image cannot be pulled any more either, the result is told to be an old one.
func keepResult(fresh, old *v1alpha1.ImageReport) {
	about, references, failed := fresh.Image, fresh.References, fresh.State == v1alpha1.ImageFailed
	message, signature, annotations := fresh.Message, fresh.Signature, fresh.Annotations
	old.DeepCopyInto(fresh)
	fresh.Signature, fresh.Annotations = signature, annotations
	fresh.Image.Name, fresh.Image.IndexDigests, fresh.References = about.Name, about.IndexDigests, references
	if failed {
		fresh.State, fresh.Reason = v1alpha1.ImageStale, v1alpha1.ReasonDatabaseOutdated
		fresh.Message = plain.Clean("the result is from before, because the image cannot be scanned again: "+message, v1alpha1.MaxMessage)
	}
}

// indexes returns the digests of all indexes that are known to lead to an image. Those do not change, so two scanners that have come to know
// of different ones agree on all of them, as far as there is room.
func indexes(fresh, old *v1alpha1.ImageReport) []string {
	all := slices.Concat(fresh.Image.IndexDigests, old.Image.IndexDigests)
	slices.Sort(all)
	if all = slices.Compact(all); fresh.Image.Digest == "" || len(all) > v1alpha1.MaxImageReferences {
		return fresh.Image.IndexDigests
	}
	return all
}

// withoutKind returns a report without what clients leave out.
func withoutKind(r *v1alpha1.ImageReport) *v1alpha1.ImageReport {
	r = r.DeepCopy()
	r.Kind, r.APIVersion = "", ""
	if len(r.Annotations) == 0 {
		r.Annotations = nil
	}
	return r
}

// observe takes in a write.
func (r *Reports) observe(operation string, report *v1alpha1.ImageReport, err error) error {
	r.Written(operation, err)
	if err != nil {
		return fmt.Errorf("ImageReport %q: %w", report.Name, err)
	}
	return r.keep(report)
}

// keep notes that a report is as it is to be.
func (r *Reports) keep(report *v1alpha1.ImageReport) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[report.Name] = report.ResourceVersion
	return r.store.Observe(report)
}

// Retire handles a report that nothing refers to any more. It deletes it once that has been so for long enough, at once if it has neither a
// digest nor a result. It returns how long to wait where that is not so yet.
func (r *Reports) Retire(ctx context.Context, name string, keep time.Duration, now time.Time) (wait time.Duration, gone bool, err error) {
	report := &v1alpha1.ImageReport{}
	switch err := r.client.Get(ctx, client.ObjectKey{Name: name}, report); {
	case apierrors.IsNotFound(err):
		return 0, true, nil
	case err != nil:
		return 0, false, fmt.Errorf("ImageReport %q: %w", name, err)
	}
	since, err := time.Parse(time.RFC3339, report.Annotations[unusedSince])
	if err != nil || since.After(now) { // somebody else's, or of a clock that was wrong
		since = now
	}
	if left := since.Add(keep).Sub(now); left > 0 && (report.Image.Digest != "" || report.Summary != nil) {
		if report.Annotations[unusedSince] == since.UTC().Format(time.RFC3339) {
			return left, false, r.keep(report)
		}
		if report.Annotations == nil {
			report.Annotations = make(map[string]string)
		}
		report.Annotations[unusedSince] = since.UTC().Format(time.RFC3339)
		report.References = nil
		return left, false, r.observe("update", report, r.client.Update(ctx, report))
	}
	err = r.client.Delete(ctx, report, client.Preconditions{UID: &report.UID, ResourceVersion: &report.ResourceVersion})
	if apierrors.IsNotFound(err) {
		err = nil
	}
	r.Written("delete", err)
	if err != nil {
		return 0, false, fmt.Errorf("ImageReport %q: %w", name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, name)
	r.store.Forget("", name)
	return 0, true, nil
}
