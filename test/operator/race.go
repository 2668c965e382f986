// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build race

package operator

// raceDetector says that this was built with it.
const raceDetector = true
