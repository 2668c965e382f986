// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/manifest"
	"github.com/kubersafe/kubersafe/internal/output"
	"github.com/kubersafe/kubersafe/internal/report"
)

// clusterOptions say which cluster's reports are meant. The flags are kubectl's.
type clusterOptions struct {
	rules     *clientcmd.ClientConfigLoadingRules
	overrides clientcmd.ConfigOverrides
	config    clientcmd.ClientConfig
}

func (o *clusterOptions) addFlags(cmd *cobra.Command) {
	o.rules = clientcmd.NewDefaultClientConfigLoadingRules()
	f := pflag.NewFlagSet("kubectl", pflag.ContinueOnError)
	f.StringVar(&o.rules.ExplicitPath, "kubeconfig", "", "Kubeconfig file of the cluster. Empty: $KUBECONFIG, the Pod's ServiceAccount, or the home directory's.")
	clientcmd.BindOverrideFlags(&o.overrides, f, clientcmd.RecommendedConfigOverrideFlags(""))
	f.VisitAll(func(flag *pflag.Flag) { // the others are for those who know them from kubectl
		flag.Hidden = !slices.Contains([]string{"kubeconfig", "context", "namespace"}, flag.Name)
	})
	f.Lookup("context").Usage = "Context of the kubeconfig."
	f.Lookup("namespace").Usage = "Namespace."
	cmd.Flags().AddFlagSet(f)
	o.config = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(o.rules, &o.overrides)
	cmd.SetFlagErrorFunc(usageError)
}

// namespace returns the one that is asked for, or "".
func (o *clusterOptions) namespace() string { return o.overrides.Context.Namespace }

// reader reads reports.
func (o *clusterOptions) reader() (*reportReader, error) {
	cfg, err := o.config.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("there is no kubeconfig, so no cluster to read: pass --kubeconfig")
	}
	if err != nil {
		return nil, fmt.Errorf("no configuration to reach a cluster: %w", err)
	}
	cfg = rest.AddUserAgent(rest.CopyConfig(cfg), "kubersafe/"+version)
	cfg.APIPath, cfg.GroupVersion = "/apis", &v1alpha1.GroupVersion
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	cfg.QPS = -1 // a few requests, and then never again
	client, err := rest.RESTClientFor(cfg)
	if err != nil {
		return nil, err
	}
	return &reportReader{client, cfg.Host}, nil
}

// reportReader reads reports from a cluster.
type reportReader struct {
	client rest.Interface
	host   string
}

// namespaced returns the reports of a namespace, or of all if it is "", that have the labels.
func (c *reportReader) namespaced(ctx context.Context, namespace, labels string) ([]*v1alpha1.SecurityReport, error) {
	var reports []*v1alpha1.SecurityReport
	for token := ""; ; {
		var list v1alpha1.SecurityReportList
		request := c.client.Get().NamespaceIfScoped(namespace, namespace != "").Resource("securityreports").
			Param("limit", strconv.Itoa(pageSize)).Param("labelSelector", labels).Param("continue", token)
		if err := request.Do(ctx).Into(&list); err != nil {
			return nil, c.explain(ctx, "SecurityReports", namespace, err)
		}
		for i := range list.Items {
			reports = append(reports, &list.Items[i])
		}
		if token = list.Continue; token == "" {
			return cleaned(reports), nil
		}
	}
}

// clusters returns the report that sums up the cluster, nil if there is none, and those on what is in no namespace.
func (c *reportReader) clusters(ctx context.Context) (cluster *v1alpha1.ClusterSecurityReport, others []*v1alpha1.SecurityReport, err error) {
	var list v1alpha1.ClusterSecurityReportList
	if err := c.client.Get().Resource("clustersecurityreports").Do(ctx).Into(&list); err != nil {
		return nil, nil, c.explain(ctx, "ClusterSecurityReports", "", err)
	}
	for i := range list.Items {
		if r := &list.Items[i]; r.Name == v1alpha1.ClusterReportName {
			cluster = r
		} else {
			others = append(others, withoutNamespace(r))
		}
	}
	return cluster, cleaned(others), nil
}

