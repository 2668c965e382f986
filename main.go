// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubersafe audits a Kubernetes cluster against its security practices.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kubersafe/kubersafe/internal/command"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(command.Run(newRoot(os.Args[0], os.Args[1:]), os.Stderr))
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "kubersafe",
		Short: "Audit a Kubernetes cluster against its security practices, continuously",
		// Errors are printed once, by main, and without the usage unless it is the usage that is wrong.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(append(readingCommands(), newOperatorCommand())...)
	return root
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), version)
		},
	}
}
