// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/test/fixtures"
)

// decided says which check of the library decides each of ours, and which of ours are stricter on the same field and so
// report in its place.
var decided = map[string]struct {
	by       policy.CheckID
	stricter string
}{
	"apparmor-unconfined":          {by: "appArmorProfile"},
	"capabilities-added":           {by: "capabilities_baseline"},
	"capabilities-not-dropped":     {by: "capabilities_restricted", stricter: "capabilities-added"},
	"host-ipc":                     {by: "hostNamespaces"},
	"host-network":                 {by: "hostNamespaces"},
	"host-path-volume":             {by: "hostPathVolumes"},
	"host-pid":                     {by: "hostNamespaces"},
	"host-port":                    {by: "hostPorts"},
	"host-probe":                   {by: "hostProbesAndHostLifecycle"},
	"non-root-not-enforced":        {by: "runAsNonRoot"},
	"privilege-escalation-allowed": {by: "allowPrivilegeEscalation"},
	"privileged-container":         {by: "privileged"},
	"proc-mount":                   {by: "procMount_restricted"},
	"runs-as-root":                 {by: "runAsUser"},
	"seccomp-not-set":              {by: "seccompProfile_restricted", stricter: "seccomp-unconfined"},
	"seccomp-unconfined":           {by: "seccompProfile_baseline"},
	"selinux-options":              {by: "seLinuxOptions"},
	"unsafe-sysctls":               {by: "sysctls"},
	"volume-types":                 {by: "restrictedVolumes", stricter: "host-path-volume"},
	"windows-host-process":         {by: "windowsHostProcess"},
}

// namespaces share one check of the library; which of them it denies, the field says.
var namespaces = map[string]func(*corev1.PodSpec) bool{
	"host-ipc":     func(s *corev1.PodSpec) bool { return s.HostIPC },
	"host-network": func(s *corev1.PodSpec) bool { return s.HostNetwork },
	"host-pid":     func(s *corev1.PodSpec) bool { return s.HostPID },
}

func TestPodSecurityOnTheLibrarysOwnPods(t *testing.T) {
	set := podSecuritySet(t)
	pods, err := fixtures.PodSecurityPods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		t.Run(p.Name, func(t *testing.T) {
			pod := readPod(t, p.Path)
			found := findingsByCheck(set, pod)
			compareWithLibrary(t, pod, found)
			if len(p.Some) > 0 && !slices.ContainsFunc(p.Some, func(id string) bool { return len(found[id]) > 0 }) {
				t.Errorf("none of the checks %v finds anything", p.Some)
			}
			for _, id := range p.None {
				if len(found[id]) > 0 {
					t.Errorf("%s finds %v", id, found[id])
				}
			}
		})
	}
}

// compareWithLibrary checks that findings are where the library denies, and nowhere else.
func compareWithLibrary(t *testing.T, pod *audit.Pod, found map[string][]audit.Finding) {
	t.Helper()
	for id, d := range decided {
		denied := !newest[d.by](&pod.Meta, &pod.Spec).Allowed
		if of, ok := namespaces[id]; ok {
			denied = denied && of(&pod.Spec)
		}
		switch got := found[id]; {
		case len(got) > 0 && !denied:
			t.Errorf("%s finds what the library allows: %v", id, got)
		case len(got) == 0 && denied && (d.stricter == "" || len(found[d.stricter]) == 0):
			t.Errorf("%s finds nothing, and the library denies", id)
		}
		for _, f := range found[id] {
			if f.Path == "spec" {
				t.Errorf("%s does not know where: %s", id, f.Message)
			}
		}
	}
}

