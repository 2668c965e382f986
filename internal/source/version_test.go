// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/version"
)

type versions struct {
	answers []string
	asked   int
}

func (v *versions) ServerVersion() (*version.Info, error) {
	answer := v.answers[min(v.asked, len(v.answers)-1)]
	v.asked++
	if answer == "" {
		return nil, errors.New("not now")
	}
	return &version.Info{GitVersion: answer}, nil
}

func TestServerVersion(t *testing.T) {
	v := serverVersion{client: &versions{answers: []string{"", "v1.36.3-eks-abc123", "odd", "v1.36.4", "v1.37.0+k3s1"}}}
	for i, want := range []struct {
		version, full  string
		changed, minor bool
	}{
		{"", "", false, false},
		{"v1.36", "v1.36.3-eks-abc123", true, true},
		{"v1.36", "v1.36.3-eks-abc123", false, false},
		{"v1.36", "v1.36.4", true, false},
		{"v1.37", "v1.37.0+k3s1", true, true},
	} {
		changed, minor := v.read()
		if changed != want.changed || minor != want.minor || v.String() != want.version || v.Full() != want.full {
			t.Errorf("%d: %q, %q, changed %v, %v; want %v", i, v.String(), v.Full(), changed, minor, want)
		}
	}
}

// TestServerVersionIsAskedAgain runs on a clock that stands still unless everybody waits.
func TestServerVersionIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &versions{answers: []string{"v1.36.0", "v1.36.0", "v1.37.0"}}
		v := serverVersion{client: client}
		told := make(chan string, 10)
		go v.watch(t.Context(), func(bool) { told <- v.String() })
		for _, want := range []string{"v1.36", "v1.37"} {
			if got := <-told; got != want {
				t.Errorf("told of %q, want %q", got, want)
			}
		}
		if client.asked != 3 {
			t.Errorf("asked %d times, want 3", client.asked)
		}
	})
}
