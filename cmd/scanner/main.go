// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubersafe-scanner finds known vulnerabilities in container images. It is a program apart from kubersafe, because the libraries
// that it needs for that would burden an operator.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

// Exit codes apart from 0, as those of "kubersafe audit".
const (
	exitFindings = 1
	exitInput    = 2
)

func main() {
	os.Exit(run(newCommand(), os.Stderr))
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

// usageError is about the command line of a command; there need not be an error.
func usageError(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{exitInput, fmt.Errorf("%w\nSee '%s --help'", err, cmd.CommandPath())}
}

// choice is a flag with a closed set of values.
type choice struct {
	value  string
	values []string
}

func (c *choice) String() string { return c.value }

func (c *choice) Set(value string) error {
	if !slices.Contains(c.values, value) {
		return fmt.Errorf("must be one of %s", strings.Join(c.values, ", "))
	}
	c.value = value
	return nil
}

func (c *choice) Type() string { return strings.Join(c.values, "|") }

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
