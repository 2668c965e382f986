// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
	"github.com/kubersafe/kubersafe/internal/plain"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/source"
)

// network is a cluster as its policies see it.
type network struct {
	cluster *netpol.Cluster
	// policies by namespace, sorted by name.
	policies map[string][]netpol.Named
	// rows are sorted by name.
	rows []row
	// cni is the cluster's, and endpoints are its metadata endpoints.
	cni       netpol.CNI
	endpoints []netpol.Metadata
	// problems are what is wrong with policies, sorted.
	problems []string
}

// row is a workload, or those Pods of it that have the same labels.
type row struct {
	// name such as shop/Deployment/web, shop/Deployment/web#2, shop/Pod/x.
	name      string
	namespace string
	// pod stands for all of them: its addresses are those of all.
	pod *netpol.Pod
	// single: it is one Pod, which reaches itself.
	single bool
}

// networkOfManifests reads files, and returns how many errors they have. Those are told as soon as they are known.
func networkOfManifests(paths []string, stdin io.Reader, stderr io.Writer) (n *network, wrong int, err error) {
	objects, wrong, err := readManifests(paths, stdin, stderr)
	if err != nil {
		return nil, 0, err
	}
	b := newNetworkBuilder()
	for _, o := range objects.All {
		if err := b.add(o); err != nil {
			return nil, 0, err
		}
	}
	return b.build(), wrong, nil
}

// pageSize bounds how much of a list is in memory at once.
const pageSize = 500

// connect returns what it takes to read a cluster, which answers.
func (o *clusterOptions) connect(ctx context.Context) (*rest.Config, *http.Client, *kubernetes.Clientset, error) {
	cfg, err := o.restConfig(", or manifests with -f")
	if err != nil {
		return nil, nil, nil, err
	}
	cfg.QPS = -1 // a few requests at once, and then never again
	httpClient, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	client, err := kubernetes.NewForConfigAndClient(protobuf(cfg), httpClient)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := contact(ctx, client); err != nil {
		return nil, nil, nil, fmt.Errorf("the API server at %q cannot be used: %w", cfg.Host, err)
	}
	return cfg, httpClient, client, nil
}

// network lists a cluster once.
func (o *clusterOptions) network(ctx context.Context) (*network, error) {
	cfg, httpClient, client, err := o.connect(ctx)
	if err != nil {
		return nil, err
	}
	clusterPolicies, err := source.ClusterPolicyClient(cfg, httpClient)
	if err != nil {
		return nil, err
	}
	b := newNetworkBuilder()
	core, apps, batch := client.CoreV1().RESTClient(), client.AppsV1().RESTClient(), client.BatchV1().RESTClient()
	for _, l := range []struct {
		client   rest.Interface
		resource string
		list     func() runtime.Object
	}{
		{core, "namespaces", func() runtime.Object { return &corev1.NamespaceList{} }},
		{core, "pods", func() runtime.Object { return &corev1.PodList{} }},
		{core, "replicationcontrollers", func() runtime.Object { return &corev1.ReplicationControllerList{} }},
		{apps, "deployments", func() runtime.Object { return &appsv1.DeploymentList{} }},
		{apps, "replicasets", func() runtime.Object { return &appsv1.ReplicaSetList{} }},
		{apps, "statefulsets", func() runtime.Object { return &appsv1.StatefulSetList{} }},
		{apps, "daemonsets", func() runtime.Object { return &appsv1.DaemonSetList{} }},
		{batch, "jobs", func() runtime.Object { return &batchv1.JobList{} }},
		{batch, "cronjobs", func() runtime.Object { return &batchv1.CronJobList{} }},
		{client.NetworkingV1().RESTClient(), "networkpolicies", func() runtime.Object { return &networkingv1.NetworkPolicyList{} }},
		{clusterPolicies, "clusternetworkpolicies", func() runtime.Object { return &v1alpha2.ClusterNetworkPolicyList{} }},
		{core, "nodes", func() runtime.Object { return &corev1.NodeList{} }},
	} {
		err := list(ctx, l.client, l.resource, l.list, b.add)
		switch {
		case l.client == clusterPolicies && apierrors.IsNotFound(source.NotServed(ctx, l.client, l.resource, err)): // there are none
		case l.resource == "nodes" && apierrors.IsForbidden(err): // they tell of the cloud and the network, and are not asked about
		case err != nil:
			return nil, fmt.Errorf("listing %s: %w", l.resource, err)
		}
	}
	return b.build(), nil
}

