// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/match"
)

// versions are those of Kubernetes that the cluster runs.
type versions struct {
	client discovery.ServerVersionInterfaceWithContext

	mu sync.Mutex
	// server is the API server's, as last heard; "" before.
	server string
	// reports that there are to be, as of the last look, by name.
	reports map[string]bool
}

// versionPeriod is how often the API server is asked for its version, and versionTimeout how long an answer may take. An update takes longer.
const (
	versionPeriod  = time.Minute
	versionTimeout = 10 * time.Second
)

// followServer keeps the API server's version up to date. What cannot be read stays what it was.
func (s *Service) followServer(ctx context.Context) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, versionTimeout)
		defer cancel()
		info, err := s.versions.client.ServerVersionWithContext(ctx)
		if err != nil {
			s.log.Info("The API server's version could not be read", "reason", err.Error())
			return
		}
		if s.versions.hear(info.GitVersion) {
			tell(s.changed)
		}
	}, versionPeriod)
}

// hear takes in the API server's version, and says whether it is another one.
func (v *versions) hear(server string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	changed := v.server != server
	v.server = server
	return changed
}

// update takes in the versions of kubelets, and returns the reports that there are to be since, or no longer.
func (v *versions) update(kubelets []string) (changed []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.reports
	v.reports = make(map[string]bool)
	for _, version := range append(kubelets, v.server) {
		if name := v1alpha1.KubernetesReportName(version); name != "" {
			v.reports[name] = true
		}
	}
	for name := range v.reports {
		if !before[name] {
			changed = append(changed, name)
		}
	}
	for name := range before {
		if !v.reports[name] {
			changed = append(changed, name)
		}
	}
	return changed
}

// runs says whether the cluster runs the version that a report is on, and whether that is known.
func (v *versions) runs(report string) (runs, known bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.reports[report], v.server != ""
}

// names returns the reports that there are to be.
func (v *versions) names() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Collect(maps.Keys(v.reports))
}

// judgeKubernetes brings the report on a version of Kubernetes up to date.
func (s *Service) judgeKubernetes(ctx context.Context, name string) error {
	runs, known := s.versions.runs(name)
	switch {
	case runs:
	case known:
		return s.retire(ctx, name)
	default:
		s.dirty.AddAfter(name, later)
		return nil
	}
	version := v1alpha1.KubernetesVersionOf(name)
	about := &v1alpha1.Image{Name: match.KubernetesModule + "@" + version}
	r, err := s.match(ctx, about, func(m *match.Matcher) (*match.Result, error) { return m.Kubernetes(ctx, version) })
	if err != nil {
		return err
	}
	r.Name = name
	return s.reports.Put(ctx, r)
}
