// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package service scans the images of a cluster, and keeps the reports on them up to date.
package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-containerregistry/pkg/authn"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/match"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/publish"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/pullsecret"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/repository"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/scan"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/signature"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/work"
)

// Options of a Service.
type Options struct {
	// Database is the location of the vulnerability database, DatabaseDir the folder in which it is kept. Ecosystems are those that are
	// wanted of it.
	Database, DatabaseDir string
	Ecosystems            []string
	// DatabasePoll is how often the location is asked for a newer one, DatabaseMaxAge how long ago it may have been published; 0 is any time.
	DatabasePoll, DatabaseMaxAge time.Duration
	// StoreDir is the folder in which it is kept what is in images, TempDir that for the contents of one's files.
	StoreDir, TempDir string
	// MaxDisk is how much of an image's files may be in TempDir, in bytes.
	MaxDisk int64
	// Concurrency is how many images are scanned at a time, Timeout how long one may take.
	Concurrency int
	Timeout     time.Duration
	// Retry is how long an image waits that failed.
	Retry work.Backoff
	// Recheck is how often registries are asked where tags lead, which there are, and whether an image is signed that was not.
	Recheck time.Duration
	// TrustedRoot is the file with what keyless signatures are verified by; "" is none.
	TrustedRoot string
	// Keep is how long a report is kept after nothing refers to its image any more.
	Keep time.Duration
	// PlainHTTP allows registries without TLS. UserAgent is told to registries.
	PlainHTTP bool
	UserAgent string
}

// Service scans the images of a cluster.
type Service struct {
	options Options
	log     logr.Logger
	metrics *Metrics
	cluster *cluster.Cluster
	reports *publish.Reports
	// repositories are those that are wanted, and wanted wakes whoever lists them.
	repositories *repository.Wanted
	wanted       *wakeup
	secrets      *pullsecret.Reader
	board        *work.Board
	versions     versions
	questions    questions
	store        *inventory.Store
	database     *osvdb.DB

	// changed says that uses or reports may be other ones, poll that the database is to be looked at. Each has room for one word.
	changed, poll chan struct{}
	// idle wakes the workers that have nothing to do, asking the one that asks registries besides.
	idle, asking *wakeup
	// dirty are names of reports to look at.
	dirty workqueue.TypedRateLimitingInterface[string]

	mu sync.Mutex
	// subjects are the reports that there are to be, as of the last look.
	subjects map[string]*work.Subject
	prints   map[string]string
	// besides are the images of repositories that are wanted.
	besides []string
	// required are the signatures that are wanted, and policy is made of them and of root, which does not change.
	required []v1alpha1.RequiredSignature
	policy   *signature.Policy
	root     *signature.Root
	// databaseErr is why the last update of the database has failed.
	databaseErr error

	// listed: the repositories that are wanted have been asked once.
	listed atomic.Bool
	// generation counts the states of the database; the judge opens a new one.
	generation atomic.Int64
	judge      judge
	// started are the times at which the scans began that are under way.
	started sync.Map
}

// New returns a Service that talks to a cluster.
func New(cfg *rest.Config, httpClient *http.Client, options Options, metrics *Metrics, log logr.Logger) (*Service, error) {
	// The kinds of Kubernetes come in less bytes as protocol buffers.
	compact := rest.CopyConfig(cfg)
	compact.ContentType, compact.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	client, err := kubernetes.NewForConfigAndClient(compact, httpClient)
	if err != nil {
		return nil, err
	}
	s := &Service{
		options: options, log: log, metrics: metrics, secrets: &pullsecret.Reader{Client: client, Fallback: authn.DefaultKeychain},
		changed: make(chan struct{}, 1), poll: make(chan struct{}, 1), idle: newWakeup(), asking: newWakeup(), wanted: newWakeup(),
		dirty: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](100*time.Millisecond, time.Minute)),
	}
	s.versions.client = client.DiscoveryClient
	s.cluster = cluster.New(client, func() { tell(s.changed) })
	if s.reports, err = publish.New(cfg, httpClient, func() { tell(s.changed) }); err != nil {
		return nil, err
	}
	if s.repositories, err = repository.New(cfg, httpClient, func() { s.wanted.wake(); s.asking.wake(); tell(s.changed) }); err != nil {
		return nil, err
	}
	if options.TrustedRoot != "" {
		if s.root, err = signature.ReadRoot(options.TrustedRoot); err != nil {
			return nil, err
		}
	}
	if s.store, err = inventory.NewStore(options.StoreDir); err != nil {
		return nil, err
	}
	if s.database, err = osvdb.New(options.DatabaseDir); err != nil {
		return nil, err
	}
	s.board = &work.Board{
		Kept: s.store.Has, Remembered: s.reports.Remembered, Retry: options.Retry, Recheck: options.Recheck, Now: time.Now,
	}
	s.questions = newQuestions(s.board, &s.options)
	s.reports.Written = metrics.written
	metrics.watch(s)
	return s, nil
}

