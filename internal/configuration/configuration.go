// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package configuration makes of an AuditConfiguration the sets of checks that namespaces are judged by. What is not valid is
// ignored on its own and told; the rest holds. All depends on the object alone, so a restart decides the same.
package configuration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/custom"
)

// Configuration is a compiled AuditConfiguration. It is safe for concurrent use.
type Configuration struct {
	// Of is what it is compiled of; nil if there is no AuditConfiguration.
	Of *audit.ConfigurationRecord
	// Problems are what is ignored and why, in the order of the fields.
	Problems []Problem

	spec   v1alpha1.AuditConfigurationSpec
	checks []audit.Check
	known  map[string]*audit.Check
	rules  []rule
	// settings are those of namespaces that nothing is said of in particular.
	settings audit.Settings
	// excluded, sensitive and exempting select the namespaces that something is said of.
	excluded, sensitive, exempting audit.NamespaceSelector

	mu sync.Mutex
	// sets by what is said of a namespace.
	sets map[string]builtSet
	// before are the sets of the previous configuration, by content.
	before map[string]*audit.Set
}

// builtSet is a set, and what stands for all that is in it.
type builtSet struct {
	*audit.Set
	content string
}

// Problem is a part of an AuditConfiguration that is ignored.
type Problem struct {
	// Path of the field, from the root of the object.
	Path    string
	Message string
}

func (p Problem) String() string { return p.Path + ": " + p.Message }

// rule is a CheckRule of which everything is valid.
type rule struct {
	names      []string
	namespaces audit.NamespaceSelector
	// everywhere: it is not limited to namespaces.
	everywhere bool
	state      v1alpha1.CheckState
	severity   v1alpha1.Severity
}

// override is how a check runs otherwise than by default.
type override struct {
	State    v1alpha1.CheckState
	Severity v1alpha1.Severity
}

// New compiles an AuditConfiguration's spec; nil is that of no configuration. builtin are complete checks, sorted by id.
// Namespaces of which the previous configuration, which may be nil, said the same keep their set, and so their verdicts.
func New(builtin []audit.Check, spec *v1alpha1.AuditConfigurationSpec, previous *Configuration) *Configuration {
	c := &Configuration{
		checks: slices.Clone(builtin), known: make(map[string]*audit.Check), settings: audit.DefaultSettings(),
		sets: make(map[string]builtSet), before: make(map[string]*audit.Set),
	}
	if spec != nil {
		c.spec = *spec
	}
	if previous != nil {
		previous.mu.Lock()
		for _, s := range previous.sets {
			c.before[s.content] = s.Set
		}
		previous.mu.Unlock()
	}
	for i := range c.checks {
		c.known[c.checks[i].ID] = &c.checks[i]
	}
	c.exempting, _ = audit.NewNamespaceSelector(nil)
	c.compileCustom()
	c.compileRules()
	c.compileNamespaces()
	c.compileImages()
	c.compileSensitive()
	c.compileQuotas()
	c.compileRBAC()
	c.compileExceptions()
	return c
}

// Check returns a check by its id, as it is by default, or nil.
func (c *Configuration) Check(id string) *audit.Check { return c.known[id] }

// Checks returns all checks, as they are by default, sorted by id. They must not be changed.
func (c *Configuration) Checks() []audit.Check { return c.checks }

// Settings returns the settings of namespaces of which nothing is said in particular. They must not be changed.
func (c *Configuration) Settings() *audit.Settings { return &c.settings }

// Generation returns the generation of the AuditConfiguration; 0 if there is none.
func (c *Configuration) Generation() int64 {
	if c.Of == nil {
		return 0
	}
	return c.Of.Generation
}

func (c *Configuration) problem(path, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if len(message) > v1alpha1.MaxMessage {
		message = strings.ToValidUTF8(message[:v1alpha1.MaxMessage], "") + "…"
	}
	c.Problems = append(c.Problems, Problem{path, message})
}

// compileCustom adds the checks of the users' own, ahead of the rules, which may name them.
func (c *Configuration) compileCustom() {
	compiled := make([]audit.Check, 0, len(c.spec.CustomChecks))
	for i := range c.spec.CustomChecks {
		of := &c.spec.CustomChecks[i]
		path := fmt.Sprintf("spec.customChecks[%d]", i)
		if slices.ContainsFunc(compiled, func(d audit.Check) bool { return d.ID == of.ID }) || c.known[of.ID] != nil {
			c.problem(path+".id", "there is a check called %q already", of.ID)
			continue
		}
		check, err := custom.Compile(of)
		if err != nil {
			c.problem(path, "check %q: %v", of.ID, err)
			continue
		}
		compiled = append(compiled, check)
	}
	c.checks = append(c.checks, compiled...)
	for i := range compiled {
		c.known[compiled[i].ID] = &compiled[i]
	}
}

