// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// ExceptionState is what became of an exception.
type ExceptionState struct {
	// Holds says whether it is in force.
	Holds bool
	// Reason is one of those of the condition Active.
	Reason  string
	Message string
	// Matches is the number of findings that it exempts.
	Matches int32
}

// maxMessage is the longest message that fits into a condition, in bytes, with room for what tells that it was cut.
const maxMessage = 32000

// denied is what is said of an exception that some of the findings that it is about are too severe for.
const denied = "findings that it is about are of severities that the AuditConfiguration does not let SecurityExceptions exempt"

// StatesOf says what became of the exceptions of one namespace, or of the cluster, within its limits, given what they do to
// findings, by name. check looks a check up by its id.
func StatesOf(
	exceptions []*audit.ExceptionRecord, limits *audit.ExceptionLimits, uses map[string]Use, check func(string) *audit.Check, now time.Time,
) []ExceptionState {
	excess := audit.TooMany(exceptions, now)
	states := make([]ExceptionState, 0, len(exceptions))
	for _, e := range exceptions {
		s := stateOf(e, limits, uses[e.Name], check, now)
		if excess[e] {
			s = ExceptionState{
				Reason:  v1alpha1.ReasonNotPermitted,
				Message: fmt.Sprintf("SecurityExceptions of this namespace have more than %d subjects, and the latest do not hold", audit.MaxExceptionSubjects),
			}
		}
		states = append(states, s)
	}
	return states
}

func stateOf(e *audit.ExceptionRecord, limits *audit.ExceptionLimits, use Use, check func(string) *audit.Check, now time.Time) ExceptionState {
	var notes []string
	unknown := 0
	for i, name := range e.Checks {
		if name != "*" && check(name) == nil {
			unknown++
			notes = append(notes, fmt.Sprintf("spec.checks[%d]: no check is called %q", i, name))
		}
	}
	notes = append(notes, e.Problems...)
	refusal := limits.Refusal(e)
	var s ExceptionState
	switch {
	case e.Expired(now):
		s.Reason, notes = v1alpha1.ReasonExpired, []string{"it ended at " + e.Expires.Time().Format(time.RFC3339)}
	case refusal != "":
		s.Reason, notes = v1alpha1.ReasonNotPermitted, []string{refusal}
	case unknown == len(e.Checks) || e.Void():
		s.Reason = v1alpha1.ReasonInvalid
	case use.Matches > 0:
		s.Holds, s.Reason, s.Matches = true, v1alpha1.ReasonMatched, use.Matches
		if use.Denied > 0 {
			notes = append(notes, "some "+denied)
		}
	case use.Denied > 0:
		s.Reason, notes = v1alpha1.ReasonNotPermitted, append(notes, "the "+denied)
	default:
		s.Holds, s.Reason = true, v1alpha1.ReasonUnused
	}
	s.Message = strings.Join(notes, "; ")
	if len(s.Message) > maxMessage {
		s.Message = strings.ToValidUTF8(s.Message[:maxMessage], "") + "…"
	}
	return s
}
