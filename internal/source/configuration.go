// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

func configurationRecord(o runtime.Object) (*audit.ConfigurationRecord, error) {
	c, ok := o.(*v1alpha1.AuditConfiguration)
	if !ok {
		return nil, unexpected(o)
	}
	return &audit.ConfigurationRecord{Object: audit.ObjectFrom(c), Generation: c.Generation, Spec: &c.Spec, Status: c.Status}, nil
}

func exceptionRecord(o runtime.Object) (*audit.ExceptionRecord, error) {
	switch e := o.(type) {
	case *v1alpha1.SecurityException:
		return audit.ExceptionFrom(e), nil
	case *v1alpha1.ClusterSecurityException:
		return audit.ClusterExceptionFrom(e), nil
	}
	return nil, unexpected(o)
}

// Configuration returns the AuditConfiguration, if there is one and it can be read.
func (s *Sources) Configuration() (*audit.ConfigurationRecord, bool) {
	if !s.readable(audit.AuditConfigurations) {
		return nil, false
	}
	return s.configurations.Get("", v1alpha1.AuditConfigurationName)
}

// Exceptions returns the SecurityExceptions of a namespace or, for "", the ClusterSecurityExceptions, as far as they can be read.
func (s *Sources) Exceptions(namespace string) []*audit.ExceptionRecord {
	resource, store := audit.SecurityExceptions, s.exceptions
	if namespace == "" {
		resource, store = audit.ClusterSecurityExceptions, s.clusterExceptions
	}
	if !s.readable(resource) {
		return nil
	}
	return store.List(namespace)
}

// readable says whether what is known of a resource can be trusted.
func (s *Sources) readable(r audit.Resource) bool {
	return slices.ContainsFunc(s.watchers, func(w *watcher) bool {
		return w.resource == r && w.Status().State == v1alpha1.SourceSynced
	})
}
