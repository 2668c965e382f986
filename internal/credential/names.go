// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Kinds of credentials that only their names tell.
const (
	kindPassword = "password by its name"
	kindSecret   = "secret by its name and randomness" //nolint:gosec // G101: it says so, and is none
)

// passwordNames are what passwords are called, at the end of a name. People choose passwords, so they need not be random.
var passwordNames = []string{"password", "passwd", "passphrase", "pwd", "pass", "requirepass", "masterauth"}

// secretNames are what secrets are called that machines make.
var secretNames = []string{
	"secret", "token", "apikey", "accesskey", "secretkey", "privatekey", "encryptionkey", "signingkey", "authkey", "masterkey",
	"accountkey", "sharedkey", "storagekey", "sharedaccesskey", "secretkeybase", "credential", "credentials",
}

// plainKeys are keys that nobody hides.
var plainKeys = []string{"publickey", "publishablekey", "partitionkey", "sortkey", "routingkey", "cachekey", "objectkey", "primarykey", "foreignkey"}

// namedKind returns of what kind a value is by its name, or "".
func namedKind(name, value string) string {
	if value == "" || isReference(value) || isPath(value) || isPlainValue(value) {
		return ""
	}
	words := wordsOf(name)
	if len(words) == 0 {
		return ""
	}
	squeezed, last := strings.Join(words, ""), words[len(words)-1]
	switch {
	case slices.ContainsFunc(passwordNames, func(n string) bool {
		return last == n || n != "pass" && n != "pwd" && strings.HasSuffix(squeezed, n)
	}):
		return kindPassword
	case slices.ContainsFunc(plainKeys, func(n string) bool { return strings.HasSuffix(squeezed, n) }):
		return ""
	case slices.ContainsFunc(secretNames, func(n string) bool { return strings.HasSuffix(squeezed, n) }):
		if looksRandom(value, minSecret, minSecretEntropy) {
			return kindSecret
		}
	case last == "key" && len(words) > 1:
		if looksRandom(value, minKey, minKeyEntropy) {
			return kindSecret
		}
	}
	return ""
}

// wordsOf returns the words of a name in lower case: DB_PASSWORD, db-password, dbPassword; without a plural's s and without
// a number at the end.
func wordsOf(name string) []string {
	var spaced strings.Builder
	var before rune
	for _, r := range name {
		if unicode.IsUpper(r) && unicode.IsLower(before) {
			spaced.WriteByte(' ')
		}
		spaced.WriteRune(unicode.ToLower(r))
		before = r
	}
	words := strings.FieldsFunc(spaced.String(), func(r rune) bool { return !unicode.IsLetter(r) })
	if len(words) > 0 {
		last := &words[len(words)-1]
		if plural := strings.TrimSuffix(*last, "s"); !strings.HasSuffix(plural, "pas") {
			*last = plural
		}
	}
	return words
}

// isReference says whether a value only stands for another one: a variable, a template, a place in a store of secrets, or
// what people write until they know better.
func isReference(value string) bool {
	switch {
	case variable.MatchString(value), strings.Contains(value, "{{"):
		return true
	case slices.ContainsFunc(stores, func(prefix string) bool { return strings.HasPrefix(value, prefix) }):
		return true
	case strings.Trim(value, "*") == "", strings.Trim(strings.ToLower(value), "x") == "":
		return true
	}
	return false
}

// variable is a variable of Kubernetes, a shell or a template: $(NAME), ${NAME}, $NAME, `command`, %s, %(name)s, {name}, <name>, [name].
var variable = regexp.MustCompile("^(?:\\$$|\\$[({].*|\\$[A-Z_][A-Z0-9_]*$|\\$[0-9@*]$|`.*|%[sv({].*|\\{.*\\}$|<.*>$|\\[.*\\]$)")

// stores are the beginnings of references to stores of secrets, as their agents and webhooks resolve them.
var stores = []string{"vault:", "arn:", "projects/", "secretref:", "env:", "file:", "ssm:", "awssm:", "gcpsm:", "azurekeyvault:", "@Microsoft.KeyVault("}

// path-like values have no character that only Base64 has.
var pathLike = regexp.MustCompile(`^(?:\.{0,2}|~|[A-Za-z]:)[/\\][\w./\\@~-]*$`)

func isPath(value string) bool { return pathLike.MatchString(value) }

// isPlainValue says whether a value is a boolean, a number, a duration, nothing, or an address without a password, which In
// would have found.
func isPlainValue(value string) bool {
	if _, err := strconv.ParseFloat(strings.TrimRight(value, "smhdKMGTi%"), 64); err == nil {
		return true
	}
	return plainWords[strings.ToLower(value)] || strings.Contains(value, "://")
}

var plainWords = map[string]bool{
	"true": true, "false": true, "yes": true, "no": true, "on": true, "off": true, "enabled": true, "disabled": true, "none": true, "null": true,
	"nil": true, "undefined": true, "redacted": true, "optional": true, "required": true,
}

// What is called a secret must look a little random, what is only called a key more so. English words come to about 2.5
// bits a character, and 16 random hexadecimal digits to about 3.3.
const (
	minSecret        = 8
	minSecretEntropy = 2.75
	minKey           = 16
	minKeyEntropy    = 3.2
)

// looksRandom says whether a value may be made by a machine: one word of some length, with a digit, with many different
// characters, and not a name made of words.
func looksRandom(value string, length int, entropy float64) bool {
	return len(value) >= length && strings.ContainsAny(value, "0123456789") && !strings.ContainsAny(value, " \t\n") &&
		!isName(value) && entropyOf(value) >= entropy
}

// nameLike is a name in lower case, with numbers only at the end of its parts, such as redis-auth-v2 or team/api-1.
var nameLike = regexp.MustCompile(`^[a-z]+[0-9]{0,3}(?:[-._/:][a-z]*[0-9]{0,3})+$`)

func isName(value string) bool { return nameLike.MatchString(value) }

// entropyOf returns Shannon's entropy of the characters of a text, in bits a character.
func entropyOf(text string) float64 {
	counts := make(map[rune]int)
	total := 0.0
	for _, r := range text {
		counts[r]++
		total++
	}
	entropy := 0.0
	for _, n := range counts {
		p := float64(n) / total
		entropy -= p * math.Log2(p)
	}
	return entropy
}