func (c *Configuration) compileRules() {
	for i, r := range c.spec.Checks {
		path := fmt.Sprintf("spec.checks[%d]", i)
		namespaces, err := audit.NewNamespaceSelector(r.Namespaces)
		if err != nil {
			c.problem(path+".namespaces.selector", "%v; the rule has no effect", err)
			continue
		}
		compiled := rule{namespaces: namespaces, everywhere: r.Namespaces == nil, state: r.State, severity: r.Severity}
		if s := r.State; s != "" && s != v1alpha1.CheckEnabled && s != v1alpha1.CheckDisabled {
			c.problem(path+".state", "%q must be Enabled or Disabled", s)
			compiled.state = ""
		}
		if s := r.Severity; s != "" && audit.Rank(s) == 0 {
			c.problem(path+".severity", "%q must be Critical, High, Medium or Low", s)
			compiled.severity = ""
		}
		for j, name := range r.Names {
			if c.known[name] == nil {
				c.problem(fmt.Sprintf("%s.names[%d]", path, j), "no check is called %q; 'kubersafe checks' lists them", name)
				continue
			}
			compiled.names = append(compiled.names, name)
		}
		c.rules = append(c.rules, compiled)
	}
}

func (c *Configuration) compileNamespaces() {
	if s := c.spec.Namespaces.Excluded; s != nil {
		c.excluded = c.selector("spec.namespaces.excluded", s, "no namespace is left out")
	}
	for _, name := range c.spec.Namespaces.System {
		c.settings.SystemNamespaces[name] = true
	}
}

// selector compiles a selector of namespaces, which selects none if it is not valid.
func (c *Configuration) selector(path string, s *v1alpha1.NamespaceSelector, otherwise string) audit.NamespaceSelector {
	compiled, err := audit.NewNamespaceSelector(s)
	if err != nil {
		c.problem(path+".selector", "%v; %s", err, otherwise)
	}
	return compiled
}

func (c *Configuration) compileImages() {
	images := &c.spec.Images
	for i, text := range images.AllowedRepositories {
		repository := audit.RepositoryOf(text)
		if repository.Registry == "" || strings.ContainsAny(text, " *@") || strings.HasSuffix(text, "/") {
			c.problem(fmt.Sprintf("spec.images.allowedRepositories[%d]", i), "%q must be a registry, or a registry and a path, such as registry.example.com/shop", text)
			continue
		}
		c.settings.AllowedRepositories = append(c.settings.AllowedRepositories, repository)
	}
	if len(images.AllowedRepositories) > 0 && c.settings.AllowedRepositories == nil {
		c.settings.AllowedRepositories = []audit.Repository{} // something was meant to be allowed, and so not everything is
	}
	c.settings.RequireDigests = images.RequireDigests
	if size := images.MaxSize; size != nil {
		if size.Sign() <= 0 {
			c.problem("spec.images.maxSize", "%q must be greater than 0", size)
		} else {
			c.settings.MaxImageSize = size.Value()
		}
	}
	c.compileScanning()
}

func (c *Configuration) compileSensitive() {
	sensitive := &c.spec.SensitiveWorkloads
	if sensitive.Selector != nil {
		compiled, err := audit.NewSelector(sensitive.Selector)
		if err != nil {
			c.problem("spec.sensitiveWorkloads.selector", "%v; it selects no workload", err)
		} else {
			c.settings.Sensitive = compiled
		}
	}
	if sensitive.Namespaces != nil {
		c.sensitive = c.selector("spec.sensitiveWorkloads.namespaces", sensitive.Namespaces, "it selects no namespace")
	}
	if len(sensitive.SandboxRuntimeClasses) > 0 {
		c.settings.SandboxRuntimeClasses = setOf(sensitive.SandboxRuntimeClasses)
	}
	c.settings.DedicatedNodeKeys = setOf(sensitive.DedicatedNodeKeys)
}

func (c *Configuration) compileQuotas() {
	quotas := &c.spec.Quotas
	if len(quotas.RequiredResources) > 0 {
		c.settings.QuotaResources = nil
		for _, name := range quotas.RequiredResources {
			c.settings.QuotaResources = append(c.settings.QuotaResources, corev1.ResourceName(name))
		}
	}
	if p := quotas.NearlyExhaustedPercent; p != nil {
		if *p < 50 || *p > 95 || *p%5 != 0 {
			c.problem("spec.quotas.nearlyExhaustedPercent", "%d must be a multiple of 5 from 50 to 95", *p)
		} else {
			c.settings.QuotaNearlyExhausted = int(*p)
		}
	}
}

// mostAdmins is the most that can be set: who has more counts nobody.
const mostAdmins = 1000

func (c *Configuration) compileRBAC() {
	if most := c.spec.RBAC.MaxAdmins; most != nil {
		if *most < 1 || *most > mostAdmins {
			c.problem("spec.rbac.maxAdmins", "%d must be from 1 to %d", *most, mostAdmins)
		} else {
			c.settings.MaxAdmins = int(*most)
		}
	}
}

// maxDays is the most that can be set for exceptions.
const maxDays = 3650

