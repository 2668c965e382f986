// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubersafe/kubersafe/test/controlplane"
)

// TestStoredIsAsIfCreated creates a load through the API, which must accept it, and stores another one past it: the API
// server must serve the same specs of both.
func TestStoredIsAsIfCreated(t *testing.T) {
	ctrllog.SetLogger(logr.Discard())
	plane, err := controlplane.Start(t.Context(), controlplane.Options{WithoutControllers: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	config := rest.CopyConfig(plane.Config)
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	c, err := client.New(config, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Seed: 7, Pods: 120, Namespaces: 10, Policies: 12}
	created := make(map[string]string)
	for ns := range Generate(o) {
		for _, object := range ns.Objects() {
			if err := c.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			created[fmt.Sprintf("%T %s", object, client.ObjectKeyFromObject(object))] = specOf(t, object)
		}
	}
	if err := Store(t.Context(), plane.Etcd(), o, func(int64) {}); err != nil { // over what was created
		t.Fatal(err)
	}
	stored, nodes := make(map[string]string), NewNodes()
	for ns := range Generate(o) {
		for _, object := range ns.Objects() {
			key := client.ObjectKeyFromObject(object)
			// The cache of the API server trails; without a version this reads etcd.
			if err := c.Get(t.Context(), key, object); err != nil {
				t.Fatal(err)
			}
			if object.GetUID() != uidOf(object) {
				t.Fatalf("%s has UID %s: it was not stored", key, object.GetUID())
			}
			if p, ok := object.(*corev1.Pod); ok && p.Status.PodIP == "" {
				t.Errorf("Pod %s has no status", key)
			}
			stored[fmt.Sprintf("%T %s", object, key)] = specOf(t, object)
			nodes.Add(object)
		}
	}
	for node := range nodes.All() {
		got := &corev1.Node{}
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(node), got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(node.Status, got.Status); diff != "" || got.UID != uidOf(node) {
			t.Errorf("node %s has UID %s, status (-want +got):\n%s", node.Name, got.UID, diff)
		}
	}
	if diff := cmp.Diff(created, stored); diff != "" {
		t.Errorf("(-created +stored):\n%s", diff)
	}
}

// specOf encodes an object without metadata and status, and without what the API server puts in from an object's own UID.
func specOf(t *testing.T, o client.Object) string {
	t.Helper()
	encoded, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(encoded, &fields); err != nil {
		t.Fatal(err)
	}
	spec, ok := fields["spec"].(map[string]any)
	if !ok {
		return ""
	}
	if kindOf(o).Kind == "Job" {
		delete(spec, "selector")
		if template, ok := spec["template"].(map[string]any); ok {
			delete(template, "metadata")
		}
	}
	encoded, err = json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}
