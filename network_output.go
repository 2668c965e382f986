// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/kubersafe/kubersafe/internal/netpol"
	"github.com/kubersafe/kubersafe/internal/output"
)

// The outside, as an end of connections.
const (
	internet = "internet"
	metadata = "metadata"
)

// pair is what is allowed from one end to another.
type pair struct {
	From    string         `json:"from"`
	To      string         `json:"to"`
	Allowed []allowedPorts `json:"allowed"`

	ports netpol.Ports
}

type allowedPorts struct {
	Protocol string `json:"protocol"`
	// Ports is "8080", "8080-8090", or "all".
	Ports string `json:"ports"`
}

func portsOf(p netpol.Ports) []allowedPorts {
	list := []allowedPorts{} // null is no list
	for _, r := range p.Ranges() {
		list = append(list, allowedPorts{string(r.Protocol), r.String()})
	}
	return list
}

// matrix returns every pair with anything allowed, sorted; with a namespace only those that one end of is in it.
func (n *network) matrix(namespace string) []pair {
	pairs := []pair{}
	add := func(from, to string, allowed netpol.Ports) {
		if !allowed.Empty() {
			pairs = append(pairs, pair{from, to, portsOf(allowed), allowed})
		}
	}
	concerns := func(r *row) bool { return namespace == "" || r.namespace == namespace }
	for i := range n.rows {
		if to := &n.rows[i]; concerns(to) {
			add(internet, to.name, n.view(to).Internet(to.pod, netpol.Ingress))
		}
	}
	for i := range n.rows {
		from := &n.rows[i]
		var outside []pair
		if concerns(from) {
			outside = []pair{
				{To: internet, ports: n.view(from).Internet(from.pod, netpol.Egress)},
				{To: metadata, ports: n.view(from).To(from.pod, netpol.MetadataIPv4.Address)},
			}
		}
		for j := range n.rows {
			to := &n.rows[j]
			for len(outside) > 0 && outside[0].To < to.name {
				add(from.name, outside[0].To, outside[0].ports)
				outside = outside[1:]
			}
			if concerns(from) || concerns(to) {
				add(from.name, to.name, n.connect(from, to, netpol.AllPorts(), false).Allowed)
			}
		}
		for _, p := range outside {
			add(from.name, p.To, p.ports)
		}
	}
	return pairs
}

func (n *network) view(r *row) *netpol.View { return n.cluster.View(r.namespace) }

// connect judges connections between two rows. Of a workload these are two of its Pods.
func (n *network) connect(from, to *row, within netpol.Ports, explain bool) netpol.Verdict {
	destination := to.pod
	if from.pod == to.pod && !from.single {
		destination = new(*to.pod)
	}
	return n.cluster.Connect(netpol.End{Pod: from.pod}, netpol.End{Pod: destination}, within, explain)
}

// rowSummary is what is said of a row of one namespace.
type rowSummary struct {
	Name           string           `json:"name"`
	Ingress        netpol.Isolation `json:"ingress"`
	Egress         netpol.Isolation `json:"egress"`
	From           sources          `json:"from"`
	FromEverywhere []allowedPorts   `json:"fromEverywhere"`
	FromInternet   []allowedPorts   `json:"fromInternet"`
	ToInternet     []allowedPorts   `json:"toInternet"`
	ToMetadata     []allowedPorts   `json:"toMetadata"`
}

// sources are the namespaces whose Pods a row's policies let in.
type sources struct {
	// EveryNamespace, but for those in Namespaces; if it is false, just those.
	EveryNamespace bool     `json:"everyNamespace"`
	Namespaces     []string `json:"namespaces"`
}

func (s sources) String() string {
	names := strings.Join(s.Namespaces, ", ")
	const most = 3
	if len(s.Namespaces) > most {
		names = fmt.Sprintf("%s and %d more", strings.Join(s.Namespaces[:most], ", "), len(s.Namespaces)-most)
	}
	switch {
	case s.EveryNamespace && names != "":
		return "every namespace but " + names
	case s.EveryNamespace:
		return "every namespace"
	case names == "":
		return "none"
	}
	return names
}