// explain tells what is to be done about an error.
func (c *reportReader) explain(ctx context.Context, kind, namespace string, err error) error {
	where := "in any namespace"
	if namespace != "" {
		where = fmt.Sprintf("in namespace %q", namespace)
	}
	if kind == "ClusterSecurityReports" {
		where = "of the cluster"
	}
	switch {
	case ctx.Err() != nil:
		return contextError(ctx)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("the cluster at %q has no %s: kubersafe is not installed there. \"kubersafe audit\" needs nothing installed", c.host, kind)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("you may not list %s %s: the role admin of a namespace may, and who is bound to the ClusterRole kubersafe-report-viewer", kind, where)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server at %q does not know you: %w", c.host, err)
	case apierrors.ReasonForError(err) == metav1.StatusReasonUnknown: // not from the API server
		return fmt.Errorf("the API server at %q cannot be used: %w", c.host, err)
	}
	return fmt.Errorf("listing %s: %w", kind, err)
}

// withoutNamespace returns a report on what belongs to no namespace as one of a namespace called "": they say the same in the
// same words.
func withoutNamespace(r *v1alpha1.ClusterSecurityReport) *v1alpha1.SecurityReport {
	report := &v1alpha1.SecurityReport{
		ObjectMeta: r.ObjectMeta, Subject: r.Subject, Summary: r.Summary, Findings: r.Findings, Exemptions: r.Exemptions, Skips: r.Skips,
		OmittedFindings: r.OmittedFindings,
	}
	report.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ClusterSecurityReport"))
	return report
}

// readReports reads reports that were saved, as "kubersafe audit" and kubectl print them. The cluster's sum is left out.
func readReports(path string, stdin io.Reader) ([]*v1alpha1.SecurityReport, error) {
	var text []byte
	var err error
	if path == manifest.Stdin {
		text, err = io.ReadAll(stdin)
	} else {
		text, err = os.ReadFile(path) //nolint:gosec // reading what is named is its purpose
	}
	if err != nil {
		return nil, err // it names the file
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		if text, err = yaml.YAMLToJSON(text); err != nil {
			return nil, fmt.Errorf("%s: %w", manifest.QuoteFile(path), err)
		}
	}
	var list struct {
		metav1.TypeMeta
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", manifest.QuoteFile(path), err)
	}
	if list.Kind == "SecurityReport" || list.Kind == "ClusterSecurityReport" {
		list.Items = []json.RawMessage{text}
	} else if list.Items == nil {
		return nil, fmt.Errorf("%s: must hold reports, as \"kubersafe audit -o json\" prints them, not %q", manifest.QuoteFile(path), list.Kind)
	}
	reports := make([]*v1alpha1.SecurityReport, 0, len(list.Items))
	for i, item := range list.Items {
		r, err := readReport(item)
		if err != nil {
			return nil, fmt.Errorf("%s: items[%d]: %w", manifest.QuoteFile(path), i, err)
		}
		if r != nil {
			reports = append(reports, r)
		}
	}
	return cleaned(reports), nil
}

// readReport reads one report; nil for the cluster's sum.
func readReport(text []byte) (*v1alpha1.SecurityReport, error) {
	var r v1alpha1.SecurityReport
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, err
	}
	switch {
	case r.APIVersion != v1alpha1.GroupVersion.String() || r.Kind != "SecurityReport" && r.Kind != "ClusterSecurityReport":
		return nil, fmt.Errorf("must be a report of %s, not %q of %q", v1alpha1.GroupVersion, r.Kind, r.APIVersion)
	case r.Subject.Kind == "" || r.Subject.Name == "":
		return nil, errors.New("subject: must have a kind and a name")
	case r.Kind == "ClusterSecurityReport" && r.Name == v1alpha1.ClusterReportName:
		return nil, nil
	}
	for i := range r.Findings {
		if s := r.Findings[i].Severity; audit.Rank(s) == 0 {
			return nil, fmt.Errorf("findings[%d].severity: %q must be one of %v", i, s, audit.Severities)
		}
	}
	return &r, nil
}

