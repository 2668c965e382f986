// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Made up, and put together here so that no scanner takes this file for a leak.
var (
	letters  = strings.Repeat("aB3", 40)
	lower    = strings.Repeat("a1b2c3d4", 10)
	password = "hunter2" + "!"
	random   = "q8Zr" + "2LmVx7Tp" + "Wc4N"
)

func TestNamed(t *testing.T) {
	for name, tc := range map[string]struct{ variable, value, want string }{
		"a password":                         {"DB_PASSWORD", password, kindPassword},
		"a password that anybody guesses":    {"POSTGRES_PASSWORD", "postgres", kindPassword},
		"a password in one word":             {"PGPASSWORD", password, kindPassword},
		"a password in camel case":           {"spring.datasource.dbPassword", password, kindPassword},
		"a numbered password":                {"REDIS_PASS_2", password, kindPassword},
		"several passwords":                  {"PASSWORDS", password + "," + password, kindPassword},
		"a password that begins like a path": {"PASSWORD", "/x+" + password, kindPassword},
		"a token":                            {"API_TOKEN", random, kindSecret},
		"a secret in hexadecimal":            {"JWT_SECRET", "9f86d081884c7d65", kindSecret},
		"a secret key base":                  {"SECRET_KEY_BASE", lower, kindSecret},
		"a key of AWS":                       {"AWS_SECRET_ACCESS_KEY", "/" + random + "+" + random, kindSecret},
		"a key of something":                 {"STRIPE_KEY", random, kindSecret},
		"a format, whatever the name":        {"SETTINGS", "ghp_" + letters[:36], "GitHub token"},
		"a password in an address":           {"DATABASE_URL", "postgres://app:" + password + "@db:5432/app", "password in a URL"},
		"a password in a connection string":  {"DSN", "Server=db;User=app;Password=" + password + ";", kindPassword},

		"nothing":                   {"DB_PASSWORD", "", ""},
		"a reference of Kubernetes": {"DB_PASSWORD", "$(OTHER)", ""},
		"a reference of a shell":    {"DB_PASSWORD", "${OTHER}", ""},
		"a reference to a variable": {"DB_PASSWORD", "$OTHER", ""},
		"a template":                {"DB_PASSWORD", "{{ .Values.password }}", ""},
		"a placeholder":             {"DB_PASSWORD", "<your password>", ""},
		"stars":                     {"DB_PASSWORD", "****", ""},
		"a place in Vault":          {"DB_PASSWORD", "vault:secret/data/db#password", ""},
		"a place in a store of AWS": {"DB_PASSWORD", "arn:aws:secretsmanager:eu-west-1:1:secret:db", ""},
		"a path":                    {"DB_PASSWORD", "/etc/db/password", ""},
		"a path to itself":          {"PWD", "/srv/app", ""},
		"a boolean":                 {"ALLOW_EMPTY_PASSWORD", "yes", ""},
		"a number":                  {"MAX_TOKENS", "4096", ""},
		"a duration":                {"REFRESH_TOKEN", "30s", ""},
		"an address":                {"TOKEN", "https://example.com/token", ""},
		"an address with a password by reference": {"DATABASE_URL", "postgres://app:$(DB_PASSWORD)@db:5432/app", ""},
		"an address with a user":                  {"DATABASE_URL", "postgres://app@db:5432/app", ""},
		"an address with a port and an @":         {"URL", "http://db:5432/@app", ""},
		"the name of a file":                      {"DB_PASSWORD_FILE", "password.txt", ""},
		"the name of a Secret":                    {"TLS_SECRET", "frontend-tls-2", ""},
		"a Secret of a namespace":                 {"TLS_SECRET", "shop/frontend-tls", ""},
		"a policy on passwords":                   {"PASSWORD_POLICY", "strong1", ""},
		"a tokenizer":                             {"TOKENIZER", random, ""},
		"words":                                   {"WELCOME_TOKEN", "one two three 4", ""},
		"a short key":                             {"SORT_BY_KEY", "name1", ""},
		"a public key":                            {"SSH_PUBLIC_KEY", random + random, ""},
		"a key of a cache":                        {"CACHE_KEY", random, ""},
		"an identifier":                           {"AWS_ACCESS_KEY_ID", "from-instance", ""},
		"an example of AWS":                       {"AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", ""},
		"a plain setting":                         {"LOG_LEVEL", "debug", ""},
		"a hash without a telling name":           {"COMMIT", lower[:40], ""},
		"a name of signs":                         {"_1", password, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Named(tc.variable, tc.value); got != tc.want {
				t.Errorf("Named(%q, …) = %q, want %q", tc.variable, got, tc.want)
			}
		})
	}
}