// tell leaves a word, if there is none already.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run scans until the context ends.
func (s *Service) Run(ctx context.Context) error {
	scanners := make([]*scan.Scanner, s.options.Concurrency)
	for i := range scanners {
		extractor, err := inventory.NewExtractor(s.options.TempDir)
		if err != nil {
			return err
		}
		extractor.Limits.Disk = min(extractor.Limits.Disk, s.options.MaxDisk)
		scanners[i] = &scan.Scanner{Extractor: extractor, Store: s.store}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	defer s.dirty.ShutDown()
	all.Go(func() { s.cluster.Follow(ctx) })
	all.Go(func() { s.reports.Follow(ctx) })
	all.Go(func() { s.followServer(ctx) })
	all.Go(func() { s.repositories.Follow(ctx) })
	if !s.await(ctx) {
		return nil
	}
	s.log.Info("The cluster is read", "reports", len(s.reports.Names()))
	if err := s.recollect(); err != nil {
		return err
	}
	s.plan() // before any report is made: it is known then what is demanded
	all.Go(func() { s.followDatabase(ctx) })
	all.Go(func() { s.followRepositories(ctx) })
	all.Go(func() { s.askRegistries(ctx) })
	all.Go(func() { s.judgeAll(ctx) })
	for _, scanner := range scanners {
		all.Go(func() { s.scanAll(ctx, scanner) })
	}
	s.followUses(ctx)
	return nil
}

// Ready returns an error until the cluster is read.
func (s *Service) Ready() error {
	switch {
	case !s.reports.Synced():
		return errors.New("the ImageReports have not been read yet")
	case !s.cluster.Synced():
		return errors.New("what the cluster runs has not been read yet")
	case !s.repositories.Synced():
		return errors.New("the AuditConfiguration has not been read yet")
	}
	return nil
}

// Alive returns an error if a scan does not end although its time is over.
func (s *Service) Alive() error {
	var err error
	s.started.Range(func(name, began any) bool {
		if t, ok := began.(time.Time); ok && time.Since(t) > s.options.Timeout+grace {
			err = fmt.Errorf("scanning %s does not end", name)
		}
		return err == nil
	})
	return err
}

// grace is how long a scan may take to notice that its time is over: a library looks between two files.
const grace = 5 * time.Minute

// await returns once the cluster is read, or false when the context has ended.
func (s *Service) await(ctx context.Context) bool {
	for s.Ready() != nil {
		select {
		case <-ctx.Done():
			return false
		case <-s.changed:
		}
	}
	return true
}

// recollect has everything looked at that is there from before: reports, and what is kept of images.
func (s *Service) recollect() error {
	digests, err := s.store.Digests()
	if err != nil {
		return err
	}
	s.update()
	for _, digest := range digests {
		s.dirty.Add(reportName(digest))
	}
	return nil
}

// settle is how long changes of uses are gathered: a rollout changes hundreds of Pods.
const settle = 500 * time.Millisecond

// followUses keeps the board up to date.
func (s *Service) followUses(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(settle):
		}
		s.update()
	}
}

// update takes in what is used, and what others have done to the reports.
func (s *Service) update() {
	if s.known() {
		s.board.Update(s.cluster.Uses(s.names()))
	}
	s.sync()
	for _, name := range append(s.versions.update(s.cluster.KubeletVersions()), s.reports.Foreign()...) {
		s.dirty.Add(name)
	}
	s.idle.wake()
}

// known says whether all is known that is used. What cannot be seen may be used all the same: then nothing is taken for unused.
func (s *Service) known() bool { return s.cluster.Synced() && s.repositories.Synced() }

// sync has those reports looked at that are to say something else now.
func (s *Service) sync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.prints
	s.subjects, s.prints = s.board.Subjects(), make(map[string]string, len(before))
	changed := false
	for name, subject := range s.subjects {
		s.prints[name] = subject.Fingerprint()
		if before[name] != s.prints[name] {
			s.dirty.Add(name)
			changed = true
		}
	}
	for name := range before {
		if s.subjects[name] == nil {
			s.dirty.Add(name)
			changed = true
		}
	}
	if changed {
		s.asking.wake()
	}
}

// subject returns what a report is to be about, or nil if there is to be none.
func (s *Service) subject(name string) *work.Subject {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subjects[name]
}

// judge is what matching takes. It is for one goroutine.
type judge struct {
	generation int64
	view       *osvdb.View
	matcher    *match.Matcher
}

// open is how images are opened.
func (s *Service) open(keychain authn.Keychain) image.Options {
	return image.Options{Keychain: keychain, PlainHTTP: s.options.PlainHTTP, UserAgent: s.options.UserAgent}
}
