// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package configuration

import (
	"sync"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Live is the configuration in force. It is safe for concurrent use.
type Live struct {
	builtin []audit.Check
	stored  func() (*audit.ConfigurationRecord, bool)

	mu      sync.Mutex
	current *Configuration
}

// NewLive returns the configuration that is stored at any time, as stored tells. builtin are complete checks, sorted by id.
func NewLive(builtin []audit.Check, stored func() (*audit.ConfigurationRecord, bool)) *Live {
	return &Live{builtin: builtin, stored: stored, current: New(builtin, nil, nil)}
}

// Current returns the configuration in force. It does not change: who judges by it is consistent.
func (l *Live) Current() *Configuration {
	l.mu.Lock()
	defer l.mu.Unlock()
	record, ok := l.stored()
	if !ok {
		record = nil
	}
	of := l.current.Of
	if same := record == of || record != nil && of != nil && record.Equal(of); !same {
		var spec *v1alpha1.AuditConfigurationSpec
		if record != nil {
			spec = record.Spec
		}
		l.current = New(l.builtin, spec, l.current)
		l.current.Of = record
	}
	return l.current
}
