// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
)

func TestParseFlags(t *testing.T) {
	for name, tc := range map[string]struct {
		words []string
		want  Flags
	}{
		"with an equals sign":              {[]string{"--secure-port=6443"}, Flags{"secure-port": {"6443"}}},
		"with a space":                     {[]string{"--secure-port", "6443", "--v", "2"}, Flags{"secure-port": {"6443"}, "v": {"2"}}},
		"one dash, as etcd takes it":       {[]string{"-client-cert-auth=true", "-name", "one"}, Flags{"client-cert-auth": {"true"}, "name": {"one"}}},
		"underscores for dashes":           {[]string{"--anonymous_auth=false"}, Flags{"anonymous-auth": {"false"}}},
		"a switch takes no next word":      {[]string{"--profiling", "false"}, Flags{"profiling": {"true"}}},
		"a flag before another":            {[]string{"--audit-log-path", "--profiling=false"}, Flags{"audit-log-path": {"true"}, "profiling": {"false"}}},
		"the standard output":              {[]string{"--audit-log-path", "-"}, Flags{"audit-log-path": {"-"}}},
		"a negative number":                {[]string{"--max-requests-inflight", "-1"}, Flags{"max-requests-inflight": {"-1"}}},
		"several times, in order":          {[]string{"--v=1", "--v", "2"}, Flags{"v": {"1", "2"}}},
		"values with equals signs":         {[]string{"--feature-gates=A=true,B=false"}, Flags{"feature-gates": {"A=true,B=false"}}},
		"an empty value":                   {[]string{"--token-auth-file="}, Flags{"token-auth-file": {""}}},
		"nothing counts behind two dashes": {[]string{"--v=1", "--", "--profiling=false"}, Flags{"v": {"1"}}},
		"words that are no flags":          {[]string{"start", "-", "--v=1", "x"}, Flags{"v": {"1"}}},
		"none":                             {nil, Flags{}},
	} {
		if diff := cmp.Diff(tc.want, ParseFlags(tc.words)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestFlags(t *testing.T) {
	f := ParseFlags([]string{"--modes=Node, RBAC", "--modes=Webhook", "--on", "--off=0", "--odd=$(X)", "--path=a", "--path=b"})
	if diff := cmp.Diff([]string{"Node", "RBAC", "Webhook"}, f.List("modes")); diff != "" {
		t.Errorf("a list (-want +got):\n%s", diff)
	}
	if f.Get("path") != "b" || f.Get("none") != "" {
		t.Errorf("values %q, %q", f.Get("path"), f.Get("none"))
	}
	for name, want := range map[string][2]bool{"on": {true, true}, "off": {false, true}, "odd": {false, false}, "none": {true, true}} {
		value, known := f.Bool(name, true)
		if got := [2]bool{value, known}; got != want && known {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if known != want[1] {
			t.Errorf("%s: known %v", name, known)
		}
	}
}

func TestComponentOf(t *testing.T) {
	for name, tc := range map[string]struct {
		container corev1.Container
		want      Component
		none      bool
	}{
		"by what it runs": {
			container: corev1.Container{Name: "main", Command: []string{"/usr/local/bin/kube-apiserver", "--v=2"}},
			want:      Component{Program: APIServer, Container: "main", Flags: Flags{"v": {"2"}}, field: "command"},
		},
		"flags in args": {
			container: corev1.Container{Name: "etcd", Command: []string{"etcd"}, Args: []string{"--name=one"}, Env: []corev1.EnvVar{{Name: "A"}}},
			want:      Component{Program: Etcd, Container: "etcd", Flags: Flags{"name": {"one"}}, field: "args", env: []string{"A"}},
		},
		"flags alone, of an image that knows what to run": {
			container: corev1.Container{Name: "kube-scheduler", Args: []string{"--v=2"}},
			want:      Component{Program: Scheduler, Container: "kube-scheduler", Flags: Flags{"v": {"2"}}, field: "args"},
		},
		"a script": {
			container: corev1.Container{Name: "kube-apiserver", Command: []string{"/bin/sh", "-c", "exec kube-apiserver --v=2"}},
			want:      Component{Program: APIServer, Container: "kube-apiserver", Unknown: `"sh" runs "kube-apiserver" in a way that does not show its flags`, field: "command"},
		},
		"nothing": {
			container: corev1.Container{Name: "etcd"},
			want:      Component{Program: Etcd, Container: "etcd", Unknown: `the manifest of "etcd" does not show its flags`, field: "command"},
		},
		"a word that a kubelet expands": {
			container: corev1.Container{Name: "etcd", Command: []string{"etcd", "--a=$$(B)", "--client-cert-auth=$(AUTH)"}},
			want:      Component{Program: Etcd, Container: "etcd", Unknown: `"etcd" takes "--client-cert-auth=$(AUTH)" from its environment, whose values are not read`, field: "command"},
		},
		"a word that it does not": {
			container: corev1.Container{Name: "etcd", Command: []string{"etcd", "--a=$$(B)"}, Args: []string{"--b", "--name=$(NAME)"}},
			want:      Component{Program: Etcd, Container: "etcd", Flags: Flags{"a": {"$$(B)"}, "b": {"true"}, "name": {"$(NAME)"}}, field: "args", inCommand: Flags{"a": {"$$(B)"}}},
		},
		"any other":                         {container: corev1.Container{Name: "kube-proxy", Command: []string{"kube-proxy"}}, none: true},
		"one that only has it among others": {container: corev1.Container{Name: "main", Command: []string{"watch", "etcd"}}, none: true},
	} {
		got, ok := componentOf(&tc.container)
		if ok == tc.none {
			t.Errorf("%s: is one: %v", name, ok)
			continue
		}
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(Component{}), cmpopts.EquateEmpty()); diff != "" && !tc.none {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
