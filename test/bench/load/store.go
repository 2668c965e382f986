// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// folders of etcd that the API server keeps its objects in, by kind.
var folders = map[string]string{
	"Namespace": "namespaces", "ServiceAccount": "serviceaccounts", "Pod": "pods", "Service": "services/specs",
	"ResourceQuota": "resourcequotas", "LimitRange": "limitranges", "NetworkPolicy": "networkpolicies",
	"Role": "roles", "RoleBinding": "rolebindings",
	"Deployment": "deployments", "ReplicaSet": "replicasets", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets",
	"Job": "jobs", "CronJob": "cronjobs", "Node": "minions",
}

const (
	// batch is the number of objects in one transaction: etcd allows 128 operations, and 1.5 MiB.
	batch = 100
	// transactionsAtOnce keeps etcd busy.
	transactionsAtOnce = 4
)

// Store writes a load into the etcd of an API server, as that would have stored it: status, UIDs and managed fields included.
// Through the API it is some hundred objects a second on two cores, here some thousand. progress is told the number of
// objects so far.
func Store(ctx context.Context, etcd string, o Options, progress func(int64)) error {
	transactions, ctx := errgroup.WithContext(ctx)
	transactions.SetLimit(transactionsAtOnce)
	var stored atomic.Int64
	var puts []put
	flush := func() {
		full := puts
		puts = nil
		transactions.Go(func() error {
			if err := transact(ctx, etcd, full); err != nil {
				return err
			}
			progress(stored.Add(int64(len(full))))
			return nil
		})
	}
	store := func(object client.Object) error {
		p, err := encode(object)
		if err != nil {
			return err
		}
		if puts = append(puts, p); len(puts) == batch {
			flush()
		}
		return nil
	}
	nodes := NewNodes()
	for ns := range Generate(o) {
		if ctx.Err() != nil {
			break
		}
		for _, object := range ns.Objects() {
			nodes.Add(object)
			if err := store(object); err != nil {
				return err
			}
		}
	}
	for node := range nodes.All() {
		if err := store(node); err != nil {
			return err
		}
	}
	flush()
	return transactions.Wait()
}

// put is an operation of etcd's JSON API, which has bytes in base64.
type put struct {
	Request struct {
		Key   []byte `json:"key"`
		Value []byte `json:"value"`
	} `json:"requestPut"`
}

// encode makes what the API server stores.
func encode(o client.Object) (put, error) {
	gvk := kindOf(o)
	folder, ok := folders[gvk.Kind]
	if !ok {
		return put{}, fmt.Errorf("nobody knows where the API server keeps a %s", gvk.Kind)
	}
	key := "/registry/" + folder + "/"
	if o.GetNamespace() != "" {
		key += o.GetNamespace() + "/"
	}
	o.SetCreationTimestamp(started)
	o.GetObjectKind().SetGroupVersionKind(gvk)
	if ns, ok := o.(*corev1.Namespace); ok {
		ns.Spec.Finalizers, ns.Status.Phase = []corev1.FinalizerName{corev1.FinalizerKubernetes}, corev1.NamespaceActive
	}
	o.SetManagedFields(managedFields(gvk.GroupVersion().String()))
	var value bytes.Buffer
	if err := serializer.Encode(o, &value); err != nil {
		return put{}, fmt.Errorf("encoding %s %s/%s: %w", gvk.Kind, o.GetNamespace(), o.GetName(), err)
	}
	var p put
	p.Request.Key, p.Request.Value = []byte(key+o.GetName()), value.Bytes()
	return p, nil
}

var serializer = protobuf.NewSerializer(clientgoscheme.Scheme, clientgoscheme.Scheme)

// managedFields are about as large as those of a Pod.
func managedFields(version string) []metav1.ManagedFieldsEntry {
	entry := func(manager, subresource, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: version, Time: &started, FieldsType: "FieldsV1",
			Subresource: subresource, FieldsV1: metav1.NewFieldsV1(fields),
		}
	}
	return []metav1.ManagedFieldsEntry{
		entry("kube-controller-manager", "", `{"f:metadata":{"f:annotations":{".":{},"f:checksum/config":{},"f:prometheus.io/port":{},"f:prometheus.io/scrape":{}},"f:generateName":{},"f:labels":{".":{},"f:app.kubernetes.io/instance":{},"f:app.kubernetes.io/managed-by":{},"f:app.kubernetes.io/name":{},"f:app.kubernetes.io/part-of":{},"f:app.kubernetes.io/version":{}},"f:ownerReferences":{".":{}}}}`),
		entry("kubelet", "status", `{"f:status":{"f:conditions":{"k:{\"type\":\"ContainersReady\"}":{".":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Initialized\"}":{".":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Ready\"}":{".":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}}},"f:containerStatuses":{},"f:hostIP":{},"f:hostIPs":{},"f:phase":{},"f:podIP":{},"f:podIPs":{},"f:startTime":{}}}`),
	}
}

func transact(ctx context.Context, etcd string, puts []put) error {
	body, err := json.Marshal(map[string]any{"success": puts})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, etcd+"/v3/kv/txn", bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("storing objects: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("etcd answers %s: %s", response.Status, answer)
	}
	return err
}
