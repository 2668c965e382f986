// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import "github.com/kubersafe/kubersafe/api/v1alpha1"

// ConfigurationRecord is what is kept of an AuditConfiguration.
type ConfigurationRecord struct {
	Object
	Generation int64
	Spec       *v1alpha1.AuditConfigurationSpec
	// Status as it is stored.
	Status v1alpha1.AuditConfigurationStatus
}

// Equal says whether both set the same.
func (c *ConfigurationRecord) Equal(d *ConfigurationRecord) bool {
	return c.UID == d.UID && c.Generation == d.Generation
}
