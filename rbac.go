// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/output"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

type rbacOptions struct {
	inputOptions
	output command.Choice
}

func (o *rbacOptions) addFlags(cmd *cobra.Command, args cobra.PositionalArgs) {
	o.inputOptions.addFlags(cmd)
	o.output = command.Choice{Value: "table", Values: []string{"table", "json"}}
	cmd.Flags().VarP(&o.output, "output", "o", "What to print.")
	cmd.Args = func(cmd *cobra.Command, given []string) error { return command.UsageError(cmd, args(cmd, given)) }
}

// read reads roles and bindings and, for paths, what else those depend on, and calls use with them.
func (o *rbacOptions) read(cmd *cobra.Command, paths bool, use func(*permissions, *bufio.Writer) error) error {
	var p *permissions
	return o.answer(cmd, func(ctx context.Context) (wrong int, err error) {
		if cmd.Flags().Changed("filename") {
			p, wrong, err = permissionsOfManifests(o.files, cmd.InOrStdin(), cmd.ErrOrStderr())
		} else {
			p, err = o.permissions(ctx, paths)
		}
		if err != nil {
			return 0, err
		}
		for _, warning := range p.warnings {
			fmt.Fprintln(cmd.ErrOrStderr(), "Warning:", warning)
		}
		if p.coverage != rbac.Complete {
			fmt.Fprintln(cmd.ErrOrStderr(), "Warning: this covers RBAC only:", p.whyNotAll)
		}
		return wrong, nil
	}, func(out *bufio.Writer) error { return use(p, out) })
}

func newRBACCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rbac",
		Short: "Tell who may do what, and who can become cluster-admin",
		Long: `Tell who may do what, and who can become cluster-admin, from Roles, ClusterRoles and their bindings.

With -f it judges manifests, and needs no cluster: the roles and bindings that an API server makes for itself are added, and
ServiceAccounts that are bound are taken to exist. Without, it reads the cluster of the current kubeconfig once; you need to be
allowed to list roles and bindings in all namespaces.

It knows RBAC only, and warns where the API server asks ABAC or a webhook too, or where that cannot be seen.`,
		Example: `  kubersafe rbac who-can get secrets -n shop
  kubersafe rbac can-reach-admin
  kubersafe rbac explain ServiceAccount/shop/web -f deploy/`,
		Args: func(cmd *cobra.Command, args []string) error { return command.UsageError(cmd, cobra.NoArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			return command.UsageError(cmd, errors.New("a question is needed: who-can, can-reach-admin or explain"))
		},
	}
	cmd.SetFlagErrorFunc(command.UsageError)
	cmd.AddCommand(newWhoCanCommand(), newCanReachAdminCommand(), newExplainCommand())
	return cmd
}

func newWhoCanCommand() *cobra.Command {
	var (
		o    rbacOptions
		name string
		all  bool
	)
	cmd := &cobra.Command{
		Use:   "who-can VERB RESOURCE",
		Short: "Print who may do something",
		Long: `Print who may do something: users, groups and ServiceAccounts, where they may, and by which bindings and roles. A group stands for
everybody in it.

VERB is as in roles: get, list, create, impersonate, "*". RESOURCE is as in roles too, or short: pods, po, deployments.apps,
pods/exec, "*"; or a path such as /metrics.

With -n it is about that namespace. Without, whoever may anywhere is printed. Those who may by nothing but what Kubernetes made
itself are left out, unless --all is given.

Exit codes:
  0  the question is answered
  2  an input could not be read, or the command line is wrong`,
		Example: `  kubersafe rbac who-can get secrets
  kubersafe rbac who-can create pods/exec -n shop -o json
  kubersafe rbac who-can bind clusterroles --name cluster-admin --all`,
	}
	o.addFlags(cmd, cobra.ExactArgs(2))
	cmd.Flags().StringVar(&name, "name", "", "Object that it is about. Empty: any, whatever its name.")
	cmd.Flags().BoolVar(&all, "all", false, "Print those too who may by nothing but what Kubernetes made itself.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		request := rbac.Request{Verb: args[0], Name: name, Namespace: o.namespace()}
		within := false
		if strings.HasPrefix(args[1], "/") {
			if o.namespace() != "" || name != "" {
				return command.UsageError(cmd, errors.New("a path is in no namespace, and has no name"))
			}
			request.Path = args[1]
		} else {
			resource, subresource, err := rbac.ParseResource(args[1])
			if err != nil {
				return command.UsageError(cmd, err)
			}
			request.Group, request.Resource, request.Subresource = resource.Group, resource.Name, subresource
			// Of a Namespace, its own roles decide too.
			if !resource.Namespaced && resource.Name != "namespaces" && o.namespace() != "" {
				return command.UsageError(cmd, fmt.Errorf("%s are in no namespace", resource.Name))
			}
			within = resource.Namespaced && o.namespace() == ""
		}
		return o.read(cmd, false, func(p *permissions, out *bufio.Writer) error {
			holders := p.cluster.WhoCan(request, within)
			if found := len(holders); !all {
				holders = slices.DeleteFunc(holders, func(h rbac.Holder) bool { return h.Default() })
				if found -= len(holders); found > 0 {
					fmt.Fprintf(cmd.ErrOrStderr(), "Left out %s with nothing but what Kubernetes made itself: --all prints them\n", output.Count(found, "subject"))
				}
			}
			return p.printHolders(out, request, holders, o.output.Value)
		})
	}
	return cmd
}

