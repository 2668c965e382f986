// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// Programs of the control plane.
const (
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Etcd              = "etcd"
)

var programs = []string{APIServer, ControllerManager, Scheduler, Etcd}

// Component is a program of the control plane as a Pod runs it.
type Component struct {
	Program        string
	Pod, Container string
	// Node that the Pod is on, or "".
	Node  string
	Flags Flags
	// Unknown says why its flags cannot be known; "" if they are.
	Unknown string

	// field of the container that has the flags, and those that stand in its command although it has args.
	field     string
	inCommand Flags
	// env are the names of its environment variables; anyEnv says that there may be others.
	env    []string
	anyEnv bool
}

// componentsOf returns the programs of the control plane that a Pod runs.
func componentsOf(p *PodRecord) []Component {
	var found []Component
	for _, container := range p.Shape.Pod().Spec.Containers {
		if c, ok := componentOf(&container); ok {
			c.Pod, c.Node = p.Name, p.NodeName()
			found = append(found, c)
		}
	}
	return found
}

// componentOf recognises a program by what is run or, if that is anything else, by what the container is called.
func componentOf(container *corev1.Container) (Component, bool) {
	c := Component{Container: container.Name, field: "command", anyEnv: len(container.EnvFrom) > 0}
	if len(container.Args) > 0 {
		c.field, c.inCommand = "args", ParseFlags(container.Command)
	}
	for _, e := range container.Env {
		c.env = append(c.env, e.Name)
	}
	words := slices.Concat(container.Command, container.Args)
	if len(words) > 0 && slices.Contains(programs, path.Base(words[0])) {
		c.Program = path.Base(words[0])
		c.setFlags(words[1:])
		return c, true
	}
	if !slices.Contains(programs, container.Name) {
		return c, false
	}
	c.Program = container.Name
	switch {
	case len(words) > 0 && strings.HasPrefix(words[0], "-"): // the image knows what to run
		c.setFlags(words)
	case len(words) == 0:
		c.Unknown = fmt.Sprintf("the manifest of %q does not show its flags", c.Program)
	default:
		c.Unknown = fmt.Sprintf("%q runs %q in a way that does not show its flags", path.Base(words[0]), c.Program)
	}
	return c, true
}

// setFlags reads the flags among words.
func (c *Component) setFlags(words []string) {
	if at := slices.IndexFunc(words, isExpanded); at >= 0 {
		c.Unknown = fmt.Sprintf("%q takes %q from its environment, whose values are not read", c.Program, words[at])
		return
	}
	c.Flags = ParseFlags(words)
}

// isExpanded says whether a kubelet puts the value of an environment variable into a word, $(NAME) and not $$(NAME), and that
// matters.
func isExpanded(word string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	return strings.Contains(strings.ReplaceAll(word, "$$", ""), "$(") && !perNode[name]
}

// perNode are flags by which programs know their own node. No check needs them to be known.
var perNode = map[string]bool{
	"advertise-address": true, "bind-address": true, "advertise-client-urls": true, "initial-advertise-peer-urls": true,
	"listen-client-urls": true, "listen-metrics-urls": true, "listen-peer-urls": true, "name": true,
}

// Finding returns a finding about a flag of the component, or about an entry of its value, as in flag.entry.
func (c *Component) Finding(flag, message string) Finding {
	field := c.field
	name, _, _ := strings.Cut(flag, ".")
	if n := len(c.inCommand[name]); n > 0 && n == len(c.Flags[name]) {
		field = "command"
	}
	return Finding{
		Message: message, Container: c.Container, Object: &v1alpha1.ObjectReference{Kind: "Pod", Name: c.Pod},
		Path: fmt.Sprintf("spec.containers[name=%s].%s[--%s]", c.Container, field, flag),
	}
}

// Env says whether an environment variable is set, or may be.
func (c *Component) Env(name string) bool { return c.anyEnv || slices.Contains(c.env, name) }

// Flags are the flags of a program: their values by name, in the order in which they are given.
type Flags map[string][]string

// switches are those flags of the control plane's programs that take no value but after "=".
var switches = map[string]bool{
	"allow-privileged": true, "anonymous-auth": true, "audit-log-compress": true, "authentication-skip-lookup": true,
	"contention-profiling": true, "enable-aggregator-routing": true, "enable-bootstrap-token-auth": true,
	"encryption-provider-config-automatic-reload": true, "kubelet-https": true, "leader-elect": true, "profiling": true,
	"service-account-extend-token-expiration": true, "service-account-lookup": true, "use-service-account-credentials": true,
	"auto-tls": true, "client-cert-auth": true, "peer-auto-tls": true, "peer-client-cert-auth": true, "peer-skip-client-san-verification": true,
}

// ParseFlags reads flags as the programs of the control plane do: --name=value, --name value, or --name alone for a switch;
// one dash will do for etcd, and Kubernetes takes underscores for dashes. What is no flag is skipped.
func ParseFlags(words []string) Flags {
	flags := make(Flags)
	for i := 0; i < len(words) && words[i] != "--"; i++ {
		if !strings.HasPrefix(words[i], "-") || words[i] == "-" {
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(words[i], "-"), "=")
		name = strings.ReplaceAll(name, "_", "-")
		if !given {
			value = "true"
			if i+1 < len(words) && !switches[name] && isValue(words[i+1]) {
				i++
				value = words[i]
			}
		}
		flags[name] = append(flags[name], value)
	}
	return flags
}

// isValue tells the value of a flag from the next flag. A dash alone stands for the standard output.
func isValue(word string) bool {
	if !strings.HasPrefix(word, "-") || word == "-" {
		return true
	}
	_, err := strconv.ParseFloat(word, 64)
	return err == nil
}

// Get returns the value of a flag; the last, if it is given several times. "" is as good as unset.
func (f Flags) Get(name string) string {
	values := f[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// List returns the values of a flag that takes a list, which grows each time the flag is given.
func (f Flags) List(name string) []string {
	var list []string
	for _, value := range f[name] {
		for entry := range strings.SplitSeq(value, ",") {
			if entry = strings.TrimSpace(entry); entry != "" {
				list = append(list, entry)
			}
		}
	}
	return list
}

// Bool returns the value of a switch, or what it is otherwise if it is not set. known is false if it is set to something else
// than a truth value, with which the program does not run.
func (f Flags) Bool(name string, otherwise bool) (value, known bool) {
	text := f.Get(name)
	if len(f[name]) == 0 {
		return otherwise, true
	}
	value, err := strconv.ParseBool(text)
	return value, err == nil
}
