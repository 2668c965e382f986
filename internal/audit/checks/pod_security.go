// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"iter"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/policy"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// newest are the checks of the library that decides the Pod Security Standards in the API server, in their newest version.
var newest = newestVersions(policy.DefaultChecks())

func newestVersions(checks []policy.Check) map[policy.CheckID]policy.CheckPodFn {
	byID := make(map[policy.CheckID]policy.CheckPodFn, len(checks))
	for _, c := range checks {
		byID[c.ID] = c.Versions[len(c.Versions)-1].CheckPod
	}
	return byID
}

// decidedBy makes the function of a check that a check of the library decides: Pods that it allows pass, without
// allocation; those that it denies are given to locate, which reports where. Before, apart (or nil) returns the Pod without
// what another of our checks reports, and the library decides on that: a copy, or the Pod itself where there is nothing of it.
//
// Of an id that the library does not know it makes no function, and audit.NewSet tells that the check has none.
func decidedBy(id policy.CheckID, apart func(*audit.Pod) *audit.Pod, locate func(*denial)) func(*audit.Pod, *audit.Reporter) {
	ask := newest[id]
	if ask == nil {
		return nil
	}
	return func(pod *audit.Pod, r *audit.Reporter) {
		if result := ask(&pod.Meta, &pod.Spec); !result.Allowed {
			deny(pod, r, ask, apart, locate, result)
		}
	}
}

func deny(
	whole *audit.Pod, r *audit.Reporter, ask policy.CheckPodFn, apart func(*audit.Pod) *audit.Pod, locate func(*denial), result policy.CheckResult,
) {
	pod := whole
	if apart != nil {
		pod = apart(whole)
	}
	if pod != whole {
		if result = ask(&pod.Meta, &pod.Spec); result.Allowed {
			return
		}
	}
	d := &denial{Pod: pod, ask: ask, reporter: r}
	if locate(d); d.found {
		return
	}
	// A newer library may know reasons that we do not.
	why := result.ForbiddenReason
	if result.ForbiddenDetail != "" {
		why += " (" + result.ForbiddenDetail + ")"
	}
	d.find(audit.Finding{Message: fmt.Sprintf("%q must follow the Pod Security Standards: %s", "spec", why), Path: "spec"})
}

// denial is a Pod that the library denies. To know where, it is asked again about parts of the Pod.
type denial struct {
	*audit.Pod
	ask      policy.CheckPodFn
	reporter *audit.Reporter
	found    bool
}

func (d *denial) find(f audit.Finding) {
	d.found = true
	d.reporter.Find(f)
}

// findAt reports a field of a securityContext.
func (d *denial) findAt(p place, field, must, suggested string) {
	d.find(audit.Finding{Message: p.message(must), Container: p.name(), Path: p.path(field), Suggested: suggested})
}

// denies asks about a spec, whatever the annotations.
func (d *denial) denies(spec *corev1.PodSpec) bool {
	return !d.ask(&noMeta, spec).Allowed
}

// What is read only.
var (
	noMeta            metav1.ObjectMeta
	noSecurityContext corev1.SecurityContext
)

// probe is a part of a Pod to ask the library about. Most of what a denial costs would be to allocate them.
type probe struct {
	spec      corev1.PodSpec
	container [1]corev1.Container
}

var probes = sync.Pool{New: func() any { return new(probe) }}

func newProbe(spec *corev1.PodSpec) *probe {
	p, ok := probes.Get().(*probe)
	if !ok {
		p = new(probe)
	}
	p.spec = *spec
	return p
}

func (p *probe) release() {
	*p = probe{}
	probes.Put(p)
}

// place is a securityContext: the Pod's own, or that of a container.
type place struct {
	// SecurityContext is never nil. Of the Pod's own it has what containers may set too, and points to the same values.
	*corev1.SecurityContext
	// container is the zero value for the Pod's own.
	container audit.Container
}

// name is the container's, or "".
func (p place) name() string {
	if p.container.Container == nil {
		return ""
	}
	return p.container.Name
}

// message says what the place must or must not do.
func (p place) message(must string) string {
	if p.container.Container == nil {
		return `"spec.securityContext" ` + must
	}
	return ofContainer(p.container.Name, must)
}

// ofContainer is fmt.Sprintf("container %q %s", name, must) at half its cost: most findings of a Pod are about a container.
func ofContainer(name, must string) string {
	var buffer [80]byte
	return "container " + string(strconv.AppendQuote(buffer[:0], name)) + " " + must
}

// path returns the path of a field from the root of the Pod; field begins with "securityContext.".
func (p place) path(field string) string {
	if p.container.Container == nil {
		return "spec." + field
	}
	return p.container.Path(field)
}

// places returns the denied securityContexts. Containers are asked about one at a time and, where the Pod's own is denied,
// as if that were mended, so that none is named for what it inherits.
func (d *denial) places(mended *corev1.PodSecurityContext) iter.Seq[place] {
	return func(yield func(place) bool) {
		p := newProbe(&d.Spec)
		defer p.release()
		rest := &p.spec
		rest.InitContainers, rest.Containers, rest.EphemeralContainers = nil, nil, nil
		if sc := d.Spec.SecurityContext; sc != nil && d.denies(rest) {
			rest.SecurityContext = mended
			own := &corev1.SecurityContext{
				SELinuxOptions: sc.SELinuxOptions, WindowsOptions: sc.WindowsOptions, RunAsUser: sc.RunAsUser,
				RunAsNonRoot: sc.RunAsNonRoot, SeccompProfile: sc.SeccompProfile, AppArmorProfile: sc.AppArmorProfile,
			}
			if !yield(place{SecurityContext: own}) {
				return
			}
		}
		rest.Containers = p.container[:]
		for c := range d.Containers() {
			if rest.Containers[0] = *c.Container; !d.denies(rest) {
				continue
			}
			sc := c.SecurityContext
			if sc == nil {
				sc = &noSecurityContext
			}
			if !yield(place{SecurityContext: sc, container: c}) {
				return
			}
		}
	}
}

// volumes returns the denied volumes.
func (d *denial) volumes() iter.Seq[*corev1.Volume] {
	return func(yield func(*corev1.Volume) bool) {
		p := newProbe(&d.Spec)
		defer p.release()
		for i := range d.Spec.Volumes {
			if p.spec.Volumes = d.Spec.Volumes[i : i+1]; d.denies(&p.spec) && !yield(&d.Spec.Volumes[i]) {
				return
			}
		}
	}
}
