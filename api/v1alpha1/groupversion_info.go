// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the kinds of the API group audit.kubersafe.io.
//
// +kubebuilder:object:generate=true
// +groupName=audit.kubersafe.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion of the kinds in this package.
	GroupVersion = schema.GroupVersion{Group: "audit.kubersafe.io", Version: "v1alpha1"}

	// SchemeBuilder registers them.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds them to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&SecurityReport{}, &SecurityReportList{},
		&ClusterSecurityReport{}, &ClusterSecurityReportList{},
		&ImageReport{}, &ImageReportList{},
		&AuditConfiguration{}, &AuditConfigurationList{},
		&SecurityException{}, &SecurityExceptionList{},
		&ClusterSecurityException{}, &ClusterSecurityExceptionList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
