// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// Names under which kubectl runs the command: as its plugin, and to complete what is typed for the plugin.
const (
	pluginName     = "kubectl-kubersafe"
	completionName = "kubectl_complete-kubersafe"
)

// newRoot returns the command for the name by which it is called.
func newRoot(called string, args []string) *cobra.Command {
	name := strings.TrimSuffix(filepath.Base(called), ".exe")
	if name != pluginName && name != completionName {
		cmd := newCommand()
		cmd.SetArgs(args)
		return cmd
	}
	cmd := newPluginCommand()
	if name == completionName {
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	cmd.SetArgs(args)
	return cmd
}

// newPluginCommand returns the command as a plugin of kubectl: without the operator, and with an overview of the cluster where
// no command is given.
func newPluginCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   pluginName,
		Short: "Print how secure a cluster is",
		Long: `Print how secure the cluster is: what the operator has found, what has become of the controls of published standards, and which
namespaces are worst.

Exit codes:
  0  the overview is printed
  2  it could not be read, or the command line is wrong`,
		Example: `  kubectl kubersafe
  kubectl kubersafe report deploy/checkout -n shop
  kubectl kubersafe top workloads
  kubectl kubersafe report -A -o json > monday.json; kubectl kubersafe diff monday.json`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl kubersafe"},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	makeOverview(root)
	root.AddCommand(readingCommands()...)
	for _, c := range root.Commands() {
		asPlugin(c)
	}
	return root
}

// commandLine is one that stands in the help of a command.
var commandLine = regexp.MustCompile(`\bkubersafe (audit|report|diff|top|network|rbac|checks)\b`)

// asPlugin makes the help of a command call it as kubectl's users do.
func asPlugin(cmd *cobra.Command) {
	for _, text := range []*string{&cmd.Example, &cmd.Long} {
		*text = commandLine.ReplaceAllString(*text, "kubectl kubersafe $1")
	}
	for _, c := range cmd.Commands() {
		asPlugin(c)
	}
}

// readingCommands are all but the operator.
func readingCommands() []*cobra.Command {
	return []*cobra.Command{
		newAuditCommand(), newReportCommand(), newDiffCommand(), newTopCommand(), newNetworkCommand(), newRBACCommand(), newChecksCommand(),
		newVersionCommand(),
	}
}