// TestFormats has one of each, and asks for exactly that part of the text.
func TestFormats(t *testing.T) {
	seen := make(map[string]bool)
	for text, want := range map[string]string{
		"|-----BEGIN RSA PRIVATE KEY-----\nMIIE|-----END RSA PRIVATE KEY-----":   "private key",
		"x |AKIA" + "ABCDEFGHIJKLMNOP| y":                                        "AWS access key",
		"|ghp_" + letters[:36] + "|":                                             "GitHub token",
		"|github_pat_" + letters[:22] + "_" + letters[:59] + "|":                 "GitHub token",
		"|glpat-" + letters[:20] + "|":                                           "GitLab token",
		"|xoxb-" + lower[:24] + "|":                                              "Slack token",
		"https://hooks.slack.com/services/|T1/B2/" + letters[:24] + "|":          "Slack webhook",
		"|AIza" + letters[:35] + "|":                                             "Google API key",
		"|GOCSPX-" + letters[:28] + "|":                                          "Google OAuth secret",
		"AccountName=a;AccountKey=|" + letters[:86] + "==|;x":                    "Azure storage key",
		"|sk_" + "live_" + letters[:24] + "|":                                    "Stripe key",
		"|SG." + letters[:22] + "." + letters[:43] + "|":                         "SendGrid key",
		"|npm_" + letters[:36] + "|":                                             "npm token",
		"|pypi-AgEIcHlwaS5vcmc" + letters[:60] + "|":                             "PyPI token",
		"|dckr_pat_" + letters[:27] + "|":                                        "Docker token",
		"|dop_v1_" + lower[:64] + "|":                                            "DigitalOcean token",
		"|hvs." + letters[:24] + "|":                                             "Vault token",
		"|hf_" + strings.Repeat("aB", 17) + "|":                                  "Hugging Face token",
		"|sk-proj-" + letters[:24] + "T3BlbkFJ" + letters[:24] + "|":             "OpenAI key",
		"|sk-ant-api03-" + letters[:90] + "|":                                    "Anthropic key",
		"|eyJ" + letters[:20] + ".eyJ" + letters[:20] + "." + letters[:40] + "|": "JSON Web Token",
		"amqp://app:|" + password + "|@mq":                                       "password in a URL",
		"app:|" + password + "|@tcp(db:3306)/shop":                               "password in a data source name",
		"Authorization: Bearer |" + random + "|":                                 "credential in a header",
	} {
		seen[want] = true
		t.Run(want, func(t *testing.T) {
			parts := strings.Split(text, "|")
			spans := In(strings.Join(parts, ""))
			if diff := cmp.Diff([]Span{{len(parts[0]), len(parts[0]) + len(parts[1]), want}}, spans); diff != "" {
				t.Errorf("spans (-want +got):\n%s", diff)
			}
		})
	}
	for _, f := range formats {
		if !seen[f.kind] {
			t.Errorf("no text has a %s", f.kind)
		}
	}
}

