// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/netpol"
	"github.com/kubersafe/kubersafe/internal/output"
)

// inputOptions say what to read: manifests, or a cluster once.
type inputOptions struct {
	clusterOptions
	files []string
}

func (o *inputOptions) addFlags(cmd *cobra.Command) {
	o.clusterOptions.addFlags(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.files, "filename", "f", nil, "File or folder with manifests, or - for standard input. Can be given several times.")
	f.Lookup("namespace").Usage = "Namespace to look at."
	cmd.Args = func(cmd *cobra.Command, args []string) error { return command.UsageError(cmd, cobra.NoArgs(cmd, args)) }
}

// answer reads the input by load, which returns how many errors are in it, and calls use with a writer to standard output.
func (o *inputOptions) answer(cmd *cobra.Command, load func(context.Context) (wrong int, err error), use func(*bufio.Writer) error) error {
	if cmd.Flags().Changed("filename") {
		if err := o.exclude(cmd, "--filename", "manifests"); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	wrong, err := load(ctx)
	if err != nil {
		return command.InputError(err)
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	err = command.InputError(use(out))
	if flushed := out.Flush(); err == nil && flushed != nil {
		err = command.InputError(fmt.Errorf("printing: %w", flushed))
	}
	if err == nil && wrong > 0 {
		err = command.InputError(fmt.Errorf("%s in the input", output.Count(wrong, "error")))
	}
	return err
}

type networkOptions struct{ inputOptions }

// read reads the network and calls use with it and a writer to standard output.
func (o *networkOptions) read(cmd *cobra.Command, use func(*network, *bufio.Writer) error) error {
	var n *network
	return o.answer(cmd, func(ctx context.Context) (wrong int, err error) {
		if n, wrong, err = o.load(ctx, cmd); err != nil {
			return 0, err
		}
		for _, p := range n.problems {
			fmt.Fprintln(cmd.ErrOrStderr(), "Warning:", p)
		}
		if live := len(o.files) == 0; n.cni.Enforces == netpol.NotEnforced || live && n.cni.Enforces != netpol.Enforced { // manifests seldom have it
			fmt.Fprintln(cmd.ErrOrStderr(), "Warning: policies are not enforced as far as can be seen:", whyNotEnforced(n.cni))
		}
		if o.namespace() != "" && !slices.Contains(n.cluster.Namespaces(), o.namespace()) {
			return 0, fmt.Errorf("there is no namespace %q", o.namespace())
		}
		return wrong, nil
	}, func(out *bufio.Writer) error { return use(n, out) })
}

// whyNotEnforced says why nobody can rely on policies.
func whyNotEnforced(cni netpol.CNI) string {
	switch {
	case cni.Enforces == netpol.NotEnforced:
		return fmt.Sprintf("%q does not enforce them", cni.Name)
	case cni.Name != "":
		return fmt.Sprintf("%q does so only in some versions or settings", cni.Name)
	}
	return "no network that is known is seen"
}

func (o *networkOptions) load(ctx context.Context, cmd *cobra.Command) (n *network, wrong int, err error) {
	if cmd.Flags().Changed("filename") {
		return networkOfManifests(o.files, cmd.InOrStdin(), cmd.ErrOrStderr())
	}
	n, err = o.network(ctx)
	return n, 0, err
}

func newNetworkCommand() *cobra.Command {
	var (
		o              networkOptions
		from, to, port string
		format         = command.Choice{Value: "table", Values: []string{"table", "json", "dot", "mermaid"}}
	)
	cmd := &cobra.Command{
		Use:   "network",
		Short: "Tell who can connect to whom, and which network policies decide it",
		Long: `Tell who can connect to whom, and which network policies decide it: NetworkPolicies, and ClusterNetworkPolicies where there are any.

With -n it prints the workloads of a namespace: whether they are isolated, from where and to where they can connect. Formats dot
and mermaid draw the connections of the namespace that are allowed.

With --from and --to it says if one end can connect to the other, and names the policies and rules that decide it. An end is a
workload (shop/Deployment/web, or Deployment/web with -n), an address, "internet" or "metadata". Without --port it says on which
ports.

With -f it judges manifests, and needs no cluster. Without, it reads the cluster of the current kubeconfig once; you need to be
allowed to list what it reads. It judges what policies say, and warns where no network is seen that enforces them. Services are
not judged: ask for the Pods behind them, and the port that they listen on.

Exit codes:
  0  the question is answered; with --from and --to: yes
  1  with --from and --to: no
  2  an input could not be read, or the command line is wrong`,
		Example: `  kubersafe network -n shop
  kubersafe network -n shop --from Deployment/web --to Deployment/db --port 5432
  kubersafe network -n shop --from Deployment/web --to metadata -f deploy/
  kubersafe network -n shop -o mermaid -f deploy/`,
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "Who connects.")
	f.StringVar(&to, "to", "", "To whom.")
	f.StringVar(&port, "port", "", "On which port: 8080, 53/UDP.")
	f.VarP(&format, "output", "o", "What to print.")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asked := from != "" || to != ""
		switch {
		case asked && (from == "" || to == ""):
			return command.UsageError(cmd, errors.New("--from and --to go together"))
		case port != "" && !asked:
			return command.UsageError(cmd, errors.New("--port needs --from and --to"))
		case asked && (format.Value == "dot" || format.Value == "mermaid"):
			return command.UsageError(cmd, errors.New("an answer is printed as table or json"))
		case !asked && o.namespace() == "":
			return command.UsageError(cmd, errors.New("a namespace is needed: pass -n, or --from and --to"))
		}
		within, err := parsePort(port)
		if err != nil {
			return command.UsageError(cmd, err)
		}
		return o.read(cmd, func(n *network, out *bufio.Writer) error {
			if !asked {
				return n.printNamespace(out, o.namespace(), format.Value)
			}
			allowed, err := n.printAnswer(out, o.namespace(), from, to, within, port != "", format.Value)
			if err == nil && !allowed {
				err = command.ErrFindings
			}
			return err
		})
	}
	cmd.AddCommand(newNetworkMatrixCommand(), newNetworkSuggestCommand())
	return cmd
}

func newNetworkMatrixCommand() *cobra.Command {
	var (
		o      networkOptions
		format = command.Choice{Value: "json", Values: []string{"json"}}
	)
	cmd := &cobra.Command{
		Use:   "matrix",
		Short: "Print every connection that is allowed, as JSON",
		Long: `Print every connection that is allowed, as JSON: one entry for every ordered pair with anything allowed. A pair that is absent
allows nothing. "internet" and "metadata" stand for the outside: any address of the internet, and the metadata endpoint of clouds,
169.254.169.254. Pods of one workload whose labels differ are rows of their own, such as shop/Deployment/web#2.`,
		Example: `  kubersafe network matrix -n shop
  kubersafe network matrix -f deploy/ -o json | jq '.[] | select(.to == "metadata")'`,
	}
	o.addFlags(cmd)
	cmd.Flags().VarP(&format, "output", "o", "What to print.")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return o.read(cmd, func(n *network, out *bufio.Writer) error { return output.JSON(out, n.matrix(o.namespace())) })
	}
	return cmd
}

