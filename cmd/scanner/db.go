// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
	"github.com/kubersafe/kubersafe/internal/command"
)

// databaseVariable names the environment variable with the default of --db.
const databaseVariable = "KUBERSAFE_SCANNER_DB"

// databaseOptions say where the database comes from, and where it is kept.
type databaseOptions struct {
	location  string
	dir       string
	offline   bool
	plainHTTP bool
}

func (o *databaseOptions) add(f *pflag.FlagSet) {
	o.addSource(f)
	f.BoolVar(&o.offline, "db-offline", false, "Use the database as it is kept, and do not ask its source for a newer one.")
}

// addSource adds the flags that say where it comes from.
func (o *databaseOptions) addSource(f *pflag.FlagSet) {
	f.StringVar(&o.location, "db", cmp.Or(os.Getenv(databaseVariable), osvdb.PublicSource),
		"Source of the vulnerability database: a URL, oci://REFERENCE or a folder. Also $"+databaseVariable+".")
	f.StringVar(&o.dir, "db-dir", defaultDir(), "Folder in which the database is kept.")
	f.BoolVar(&o.plainHTTP, "plain-http", false, "Talk to registries without TLS.")
}

func defaultDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "kubersafe-scanner")
}

// view returns the database after it has been brought up to date for some ecosystems; without any, none is needed. Where the source
// cannot be reached, what is kept must do, and that is told.
func (o *databaseOptions) view(ctx context.Context, ecosystems []string, open image.Options, steps *progress) (*osvdb.View, error) {
	if len(ecosystems) == 0 {
		return &osvdb.View{State: &osvdb.State{}}, nil
	}
	db, err := osvdb.New(o.dir)
	if err != nil {
		return nil, err
	}
	var updateErr error
	if !o.offline {
		updateErr = o.update(ctx, db, ecosystems, open, steps)
	}
	view, err := db.View()
	switch {
	case err != nil:
		return nil, err
	case view == nil && updateErr != nil:
		return nil, updateErr
	case view == nil:
		return nil, fmt.Errorf("there is no vulnerability database in %q: run without --db-offline first", o.dir)
	case updateErr != nil && view.Source != o.location:
		return nil, errors.Join(updateErr, view.Close())
	case updateErr != nil:
		steps.step("Comparing")
		fmt.Fprintf(steps.out, "Warning: %v; what was fetched before is used\n", updateErr)
	}
	return view, nil
}

// updateTimeout is how long an update may take. The whole database has some 2 GB.
const updateTimeout = time.Hour

func (o *databaseOptions) update(ctx context.Context, db *osvdb.DB, ecosystems []string, open image.Options, steps *progress) error {
	source, err := osvdb.NewSource(o.location, ecosystems, open)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	steps.step("Asking for a newer vulnerability database")
	_, _, err = db.Update(ctx, o.location, source, ecosystems, func(ecosystem string) {
		steps.step("Fetching the vulnerability database of %s", ecosystem)
	})
	return err
}

func newDBCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "Copy the vulnerability database, and see what is kept of it",
		Long: `The vulnerability database is what the OSV project publishes: for each ecosystem an archive with its advisories, in which those of
distributions, of GitHub, and of languages' own projects come together.`,
	}
	cmd.AddCommand(newMirrorCommand(), newStatusCommand())
	return cmd
}

func newMirrorCommand() *cobra.Command {
	var (
		o          databaseOptions
		to         string
		ecosystems []string
	)
	cmd := &cobra.Command{
		Use:   "mirror --to oci://REFERENCE | DIR",
		Short: "Copy the vulnerability database to a registry or a folder",
		Long: `Copy the vulnerability database to a registry or a folder, for clusters and pipelines that cannot reach the internet. Run it regularly:
only what has changed is fetched and copied. Every archive is proven before it is copied.`,
		Example: `  kubersafe-scanner db mirror --to oci://registry.example.com/mirror/osv:latest
  kubersafe-scanner db mirror --to /srv/osv --ecosystem Debian --ecosystem Go`,
		Args: func(cmd *cobra.Command, args []string) error {
			return command.UsageError(cmd, cobra.NoArgs(cmd, args))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return command.UsageError(cmd, errors.New("--to must be set"))
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			text, err := o.mirror(ctx, to, ecosystems, &progress{out: cmd.ErrOrStderr()})
			if err != nil {
				return command.InputError(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), text)
			return nil
		},
	}
	cmd.SetFlagErrorFunc(command.UsageError)
	o.add(cmd.Flags())
	cmd.Flags().StringVar(&to, "to", "", "Where to copy it: oci://REFERENCE or a folder.")
	cmd.Flags().StringArrayVar(&ecosystems, "ecosystem", osvdb.DefaultEcosystems, "Ecosystem to copy. Can be given several times.")
	return cmd
}

func (o *databaseOptions) mirror(ctx context.Context, to string, ecosystems []string, steps *progress) (string, error) {
	defer steps.done()
	open := image.Options{Keychain: authn.DefaultKeychain, PlainHTTP: o.plainHTTP, UserAgent: userAgent()}
	// Apart from the database for scanning, which has the ecosystems that were needed.
	db, err := osvdb.New(filepath.Join(o.dir, "mirror"))
	if err != nil {
		return "", err
	}
	if !o.offline {
		if err := o.update(ctx, db, ecosystems, open, steps); err != nil {
			return "", err
		}
	}
	view, err := db.View()
	if err != nil {
		return "", err
	}
	if view == nil {
		return "", fmt.Errorf("there is no vulnerability database in %q: run without --db-offline first", o.dir)
	}
	defer func() { _ = view.Close() }() // only read
	steps.step("Copying the vulnerability database to %s", to)
	if err := view.Copy(ctx, to, open); err != nil {
		return "", fmt.Errorf("copying the vulnerability database to %s: %w", to, err)
	}
	return fmt.Sprintf("%s: %s of %s", to, count(len(view.Ecosystems), "ecosystem"), view.Modified.UTC().Format(time.RFC3339)), nil
}

func newStatusCommand() *cobra.Command {
	var o databaseOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Print what is kept of the vulnerability database",
		Args: func(cmd *cobra.Command, args []string) error {
			return command.UsageError(cmd, cobra.NoArgs(cmd, args))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			db, err := osvdb.New(o.dir)
			if err != nil {
				return command.InputError(err)
			}
			state, err := db.State()
			if err != nil {
				return command.InputError(err)
			}
			if state == nil {
				return command.InputError(fmt.Errorf("there is no vulnerability database in %q", o.dir))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Version: %s\nSource: %s\nPublished: %s\nNewest advisory: %s\nLast compared with the source: %s\n\n",
				state.Version, state.Source, state.Published.Format(time.RFC3339), state.Modified.UTC().Format(time.RFC3339), db.Checked().UTC().Format(time.RFC3339))
			rows := []string{"ECOSYSTEM\tADVISORIES\tSIZE\tNEWEST\tRELEASES"}
			for _, e := range state.Ecosystems {
				releases := strings.Join(e.Releases, ", ")
				if releases == "" {
					releases = "all"
				}
				rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%s\t%s", e.Name, e.Advisories, e.Size, e.Modified.UTC().Format(time.RFC3339), strings.TrimPrefix(releases, ", ")))
			}
			return printTable(cmd.OutOrStdout(), rows)
		},
	}
	cmd.SetFlagErrorFunc(command.UsageError)
	cmd.Flags().StringVar(&o.dir, "db-dir", defaultDir(), "Folder in which the database is kept.")
	return cmd
}

// count returns "1 error", "2 errors".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