// compileExceptions leaves no exception more room than was meant: where a bound is not valid, none of its kind holds.
func (c *Configuration) compileExceptions() {
	limits, namespaced := &c.settings.Exceptions, &c.spec.Exceptions.Namespaced
	limits.ClusterUnlimited = c.spec.Exceptions.Cluster.AllowUnlimited
	if namespaced.AllowUnlimited {
		limits.MaxAge = 0
	}
	limits.Namespaced = namespaced.Allowed == nil || *namespaced.Allowed
	if days := namespaced.MaxDays; days != nil {
		if *days < 1 || *days > maxDays {
			c.problem("spec.exceptions.namespaced.maxDays", "%d must be from 1 to %d; no SecurityException holds", *days, maxDays)
			limits.Namespaced = false
		}
		limits.MaxAge = time.Duration(*days) * 24 * time.Hour
	}
	if len(namespaced.Severities) > 0 {
		limits.Severities = make(map[v1alpha1.Severity]bool)
		for i, s := range namespaced.Severities {
			if audit.Rank(s) == 0 {
				c.problem(fmt.Sprintf("spec.exceptions.namespaced.severities[%d]", i), "%q must be Critical, High, Medium or Low", s)
				continue
			}
			limits.Severities[s] = true
		}
	}
	if namespaced.Namespaces != nil {
		c.exempting = c.selector("spec.exceptions.namespaced.namespaces", namespaced.Namespaces, "no SecurityException holds")
	}
}

func setOf(members []string) map[string]bool {
	set := make(map[string]bool, len(members))
	for _, m := range members {
		set[m] = true
	}
	return set
}

// said is what the configuration says of a namespace in particular.
type said struct {
	Excluded, Sensitive, Exempting bool
	// Rules that are about it.
	Rules []int
}

// SetFor returns the set that a namespace is judged by. Namespaces of which the same is said share one.
func (c *Configuration) SetFor(namespace string, labels map[string]string) *audit.Set {
	s := said{
		Excluded:  c.excluded.Matches(namespace, labels),
		Sensitive: c.sensitive.Matches(namespace, labels),
		Exempting: c.exempting.Matches(namespace, labels),
	}
	for i := range c.rules {
		if c.rules[i].namespaces.Matches(namespace, labels) {
			s.Rules = append(s.Rules, i)
		}
	}
	return c.setOf(&s)
}

// SetForCluster returns the set that what belongs to no namespace is judged by: that of the rules that are not limited to
// namespaces.
func (c *Configuration) SetForCluster() *audit.Set {
	var s said
	for i := range c.rules {
		if c.rules[i].everywhere {
			s.Rules = append(s.Rules, i)
		}
	}
	return c.setOf(&s)
}

// Excludes says whether a namespace is left out.
func (c *Configuration) Excludes(namespace string, labels map[string]string) bool {
	return c.excluded.Matches(namespace, labels)
}

func (c *Configuration) setOf(s *said) *audit.Set {
	key := fmt.Sprint(*s)
	c.mu.Lock()
	defer c.mu.Unlock()
	set, ok := c.sets[key]
	if !ok {
		set = c.build(s)
		c.sets[key] = set
	}
	return set.Set
}

// build makes the set of namespaces of which that is said, unless there was one with the same in it.
func (c *Configuration) build(s *said) builtSet {
	overrides := make(map[string]override)
	for _, i := range s.Rules {
		r := &c.rules[i]
		for _, name := range r.names {
			o := overrides[name]
			if r.state != "" {
				o.State = r.state
			}
			if r.severity != "" {
				o.Severity = r.severity
			}
			overrides[name] = o
		}
	}
	content := c.content(s, overrides)
	if set := c.before[content]; set != nil {
		return builtSet{set, content}
	}
	checks := slices.Clone(c.checks)
	for i := range checks {
		check := &checks[i]
		o := overrides[check.ID]
		if o.State != "" {
			check.Off = o.State == v1alpha1.CheckDisabled
		}
		if o.Severity != "" {
			check.Severity, check.Regraded = o.Severity, true
		}
	}
	settings := c.settings
	settings.Excluded, settings.AllSensitive = s.Excluded, s.Sensitive
	settings.Exceptions.Namespaced = settings.Exceptions.Namespaced && s.Exempting
	set, err := audit.NewSetWith(checks, settings)
	if err != nil {
		panic(err) // the checks were complete, and still are
	}
	return builtSet{set, content}
}

// content stands for what is in the set of namespaces of which that is said. Selectors of namespaces are not in it: what
// they say is.
func (c *Configuration) content(s *said, overrides map[string]override) string {
	spec := c.spec
	spec.Checks, spec.Namespaces.Excluded, spec.SensitiveWorkloads.Namespaces, spec.Exceptions.Namespaced.Namespaces = nil, nil, nil, nil
	encoded, err := json.Marshal(struct {
		Excluded, Sensitive, Exempting bool
		Overrides                      map[string]override
		Spec                           v1alpha1.AuditConfigurationSpec
	}{s.Excluded, s.Sensitive, s.Exempting, overrides, spec})
	if err != nil {
		panic(err) // it came out of JSON
	}
	return string(encoded)
}