func TestArgs(t *testing.T) {
	// What is a credential stands between bars.
	for name, words := range map[string][]string{
		"an option with its value":          {"--user=app", "--password=|" + password + "|"},
		"an option before its value":        {"--password", "|" + password + "|", "-v"},
		"an option with one dash":           {"-password", "|" + password + "|"},
		"an option without a value":         {"--password", "--user", "app"},
		"an option of two letters":          {"-p", password},
		"an option that refers":             {"--token=$(TOKEN)", "--tls-private-key-file=/etc/tls/tls.key", "--secret-name=shop-tls-1"},
		"a setting inside a setting":        {"--set=auth.password=|" + password + "|"},
		"a script":                          {"sh", "-c", "export API_TOKEN='|" + random + "|'; curl --password |" + password + "| $URL && DB_PASSWORD=$(cat /run/db) ./server"},
		"a script that only asks":           {"sh", "-c", "read -p password; echo password secret; test \"$PASSWORD\" = \"\""},
		"nothing":                           nil,
		"a configuration in one word":       {"{\"a\":1}", "requirepass"},
		"an option of Redis":                {"redis-server", "--requirepass", "|" + password + "|"},
		"a password in an address, twice":   {"redis://:|" + password + "|@a redis://:|" + password + "|@b"},
		"an address inside of an option":    {"--url=amqp://app:|" + password + "|@mq"},
		"a word behind another word":        {"password", password},
		"one that two patterns know is one": {"--token=|ghp_" + letters[:36] + "|"},
	} {
		t.Run(name, func(t *testing.T) {
			plain, want := make([]string, len(words)), make(map[int][]Span)
			for i, word := range words {
				parts := strings.Split(word, "|")
				at := 0
				for n, part := range parts {
					if n%2 == 1 {
						want[i] = append(want[i], Span{Start: at, End: at + len(part)})
					}
					at += len(part)
				}
				plain[i] = strings.Join(parts, "")
			}
			got := Args(plain)
			for _, spans := range got {
				for i := range spans {
					if spans[i].Kind == "" {
						t.Error("a span has no kind")
					}
					spans[i].Kind = ""
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("spans (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRedact(t *testing.T) {
	text := "--password=" + password + " --token=" + random + " --level=1"
	redacted := Redact(text, In(text))
	if want := "--password=" + Mark(kindPassword) + " --token=" + Mark(kindSecret) + " --level=1"; redacted != want {
		t.Errorf("redacted is %q, want %q", redacted, want)
	}
	for text, want := range map[string]string{redacted: kindPassword, Mark("x"): "x", "plain": "", Mark(""): "", "": ""} {
		if got := Marked(text); got != want {
			t.Errorf("Marked(%q) = %q, want %q", text, got, want)
		}
	}
	if again := Redact(redacted, In(redacted)); Marked(again) != kindPassword {
		t.Errorf("redacted twice it is %q", again)
	}
}

func BenchmarkNamed(b *testing.B) {
	for b.Loop() {
		Named("PRODUCT_CATALOG_SERVICE_ADDR", "productcatalogservice:3550")
	}
}

// FuzzIn: what is found lies in the text, in order and apart, and nothing of it is left once it is taken out.
func FuzzIn(f *testing.F) {
	for _, seed := range []string{
		"--password=" + password + " --token=" + random + " --level=1", "mysql -u root -p" + password, "AKIA" + strings.ToUpper(lower[:16]),
		"https://user:" + password + "@example.com/x", "export API_KEY='" + letters + "'", "a=b", "--", markBegin + "x" + markEnd,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spans, end := In(text), 0
		for _, s := range spans {
			if s.Start < end || s.End <= s.Start || s.End > len(text) || s.Kind == "" {
				t.Fatalf("%q: %+v", text, spans)
			}
			end = s.End
		}
		redacted := Redact(text, spans)
		if len(spans) == 0 && redacted != text {
			t.Errorf("%q became %q", text, redacted)
		}
		if len(spans) > 0 && !strings.Contains(text, markBegin) && Marked(redacted) != spans[0].Kind {
			t.Errorf("%q: of what is found first, %q, is told that it is %q", text, spans[0].Kind, Marked(redacted))
		}
		rest := redacted
		for _, s := range spans {
			_, after, found := strings.Cut(rest, Mark(s.Kind))
			if !found {
				t.Fatalf("%q: %q has no mark for %+v", text, redacted, s)
			}
			rest = after
		}
	})
}