func TestPodSecurityNamesOnlyWhatIsDenied(t *testing.T) {
	set := podSecuritySet(t)
	type findings map[string]string // by path: the container
	bad := func(field string) findings {
		return findings{"spec.containers[name=bad].securityContext." + field: "bad"}
	}
	security := func(sc corev1.SecurityContext) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers[1].SecurityContext = &sc }
	}
	cases := map[string]struct {
		change func(*corev1.Pod)
		want   findings
	}{
		"apparmor-unconfined": {
			security(corev1.SecurityContext{AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}}),
			bad("appArmorProfile.type"),
		},
		"capabilities-added": {
			security(corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"SYS_TIME"}}}), bad("capabilities.add"),
		},
		"capabilities-not-dropped": {security(corev1.SecurityContext{}), bad("capabilities.drop")},
		"host-ipc":                 {func(p *corev1.Pod) { p.Spec.HostIPC = true }, findings{"spec.hostIPC": ""}},
		"host-network":             {func(p *corev1.Pod) { p.Spec.HostNetwork = true }, findings{"spec.hostNetwork": ""}},
		"host-path-volume": {func(p *corev1.Pod) {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "bad", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{}}})
		}, findings{"spec.volumes[name=bad].hostPath.path": ""}},
		"host-pid": {func(p *corev1.Pod) { p.Spec.HostPID = true }, findings{"spec.hostPID": ""}},
		"host-port": {
			func(p *corev1.Pod) {
				p.Spec.Containers[1].Ports = []corev1.ContainerPort{{HostPort: 80}, {HostPort: 0}}
			},
			findings{"spec.containers[name=bad].ports[hostPort=80].hostPort": "bad"},
		},
		// The API server takes tcpSocket in hooks only because it once did.
		"host-probe": {func(p *corev1.Pod) {
			p.Spec.Containers[1].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{TCPSocket: &corev1.TCPSocketAction{Host: "localhost"}}}
		}, findings{"spec.containers[name=bad].lifecycle.preStop.tcpSocket.host": "bad"}},
		"non-root-not-enforced":        {security(corev1.SecurityContext{RunAsNonRoot: new(false)}), bad("runAsNonRoot")},
		"privilege-escalation-allowed": {security(corev1.SecurityContext{}), bad("allowPrivilegeEscalation")},
		"privileged-container":         {security(corev1.SecurityContext{Privileged: new(true)}), bad("privileged")},
		// Without hostUsers: false, which the API server asks for.
		"proc-mount":         {security(corev1.SecurityContext{ProcMount: new(corev1.UnmaskedProcMount)}), bad("procMount")},
		"runs-as-root":       {security(corev1.SecurityContext{RunAsUser: new(int64(0))}), bad("runAsUser")},
		"seccomp-not-set":    {func(p *corev1.Pod) { p.Spec.SecurityContext.SeccompProfile = nil }, bad("seccompProfile.type")},
		"seccomp-unconfined": {security(corev1.SecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: "Unconfined"}}), bad("seccompProfile.type")},
		"selinux-options":    {security(corev1.SecurityContext{SELinuxOptions: &corev1.SELinuxOptions{User: "u"}}), bad("seLinuxOptions.user")},
		"unsafe-sysctls": {func(p *corev1.Pod) {
			p.Spec.SecurityContext.Sysctls = []corev1.Sysctl{{Name: "net.ipv4.tcp_syncookies"}, {Name: "kernel.msgmax"}}
		}, findings{"spec.securityContext.sysctls[name=kernel.msgmax]": ""}},
		"volume-types": {func(p *corev1.Pod) {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "bad", VolumeSource: corev1.VolumeSource{StorageOS: &corev1.StorageOSVolumeSource{}}})
		}, findings{"spec.volumes[name=bad].storageos": ""}},
		"windows-host-process": {
			security(corev1.SecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{HostProcess: new(true)}}),
			bad("windowsOptions.hostProcess"),
		},
	}
	for id := range decided {
		t.Run(id, func(t *testing.T) {
			tc, ok := cases[id]
			if !ok {
				t.Fatal("no case")
			}
			changed := goodPod()
			tc.change(changed)
			pod := &audit.Pod{Meta: changed.ObjectMeta, Spec: changed.Spec}
			found := findingsByCheck(set, pod)
			compareWithLibrary(t, pod, found)
			got := make(findings)
			for _, f := range found[id] {
				got[f.Path] = f.Container
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// Ephemeral containers can only be attached to live Pods, so no fixture has them.
func TestPodSecurityNamesContainersOfAllLists(t *testing.T) {
	bad := corev1.SecurityContext{Privileged: new(true)}
	pod := &audit.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "init", SecurityContext: &bad}},
		Containers:     []corev1.Container{{Name: "app", SecurityContext: &bad}},
		EphemeralContainers: []corev1.EphemeralContainer{
			{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", SecurityContext: &bad}},
		},
	}}
	found := findingsByCheck(podSecuritySet(t), pod)
	var paths []string
	for _, f := range found["privileged-container"] {
		paths = append(paths, f.Path)
	}
	want := []string{
		"spec.containers[name=app].securityContext.privileged", "spec.ephemeralContainers[name=debug].securityContext.privileged",
		"spec.initContainers[name=init].securityContext.privileged",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	compareWithLibrary(t, pod, found)
}

// What the library denies for a reason that we do not know must not get lost.
func TestPodSecurityFallsBackToTheLibrarysWords(t *testing.T) {
	for name, tc := range map[string]struct {
		result policy.CheckResult
		want   string
	}{
		"reason and detail": {
			policy.CheckResult{ForbiddenReason: "hostMoon", ForbiddenDetail: "hostMoon=true"},
			`"spec" must follow the Pod Security Standards: hostMoon (hostMoon=true)`,
		},
		"reason only": {policy.CheckResult{ForbiddenReason: "hostMoon"}, `"spec" must follow the Pod Security Standards: hostMoon`},
	} {
		t.Run(name, func(t *testing.T) {
			check := audit.Check{}
			for _, c := range registered {
				if c.ID == "host-pid" {
					check = c
				}
			}
			newest["future"] = func(*metav1.ObjectMeta, *corev1.PodSpec) policy.CheckResult { return tc.result }
			defer delete(newest, "future")
			check.Pod = decidedBy("future", onlyHostPID, hostPID)
			set, err := audit.NewSet([]audit.Check{check})
			if err != nil {
				t.Fatal(err)
			}
			want := []audit.Finding{{Check: "host-pid", Severity: "High", Message: tc.want, Path: "spec"}}
			if diff := cmp.Diff(want, findingsByCheck(set, &audit.Pod{})["host-pid"]); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPodSecurityTellsOfUnknownIDs(t *testing.T) {
	before := registered
	defer func() { registered = before }()
	registered = slices.Clone(before)
	for i := range registered {
		if registered[i].ID == "host-pid" {
			registered[i].Pod = decidedBy("renamed", onlyHostPID, hostPID)
		}
	}
	if _, err := Default(); err == nil || !strings.Contains(err.Error(), `check "host-pid": exactly one function`) {
		t.Errorf("Default() = %v; want an error that names the check", err)
	}
}

func TestPodSecurityAllocatesNothingOnAPass(t *testing.T) {
	good := goodPod()
	pod := &audit.Pod{Meta: good.ObjectMeta, Spec: good.Spec}
	for _, c := range podSecuritySet(t).Checks() {
		r := &audit.Reporter{}
		if n := testing.AllocsPerRun(100, func() { c.Pod(pod, r) }); n != 0 {
			t.Errorf("%s allocates %v times", c.ID, n)
		}
	}
}

// podSecuritySet returns the set of the checks that the library decides.
func podSecuritySet(t testing.TB) *audit.Set {
	t.Helper()
	var checks []audit.Check
	for _, c := range registered {
		if _, ok := decided[c.ID]; ok {
			checks = append(checks, c)
		}
	}
	if len(checks) != len(decided) {
		t.Fatalf("%d checks are registered, want %d", len(checks), len(decided))
	}
	set, err := audit.NewSet(checks)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func namespaceOf(pod *audit.Pod) *audit.Namespace {
	return &audit.Namespace{Workloads: []*audit.Workload{{Template: audit.NewShape(pod), Subject: audit.Subject{APIVersion: "v1", Kind: "Pod"}}}}
}

func findingsByCheck(set *audit.Set, pod *audit.Pod) map[string][]audit.Finding {
	found := make(map[string][]audit.Finding)
	for _, f := range set.Evaluate(namespaceOf(pod))[0].Findings {
		found[f.Check] = append(found[f.Check], f)
	}
	return found
}

func readPod(t *testing.T, file string) *audit.Pod {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(content, pod); err != nil {
		t.Fatal(err)
	}
	for i := range pod.Spec.Volumes { // as the API server does before it asks the library
		if v := &pod.Spec.Volumes[i]; v.VolumeSource == (corev1.VolumeSource{}) {
			v.EmptyDir = &corev1.EmptyDirVolumeSource{}
		}
	}
	return &audit.Pod{Meta: pod.ObjectMeta, Spec: pod.Spec}
}

// goodPod returns a Pod of two containers that every check passes. The second inherits its seccomp profile.
func goodPod() *corev1.Pod {
	good := func() *corev1.SecurityContext {
		return &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			RunAsUser: new(int64(1000)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		}
	}
	second := good()
	second.SeccompProfile = nil
	return &corev1.Pod{Spec: corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{
			{Name: "good", SecurityContext: good(), Ports: []corev1.ContainerPort{{ContainerPort: 8080}}, LivenessProbe: &corev1.Probe{
				ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{}},
			}},
			{Name: "bad", SecurityContext: second},
		},
		Volumes: []corev1.Volume{{Name: "good", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	}}
}
