// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
)

// TestRunOnAFullDisk: while a disk of the scanner's is full, reports say so, what is known stays, and it goes on once there is room.
func TestRunOnAFullDisk(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	ns := w.namespace()
	run := func(name string) {
		w.pod(ns, s.host+"/"+name+":1.0", s.host+"/"+name+"@"+s.push(t, name+":1.0", debianImage(t, name)))
	}
	// said returns the reports by the names of their images, as far as they tell of it.
	said := func() map[string]string {
		got := make(map[string]string)
		for _, r := range w.reports() {
			name := strings.TrimSuffix(strings.TrimPrefix(r.Image.Name, s.host+"/"), ":1.0")
			name, _, _ = strings.Cut(name, "@")
			got[name] = strings.TrimSpace(fmt.Sprintf("%s %s", r.State, r.Reason))
			if r.Reason == v1alpha1.ReasonDiskFull && !strings.Contains(r.Message, "no space left on device") {
				got[name] += ": " + r.Message
			}
			for _, v := range r.Vulnerabilities {
				got[name] += " " + v.ID
			}
		}
		return got
	}
	tell := func(what string, want map[string]string) {
		t.Helper()
		w.eventually(what, func() string { return cmp.Diff(want, said()) })
	}
	// kept are the contents of the files in a folder, by name.
	kept := func(dir string) map[string]string {
		content := make(map[string]string)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			content[e.Name()] = string(text)
		}
		return content
	}
	const scanned = "Scanned CVE-2023-5363"
	store, temporary, database := fixture.NewDisk(t, "1m"), fixture.NewDisk(t, "1m"), fixture.NewDisk(t, "4m")
	images, db := filepath.Join(store.Dir, "images"), filepath.Join(database.Dir, "db")
	w.scanner("--store-dir", images, "--temp-dir", temporary.Dir, "--db-dir", db)
	run("first")
	tell("the first image", map[string]string{"first": scanned})

	before := kept(images)
	store.Fill(t, 0)
	run("second")
	tell("a full disk for what is in images", map[string]string{"first": scanned, "second": "Failed DiskFull"})
	if diff := cmp.Diff(before, kept(images)); diff != "" {
		t.Errorf("what is kept of images (-before +after):\n%s", diff)
	}
	store.Free(t)
	tell("room for what is in images", map[string]string{"first": scanned, "second": scanned})

	temporary.Fill(t, 0)
	run("third")
	tell("a full disk for temporary files", map[string]string{"first": scanned, "second": scanned, "third": "Failed DiskFull"})
	temporary.Free(t)
	tell("room for temporary files", map[string]string{"first": scanned, "second": scanned, "third": scanned})
	if rest := kept(temporary.Dir); len(rest) > 0 {
		t.Errorf("temporary files are left: %d", len(rest))
	}

	state, err := os.ReadFile(filepath.Join(db, "current"))
	if err != nil {
		t.Fatal(err)
	}
	database.Fill(t, 0)
	fixture.WriteArchive(t, w.database, "Debian", map[string]string{"a.json": `{"id": "DEBIAN-CVE-2030-1", "upstream": ["CVE-2030-1"], "affected": [
		{"package": {"ecosystem": "Debian:12", "name": "openssl"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]}`})
	run("fourth")
	w.eventually("the update to fail", func() string {
		for line := range strings.Lines(w.output.String()) {
			if strings.Contains(line, "what was fetched before is used") && strings.Contains(line, "no space left on device") {
				return ""
			}
		}
		return "it is not told"
	})
	tell("a full disk for the database", map[string]string{"first": scanned, "second": scanned, "third": scanned, "fourth": scanned})
	if now, err := os.ReadFile(filepath.Join(db, "current")); err != nil || string(now) != string(state) {
		t.Errorf("the database is %q, %v; it was %q", now, err, state)
	}
	database.Free(t)
	const anew = "Scanned CVE-2030-1"
	tell("room for the database", map[string]string{"first": anew, "second": anew, "third": anew, "fourth": anew})
}
