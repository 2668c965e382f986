// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/shard"
)

// The versions that are read.
var (
	gatewayVersion       = schema.GroupVersion{Group: gatewayv1.GroupName, Version: gatewayv1.GroupVersion.Version}
	clusterPolicyVersion = schema.GroupVersion{Group: v1alpha2.GroupName, Version: v1alpha2.GroupVersion.Version}
)

// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways;httproutes,verbs=get;list;watch
// +kubebuilder:rbac:groups=policy.networking.k8s.io,resources=clusternetworkpolicies,verbs=get;list;watch

// +kubebuilder:rbac:groups=audit.kubersafe.io,resources=auditconfigurations;securityexceptions;clustersecurityexceptions;imagereports,verbs=get;list;watch

// AddOptional adds the resources to the sources that a cluster need not serve, before Start: those of the Gateway API,
// ClusterNetworkPolicies, what says how all is judged, and what a scanner tells of images.
func AddOptional(s *Sources, cfg *rest.Config, client *http.Client) error {
	gateways, err := customClient(cfg, client, gatewayVersion, gatewayv1.Install)
	if err != nil {
		return err
	}
	policies, err := ClusterPolicyClient(cfg, client)
	if err != nil {
		return err
	}
	own, err := customClient(cfg, client, v1alpha1.GroupVersion, v1alpha1.AddToScheme)
	if err != nil {
		return err
	}
	Add(s, s.shard, audit.Gateways, gateways, "gateways", &gatewayv1.Gateway{}, s.gateways)
	Add(s, s.shard, audit.HTTPRoutes, gateways, "httproutes", &gatewayv1.HTTPRoute{}, s.httpRoutes)
	Add(s, shard.Shard{}, audit.ClusterNetworkPolicies, policies, clusterPolicies, &v1alpha2.ClusterNetworkPolicy{}, s.clusterPolicies)
	Add(s, shard.Shard{}, audit.AuditConfigurations, own, "auditconfigurations", &v1alpha1.AuditConfiguration{}, s.configurations)
	Add(s, s.shard, audit.SecurityExceptions, own, "securityexceptions", &v1alpha1.SecurityException{}, s.exceptions)
	Add(s, shard.Shard{}, audit.ClusterSecurityExceptions, own, "clustersecurityexceptions", &v1alpha1.ClusterSecurityException{}, s.clusterExceptions)
	Add(s, shard.Shard{}, audit.ImageReports, own, "imagereports", &v1alpha1.ImageReport{}, s.imageReports.store)
	s.imageReports.store.notify = func(string) { s.imageReports.look() }
	s.clusterPolicies.notify = func(string) { s.tellOfClusterPolicies() }
	return nil
}

// ClusterPolicyClient returns a client for ClusterNetworkPolicies.
func ClusterPolicyClient(cfg *rest.Config, client *http.Client) (rest.Interface, error) {
	return customClient(cfg, client, clusterPolicyVersion, v1alpha2.Install)
}

// customClient returns a client for custom resources.
func customClient(
	cfg *rest.Config, client *http.Client, version schema.GroupVersion, install func(*runtime.Scheme) error,
) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	if err := install(scheme); err != nil {
		return nil, err
	}
	metav1.AddToGroupVersion(scheme, version)
	cfg = rest.CopyConfig(cfg)
	cfg.GroupVersion, cfg.APIPath = &version, "/apis"
	cfg.ContentType, cfg.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON // they know no other
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	return rest.RESTClientForConfigAndClient(cfg, client)
}

// optionalListWatcher tells what is forbidden from what is not there at all. An API server asks whether somebody may read a
// resource before it looks whether there is one, and people who may read all that comes with Kubernetes may not read what
// does not. What is served, everybody may know.
type optionalListWatcher struct {
	listWatcher
	client rest.Interface
	plural string
}

func (o *optionalListWatcher) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	list, err := o.listWatcher.ListWithContext(ctx, options)
	return list, NotServed(ctx, o.client, o.plural, err)
}

func (o *optionalListWatcher) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	events, err := o.listWatcher.WatchWithContext(ctx, options)
	return events, NotServed(ctx, o.client, o.plural, err)
}

// NotServed returns the error of a request for a resource, and a NotFound error in place of a Forbidden one if the client's
// API does not have the resource.
func NotServed(ctx context.Context, client rest.Interface, plural string, err error) error {
	if !apierrors.IsForbidden(err) {
		return err
	}
	version := client.APIVersion()
	served, asked := discovery.NewDiscoveryClient(client).ServerResourcesForGroupVersionWithContext(ctx, version.String())
	if asked != nil && !apierrors.IsNotFound(asked) {
		return err
	}
	if asked == nil {
		for i := range served.APIResources {
			if served.APIResources[i].Name == plural {
				return err
			}
		}
	}
	return apierrors.NewNotFound(version.WithResource(plural).GroupResource(), "")
}
