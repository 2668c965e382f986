// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// endsOfLife are the days from which on distributions give no security updates to everybody any more, as they announce them. Where one
// is supported longer by volunteers for all (Debian's LTS), that counts; support that is sold does not.
var endsOfLife = map[string]map[string]string{
	"debian": {
		"8": "2020-06-30", "9": "2022-06-30", "10": "2024-06-30", "11": "2026-08-31", "12": "2028-06-30", "13": "2030-06-30",
	},
	"ubuntu": {
		"14.04": "2019-04-25", "16.04": "2021-04-30", "18.04": "2023-05-31", "20.04": "2025-05-31", "22.04": "2027-04-01", "23.10": "2024-07-11",
		"24.04": "2029-04-25", "24.10": "2025-07-10", "25.04": "2026-01-15", "25.10": "2026-07-09",
	},
	"alpine": {
		"3.12": "2022-05-01", "3.13": "2022-11-01", "3.14": "2023-05-01", "3.15": "2023-11-01", "3.16": "2024-05-23", "3.17": "2024-11-22",
		"3.18": "2025-05-09", "3.19": "2025-11-01", "3.20": "2026-04-01", "3.21": "2026-11-01", "3.22": "2027-05-01", "3.23": "2027-11-01",
	},
	"rhel":      {"7": "2024-06-30", "8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"},
	"centos":    {"7": "2024-06-30", "8": "2021-12-31"},
	"rocky":     {"8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"},
	"almalinux": {"8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"},
	"amzn":      {"2": "2026-06-30"},
}

// endOfLife returns the end of life of a distribution, or nil where it is not known. announced is what the image says itself.
func endOfLife(id, version, announced string) *metav1.Time {
	day := announced
	for v := version; day == "" && v != ""; {
		day = endsOfLife[id][v]
		i := strings.LastIndexByte(v, '.')
		if i < 0 {
			break
		}
		v = v[:i] // 3.22.1 is 3.22, and 9.5 is 9
	}
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return nil
	}
	end := metav1.NewTime(t)
	return &end
}
