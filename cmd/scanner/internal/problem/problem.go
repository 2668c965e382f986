// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package problem says why an image could not be looked at, or not all of it, in words that its report has.
package problem

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// Error is an error with a reason. It is about one image and harms no other.
type Error struct {
	Reason v1alpha1.ImageReason
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an error with a reason; the format may wrap others. What ran out of time or disk has that for a reason.
func Errorf(reason v1alpha1.ImageReason, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		reason = v1alpha1.ReasonTimedOut
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		reason = v1alpha1.ReasonDiskFull
	}
	return &Error{reason, err}
}

// Reason returns the reason of an error, or fallback where it has none.
func Reason(err error, fallback v1alpha1.ImageReason) v1alpha1.ImageReason {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Reason
	}
	return fallback
}

// State returns the state of an image whose scan has ended for a reason.
func State(reason v1alpha1.ImageReason) v1alpha1.ImageState {
	switch reason {
	case "":
		return v1alpha1.ImageScanned
	case v1alpha1.ReasonQueued, v1alpha1.ReasonDatabaseMissing:
		return v1alpha1.ImagePending
	case v1alpha1.ReasonDatabaseOutdated:
		return v1alpha1.ImageStale
	case v1alpha1.ReasonPlatformUnsupported, v1alpha1.ReasonDistributionUnsupported, v1alpha1.ReasonEcosystemUnsupported,
		v1alpha1.ReasonMediaTypeUnsupported, v1alpha1.ReasonFilesUnreadable, v1alpha1.ReasonVersionInvalid:
		return v1alpha1.ImageUnsupported
	default:
		return v1alpha1.ImageFailed
	}
}
