// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package osvdb keeps a vulnerability database: for each ecosystem, the archive of advisories in the OSV format that the OSV project
// publishes, and an index of it. What is there is always whole: a new state is made beside it, proven, and swapped in at once.
package osvdb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ossf/osv-schema/bindings/go/osvschema"
)

// format is the version of what is kept in the folder. Another version is as good as no database.
const format = 1

// State is one state of the database.
type State struct {
	Format int `json:"format"`
	// Version is a digest of all archives.
	Version string `json:"version"`
	// Source is the location that it is from.
	Source string `json:"source"`
	// Modified is the time of the newest change of an advisory.
	Modified time.Time `json:"modified"`
	// Published is the time at which the oldest of the archives was made; where nobody says, that of its newest change.
	Published time.Time `json:"published"`
	// Ecosystems, sorted by name.
	Ecosystems []Ecosystem `json:"ecosystems"`
}

// Ecosystem is the archive of one ecosystem.
type Ecosystem struct {
	Name string `json:"name"`
	// SourceVersion tells the source's archive from another one.
	SourceVersion string `json:"sourceVersion"`
	Digest        string `json:"digest"`
	// Published is the time at which the source's archive was made.
	Published time.Time `json:"published"`
	// Size of the archive in bytes.
	Size int64 `json:"size"`
	// Advisories in it.
	Advisories int       `json:"advisories"`
	Modified   time.Time `json:"modified"`
	// Releases that advisories are about, such as "12" of Debian; an empty one is all of them.
	Releases []string `json:"releases"`
}

// DB is a database in a folder.
type DB struct {
	dir string
}

// New returns the database in a folder, which is made if need be.
func New(dir string) (*DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the vulnerability database: %w", err)
	}
	return &DB{dir}, nil
}

const (
	currentFile   = "current" // has the name of the folder with the current state
	stateFile     = "state.json"
	lockFile      = "lock"
	statePrefix   = "state-"
	newPrefix     = "new-"
	archiveSuffix = ".zip"
	indexSuffix   = ".index"
)

// State returns the current state, or nil while there is none, or none that this version can read.
func (d *DB) State() (*State, error) {
	state, _, err := d.current()
	return state, err
}

