// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	// auditPolicy logs who did what, for every request, once it is answered; watches also once they are established.
	auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
`
	auditEverything = `- level: Metadata
`
	// auditUsers logs the requests of some users, and the markers.
	auditUsers = `- level: Metadata
  users: [%s]
- level: Metadata
  verbs: [get]
  namespaces: [default]
  resources: [{group: "", resources: [configmaps]}]
- level: None
`
	// auditFlushTimeout bounds the wait for the log to catch up, which takes milliseconds.
	auditFlushTimeout = 30 * time.Second
	markerPrefix      = "audit-marker-"
)

// AuditEvent is one request to the API server.
type AuditEvent struct {
	User string
	Verb string
	// Path is that of the URL, without the query.
	Path string
	// Group and what follows are "" if the request is not about a resource; Group is also that of the core.
	Group       string
	Resource    string
	Subresource string
	Namespace   string
	Name        string
	// Code is the HTTP status; of a watch that is still open, the one it was established with.
	Code      int
	UserAgent string
	// Answered is when the answer was complete; of a watch that is still open, when it began.
	Answered time.Time
}

func (c *ControlPlane) configureAuditLog(apiServer *envtest.APIServer, users []string) error {
	rules := auditEverything
	if len(users) > 0 {
		rules = fmt.Sprintf(auditUsers, `"`+strings.Join(users, `", "`)+`"`)
	}
	policy := filepath.Join(c.Dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy+rules), 0o600); err != nil {
		return fmt.Errorf("writing the audit policy: %w", err)
	}
	c.auditLog = filepath.Join(c.Dir, "audit.jsonl")
	apiServer.Configure().
		Set("audit-policy-file", policy).
		Set("audit-log-path", c.auditLog).
		// Written before the request's handler ends, rather than in batches; and never rotated away from under the reader.
		Set("audit-log-mode", "blocking").
		Set("audit-log-maxsize", "10000")
	return nil
}

// AuditEvents returns every request that had been answered when it was called, in the order in which they ended.
// It needs Options.AuditLog.
func (c *ControlPlane) AuditEvents() ([]AuditEvent, error) {
	if c.auditLog == "" {
		return nil, errors.New("the control plane was started without an audit log")
	}
	content, err := c.flushedAuditLog()
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	return ParseAuditLog(content)
}

// flushedAuditLog makes a request that can be recognised and reads the log until it is in there.
func (c *ControlPlane) flushedAuditLog() ([]byte, error) {
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return nil, err
	}
	marker := markerPrefix + strings.ToLower(unique())
	var content []byte
	ctx := context.Background()
	_, err = client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Get(ctx, marker, metav1.GetOptions{})
	if err := ignoreNotFound(err); err != nil {
		return nil, err
	}
	err = wait.PollUntilContextTimeout(ctx, pollInterval, auditFlushTimeout, false, func(context.Context) (bool, error) {
		var err error
		content, err = os.ReadFile(c.auditLog)
		return bytes.Contains(content, []byte(marker)) && bytes.HasSuffix(content, []byte("\n")), err
	})
	return content, err
}

// cutAuditLog takes what an API server was killed amid of writing off the log.
func (c *ControlPlane) cutAuditLog() error {
	if c.auditLog == "" {
		return nil
	}
	content, err := os.ReadFile(c.auditLog)
	if err != nil {
		return err
	}
	return os.Truncate(c.auditLog, int64(bytes.LastIndexByte(content, '\n')+1))
}

// ParseAuditLog returns the events of an audit log, which has one as JSON in each line: one per request, although watches are logged
// twice, and without the markers of AuditEvents.
func ParseAuditLog(content []byte) ([]AuditEvent, error) {
	var events []AuditEvent
	index := map[string]int{} // by request
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, len(content)+1)
	for lines.Scan() {
		var logged auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &logged); err != nil {
			return nil, fmt.Errorf("parsing the audit log: %w", err)
		}
		event := auditEvent(&logged)
		if strings.HasPrefix(event.Name, markerPrefix) {
			continue
		}
		id := string(logged.AuditID)
		if i, known := index[id]; known {
			events[i] = event
			continue
		}
		index[id] = len(events)
		events = append(events, event)
	}
	return events, lines.Err()
}

func auditEvent(logged *auditv1.Event) AuditEvent {
	event := AuditEvent{User: logged.User.Username, Verb: logged.Verb, UserAgent: logged.UserAgent, Answered: logged.StageTimestamp.Time}
	event.Path, _, _ = strings.Cut(logged.RequestURI, "?")
	if ref := logged.ObjectRef; ref != nil {
		event.Group, event.Resource, event.Subresource = ref.APIGroup, ref.Resource, ref.Subresource
		event.Namespace, event.Name = ref.Namespace, ref.Name
	}
	if logged.ResponseStatus != nil {
		event.Code = int(logged.ResponseStatus.Code)
	}
	return event
}