func (n *network) printNamespace(out io.Writer, namespace, format string) error {
	switch format {
	case "dot":
		return n.printDot(out, namespace)
	case "mermaid":
		return n.printMermaid(out, namespace)
	}
	summaries := []rowSummary{}
	v := n.cluster.View(namespace)
	for i := range n.rows {
		r := &n.rows[i]
		if r.namespace != namespace {
			continue
		}
		from := n.cluster.Sources(r.pod)
		summaries = append(summaries, rowSummary{
			Name: r.workload(), Ingress: v.Isolation(r.pod, netpol.Ingress), Egress: v.Isolation(r.pod, netpol.Egress),
			From: sources{from.Every, from.Names()}, FromEverywhere: portsOf(v.FromEverywhere(r.pod)),
			FromInternet: portsOf(v.Internet(r.pod, netpol.Ingress)), ToInternet: portsOf(v.Internet(r.pod, netpol.Egress)),
			ToMetadata: portsOf(v.To(r.pod, netpol.MetadataIPv4.Address)),
		})
	}
	if format == "json" {
		return output.JSON(out, struct {
			Namespace   string             `json:"namespace"`
			Enforcement netpol.Enforcement `json:"enforcement"`
			Workloads   []rowSummary       `json:"workloads"`
			Connections []pair             `json:"connections"`
		}{namespace, n.cni.Enforces, summaries, n.matrix(namespace)})
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "WORKLOAD\tINGRESS\tEGRESS\tFROM\tFROM INTERNET\tTO INTERNET\tTO METADATA")
	for _, s := range summaries {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			s.Name, s.Ingress, s.Egress, s.From, shortPorts(s.FromInternet), shortPorts(s.ToInternet), shortPorts(s.ToMetadata))
	}
	return table.Flush()
}

// shortPorts returns "all", "none", or a list such as "TCP 80, UDP 53".
func shortPorts(ports []allowedPorts) string {
	all := 0
	parts := make([]string, 0, len(ports))
	for _, p := range ports {
		if p.Ports == "all" {
			all++
		}
		parts = append(parts, p.Protocol+" "+p.Ports)
	}
	switch {
	case len(ports) == 0:
		return "none"
	case all == len(portsOf(netpol.AllPorts())):
		return "all"
	}
	return strings.Join(parts, ", ")
}

// answer is whether one end can connect to another.
type answer struct {
	pair
	// Ambiguous are ports on which cluster policies of equal priority disagree.
	Ambiguous []allowedPorts `json:"ambiguous,omitempty"`
	// OnPodAddresses: it hinges on an ipBlock that matches the address of a Pod, which not every network heeds.
	OnPodAddresses bool       `json:"onPodAddresses,omitempty"`
	Decisions      []decision `json:"decisions"`

	verdict netpol.Verdict
}

type decision struct {
	Direction netpol.Direction `json:"direction"`
	Allowed   bool             `json:"allowed"`
	Reason    string           `json:"reason"`
	By        []string         `json:"by,omitempty"`
}

// printAnswer says whether one end can connect to another, for every pair of rows that the names stand for. It returns
// whether any can.
func (n *network) printAnswer(
	out io.Writer, namespace, from, to string, within netpol.Ports, onePort bool, format string,
) (allowed bool, err error) {
	answers, err := n.answers(namespace, from, to, within)
	if err != nil {
		return false, err
	}
	for _, a := range answers {
		allowed = allowed || !a.ports.Empty()
	}
	if format == "json" {
		return allowed, output.JSON(out, answers)
	}
	for _, a := range answers {
		switch {
		case a.ports.Empty() && onePort:
			fmt.Fprintf(out, "no: %s cannot connect to %s on %s\n", a.From, a.To, within)
		case a.ports.Empty():
			fmt.Fprintf(out, "no: %s cannot connect to %s\n", a.From, a.To)
		default:
			fmt.Fprintf(out, "yes: %s can connect to %s on %s\n", a.From, a.To, a.ports)
		}
		for _, d := range a.Decisions {
			verb := "denied"
			if d.Allowed {
				verb = "allowed"
			}
			fmt.Fprintf(out, "  %s %s: %s\n", strings.ToLower(string(d.Direction)), verb, d.Reason)
			for _, by := range d.By {
				fmt.Fprintf(out, "    %s\n", by)
			}
		}
		if !a.verdict.Ambiguous.Empty() {
			fmt.Fprintf(out, "  Policies of the cluster with the same priority disagree on %s: the network decides.\n", a.verdict.Ambiguous)
		}
		if a.OnPodAddresses {
			fmt.Fprintln(out, "  It hinges on an ipBlock that matches the address of a Pod. Some networks apply ipBlocks only to what is outside the cluster.")
		}
	}
	return allowed, nil
}

