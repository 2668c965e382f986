// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"testing"

	openreportsv1alpha1 "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestCopyErrors(t *testing.T) {
	copied := schema.GroupResource{Group: "openreports.io", Resource: "reports"}
	const failed, stale, none = "failed", "stale", ""
	for sentence, tc := range map[string]struct {
		err  error
		want string
	}{
		"a conflict":                         {apierrors.NewConflict(copied, "pod-web", errors.New("changed")), stale},
		"a copy that is gone":                {apierrors.NewNotFound(copied, "pod-web"), stale},
		"a kind that is not served any more": {apierrors.NewGenericServerResponse(404, "post", copied, "", "", 0, true), stale},
		"a namespace on its way out":         {terminating(), none},
		"a namespace that is gone":           {apierrors.NewNotFound(namespaces, "shop"), none},
		"forbidden":                          {apierrors.NewForbidden(copied, "pod-web", errors.New("no")), failed},
		"an API server that is away":         {errors.New("away"), failed},
	} {
		t.Run(sentence, func(t *testing.T) {
			o := &openreportsv1alpha1.Report{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "pod-web"}}
			err := copyError("write", o, tc.err)
			got := none
			if s := (*staleError)(nil); errors.As(err, &s) {
				got = stale
			} else if err != nil {
				got = failed
			}
			if got != tc.want {
				t.Errorf("%v is %q, want %q", err, got, tc.want)
			}
			if want := "write copy of report shop/pod-web: " + tc.err.Error(); got == failed && err.Error() != want {
				t.Errorf("error %q, want %q", err, want)
			}
		})
	}
}
