// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Command pause does nothing until it is told to end. It holds the namespaces of Pods, as registry.k8s.io/pause does, on a node
// that reaches no registry.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	<-ended
}
