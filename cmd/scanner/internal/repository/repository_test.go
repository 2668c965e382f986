// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

func TestPick(t *testing.T) {
	tags := []string{"1.9", "1.10", "1.10-alpine", "v2.0.0", "2.0.0-rc.1", "latest", "edge", "20261101", "sha256-" + "00.sig", "1.8"}
	five, many := int32(5), int32(50)
	for name, tc := range map[string]struct {
		wanted v1alpha1.ScannedRepository
		want   []string
	}{
		"three of the newest": {v1alpha1.ScannedRepository{}, []string{"v2.0.0", "2.0.0-rc.1", "1.10"}},
		"five":                {v1alpha1.ScannedRepository{MaxTags: &five}, []string{"v2.0.0", "2.0.0-rc.1", "1.10", "1.10-alpine", "1.9"}},
		"all":                 {v1alpha1.ScannedRepository{MaxTags: &many}, []string{"v2.0.0", "2.0.0-rc.1", "1.10", "1.10-alpine", "1.9", "1.8", "20261101", "edge", "latest"}},
		"by patterns":         {v1alpha1.ScannedRepository{Tags: []string{"1.*", "latest"}}, []string{"1.10", "1.10-alpine", "1.9"}},
		"none":                {v1alpha1.ScannedRepository{Tags: []string{"3.*"}}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, pick(tags, &tc.wanted)); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}
