// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/osv-scalibr/converter"
	"github.com/google/osv-scalibr/converter/spdx"
	scalibr "github.com/google/osv-scalibr/inventory"
	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/match"
)

// scalibrInventory returns the packages as the libraries for bills of materials take them, with ids that do not change from run to run.
func scalibrInventory(inv *inventory.Inventory) (scalibr.Inventory, error) {
	var list scalibr.Inventory
	for i := range inv.Packages {
		p, err := inv.Packages[i].Scalibr()
		if err != nil {
			return list, err
		}
		p.ID = strconv.Itoa(i + 1)
		list.Packages = append(list.Packages, p)
	}
	return list, nil
}

// imageVersion is the version of an image in a bill of materials.
func imageVersion(i *v1alpha1.Image) string {
	if i.Digest != "" {
		return i.Digest
	}
	return i.ConfigDigest
}

func printSPDX(out io.Writer, s *scanned) error {
	list, err := scalibrInventory(s.inventory)
	if err != nil {
		return err
	}
	about := &s.report.Image
	document := converter.ToSPDX23(list, spdx.Config{
		DocumentName: about.Name, DocumentNamespace: "https://github.com/kubersafe/kubersafe/spdx/" + imageVersion(about),
		Creators: []common.Creator{{CreatorType: "Tool", Creator: userAgent()}},
	})
	return json.Write(document, out, json.Indent("  "))
}

func printCycloneDX(out io.Writer, s *scanned) error {
	list, err := scalibrInventory(s.inventory)
	if err != nil {
		return err
	}
	about := &s.report.Image
	bom := converter.ToCDX(list, converter.CDXConfig{
		ComponentName: about.Name, ComponentVersion: imageVersion(about), ComponentType: string(cyclonedx.ComponentTypeContainer),
	})
	bom.Metadata.Component.BOMRef = "image"
	components := *bom.Components
	refs := make(map[string][]string)
	for i := range components {
		components[i].BOMRef = "package-" + list.Packages[i].ID
		key := componentKey(list.Packages[i].Ecosystem().String(), s.inventory.Packages[i].Name, s.inventory.Packages[i].Version)
		refs[key] = append(refs[key], components[i].BOMRef)
	}
	vulnerabilities := make([]cyclonedx.Vulnerability, 0, len(s.result.Vulnerabilities))
	for i := range s.result.Vulnerabilities {
		v := &s.result.Vulnerabilities[i]
		vulnerabilities = append(vulnerabilities, cycloneDXVulnerability(v, refs[componentKey(v.Ecosystem, v.Package, v.InstalledVersion)]))
	}
	bom.Vulnerabilities = &vulnerabilities
	encoder := cyclonedx.NewBOMEncoder(out, cyclonedx.BOMFileFormatJSON)
	encoder.SetPretty(true)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(bom)
}

func componentKey(ecosystem, name, version string) string {
	return fmt.Sprintf("%q %q %q", ecosystem, name, version)
}

func cycloneDXVulnerability(v *match.Vulnerability, components []string) cyclonedx.Vulnerability {
	var affects []cyclonedx.Affects
	for _, ref := range components {
		affects = append(affects, cyclonedx.Affects{Ref: ref})
	}
	rating := cyclonedx.VulnerabilityRating{Severity: cycloneDXSeverity(v.Severity)}
	if v.CVSS != nil {
		if score, err := strconv.ParseFloat(v.CVSS.Score, 64); err == nil {
			rating.Score, rating.Vector = &score, v.CVSS.Vector
		}
	}
	c := cyclonedx.Vulnerability{
		BOMRef: fmt.Sprintf("%s %s %s", v.ID, v.Package, v.InstalledVersion), ID: v.ID,
		Source:  &cyclonedx.Source{Name: "OSV", URL: "https://osv.dev/vulnerability/" + v.ID},
		Ratings: &[]cyclonedx.VulnerabilityRating{rating}, Description: v.Summary, Affects: &affects,
	}
	if v.FixedVersion != "" {
		c.Recommendation = fmt.Sprintf("Upgrade %q to version %s.", v.Package, v.FixedVersion)
	}
	return c
}

func cycloneDXSeverity(s v1alpha1.VulnerabilitySeverity) cyclonedx.Severity {
	switch s {
	case v1alpha1.VulnerabilityCritical:
		return cyclonedx.SeverityCritical
	case v1alpha1.VulnerabilityHigh:
		return cyclonedx.SeverityHigh
	case v1alpha1.VulnerabilityMedium:
		return cyclonedx.SeverityMedium
	case v1alpha1.VulnerabilityLow:
		return cyclonedx.SeverityLow
	default:
		return cyclonedx.SeverityUnknown
	}
}
