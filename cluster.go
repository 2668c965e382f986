// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubersafe/kubersafe/internal/command"
)

// clusterOptions say which cluster is meant. The flags are kubectl's.
type clusterOptions struct {
	rules     *clientcmd.ClientConfigLoadingRules
	overrides clientcmd.ConfigOverrides
	config    clientcmd.ClientConfig
	// flags are the names of all but --namespace, which need not be about a cluster.
	flags []string
}

func (o *clusterOptions) addFlags(cmd *cobra.Command) {
	o.rules = clientcmd.NewDefaultClientConfigLoadingRules()
	f := pflag.NewFlagSet("kubectl", pflag.ContinueOnError)
	f.StringVar(&o.rules.ExplicitPath, "kubeconfig", "", "Kubeconfig file of the cluster. Empty: $KUBECONFIG, the Pod's ServiceAccount, or the home directory's.")
	clientcmd.BindOverrideFlags(&o.overrides, f, clientcmd.RecommendedConfigOverrideFlags(""))
	f.VisitAll(func(flag *pflag.Flag) { // the others are for those who know them from kubectl
		flag.Hidden = !slices.Contains([]string{"kubeconfig", "context", "namespace"}, flag.Name)
		if flag.Name != "namespace" {
			o.flags = append(o.flags, flag.Name)
		}
	})
	f.Lookup("context").Usage = "Context of the kubeconfig."
	f.Lookup("namespace").Usage = "Namespace."
	cmd.Flags().AddFlagSet(f)
	o.config = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(o.rules, &o.overrides)
	cmd.SetFlagErrorFunc(command.UsageError)
}

// namespace returns the one that is asked for, or "".
func (o *clusterOptions) namespace() string { return o.overrides.Context.Namespace }

// exclude returns an error if flags tell of a cluster beside what is read instead of one.
func (o *clusterOptions) exclude(cmd *cobra.Command, given, instead string) error {
	for _, name := range o.flags {
		if cmd.Flags().Changed(name) {
			return command.UsageError(cmd, fmt.Errorf("%s and --%s exclude each other: it is either %s or a cluster", given, name, instead))
		}
	}
	return nil
}

// restConfig returns what it takes to reach the cluster. Instead says what can be done without one.
func (o *clusterOptions) restConfig(instead string) (*rest.Config, error) {
	cfg, err := o.config.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		var files []string
		for _, file := range o.rules.GetLoadingPrecedence() {
			files = append(files, strconv.Quote(file))
		}
		return nil, fmt.Errorf("there is no kubeconfig at %s, so no cluster to read: pass --kubeconfig%s", strings.Join(files, ", "), instead)
	}
	if err == nil {
		err = takeCredentials(cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("no configuration to reach a cluster: %w", err)
	}
	return rest.AddUserAgent(cfg, "kubersafe/"+version), nil
}

// takeCredentials takes user and password out of the address of a cluster, which is printed in many places. They still count, and
// before all others, as in the address.
func takeCredentials(cfg *rest.Config) error {
	if !strings.Contains(cfg.Host, "@") {
		return nil
	}
	address, scheme := cfg.Host, ""
	if !strings.Contains(address, "://") {
		scheme = "https://" // or what client-go makes of it; without any it is no URL
	}
	u, err := url.Parse(scheme + address)
	if err != nil {
		return errors.New("the server of the cluster is no valid URL") // the error would have all of it
	}
	if u.User != nil {
		cfg.Username = u.User.Username()
		cfg.Password, _ = u.User.Password()
		cfg.BearerToken, cfg.BearerTokenFile = "", ""
		u.User = nil
	}
	cfg.Host = strings.TrimPrefix(u.String(), scheme)
	return nil
}
