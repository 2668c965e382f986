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

	mu            sync.Mutex
	version, full string
}

// String returns the version as "v1.37", or "" if it is not known.
func (s *serverVersion) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// Full returns the version as the API server gives it, such as "v1.37.2", or "" if it is not known.
func (s *serverVersion) Full() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// read asks for the version, and says whether it has changed, and whether that is to another minor. What cannot be read stays
// what it was.
func (s *serverVersion) read() (changed, minor bool) {
	info, err := s.client.ServerVersion()
	if err != nil {
		return false, false
	}
	parsed, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		return false, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before, beforeFull := s.version, s.full
	s.version, s.full = fmt.Sprintf("v%d.%d", parsed.Major(), parsed.Minor()), info.GitVersion
	return s.full != beforeFull, s.version != before
}

// watch asks again and again until the context ends, and tells of changes.
func (s *serverVersion) watch(ctx context.Context, tell func(minor bool)) {
	wait.UntilWithContext(ctx, func(context.Context) {
		if changed, minor := s.read(); changed {
			tell(minor)
		}
	}, versionPeriod)
}
