// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// eachProgram judges every program of the control plane of that name that is seen. What is not seen is skipped.
func eachProgram(c *audit.Cluster, r *audit.Reporter, program string, judge func(*audit.Component)) {
	seen := c.Programs(program)
	for i := range seen {
		if seen[i].Unknown != "" {
			r.Skip(v1alpha1.SkipDataMissing, seen[i].Unknown)
			continue
		}
		judge(&seen[i])
	}
	if len(seen) == 0 {
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf(
			"no static Pod of %q is seen in namespace %q: it runs elsewhere, as on managed clusters, or in another program, as in k3s", program, audit.SystemNamespace))
	} else if u := unseen(c); u != nil {
		r.SkipUnavailable(u)
	}
}

// unseen says why there may be API servers that are not seen, and so nodes of the control plane; nil if all are seen.
func unseen(c *audit.Cluster) *audit.Unavailable {
	if u := c.Missing(audit.EndpointSlices); u != nil {
		return u
	}
	var addresses []string
	for _, e := range c.Endpoints {
		addresses = append(addresses, e.Addresses...)
	}
	slices.Sort(addresses)
	if len(slices.Compact(addresses)) <= len(c.Programs(audit.APIServer)) {
		return nil
	}
	return &audit.Unavailable{
		Reason: v1alpha1.SkipDataMissing, Message: fmt.Sprintf("the Service %q has more API servers than are seen as static Pods", "kubernetes"),
	}
}

// judgeSwitch reports a flag that must be on or off and is not. otherwise is what it is where it is not set.
func judgeSwitch(r *audit.Reporter, k *audit.Component, flag string, must, otherwise bool) {
	value, known := k.Flags.Bool(flag, otherwise)
	switch {
	case !known:
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("%q sets flag %q to %q, which says neither on nor off", k.Program, "--"+flag, k.Flags.Get(flag)))
	case value != must:
		r.Find(k.Finding(flag, fmt.Sprintf("%q must set flag %q to %t", k.Program, "--"+flag, must)))
	}
}

// skipFile skips what a flag leaves to a file.
func skipFile(r *audit.Reporter, k *audit.Component, flag string) {
	r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("%q takes that from the file of its flag %q, which the API does not show", k.Program, "--"+flag))
}

// eachAuthorizer judges how every API server that is seen authorizes. What is not seen, or stands in a file, is skipped.
func eachAuthorizer(c *audit.Cluster, r *audit.Reporter, judge func(server *audit.Component, modes []string)) {
	eachProgram(c, r, audit.APIServer, func(server *audit.Component) {
		if modes, known := authorizers(server); known {
			judge(server, modes)
		} else {
			skipFile(r, server, "authorization-config")
		}
	})
}

// authorizers returns how an API server authorizes. known is false if a file says so.
func authorizers(server *audit.Component) (modes []string, known bool) {
	if server.Flags.Get("authorization-config") != "" {
		return nil, false
	}
	modes = server.Flags.List("authorization-mode")
	if len(modes) == 0 {
		modes = []string{"AlwaysAllow"}
	}
	return modes, true
}

// judgeEtcd judges how etcd authenticates clients or, with the prefix "peer-", its other members.
func judgeEtcd(r *audit.Reporter, etcd *audit.Component, prefix string) {
	set := func(flag string) bool { return len(etcd.Flags[flag]) > 0 }
	env := func(flag string) string { return "ETCD_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_")) }
	if set("config-file") || etcd.Env(env("config-file")) {
		skipFile(r, etcd, "config-file")
		return
	}
	hidden := func(flag string) bool {
		if set(flag) || !etcd.Env(env(flag)) {
			return false
		}
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("%q may take flag %q from its environment, whose values are not read", etcd.Program, "--"+flag))
		return true
	}
	for _, file := range []string{prefix + "cert-file", prefix + "key-file"} {
		if !hidden(file) && etcd.Flags.Get(file) == "" {
			r.Find(etcd.Finding(file, fmt.Sprintf("%q must set flag %q", etcd.Program, "--"+file)))
		}
	}
	if !hidden(prefix + "client-cert-auth") {
		judgeSwitch(r, etcd, prefix+"client-cert-auth", true, false)
	}
	if !hidden(prefix + "auto-tls") {
		judgeSwitch(r, etcd, prefix+"auto-tls", false, false)
	}
}
