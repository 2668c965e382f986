// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
)

// maxPeak is the memory that a scan of an image of 300 MB may take: what the Pod of the scanner is given, with room to spare.
const maxPeak = 150 << 20

// TestPeakMemory scans an image of 300 MB in a process of its own: 30,000 files, 4,000 packages of npm, a program of 100 MB.
func TestPeakMemory(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("builds the command and an image of 300 MB, and reads /proc")
	}
	command := filepath.Join(t.TempDir(), "kubersafe-scanner")
	fixture.Run(t, ".", []string{"CGO_ENABLED=0"}, "go", "build", "-o", command, ".")
	args := scanArgs(t, writeLayout(t, largeImage(t)...), "-o", "json", "--fail-on", "never")
	cmd := exec.CommandContext(t.Context(), command, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	peak, err := peakOf(cmd.Process.Pid, ended)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"packageCount": 4001`) {
		t.Errorf("not all packages are found:\n%.2000s", out.String())
	}
	t.Logf("peak memory: %d MiB", peak>>20)
	if peak > maxPeak {
		t.Errorf("peak memory: %d MiB, want %d MiB or less", peak>>20, maxPeak>>20)
	}
}

// TestRunPeakMemory scans that image out of a registry, beside 5,000 Pods of 250 images, in a process of its own as the Pod of the scanner has it.
func TestRunPeakMemory(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("builds the command and an image of 300 MB, and reads /proc")
	}
	command := filepath.Join(t.TempDir(), "kubersafe-scanner")
	fixture.Run(t, ".", []string{"CGO_ENABLED=0"}, "go", "build", "-o", command, ".")
	w := newWorld(t)
	s := newServer(t)
	digest := s.push(t, "large:1", fixture.Image(t, largeImage(t)...))
	small := s.push(t, "small:1", debianImage(t, "small"))
	namespace := w.namespace()
	w.pod(namespace, s.host+"/large:1", s.host+"/large@"+digest)
	w.pod(namespace, s.host+"/large:1", s.host+"/large@"+digest)
	w.manyPods(namespace, 5000, func(n int) (image, imageID string) {
		if n%250 == 0 {
			return s.host + "/small:1", s.host + "/small@" + small
		}
		// An image that its registry does not have any more.
		return fmt.Sprintf("%s/gone-%d:1", s.host, n%250), fmt.Sprintf("%s/gone-%d@sha256:%064x", s.host, n%250, n%250)
	})

	cmd := exec.CommandContext(t.Context(), command, w.runArgs("--retry-min=1h", "--retry-max=1h")...)
	cmd.Stdout, cmd.Stderr = w.output, w.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.becomes(s.host+"/large:1", v1alpha1.ImageScanned, "")
		w.becomes(s.host+"/small:1", v1alpha1.ImageScanned, "")
		w.eventually("all images to be looked at", func() string {
			if n := len(w.reports()); n != 251 {
				return strconv.Itoa(n)
			}
			return ""
		})
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	}()
	peak, err := peakOf(cmd.Process.Pid, ended)
	if err != nil {
		t.Fatal(err)
	}
	<-done
	t.Logf("peak memory: %d MiB", peak>>20)
	if peak > maxPeak {
		t.Errorf("peak memory: %d MiB, want %d MiB or less", peak>>20, maxPeak>>20)
	}
}

// manyPods makes Pods of the size that Pods have.
func (w *world) manyPods(namespace string, n int, image func(int) (image, imageID string)) {
	w.Helper()
	var all sync.WaitGroup
	next := make(chan int)
	for range 16 {
		all.Go(func() {
			for i := range next {
				name, id := image(i)
				w.podWith(namespace, name, id, func(p *corev1.Pod) {
					p.Annotations = map[string]string{"description": strings.Repeat("a Pod has some kilobytes ", 80)}
					for e := range 20 {
						p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", e), Value: fmt.Sprint("value ", e, " of Pod ", i)})
					}
				})
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}

// peakOf returns the peak memory of a process in bytes once it has ended. What the kernel tells afterwards includes the process that has
// started it, so it is read while it runs.
func peakOf(pid int, ended <-chan error) (int64, error) {
	var peak int64
	for {
		select {
		case err := <-ended:
			return peak, err
		case <-time.After(5 * time.Millisecond):
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err != nil {
				continue // it has just ended
			}
			if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok {
				kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				if err != nil {
					return 0, err
				}
				peak = kilobytes << 10
			}
		}
	}
}

// largeImage makes layers of 300 MB altogether that do not compress.
func largeImage(t *testing.T) []v1.Layer {
	t.Helper()
	noise := rand.NewChaCha8([32]byte{})
	random := func(n int) string {
		b := make([]byte, n)
		if _, err := noise.Read(b); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var packages, files []fixture.File
	for i := range 4000 {
		dir := "app/node_modules/package-" + strconv.Itoa(i)
		packages = append(packages, fixture.File{Name: dir + "/package.json", Content: fmt.Sprintf(`{"name": "package-%d", "version": "1.0.0"}`, i)})
		for j := range 6 {
			packages = append(packages, fixture.File{Name: fmt.Sprintf("%s/lib/file-%d.js", dir, j), Content: random(4 << 10)})
		}
	}
	for i := range 100 {
		files = append(files, fixture.File{Name: fmt.Sprintf("usr/lib/lib%d.so", i), Content: random(1 << 20), Mode: 0o644})
	}
	return []v1.Layer{
		fixture.Layer(t, fixture.File{Name: "etc/os-release", Content: fixture.DebianRelease}, fixture.File{Name: "var/lib/dpkg/status", Content: fixture.OpenSSL}),
		fixture.Layer(t, packages...), fixture.Layer(t, files...), fixture.Layer(t, fixture.File{Name: "usr/bin/large", Content: random(100 << 20), Mode: 0o755}),
	}
}
