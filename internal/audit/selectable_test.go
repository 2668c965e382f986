// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"maps"
	"testing"
	"time"
)

func TestSelectable(t *testing.T) {
	web, old, template := shape("who: web"), shape("who: old"), shape("who: template")
	labels, others := NewLabels(map[string]string{"app": "web"}), NewLabels(map[string]string{"app": "web", "track": "canary"})
	inventory := Inventory{Controllers: []*ControllerRecord{{
		Object: Object{Name: "web", UID: "d"}, Kind: "Deployment", Shape: template, Labels: labels, Active: true,
	}}}
	pod := func(shape *Shape, labels *Labels, finished bool) {
		inventory.Pods = append(inventory.Pods, &PodRecord{
			Object: Object{Name: fmt.Sprint("web-", len(inventory.Pods))}, Shape: shape, Labels: labels, Finished: finished,
		})
	}
	for range 500 {
		pod(web, labels, false)
	}
	pod(web, others, false)
	pod(old, labels, true)

	got := make(map[Selectable]int)
	for _, s := range Fold(inventory, time.Now()).Selectable {
		got[s]++
	}
	want := map[Selectable]int{{labels, web}: 1, {others, web}: 1, {labels, template}: 1}
	if !maps.Equal(want, got) {
		t.Errorf("want %v, got %v", want, got)
	}
}