func (n *network) answers(namespace, from, to string, within netpol.Ports) ([]answer, error) {
	if from == internet || to == internet {
		return n.answersOnInternet(namespace, from, to, within)
	}
	fromRows, fromAddress, err := n.ends(namespace, from)
	if err != nil {
		return nil, err
	}
	toRows, toAddress, err := n.ends(namespace, to)
	if err != nil {
		return nil, err
	}
	if len(fromRows)+len(toRows) == 0 {
		return nil, fmt.Errorf("one of the two ends must be a workload")
	}
	var answers []answer
	each := func(rows []row, name string, a netip.Addr, use func(*row, string, netip.Addr)) {
		if rows == nil {
			use(nil, name, a)
		}
		for i := range rows {
			use(&rows[i], rows[i].name, netip.Addr{})
		}
	}
	each(fromRows, from, fromAddress, func(f *row, fromName string, fa netip.Addr) {
		each(toRows, to, toAddress, func(t *row, toName string, ta netip.Addr) {
			var v netpol.Verdict
			switch {
			case f == nil:
				v = n.cluster.Connect(netpol.End{Address: fa}, netpol.End{Pod: t.pod}, within, true)
			case t == nil:
				v = n.cluster.Connect(netpol.End{Pod: f.pod}, netpol.End{Address: ta}, within, true)
			default:
				v = n.connect(f, t, within, true)
			}
			answers = append(answers, answerOf(fromName, toName, v))
		})
	})
	return answers, nil
}

func answerOf(from, to string, v netpol.Verdict) answer {
	a := answer{pair: pair{from, to, portsOf(v.Allowed), v.Allowed}, OnPodAddresses: v.OnPodAddresses, Decisions: []decision{}, verdict: v}
	if !v.Ambiguous.Empty() {
		a.Ambiguous = portsOf(v.Ambiguous)
	}
	for _, d := range v.Decisions {
		made := decision{Direction: d.Direction, Allowed: d.Allowed, Reason: d.Reason}
		for _, by := range d.By {
			made.By = append(made.By, by.String())
		}
		a.Decisions = append(a.Decisions, made)
	}
	return a
}

// answersOnInternet answers for any address of the internet, so that no single rule decides it.
func (n *network) answersOnInternet(namespace, from, to string, within netpol.Ports) ([]answer, error) {
	name, d := from, netpol.Egress
	if from == internet {
		name, d = to, netpol.Ingress
	}
	rows, _, err := n.ends(namespace, name)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("one of the two ends must be a workload")
	}
	var answers []answer
	for i := range rows {
		r := &rows[i]
		v := netpol.Verdict{Allowed: n.view(r).Internet(r.pod, d).Intersect(within)}
		v.Decisions = []netpol.Decision{{
			Direction: d, Allowed: !v.Allowed.Empty(), Reason: "any address of the internet counts; name one to learn which rule decides",
		}}
		if d == netpol.Egress {
			answers = append(answers, answerOf(r.name, internet, v))
		} else {
			answers = append(answers, answerOf(internet, r.name, v))
		}
	}
	return answers, nil
}

// printDot draws the connections of a namespace for Graphviz.
func (n *network) printDot(out io.Writer, namespace string) error {
	fmt.Fprintln(out, "digraph network {\n  rankdir=LR;\n  node [shape=box];")
	for _, p := range n.matrix(namespace) {
		fmt.Fprintf(out, "  %q -> %q [label=%q];\n", p.From, p.To, p.ports.String())
	}
	_, err := fmt.Fprintln(out, "}")
	return err
}

// printMermaid draws the connections of a namespace for Mermaid, as Markdown can show it.
func (n *network) printMermaid(out io.Writer, namespace string) error {
	ids, escape := make(map[string]string), strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "`", "#96;") // # begins an entity
	node := func(name string) string {
		if id := ids[name]; id != "" {
			return id
		}
		ids[name] = fmt.Sprintf("n%d", len(ids))
		return fmt.Sprintf("%s[\"%s\"]", ids[name], escape.Replace(name))
	}
	fmt.Fprintln(out, "flowchart LR")
	for _, p := range n.matrix(namespace) {
		from := node(p.From) // first, so that it is numbered first
		fmt.Fprintf(out, "  %s -->|%s| %s\n", from, p.ports, node(p.To))
	}
	return nil
}