// cleaned returns reports sorted, and fit for a terminal: who may write reports, or files, can put anything into them.
func cleaned(reports []*v1alpha1.SecurityReport) []*v1alpha1.SecurityReport {
	clean := func(texts ...*string) {
		for _, text := range texts {
			*text = report.Printable(*text)
		}
	}
	object := func(o *v1alpha1.ObjectReference) {
		if o != nil {
			clean(&o.Kind, &o.Name)
		}
	}
	for _, r := range reports {
		clean(&r.Namespace, &r.Name, &r.Subject.APIVersion, &r.Subject.Kind, &r.Subject.Name)
		for i := range r.Findings {
			f := &r.Findings[i]
			clean(&f.Check, &f.Message, &f.Container, &f.Path)
			object(f.Object)
			if f.SuggestedValue != nil {
				f.SuggestedValue.Raw = []byte(report.Printable(string(f.SuggestedValue.Raw)))
			}
		}
		for i := range r.Exemptions {
			x := &r.Exemptions[i]
			clean(&x.Check, (*string)(&x.Severity), &x.Message, &x.Container, &x.Path, (*string)(&x.ExceptionKind), &x.Exception, &x.Reason)
			object(x.Object)
		}
		for i := range r.Skips {
			clean(&r.Skips[i].Check, (*string)(&r.Skips[i].Reason), &r.Skips[i].Message)
		}
	}
	slices.SortStableFunc(reports, func(a, b *v1alpha1.SecurityReport) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return reports
}

// newAudit returns reports for printing.
func newAudit(reports []*v1alpha1.SecurityReport, of string) (*output.Audit, error) {
	set, err := checks.Default()
	if err != nil {
		return nil, err
	}
	return &output.Audit{Reports: reports, Check: set.Check, Of: of, Version: version}, nil
}

// terminalOf returns what a writer writes to.
func terminalOf(out io.Writer) output.Terminal {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return output.Terminal{}
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		width = 0
	}
	return output.Terminal{Width: width, Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// printing runs what prints, until the user interrupts it. An error without a code of its own is one of the input.
func printing(cmd *cobra.Command, run func(ctx context.Context, out *bufio.Writer) error) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := bufio.NewWriter(cmd.OutOrStdout())
	err := run(ctx, out)
	if e := (*exitError)(nil); err != nil && !errors.As(err, &e) {
		err = &exitError{exitInput, err}
	}
	if flushed := out.Flush(); err == nil && flushed != nil {
		err = &exitError{exitInput, fmt.Errorf("printing: %w", flushed)}
	}
	return err
}

// printed is something that prints itself as a table.
type printed interface {
	Table(out io.Writer, t output.Terminal) error
}

// printAs prints something as table, json or yaml.
func printAs(cmd *cobra.Command, out io.Writer, format string, v printed) error {
	switch format {
	case "json":
		return output.JSON(out, v)
	case "yaml":
		return output.YAML(out, v)
	}
	return v.Table(out, terminalOf(cmd.OutOrStdout()))
}

// writeAudit prints an audit in a format, and tells what that cannot hold.
func writeAudit(cmd *cobra.Command, out io.Writer, format string, a *output.Audit) error {
	if text := output.SARIFWarning(a); format == "sarif" && text != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "Warning:", text)
	}
	return output.Write(out, terminalOf(cmd.OutOrStdout()), format, a)
}

// newFormat returns the flag of commands that print something of their own.
func newFormat() choice { return choice{value: "table", values: []string{"table", "json", "yaml"}} }

// newBar returns the flag that says which severity fails.
func newBar(value string) choice {
	return choice{value: value, values: []string{"critical", "high", "medium", "low", never}}
}

// complete registers the values of flags.
func complete(cmd *cobra.Command, flags map[string]*choice) {
	for name, c := range flags {
		if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(c.values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // a flag that is not there: tests would not get this far
		}
	}
}
