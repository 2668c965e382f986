// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"
)

// Progress tells how far the audit is: whether everything has been judged once since this process took over, and when
// last every report said what the cluster was like.
type Progress struct {
	// Idle says whether nothing is left to be done at this moment.
	Idle func() bool
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Cluster says that what belongs to no namespace is judged too. It is called "" among namespaces.
	Cluster bool
	// Begin is called when the audit begins; it may be nil.
	Begin func()
	// FirstPass is called when everything has been judged once.
	FirstPass func()

	mu      sync.Mutex
	begun   bool
	missing map[string]bool
	last    time.Time
}

func (p *Progress) start(namespaces []string) {
	p.mu.Lock()
	p.begun = true
	p.missing = make(map[string]bool, len(namespaces))
	for _, name := range namespaces {
		p.missing[name] = true
	}
	if p.Cluster {
		p.missing[""] = true
	}
	complete := len(p.missing) == 0
	if complete {
		p.last = p.now()
	}
	p.mu.Unlock()
	if p.Begin != nil {
		p.Begin()
	}
	if complete {
		p.FirstPass()
	}
}

func (p *Progress) started() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun
}

func (p *Progress) judged(namespace string) {
	p.mu.Lock()
	before := len(p.missing)
	delete(p.missing, namespace)
	complete := before == 1 && len(p.missing) == 0
	if complete {
		p.last = p.now()
	}
	p.mu.Unlock()
	if complete {
		p.FirstPass()
	}
}

// Complete says whether everything has been judged once.
func (p *Progress) Complete() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun && len(p.missing) == 0
}

// LastComplete returns the last moment, as far as anybody asked, at which nothing was left to be done.
func (p *Progress) LastComplete() time.Time {
	idle := p.Idle()
	p.mu.Lock()
	defer p.mu.Unlock()
	if idle {
		p.last = p.now()
	}
	return p.last
}

func (p *Progress) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}
