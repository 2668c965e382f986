// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/depsjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/golang/gobinary"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/archive"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/packagejson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/wheelegg"
	"github.com/google/osv-scalibr/extractor/filesystem/language/ruby/gemspec"
	"github.com/google/osv-scalibr/extractor/filesystem/language/rust/cargoauditable"
	"github.com/google/osv-scalibr/extractor/filesystem/os/apk"
	"github.com/google/osv-scalibr/extractor/filesystem/os/dpkg"
	"github.com/google/osv-scalibr/extractor/filesystem/os/osrelease"
	"github.com/google/osv-scalibr/extractor/filesystem/os/rpm"
	scalibrfs "github.com/google/osv-scalibr/fs"
	"github.com/google/osv-scalibr/log"
	"github.com/google/osv-scalibr/plugin"
	"github.com/google/osv-scalibr/stats"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/rootfs"
)

const (
	// maxListBytes bounds the files that are read into memory as a whole: lists of packages and such. The status of Debian's 60,000
	// packages, all installed, would have 60 MB.
	maxListBytes = 64 << 20
	// maxArchiveBytes bounds what is read of one Java archive with those in it, which are held in memory one at a time.
	maxArchiveBytes = 256 << 20
	// maxUnreadable is how many unreadable files are named.
	maxUnreadable = 20
)

// listConfig bounds plugins that read files as a whole, binaryConfig is for those that look into files of any size.
var (
	listConfig   = &cpb.PluginConfig{MaxFileSizeBytes: maxListBytes}
	binaryConfig = &cpb.PluginConfig{PluginSpecific: []*cpb.PluginSpecificConfig{{
		Config: &cpb.PluginSpecificConfig_JavaArchive{JavaArchive: &cpb.JavaArchiveConfig{MaxOpenedBytes: maxArchiveBytes, MaxZipDepth: 8}},
	}}}
)

// newExtractors returns the plugins: what is installed, not what source code asks for.
func newExtractors() ([]filesystem.Extractor, error) {
	var extractors []filesystem.Extractor
	for _, p := range []struct {
		new    func(*cpb.PluginConfig) (filesystem.Extractor, error)
		config *cpb.PluginConfig
	}{
		{dpkg.New, listConfig}, {apk.New, listConfig}, {rpm.New, &cpb.PluginConfig{MaxFileSizeBytes: 4 * maxListBytes}},
		{gobinary.New, binaryConfig}, {archive.New, binaryConfig}, {cargoauditable.New, binaryConfig},
		{packagejson.New, listConfig}, {wheelegg.New, listConfig}, {gemspec.New, listConfig}, {depsjson.New, listConfig},
	} {
		e, err := p.new(p.config)
		if err != nil {
			return nil, fmt.Errorf("configuring osv-scalibr: %w", err)
		}
		// A plugin that does not fit would find nothing, and say nothing.
		fits := &plugin.Capabilities{OS: plugin.OSLinux, Network: plugin.NetworkOffline}
		if err := plugin.ValidateRequirements(e, fits); err != nil {
			return nil, fmt.Errorf("configuring osv-scalibr: %w", err)
		}
		extractors = append(extractors, e)
	}
	log.SetLogger(silent{}) // what is wrong comes in the status of plugins
	return extractors, nil
}

type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Error(...any)          {}
func (silent) Warnf(string, ...any)  {}
func (silent) Warn(...any)           {}
func (silent) Infof(string, ...any)  {}
func (silent) Info(...any)           {}
func (silent) Debugf(string, ...any) {}
func (silent) Debug(...any)          {}

// Extractor finds out what is in images.
type Extractor struct {
	// TempDir is the folder for the contents of files; empty is the system's.
	TempDir string
	Limits  rootfs.Limits

	plugins []filesystem.Extractor
}

// NewExtractor returns an Extractor with the default limits.
func NewExtractor(tempDir string) (*Extractor, error) {
	plugins, err := newExtractors()
	return &Extractor{TempDir: tempDir, Limits: rootfs.DefaultLimits, plugins: plugins}, err
}

// Extract finds out what is in an image. Errors are problem.Errors. One image is done at a time: what it takes is bounded for one.
func (e *Extractor) Extract(ctx context.Context, img *image.Image) (inv *Inventory, err error) {
	// The libraries read what strangers have written. What breaks them down is that image's problem.
	defer func() {
		if r := recover(); r != nil {
			inv, err = nil, problem.Errorf(v1alpha1.ReasonExtractionFailed, "reading the image broke down: %v", r)
		}
	}()
	layers, err := img.Layers()
	if err != nil {
		return nil, problem.Errorf(v1alpha1.ReasonManifestInvalid, "reading the list of layers: %w", err)
	}
	root, err := rootfs.Unpack(ctx, layers, e.TempDir, e.Limits, e.keep)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // only read
	found, statuses, err := filesystem.Run(ctx, &filesystem.Config{
		Extractors: e.plugins, ScanRoots: []*scalibrfs.ScanRoot{{FS: root}}, Stats: stats.NoopCollector{}, ErrorOnFSErrors: true,
	})
	if err != nil {
		return nil, problem.Errorf(v1alpha1.ReasonExtractionFailed, "looking for packages: %w", err)
	}
	if err := ctx.Err(); err != nil { // plugins take it for a problem of the file that they were at
		return nil, problem.Errorf(v1alpha1.ReasonTimedOut, "looking for packages: %w", err)
	}
	failed, err := failures(statuses)
	if err != nil {
		return nil, err
	}
	large, err := e.tooLarge(root)
	if err != nil {
		return nil, problem.Errorf(v1alpha1.ReasonExtractionFailed, "looking for packages: %w", err)
	}
	if inv, err = New(found.Packages); err != nil {
		return nil, problem.Errorf(v1alpha1.ReasonExtractionFailed, "%w", err)
	}
	packages := inv.About
	inv.About = img.About
	inv.About.Name, inv.About.IndexDigests = "", nil
	inv.About.PackageCount, inv.About.Packages = packages.PackageCount, packages.Packages
	inv.About.Distribution, inv.About.Shells = distribution(root), shells(root)
	if err := inv.problems(append(failed, large...)); err != nil {
		return nil, err
	}
	return inv, nil
}

