// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubersafe audits a Kubernetes cluster against its security practices.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(run(newRoot(os.Args[0], os.Args[1:]), os.Stderr))
}

// run executes the command and returns its exit code.
func run(cmd *cobra.Command, stderr io.Writer) int {
	err := cmd.Execute()
	if err == nil {
		return 0
	}
	code := 1
	if e := (*exitError)(nil); errors.As(err, &e) {
		code, err = e.code, e.err
	}
	if err != nil {
		fmt.Fprintln(stderr, "Error:", err)
	}
	return code
}

// exitError makes the command end with an exit code of its own.
type exitError struct {
	code int
	// err is nil if everything is said already.
	err error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

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
