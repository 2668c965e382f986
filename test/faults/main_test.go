// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package faults tests what becomes of the operator, a process of its own on a real API server, when something around it fails.
// After each fault all reports must be what a fresh reading of the cluster gives, the metrics must count what the reports say, and
// no goroutine may be left behind.
package faults

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubersafe/kubersafe/test/operator"
)

var (
	// binary is the path of the command kubersafe.
	binary string

	modelSeed   = flag.Uint64("seed", 0, "seed of the model-based test; 0 takes another one each time")
	modelLength = flag.Duration("model", time.Minute, "how long the model-based test goes on")
	away        = flag.Duration("away", 10*time.Second, "how long an operator that has been started waits for an API server that is away for minutes")
)

func TestMain(m *testing.M) {
	flag.Parse()
	ctrllog.SetLogger(logr.Discard()) // envtest's
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "kubersafe-faults-")
	if err != nil {
		return 1, err
	}
	defer func() {
		if removeErr := os.RemoveAll(dir); err == nil {
			err = removeErr
		}
	}()
	binary = filepath.Join(dir, "kubersafe")
	if err := operator.Build(context.Background(), binary); err != nil {
		return 1, err
	}
	return m.Run(), nil
}
