// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

// Judge runs all checks on Pods.
func (s *Set) Judge(pod *Pod) int { return len(s.verdictOn(pod).findings) }
