// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"regexp"
	"strings"
)

// format is how one provider's credentials look.
type format struct {
	kind string
	// hints are texts of which every match holds one. To look for them is much cheaper than to match.
	hints []string
	// pattern's last group, if it has any, is the credential.
	pattern *regexp.Regexp
	// chosen by people, and so worth nothing where it is only a reference or a placeholder.
	chosen bool
}

// formats are those that their providers document, so that a match is no accident. A library with many more patterns
// (gitleaks, TruffleHog) matches generic ones too, and brings hundreds of modules into an operator that holds all Pods.
var formats = []format{
	// https://www.rfc-editor.org/rfc/rfc7468#section-10
	{kind: "private key", hints: []string{"PRIVATE KEY"}, pattern: regexp.MustCompile(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[^-]*`)},
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
	{kind: "AWS access key", hints: []string{"AKIA", "ASIA"}, pattern: regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z2-7]{16}\b`)},
	// https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/
	{kind: "GitHub token", hints: []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, pattern: regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{36,255}\b`)},
	{kind: "GitHub token", hints: []string{"github_pat_"}, pattern: regexp.MustCompile(`\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b`)},
	// https://docs.gitlab.com/security/tokens/#token-prefixes
	{
		kind: "GitLab token", hints: []string{"glpat-", "gloas-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glagent-", "glsoat-"},
		pattern: regexp.MustCompile(`\bgl(?:pat|oas|dt|rt|cbt|ptt|ft|agent|soat)-[A-Za-z0-9_-]{20,}`),
	},
	// https://api.slack.com/concepts/token-types and https://api.slack.com/messaging/webhooks
	{kind: "Slack token", hints: []string{"xox", "xapp-"}, pattern: regexp.MustCompile(`\b(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{20,}`)},
	{kind: "Slack webhook", hints: []string{"hooks.slack.com/"}, pattern: regexp.MustCompile(`https://hooks\.slack\.com/services/(T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{20,})`)},
	// https://cloud.google.com/docs/authentication/api-keys and https://developers.google.com/identity/protocols/oauth2
	{kind: "Google API key", hints: []string{"AIza"}, pattern: regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{35}`)},
	{kind: "Google OAuth secret", hints: []string{"GOCSPX-"}, pattern: regexp.MustCompile(`\bGOCSPX-[A-Za-z0-9_-]{28}`)},
	// https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string
	{kind: "Azure storage key", hints: []string{"AccountKey="}, pattern: regexp.MustCompile(`\bAccountKey=([A-Za-z0-9+/]{86}==)`)},
	// https://docs.stripe.com/keys
	{kind: "Stripe key", hints: []string{"sk_live_", "sk_test_", "rk_live_", "rk_test_"}, pattern: regexp.MustCompile(`\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}`)},
	// https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys
	{kind: "SendGrid key", hints: []string{"SG."}, pattern: regexp.MustCompile(`\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}`)},
	// https://github.blog/changelog/2021-09-23-npm-has-a-new-access-token-format/
	{kind: "npm token", hints: []string{"npm_"}, pattern: regexp.MustCompile(`\bnpm_[A-Za-z0-9]{36}\b`)},
	// https://docs.pypi.org/api/secrets/: a macaroon of pypi.org, encoded
	{kind: "PyPI token", hints: []string{"pypi-AgEIcHlwaS5vcmc"}, pattern: regexp.MustCompile(`\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}`)},
	// https://docs.docker.com/security/access-tokens/
	{kind: "Docker token", hints: []string{"dckr_"}, pattern: regexp.MustCompile(`\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{27,}`)},
	// https://docs.digitalocean.com/reference/api/create-personal-access-token/
	{kind: "DigitalOcean token", hints: []string{"dop_v1_", "doo_v1_", "dor_v1_"}, pattern: regexp.MustCompile(`\bdo[opr]_v1_[0-9a-f]{64}\b`)},
	// https://developer.hashicorp.com/vault/docs/concepts/tokens#token-prefixes
	{kind: "Vault token", hints: []string{"hvs.", "hvb.", "hvr."}, pattern: regexp.MustCompile(`\bhv[sbr]\.[A-Za-z0-9_-]{24,}`)},
	// https://huggingface.co/docs/hub/security-tokens
	{kind: "Hugging Face token", hints: []string{"hf_"}, pattern: regexp.MustCompile(`\bhf_[A-Za-z]{34}\b`)},
	// https://platform.openai.com/docs/api-reference/authentication: "OpenAI" in Base64 is in the middle of every key
	{kind: "OpenAI key", hints: []string{"T3BlbkFJ"}, pattern: regexp.MustCompile(`\bsk-[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}`)},
	// https://docs.claude.com/en/api/overview
	{kind: "Anthropic key", hints: []string{"sk-ant-"}, pattern: regexp.MustCompile(`\bsk-ant-[a-z0-9]+-[A-Za-z0-9_-]{80,}`)},
	// https://www.rfc-editor.org/rfc/rfc7519: header and claims are JSON objects in Base64, which begin with eyJ
	{kind: "JSON Web Token", hints: []string{"eyJ"}, pattern: regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}`)},
	// https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1
	{kind: "password in a URL", hints: []string{"://"}, pattern: regexp.MustCompile(`[a-z][a-z0-9+.-]*://[^\s/:@'"]*:([^\s/@'"]+)@`), chosen: true},
	// https://github.com/go-sql-driver/mysql#dsn-data-source-name
	{kind: "password in a data source name", hints: []string{"@tcp(", "@unix("}, pattern: regexp.MustCompile(`[^\s:@/'"]+:([^\s@'"]+)@(?:tcp|unix)\(`), chosen: true},
	// https://www.rfc-editor.org/rfc/rfc9110#section-11.6.2
	{
		kind: "credential in a header", hints: []string{"Basic ", "Bearer ", "basic ", "bearer "},
		pattern: regexp.MustCompile(`(?i)authorization:\s*(?:basic|bearer)\s+([A-Za-z0-9._~+/=-]{8,})`), chosen: true,
	},
}

// isExample says whether a credential is one of those that AWS's documentation uses.
func isExample(value string) bool {
	return strings.HasSuffix(value, "EXAMPLE") || strings.HasSuffix(value, "EXAMPLEKEY")
}