// current returns the current state and its folder.
func (d *DB) current() (*State, string, error) {
	name, err := os.ReadFile(filepath.Join(d.dir, currentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("reading the vulnerability database: %w", err)
	}
	folder := filepath.Join(d.dir, filepath.Base(strings.TrimSpace(string(name))))
	text, err := os.ReadFile(filepath.Join(folder, stateFile)) //nolint:gosec // G304: in our own folder
	if err != nil {
		return nil, "", fmt.Errorf("reading the vulnerability database: %w", err)
	}
	var state State
	if err := json.Unmarshal(text, &state); err != nil {
		return nil, "", fmt.Errorf("reading the vulnerability database: %s: %w", stateFile, err)
	}
	if state.Format != format {
		return nil, "", nil
	}
	return &state, folder, nil
}

// Checked returns the time at which the database was last found to be what its source has; zero if never.
func (d *DB) Checked() time.Time {
	info, err := os.Stat(filepath.Join(d.dir, currentFile))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Update brings the database to what the source has, if that is something else. wanted are the ecosystems that the source was made for;
// others stay as they are, unless they are from elsewhere. It tells progress of each archive that is fetched, and returns the state and
// whether there is anything new in it. After an error the database is what it was.
func (d *DB) Update(ctx context.Context, location string, source Source, wanted []string, progress func(ecosystem string)) (*State, bool, error) {
	unlock, err := d.lock(ctx)
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	old, folder, err := d.current()
	if err != nil {
		old, folder = nil, "" // to fetch everything again mends it
	}
	if old == nil || old.Source != location {
		old = &State{}
	}
	list, err := source.List(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("asking for the vulnerability database: %w", err)
	}
	kept := slices.DeleteFunc(slices.Clone(old.Ecosystems), func(e Ecosystem) bool { return len(wanted) == 0 || slices.Contains(wanted, e.Name) })
	if len(kept)+len(list) == len(old.Ecosystems) && !slices.ContainsFunc(list, func(a Archive) bool {
		same := old.find(a)
		return same == nil || !same.Published.Equal(a.Published)
	}) {
		now := time.Now()
		return old, false, os.Chtimes(filepath.Join(d.dir, currentFile), now, now)
	}
	// What an update has left that was killed may take the room that this one needs.
	if err := d.remove(func(name string) bool { return strings.HasPrefix(name, newPrefix) }); err != nil {
		return nil, false, err
	}
	work, err := os.MkdirTemp(d.dir, newPrefix)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = os.RemoveAll(work) }() // fails once it is renamed
	state := &State{Format: format, Source: location}
	for _, e := range kept {
		if err := adopt(folder, work, e.Name); err != nil {
			return nil, false, err
		}
		state.Ecosystems = append(state.Ecosystems, e)
	}
	for _, a := range list {
		var e Ecosystem
		if same := old.find(a); same != nil {
			e, err = *same, adopt(folder, work, a.Ecosystem)
			e.Published = a.Published
		} else {
			progress(a.Ecosystem)
			e, err = fetch(ctx, source, a, work)
		}
		if err != nil {
			return nil, false, fmt.Errorf("the vulnerability database of %s: %w", a.Ecosystem, err)
		}
		state.Ecosystems = append(state.Ecosystems, e)
	}
	err = d.swap(state, work, folder)
	return state, state.Version != old.Version, err
}

// Discard gives up the current state, so that the next update fetches everything again.
func (d *DB) Discard() error {
	if err := os.Remove(filepath.Join(d.dir, currentFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("giving up the vulnerability database: %w", err)
	}
	return nil
}

// find returns the archive that is the same as the source's, if there is one.
func (s *State) find(a Archive) *Ecosystem {
	i := slices.IndexFunc(s.Ecosystems, func(e Ecosystem) bool { return e.Name == a.Ecosystem && e.SourceVersion == a.Version })
	if i < 0 {
		return nil
	}
	return &s.Ecosystems[i]
}

// adopt takes an archive over from the state before, without copying it.
func adopt(from, to, ecosystem string) error {
	for _, suffix := range []string{archiveSuffix, indexSuffix} {
		if err := os.Link(filepath.Join(from, ecosystem+suffix), filepath.Join(to, ecosystem+suffix)); err != nil {
			return err
		}
	}
	return nil
}

// fetch gets an archive, and proves it by making its index.
func fetch(ctx context.Context, source Source, a Archive, folder string) (Ecosystem, error) {
	archive := filepath.Join(folder, a.Ecosystem+archiveSuffix)
	if err := fetchFile(ctx, source, a, archive); err != nil {
		return Ecosystem{}, err
	}
	e, err := writeIndex(archive, filepath.Join(folder, a.Ecosystem+indexSuffix), a.Ecosystem)
	if err != nil {
		return e, fmt.Errorf("the archive is not valid: %w", err)
	}
	e.SourceVersion, e.Published = a.Version, a.Published
	e.Digest, e.Size, err = digestOf(archive)
	return e, err
}

func fetchFile(ctx context.Context, source Source, a Archive, file string) error {
	f, err := os.Create(file) //nolint:gosec // G304: in our own folder
	if err != nil {
		return err
	}
	return errors.Join(source.Fetch(ctx, a, f), f.Sync(), f.Close())
}

// swap makes a state the current one, and keeps the one before it.
func (d *DB) swap(state *State, work, before string) error {
	slices.SortFunc(state.Ecosystems, func(a, b Ecosystem) int { return strings.Compare(a.Name, b.Name) })
	hash := sha256.New()
	for _, e := range state.Ecosystems {
		fmt.Fprintf(hash, "%s %s\n", e.Name, e.Digest)
		if e.Modified.After(state.Modified) {
			state.Modified = e.Modified
		}
		published := e.Published
		if published.IsZero() {
			published = e.Modified
		}
		if state.Published.IsZero() || published.Before(state.Published) {
			state.Published = published
		}
	}
	digest := hex.EncodeToString(hash.Sum(nil))
	state.Version = "sha256:" + digest
	text, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, stateFile), text, 0o600); err != nil {
		return err
	}
	// The time keeps a state that was there before, and comes back, from standing in its own way.
	folder := fmt.Sprintf("%s%s-%d", statePrefix, digest[:16], time.Now().UnixNano())
	if err := os.Rename(work, filepath.Join(d.dir, folder)); err != nil {
		return err
	}
	if err := d.point(folder); err != nil {
		return errors.Join(err, os.RemoveAll(filepath.Join(d.dir, folder)))
	}
	return d.remove(func(name string) bool {
		return strings.HasPrefix(name, statePrefix) && name != folder && name != filepath.Base(before)
	})
}