func list(ctx context.Context, client rest.Interface, resource string, fresh func() runtime.Object, add func(source.Object) error) error {
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page := fresh()
		err := client.Get().Resource(resource).VersionedParams(&options, metav1.ParameterCodec).Do(ctx).Into(page)
		if err != nil {
			return err
		}
		err = meta.EachListItem(page, func(o runtime.Object) error {
			object, ok := o.(source.Object)
			if !ok {
				return fmt.Errorf("unexpected object %T", o)
			}
			return add(object)
		})
		if err != nil {
			return err
		}
		m, err := meta.ListAccessor(page)
		if err != nil {
			return err
		}
		if options.Continue = m.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

type podName struct{ namespace, name string }

// place is what only live Pods have.
type place struct {
	addresses []netip.Addr
	node      string
}

type networkBuilder struct {
	static   *source.Static
	cluster  *netpol.Cluster
	policies map[string][]netpol.Named
	places   map[podName]place
	problems []string
}

func newNetworkBuilder() *networkBuilder {
	return &networkBuilder{
		static: source.NewStatic(), cluster: netpol.NewCluster(),
		policies: make(map[string][]netpol.Named), places: make(map[podName]place),
	}
}

// add takes in an object, which the caller gives up.
func (b *networkBuilder) add(o source.Object) error {
	switch o := o.(type) {
	case *corev1.Namespace:
		b.cluster.SetNamespace(o.Name, o.Labels)
	case *networkingv1.NetworkPolicy:
		b.cluster.SetPolicy(o.Namespace, o.Name, &o.Spec)
		b.policies[o.Namespace] = append(b.policies[o.Namespace], netpol.Named{Name: o.Name, Spec: &o.Spec})
		b.wrong(fmt.Sprintf("network policy %q", o.Namespace+"/"+o.Name), netpol.Problems(&o.Spec))
	case *v1alpha2.ClusterNetworkPolicy:
		b.cluster.SetClusterPolicy(o.Name, &o.Spec)
		_, problems := netpol.CompileClusterPolicy(o.Name, &o.Spec)
		b.wrong(fmt.Sprintf("cluster network policy %q", o.Name), problems)
	case *corev1.Pod:
		p := place{node: o.Spec.NodeName}
		ips := append(slices.Clone(o.Status.PodIPs), corev1.PodIP{IP: o.Status.PodIP})
		for _, ip := range ips {
			if a, err := netip.ParseAddr(ip.IP); err == nil && !slices.Contains(p.addresses, a) {
				p.addresses = append(p.addresses, a)
			}
		}
		b.places[podName{o.Namespace, o.Name}] = p
	}
	return b.static.Add(o)
}

// wrong notes what is wrong with a policy.
func (b *networkBuilder) wrong(policy string, problems []netpol.Problem) {
	for _, p := range problems {
		b.problems = append(b.problems, fmt.Sprintf("%s: %q %s", policy, p.Path, p.Message))
	}
}

func (b *networkBuilder) build() *network {
	n := &network{
		cluster: b.cluster, policies: b.policies, problems: b.problems, cni: netpol.SeeCNI(netpol.CNI{}, netpol.CNI{}), endpoints: netpol.MetadataOf(nil, true),
	}
	for _, policies := range n.policies {
		slices.SortFunc(policies, func(a, b netpol.Named) int { return cmp.Compare(a.Name, b.Name) })
	}
	slices.Sort(n.problems)
	for _, inventory := range b.static.Inventories() {
		n.cni, n.endpoints = inventory.CNI, netpol.MetadataOf(inventory.Nodes.Clouds, true) // those of the cluster, in all of them
		for _, w := range audit.Fold(*inventory, time.Now()).Workloads {
			n.rows = append(n.rows, b.rowsOf(inventory.Name, w)...)
		}
	}
	slices.SortFunc(n.rows, func(a, b row) int { return cmp.Compare(a.name, b.name) })
	for _, r := range n.rows {
		b.cluster.SetPod(r.name, r.pod)
	}
	return n
}

// rowsOf returns the rows of a workload, that of its template first.
func (b *networkBuilder) rowsOf(namespace string, w *audit.Workload) []row {
	rows := make(map[string]*row)
	var order []string
	take := func(labels *audit.Labels, shape *audit.Shape, at *place) {
		if shape == nil {
			return
		}
		pod := shape.Pod()
		p := &netpol.Pod{Namespace: namespace, Labels: b.told(namespace, labels), HostNetwork: pod.Spec.HostNetwork, Ports: netpol.NamedPorts(&pod.Spec)}
		key := fmt.Sprint(p.Labels, p.HostNetwork, p.Ports) // maps are printed sorted
		if rows[key] == nil {
			rows[key] = &row{namespace: namespace, pod: p, single: w.Kind == "Pod"}
			order = append(order, key)
			if at != nil {
				p.Node = at.node
			}
		}
		if at != nil {
			merged := rows[key].pod
			merged.Addresses = append(merged.Addresses, at.addresses...)
			if merged.Node != at.node {
				merged.Node = ""
			}
		}
	}
	take(w.TemplateLabels, w.Template, nil)
	first := len(order)
	for _, p := range w.Pods {
		if !p.Finished {
			take(p.Labels, p.Shape, new(b.places[podName{namespace, p.Name}]))
		}
	}
	slices.Sort(order[first:])
	out := make([]row, 0, len(order))
	for i, key := range order {
		r := rows[key]
		// Kinds and names out of owner references are any text.
		r.name = namespace + "/" + plain.Clean(w.Kind, v1alpha1.MaxKind) + "/" + report.CleanName(w.Name)
		if i > 0 {
			r.name += "#" + strconv.Itoa(i+1)
		}
		slices.SortFunc(r.pod.Addresses, netip.Addr.Compare)
		out = append(out, *r)
	}
	return out
}

// written are labels that controllers write to tell the Pods of one workload apart.
var written = []string{
	appsv1.DefaultDeploymentUniqueLabelKey, appsv1.ControllerRevisionHashLabelKey, appsv1.StatefulSetPodNameLabel, appsv1.PodIndexLabel,
	appsv1.DeprecatedTemplateGeneration, batchv1.ControllerUidLabel, batchv1.JobNameLabel, batchv1.JobCompletionIndexAnnotation,
	"controller-uid", "job-name",
}

// told returns a Pod's labels without those that controllers write, unless a policy looks at them.
func (b *networkBuilder) told(namespace string, labels *audit.Labels) map[string]string {
	set := maps.Collect(labels.All())
	for _, key := range written {
		if !b.cluster.Mentioned(namespace, key) {
			delete(set, key)
		}
	}
	return set
}

// workload returns a row's name within its namespace.
func (r *row) workload() string { return strings.TrimPrefix(r.name, r.namespace+"/") }
