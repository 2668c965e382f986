// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package osvdb_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ossf/osv-schema/bindings/go/osvschema"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
)

// TestFullDisk: at whatever point of an update the disk is full, the state before stays whole, and nothing is left that takes room.
func TestFullDisk(t *testing.T) {
	disk := fixture.NewDisk(t, "1m")
	location := t.TempDir()
	publish := func(id string) {
		fixture.WriteArchive(t, location, "npm", map[string]string{"a.json": `{"id": "` + id + `", "affected": [{"package": {"ecosystem": "npm", "name": "lodash"}}]}`})
	}
	db, err := osvdb.New(filepath.Join(disk.Dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	update := func() error {
		source, err := osvdb.NewSource(location, nil, image.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = db.Update(t.Context(), location, source, nil, func(string) {})
		return err
	}
	known := func() []string {
		view, err := db.View()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = view.Close() }()
		var ids []string
		if err := view.Advisories("npm", "lodash", func(v *osvschema.Vulnerability) error {
			ids = append(ids, v.GetId())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	files := func() []string {
		entries, err := os.ReadDir(filepath.Join(disk.Dir, "db"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	publish("GHSA-1")
	if err := update(); err != nil {
		t.Fatal(err)
	}
	before := files()
	publish("GHSA-2")
	failures := int64(0)
	for ; ; failures++ {
		disk.Fill(t, failures)
		err := update()
		disk.Free(t)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("with room for %d pages: %v", failures, err)
		}
		if diff := cmp.Diff([]string{"GHSA-1"}, known()); diff != "" {
			t.Fatalf("with room for %d pages, what is known (-want +got):\n%s", failures, diff)
		}
		if diff := cmp.Diff(before, files()); diff != "" {
			t.Fatalf("with room for %d pages, what is left (-want +got):\n%s", failures, diff)
		}
	}
	if failures < 4 { // the archive, its index, the state and which one is current take a page each
		t.Errorf("it has failed at %d points", failures)
	}
	if diff := cmp.Diff([]string{"GHSA-2"}, known()); diff != "" {
		t.Errorf("what is known at last (-want +got):\n%s", diff)
	}

	// What an update has left that was killed does not stand in the way of the next.
	killed := filepath.Join(disk.Dir, "db", "new-killed")
	if err := os.Mkdir(killed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(killed, "npm.zip"), []byte(strings.Repeat("x", 512<<10)), 0o600); err != nil {
		t.Fatal(err)
	}
	disk.Fill(t, 0)
	publish("GHSA-3")
	if err := update(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"GHSA-3"}, known()); diff != "" {
		t.Errorf("after an update was killed (-want +got):\n%s", diff)
	}
}