// fileProblem is a file that a plugin could not read.
type fileProblem struct {
	plugin string
	Unreadable
}

// problems takes over what could not be read. Without the distribution's own list nothing is worth much.
func (inv *Inventory) problems(found []fileProblem) error {
	slices.SortFunc(found, func(a, b fileProblem) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	for _, p := range found {
		if strings.HasPrefix(p.plugin, distributionPlugins) {
			return problem.Errorf(v1alpha1.ReasonExtractionFailed, "reading %q: %s", p.Path, p.Message)
		}
		if n := len(inv.Unreadable); n == 0 || inv.Unreadable[n-1].Path != p.Path {
			inv.Unreadable = append(inv.Unreadable, p.Unreadable)
		}
	}
	if n := len(inv.Unreadable); n > maxUnreadable {
		inv.Unreadable = append(inv.Unreadable[:maxUnreadable], Unreadable{"…", fmt.Sprintf("and %d more", n-maxUnreadable)})
	}
	return nil
}

// failures are the problems that plugins tell of.
func failures(statuses []*plugin.Status) ([]fileProblem, error) {
	var list []fileProblem
	for _, s := range statuses {
		if s.Status.Status == plugin.ScanStatusSucceeded {
			continue
		}
		if len(s.Status.FileErrors) == 0 {
			return nil, problem.Errorf(v1alpha1.ReasonExtractionFailed, "%s: %s", s.Name, s.Status)
		}
		for _, f := range s.Status.FileErrors {
			list = append(list, fileProblem{s.Name, Unreadable{f.FilePath, f.ErrorMessage}})
		}
	}
	return list, nil
}

// tooLarge are the files that plugins would read if they were smaller: of those they say nothing themselves.
func (e *Extractor) tooLarge(root fs.FS) ([]fileProblem, error) {
	var list []fileProblem
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() <= maxListBytes {
			return err
		}
		for _, p := range e.plugins {
			if p.FileRequired(someFile{name, smaller{info}}) && !p.FileRequired(someFile{name, info}) {
				message := fmt.Sprintf("it has %d bytes, which is more than is read of such a file", info.Size())
				list = append(list, fileProblem{p.Name(), Unreadable{name, message}})
			}
		}
		return nil
	})
	return list, err
}

// keep says whether a plugin wants to read a file.
func (e *Extractor) keep(name string, info fs.FileInfo) bool {
	return slices.ContainsFunc(e.plugins, func(p filesystem.Extractor) bool { return p.FileRequired(someFile{name, info}) })
}

// someFile is a file that plugins are asked about.
type someFile struct {
	path string
	info fs.FileInfo
}

func (f someFile) Path() string { return f.path }

func (f someFile) Stat() (fs.FileInfo, error) { return f.info, nil }

type smaller struct{ fs.FileInfo }

func (smaller) Size() int64 { return 1 }

// distribution returns what /etc/os-release says, or nil without one.
func distribution(root scalibrfs.FS) *v1alpha1.Distribution {
	release, err := osrelease.GetOSRelease(root)
	if err != nil || release["ID"] == "" {
		return nil
	}
	for key, value := range release {
		release[key] = strings.Trim(value, `'"`)
	}
	d := &v1alpha1.Distribution{ID: release["ID"], Version: release["VERSION_ID"], Name: cmp.Or(release["PRETTY_NAME"], release["NAME"])}
	d.EndOfLife = endOfLife(d.ID, d.Version, release["SUPPORT_END"])
	return d
}

// shellNames are the programs that give whoever breaks in a place to work from: shells and package managers.
var shellNames = []string{
	"apk", "apt", "apt-get", "ash", "bash", "busybox", "csh", "dash", "dnf", "dpkg", "fish", "ksh", "microdnf", "pacman", "rpm", "sh", "tcsh",
	"toybox", "yum", "zsh", "zypper",
}

// shells returns the shells and package managers of an image, by path.
func shells(root scalibrfs.FS) []string {
	var found []string
	for _, folder := range []string{"bin", "sbin", "usr/bin", "usr/local/bin", "usr/sbin"} {
		if isLink(root, folder) {
			continue // the same programs are found where the link leads
		}
		for _, name := range shellNames {
			p := path.Join(folder, name)
			if info, err := root.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				found = append(found, "/"+p)
			}
		}
	}
	slices.Sort(found)
	return found
}

// isLink says whether an entry of the root is a symbolic link.
func isLink(root scalibrfs.FS, name string) bool {
	entries, err := root.ReadDir(path.Dir(name))
	if err != nil {
		return false
	}
	i, ok := slices.BinarySearchFunc(entries, path.Base(name), func(e fs.DirEntry, name string) int { return cmp.Compare(e.Name(), name) })
	return ok && entries[i].Type()&fs.ModeSymlink != 0
}