func newNetworkSuggestCommand() *cobra.Command {
	var o networkOptions
	cmd := &cobra.Command{
		Use:   "suggest",
		Short: "Print network policies that isolate a namespace",
		Long: `Print network policies that isolate a namespace, as YAML to be applied: one that denies everything by default, one that allows DNS,
and the policies of the namespace that let Pods reach the metadata endpoint of clouds, with an exception for it. What else the
namespace needs has to be allowed apart: kubersafe cannot know it.`,
		Example: `  kubersafe network suggest -n shop | kubectl apply --dry-run=server -f -`,
	}
	o.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.namespace() == "" {
			return command.UsageError(cmd, errors.New("a namespace is needed: pass -n"))
		}
		return o.read(cmd, func(n *network, out *bufio.Writer) error { return printSuggestions(out, n.suggest(o.namespace())) })
	}
	return cmd
}

// parsePort reads "8080", "53/UDP"; nothing stands for all ports.
func parsePort(text string) (netpol.Ports, error) {
	if text == "" {
		return netpol.AllPorts(), nil
	}
	number, protocol, found := strings.Cut(text, "/")
	if !found {
		protocol = string(corev1.ProtocolTCP)
	}
	n, err := strconv.ParseInt(number, 10, 32)
	ports := netpol.PortsOf(netpol.PortRange{Protocol: corev1.Protocol(strings.ToUpper(protocol)), First: int32(n), Last: int32(n)})
	if err != nil || ports.Empty() {
		return netpol.Ports{}, fmt.Errorf("port %q must be a number from 1 to 65535, with a protocol or without: 8080, 53/UDP, 132/SCTP", text)
	}
	return ports, nil
}

// ends returns what a name on the command line stands for: rows, or an address.
func (n *network) ends(namespace, name string) ([]row, netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return nil, a, nil
	}
	if name == metadata {
		return nil, netpol.MetadataIPv4.Address, nil
	}
	full := name
	if strings.Count(name, "/") == 1 && namespace != "" {
		full = namespace + "/" + name
	}
	var found []row
	for _, r := range n.rows {
		if workload, _, _ := strings.Cut(r.name, "#"); r.name == full || workload == full {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return nil, netip.Addr{}, fmt.Errorf("there is no %q: name a workload such as shop/Deployment/web, an address, %q or %q", name, internet, metadata)
	}
	return found, netip.Addr{}, nil
}