func newCanReachAdminCommand() *cobra.Command {
	var o rbacOptions
	cmd := &cobra.Command{
		Use:   "can-reach-admin",
		Short: "Print who can become cluster-admin, and how",
		Long: `Print who can become cluster-admin, and how: the shortest chain of steps for each user, group and ServiceAccount, with the
permissions that each step takes. Left out is who can by nothing but what Kubernetes made itself, and who can only as a member
of a group that is printed.

What is not printed is not proven safe: see docs/rbac.md for the steps that are known.

Exit codes:
  0  nobody is known to
  1  somebody can
  2  an input could not be read, or the command line is wrong`,
		Example: `  kubersafe rbac can-reach-admin
  kubersafe rbac can-reach-admin -f deploy/ -o json | jq '.subjects[].name'`,
	}
	o.addFlags(cmd, cobra.NoArgs)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return o.read(cmd, true, func(p *permissions, out *bufio.Writer) error {
			paths := p.cluster.Paths()
			if o.namespace() != "" {
				paths = slices.DeleteFunc(paths, func(path rbac.Path) bool { return path.Subject.Namespace != o.namespace() })
			}
			err := p.printPaths(out, paths, o.output.Value)
			if err == nil && len(paths) > 0 {
				err = command.ErrFindings
			}
			return err
		})
	}
	cmd.Flag("namespace").Usage = "Print ServiceAccounts of this namespace only."
	return cmd
}

func newExplainCommand() *cobra.Command {
	var (
		o   rbacOptions
		all bool
	)
	cmd := &cobra.Command{
		Use:   "explain SUBJECT",
		Short: "Print what a user, group or ServiceAccount may do",
		Long: `Print what a user, group or ServiceAccount may do, by which bindings and roles, and how it can become cluster-admin. SUBJECT is
User/alice, Group/dev, ServiceAccount/shop/web, or ServiceAccount/web with -n; or system:serviceaccount:shop:web. What everybody may
by what Kubernetes made itself is left out, unless --all is given.

Exit codes:
  0  the question is answered
  2  an input could not be read, or the command line is wrong`,
		Example: `  kubersafe rbac explain ServiceAccount/web -n shop
  kubersafe rbac explain Group/dev -o json`,
	}
	o.addFlags(cmd, cobra.ExactArgs(1))
	cmd.Flags().BoolVar(&all, "all", false, "Print what everybody may too.")
	cmd.Flag("namespace").Usage = "Namespace of the ServiceAccount."
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		subject, err := parseSubject(args[0], o.namespace())
		if err != nil {
			return command.UsageError(cmd, err)
		}
		return o.read(cmd, true, func(p *permissions, out *bufio.Writer) error {
			grants := p.cluster.Grants(subject)
			if !all {
				grants = slices.DeleteFunc(grants, func(g rbac.Grant) bool { return g.Default && g.To != subject })
			}
			return p.printSubject(out, subject, grants, o.output.Value)
		})
	}
	return cmd
}

// parseSubject reads what a user calls a subject.
func parseSubject(text, namespace string) (rbac.Subject, error) {
	kind, name, found := strings.Cut(text, "/")
	if !found && strings.HasPrefix(text, "system:serviceaccount:") {
		return rbac.User(text), nil
	}
	switch {
	case name == "":
	case strings.EqualFold(kind, rbacv1.UserKind):
		return rbac.User(name), nil
	case strings.EqualFold(kind, rbacv1.GroupKind):
		return rbac.Group(name), nil
	case strings.EqualFold(kind, rbacv1.ServiceAccountKind), strings.EqualFold(kind, "sa"):
		if within, account, found := strings.Cut(name, "/"); found {
			namespace, name = within, account
		}
		if namespace == "" {
			return rbac.Subject{}, fmt.Errorf("of ServiceAccount %q the namespace is needed: ServiceAccount/NAMESPACE/%s, or -n", name, name)
		}
		return rbac.ServiceAccount(namespace, name), nil
	}
	return rbac.Subject{}, fmt.Errorf("%q is no subject: name a User/NAME, Group/NAME or ServiceAccount/NAMESPACE/NAME", text)
}