// point makes a folder the current state. Where that fails, as on a full disk, the one before stays it.
func (d *DB) point(folder string) error {
	next := filepath.Join(d.dir, newPrefix+currentFile)
	if err := os.WriteFile(next, []byte(folder+"\n"), 0o600); err != nil {
		_ = os.Remove(next) // or else the next update does
		return err
	}
	return os.Rename(next, filepath.Join(d.dir, currentFile))
}

// remove removes what has such a name.
func (d *DB) remove(named func(name string) bool) error {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if named(e.Name()) {
			errs = append(errs, os.RemoveAll(filepath.Join(d.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// lock keeps other processes from updating the same folder.
func (d *DB) lock(ctx context.Context) (func(), error) {
	f, err := os.OpenFile(filepath.Join(d.dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // which unlocks it
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("locking the vulnerability database: %w", err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for another update of the vulnerability database: %w", ctx.Err()), f.Close())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// View reads one state of the database. The state stays readable while the database is updated. It is for one goroutine.
type View struct {
	*State
	folder string
	// open is the ecosystem read last; one at a time, so that only its index is in memory.
	open     *reader
	openName string
}

// View returns a view of the current state, or nil while there is none.
func (d *DB) View() (*View, error) {
	state, folder, err := d.current()
	if err != nil || state == nil {
		return nil, err
	}
	return &View{State: state, folder: folder}, nil
}

// Close ends the view.
func (v *View) Close() error {
	if v.open == nil {
		return nil
	}
	return v.open.archive.Close()
}

// Ecosystem returns what the database has on an ecosystem, or nil.
func (v *View) Ecosystem(name string) *Ecosystem {
	i := slices.IndexFunc(v.Ecosystems, func(e Ecosystem) bool { return e.Name == name })
	if i < 0 {
		return nil
	}
	return &v.Ecosystems[i]
}

// Covers says whether there are advisories on a release of the ecosystem; an empty one stands for packages that are of no release.
func (e *Ecosystem) Covers(release string) bool {
	return slices.Contains(e.Releases, release) || slices.Contains(e.Releases, "")
}

// Advisories calls f with each advisory of an ecosystem that names a package, withdrawn ones apart. Each is read anew.
func (v *View) Advisories(ecosystem, name string, f func(*osvschema.Vulnerability) error) error {
	if v.openName != ecosystem || v.open == nil {
		if err := v.Close(); err != nil {
			return err
		}
		r, err := openReader(v.archive(ecosystem), filepath.Join(v.folder, ecosystem+indexSuffix))
		if err != nil {
			v.open = nil
			return fmt.Errorf("opening the vulnerability database of %s: %w", ecosystem, err)
		}
		v.open, v.openName = r, ecosystem
	}
	return v.open.advisories(name, f)
}
