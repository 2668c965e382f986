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
	"golang.org/x/term"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/manifest"
	"github.com/kubersafe/kubersafe/internal/output"
	"github.com/kubersafe/kubersafe/internal/plain"
)

// reader reads reports.
func (o *clusterOptions) reader(cmd *cobra.Command) (*reportReader, error) {
	cfg, err := o.restConfig("")
	if err != nil {
		return nil, err
	}
	cfg.APIPath, cfg.GroupVersion = "/apis", &v1alpha1.GroupVersion
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	cfg.QPS = -1 // a few requests, and then never again
	client, err := rest.RESTClientFor(cfg)
	if err != nil {
		return nil, err
	}
	return &reportReader{client, cfg.Host, cmd.Root().DisplayName()}, nil
}

// reportReader reads reports from a cluster.
type reportReader struct {
	client rest.Interface
	host   string
	// command is what the command is called.
	command string
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

// clusters returns the reports on what is in no namespace, and the one that sums up the cluster; nil if there is none.
func (c *reportReader) clusters(ctx context.Context) (cluster *v1alpha1.ClusterSecurityReport, others []*v1alpha1.SecurityReport, err error) {
	for token := ""; ; {
		list, err := c.clusterPage(ctx, "", token)
		if err != nil {
			return nil, nil, err
		}
		for i := range list.Items {
			if r := &list.Items[i]; r.Name == v1alpha1.ClusterReportName {
				cluster = r
			} else {
				others = append(others, withoutNamespace(r))
			}
		}
		if token = list.Continue; token == "" {
			return cluster, cleaned(others), nil
		}
	}
}

// cluster returns the report that sums up the cluster; nil if there is none.
func (c *reportReader) cluster(ctx context.Context) (*v1alpha1.ClusterSecurityReport, error) {
	// A list, because to get what is not there and what is not served is the same error.
	list, err := c.clusterPage(ctx, "metadata.name="+v1alpha1.ClusterReportName, "")
	if err != nil || len(list.Items) == 0 {
		return nil, err
	}
	return &list.Items[0], nil
}

func (c *reportReader) clusterPage(ctx context.Context, fields, token string) (*v1alpha1.ClusterSecurityReportList, error) {
	var list v1alpha1.ClusterSecurityReportList
	request := c.client.Get().Resource("clustersecurityreports").
		Param("limit", strconv.Itoa(pageSize)).Param("fieldSelector", fields).Param("continue", token)
	if err := request.Do(ctx).Into(&list); err != nil {
		return nil, c.explain(ctx, "ClusterSecurityReports", "", err)
	}
	return &list, nil
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
		return fmt.Errorf("the cluster at %q has no %s: kubersafe is not installed there. \"%s audit\" needs nothing installed", c.host, kind, c.command)
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
	items, err := savedReports(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifest.QuoteFile(path), err)
	}
	reports := make([]*v1alpha1.SecurityReport, 0, len(items))
	for i, item := range items {
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

// savedReports returns the reports in a text, which is JSON or documents of YAML: lists, or a report each.
func savedReports(text []byte) (reports []json.RawMessage, err error) {
	documents := [][]byte{text}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		if documents, err = yamlDocuments(text); err != nil {
			return nil, err
		}
	}
	errNone := errors.New("must hold reports, as \"report -o json\" prints them")
	if len(documents) == 0 {
		return nil, errNone
	}
	for _, d := range documents {
		if !bytes.HasPrefix(bytes.TrimSpace(d), []byte("{")) {
			return nil, errNone
		}
		var list struct {
			metav1.TypeMeta
			Items []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(d, &list); err != nil {
			return nil, err
		}
		switch {
		case list.Kind == "SecurityReport" || list.Kind == "ClusterSecurityReport":
			reports = append(reports, d)
		case list.Items == nil:
			return nil, fmt.Errorf("%w, not %q", errNone, list.Kind)
		default:
			reports = append(reports, list.Items...)
		}
	}
	return reports, nil
}

// yamlDocuments returns the documents of a text that are not empty, as JSON.
func yamlDocuments(text []byte) (documents [][]byte, err error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, err
		}
		encoded, err := yaml.YAMLToJSON(document)
		if err != nil {
			return nil, err
		}
		if string(encoded) != "null" {
			documents = append(documents, encoded)
		}
	}
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
			*text = plain.Printable(*text)
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
				f.SuggestedValue.Raw = []byte(plain.Printable(string(f.SuggestedValue.Raw)))
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
	err := command.InputError(run(ctx, out))
	if flushed := out.Flush(); err == nil && flushed != nil {
		err = command.InputError(fmt.Errorf("printing: %w", flushed))
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
func newFormat() command.Choice {
	return command.Choice{Value: "table", Values: []string{"table", "json", "yaml"}}
}

// newBar returns the flag that says which severity fails.
func newBar(value string) command.Choice {
	return command.Choice{Value: value, Values: []string{"critical", "high", "medium", "low", never}}
}
