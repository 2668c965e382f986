// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubersafe-scanner finds known vulnerabilities in container images. It is a program apart from kubersafe, because the libraries
// that it needs for that would burden an operator.
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
	os.Exit(command.Run(newCommand(), os.Stderr))
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "kubersafe-scanner",
		Short: "Find known vulnerabilities in container images",
		// Errors are printed once, by main, and without the usage unless it is the usage that is wrong.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newImageCommand(), newAuditCommand(), newRunCommand(), newDBCommand(), newVersionCommand())
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
