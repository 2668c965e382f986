// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package command has what the commands of this repository have in common: how they end, and flags with a closed set of values.
package command

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes apart from 0. 1 is that of any other error, too.
const (
	ExitFindings = 1
	ExitInput    = 2
)

// Run executes a command and returns its exit code. An error is printed once.
func Run(cmd *cobra.Command, stderr io.Writer) int {
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

// exitError makes a command end with an exit code of its own.
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

// ErrFindings makes a command end with exit code 1 without a word: it has found what it was to look for, and has printed that.
var ErrFindings error = &exitError{code: ExitFindings}

// InputError makes a command end with exit code 2, for what it was given cannot be used, or is wrong. What ends with a code of its own
// already keeps that, and there need not be an error.
func InputError(err error) error {
	if e := (*exitError)(nil); err == nil || errors.As(err, &e) {
		return err
	}
	return &exitError{ExitInput, err}
}

// UsageError is an InputError about the command line of a command; there need not be an error.
func UsageError(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{ExitInput, fmt.Errorf("%w\nSee '%s --help'", err, cmd.CommandPath())}
}

// Choice is a flag with a closed set of values.
type Choice struct {
	Value  string
	Values []string
}

func (c *Choice) String() string { return c.Value }

// Set implements pflag.Value.
func (c *Choice) Set(value string) error {
	if !slices.Contains(c.Values, value) {
		return fmt.Errorf("must be one of %s", strings.Join(c.Values, ", "))
	}
	c.Value = value
	return nil
}

// Type implements pflag.Value.
func (c *Choice) Type() string { return strings.Join(c.Values, "|") }

// Complete has the shell complete the values of flags.
func Complete(cmd *cobra.Command, flags map[string]*Choice) {
	for name, c := range flags {
		if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(c.Values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // a flag that is not there: tests would not get this far
		}
	}
}
