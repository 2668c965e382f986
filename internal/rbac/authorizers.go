// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Authorizers says whether anything but RBAC decides what is allowed.
type Authorizers struct {
	// Modes that API servers were seen to run with, sorted, each once. Empty if no API server is seen.
	Modes []string
	// Hidden says that some API server is configured by a file, which cannot be seen.
	Hidden bool
}

// modes that allow nothing to users and ServiceAccounts that RBAC does not.
var harmless = []string{"Node", "RBAC"}

// See takes in a Pod, which may be that of an API server.
func (a *Authorizers) See(pod *corev1.PodSpec) {
	for i := range pod.Containers {
		line := slices.Concat(pod.Containers[i].Command, pod.Containers[i].Args)
		server := slices.IndexFunc(line, func(word string) bool { return word == "kube-apiserver" || strings.HasSuffix(word, "/kube-apiserver") })
		if server < 0 {
			continue
		}
		modes := "AlwaysAllow" // an API server's default
		for j, word := range line[server+1:] {
			flag, value, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
			if !hasValue && server+j+2 < len(line) {
				value = line[server+j+2]
			}
			switch flag {
			case "authorization-mode":
				modes = value
			case "authorization-config":
				a.Hidden, modes = true, ""
			}
		}
		if modes != "" {
			a.Modes = append(a.Modes, strings.Split(modes, ",")...)
		}
	}
	slices.Sort(a.Modes)
	a.Modes = slices.Compact(a.Modes)
}

// Coverage is how much of what is allowed is known from RBAC.
type Coverage string

// Coverages.
const (
	// Complete: nothing else is there.
	Complete Coverage = "Complete"
	// Partial: something else was seen.
	Partial Coverage = "Partial"
	// Unknown: whether something else is there cannot be seen.
	Unknown Coverage = "Unknown"
)

// Coverage returns it, and why it is not complete, or "".
func (a *Authorizers) Coverage() (c Coverage, why string) {
	var others []string
	for _, m := range a.Modes {
		if !slices.Contains(harmless, m) {
			others = append(others, m)
		}
	}
	switch {
	case slices.Contains(others, "AlwaysAllow"):
		return Partial, "the API server allows everybody everything"
	case len(others) > 0:
		return Partial, "the API server also asks " + strings.Join(others, ", ")
	case a.Hidden:
		return Unknown, "the API server has a file of authorizers, which may name webhooks"
	case len(a.Modes) == 0:
		return Unknown, "no API server is seen, which may ask ABAC or a webhook too"
	case !slices.Contains(a.Modes, "RBAC"):
		return Partial, "the API server does not ask RBAC"
	}
	return Complete, ""
}
