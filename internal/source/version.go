// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
)

// versionPeriod is how often the API server is asked for its version. An upgrade takes longer.
const versionPeriod = time.Minute

// serverVersion is the version of the API server, as last heard.
type serverVersion struct {
	client discovery.ServerVersionInterface

	mu      sync.Mutex
	version string
}

// String returns the version as "v1.37", or "" if it is not known.
func (s *serverVersion) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// read asks for the version, and says whether it has changed. What cannot be read stays what it was.
func (s *serverVersion) read() bool {
	info, err := s.client.ServerVersion()
	if err != nil {
		return false
	}
	parsed, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.version
	s.version = fmt.Sprintf("v%d.%d", parsed.Major(), parsed.Minor())
	return s.version != before
}

// watch asks again and again until the context ends, and tells of changes.
func (s *serverVersion) watch(ctx context.Context, changed func()) {
	wait.UntilWithContext(ctx, func(context.Context) {
		if s.read() {
			changed()
		}
	}, versionPeriod)
}
