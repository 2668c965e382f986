// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package source keeps what the audit reads of the cluster: one list and watch for each resource, as small records.
package source

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
	"github.com/kubersafe/kubersafe/internal/shard"
)

// Event is a change that may change verdicts.
type Event struct {
	Resource audit.Resource
	// Namespace that the change is in; "" if it is in none.
	Namespace string
	// StateChanged: not an object has changed, but whether the resource can be read, or what all namespaces depend on.
	StateChanged bool
}

// Sources are all the resources that the audit reads. Each is watched on its own: one that is forbidden or not served
// stops nothing, and is picked up as soon as it can be read.
type Sources struct {
	shard    shard.Shard
	watchers []*watcher

	pods            *Store[*audit.PodRecord]
	controllers     map[audit.Resource]*Store[*audit.ControllerRecord]
	namespaces      *Store[*audit.NamespaceRecord]
	quotas          *Store[*audit.QuotaRecord]
	limitRanges     *Store[*audit.LimitRangeRecord]
	networkPolicies *Store[*audit.NetworkPolicyRecord]
	clusterPolicies *Store[*audit.ClusterPolicyRecord]
	nodes           *Store[*audit.NodeRecord]
	images          *images
	imageReports    *imageReports
	cluster         clusterStores
	serviceAccounts *Store[*audit.ServiceAccountRecord]
	services        *Store[*audit.ServiceRecord]
	ingresses       *Store[*audit.IngressRecord]
	gateways        *Store[*audit.GatewayRecord]
	httpRoutes      *Store[*audit.HTTPRouteRecord]
	roles           map[audit.Resource]*Store[*audit.RoleRecord]
	bindings        map[audit.Resource]*Store[*audit.BindingRecord]

	configurations    *Store[*audit.ConfigurationRecord]
	exceptions        *Store[*audit.ExceptionRecord]
	clusterExceptions *Store[*audit.ExceptionRecord]

	departed departures
	version  serverVersion
	powers   *powers

	mu       sync.Mutex
	handlers []func(Event)
	seen     seen
	// told are those of which events have told. Only their watches touch them.
	toldPolicies told[*audit.ClusterPolicyRecord]
	toldNodes    told[*audit.NodeRecord]
}

// seen is what was made of DaemonSets and nodes last. It is part of what is known of every namespace.
type seen struct {
	agents netpol.CNI
	nodes  audit.Infrastructure
}

// +kubebuilder:rbac:groups="",resources=pods;nodes;replicationcontrollers;namespaces;resourcequotas;limitranges;services;serviceaccounts,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,resources=deployments;replicasets;statefulsets;daemonsets,verbs=get;list;watch
// +kubebuilder:rbac:groups=batch,resources=jobs;cronjobs,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses;networkpolicies,verbs=get;list;watch

// New returns the sources of a cluster. Nothing is read before Start.
func New(client kubernetes.Interface) *Sources { return NewShard(client, shard.Shard{}) }

// NewShard returns sources that keep only what is in the namespaces of a shard.
func NewShard(client kubernetes.Interface, part shard.Shard) *Sources {
	s := &Sources{
		shard:       part,
		controllers: make(map[audit.Resource]*Store[*audit.ControllerRecord]),
		departed:    departures{at: make(map[audit.UID]time.Time)},
		version:     serverVersion{client: client.Discovery()},
		powers:      newPowers(),
		roles:       make(map[audit.Resource]*Store[*audit.RoleRecord]),
		bindings:    make(map[audit.Resource]*Store[*audit.BindingRecord]),
	}
	intern := newInterner()
	core, apps, batch := client.CoreV1().RESTClient(), client.AppsV1().RESTClient(), client.BatchV1().RESTClient()

	s.pods = NewStore(intern.pod)
	s.pods.inherit = (*audit.PodRecord).Inherit
	Add(s, part, audit.Pods, core, "pods", &corev1.Pod{}, s.pods)
	s.namespaces = NewStore(namespaceRecord)
	s.namespaces.bucket = func(o *audit.Object) string { return o.Name } // with what it holds
	// Whether Pods of a namespace may mount the files of a node decides over workloads everywhere, and what admission lets
	// into any of them is judged for the cluster.
	Add(s, shard.Shard{}, audit.Namespaces, core, "namespaces", &corev1.Namespace{}, s.namespaces)
	s.quotas = NewStore(quotaRecord)
	Add(s, part, audit.ResourceQuotas, core, "resourcequotas", &corev1.ResourceQuota{}, s.quotas)
	s.networkPolicies = NewStore(networkPolicyRecord)
	Add(s, part, audit.NetworkPolicies, client.NetworkingV1().RESTClient(), "networkpolicies", &networkingv1.NetworkPolicy{}, s.networkPolicies)

	for _, c := range []struct {
		resource audit.Resource
		client   rest.Interface
		plural   string
		example  runtime.Object
	}{
		{audit.Deployments, apps, "deployments", &appsv1.Deployment{}},
		{audit.ReplicaSets, apps, "replicasets", &appsv1.ReplicaSet{}},
		{audit.StatefulSets, apps, "statefulsets", &appsv1.StatefulSet{}},
		{audit.DaemonSets, apps, "daemonsets", &appsv1.DaemonSet{}},
		{audit.Jobs, batch, "jobs", &batchv1.Job{}},
		{audit.CronJobs, batch, "cronjobs", &batchv1.CronJob{}},
		{audit.ReplicationControllers, core, "replicationcontrollers", &corev1.ReplicationController{}},
	} {
		store := NewStore(intern.controller)
		store.removed = s.departed.note
		store.inherit = (*audit.ControllerRecord).Inherit
		s.controllers[c.resource] = store
		kept := part
		if c.resource == audit.DaemonSets {
			kept = shard.Shard{} // those of the network are in one namespace and concern all
		}
		Add(s, kept, c.resource, c.client, c.plural, c.example, store)
	}
	s.limitRanges = NewStore(limitRangeRecord)
	Add(s, part, audit.LimitRanges, core, "limitranges", &corev1.LimitRange{}, s.limitRanges)
	s.serviceAccounts = NewStore(serviceAccountRecord)
	// Whom a way to cluster-admin leads over is decided in all namespaces.
	Add(s, shard.Shard{}, audit.ServiceAccounts, core, "serviceaccounts", &corev1.ServiceAccount{}, s.serviceAccounts)
	s.services = NewStore(serviceRecord)
	Add(s, part, audit.Services, core, "services", &corev1.Service{}, s.services)
	s.ingresses = NewStore(ingressRecord)
	Add(s, part, audit.Ingresses, client.NetworkingV1().RESTClient(), "ingresses", &networkingv1.Ingress{}, s.ingresses)
	s.nodes, s.images = NewStore(intern.node), newImages()
	Add(s, shard.Shard{}, audit.Nodes, core, "nodes", &corev1.Node{}, s.nodes)
	s.nodes.notify = func(string) { s.tellOfNodes() }
	s.addCluster(client, intern)
	s.addRBAC(client)
	s.imageReports = newImageReports()
	s.gateways, s.httpRoutes, s.clusterPolicies = NewStore(gatewayRecord), NewStore(httpRouteRecord), NewStore(clusterPolicyRecord)
	s.configurations, s.exceptions, s.clusterExceptions = NewStore(configurationRecord), NewStore(exceptionRecord), NewStore(exceptionRecord)
	s.seen = seen{netpol.SeeAgents(s.agent), audit.InfrastructureOf(nil)}
	return s
}

// Add adds a resource to the sources, before Start. Only what is in the namespaces of part is kept, so a resource outside
// namespaces must be added with the zero value, which is everything. plural is the resource's name in the API's paths.
func Add[R Record[R]](
	s *Sources, part shard.Shard, resource audit.Resource, client rest.Interface, plural string, example runtime.Object, store *Store[R],
) {
	from := partOf(client, plural, part)
	if resource.Optional() {
		from = &optionalListWatcher{from, client, plural}
	}
	addFrom(s, resource, from, example, store)
}

// addFrom adds a resource that is listed and watched in a particular way.
func addFrom[R Record[R]](s *Sources, resource audit.Resource, from listWatcher, example runtime.Object, store *Store[R]) {
	w := newWatcher(resource, from, example, store)
	w.changed = func() { s.tell(Event{Resource: resource, StateChanged: true}) }
	store.notify = func(namespace string) { s.tell(Event{Resource: resource, Namespace: namespace}) }
	s.watchers = append(s.watchers, w)
}

// Shard returns the part of the namespaces that is kept.
func (s *Sources) Shard() shard.Shard { return s.shard }

// Start reads and watches until the context ends.
func (s *Sources) Start(ctx context.Context) error {
	s.version.read() // before anything can be judged
	var wg sync.WaitGroup
	wg.Go(func() {
		s.version.watch(ctx, func(minor bool) { s.tell(Event{Resource: audit.ServerVersion, StateChanged: minor}) })
	})
	wg.Go(func() { s.followPowers(ctx) })
	wg.Go(func() { s.followImageReports(ctx) })
	for _, w := range s.watchers {
		wg.Go(func() { w.run(ctx) })
	}
	wg.Wait()
	return nil
}

// NeedLeaderElection is false: followers are kept warm.
func (s *Sources) NeedLeaderElection() bool { return false }

// OnEvent registers a function to be called after every change that may change verdicts. It must not block.
func (s *Sources) OnEvent(handle func(Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers = append(s.handlers, handle)
}

func (s *Sources) tell(e Event) {
	s.mu.Lock()
	handlers := s.handlers
	if e.Resource == audit.DaemonSets {
		if agents := netpol.SeeAgents(s.agent); agents != s.seen.agents {
			s.seen.agents, e.StateChanged = agents, true // another network is that of all namespaces
		}
	}
	s.mu.Unlock()
	s.noteAccounts(e)
	for _, handle := range handlers {
		handle(e)
	}
}

// tellOfNodes tells of nodes that are to be judged themselves, and of the namespaces with Pods on nodes that have changed, come
// or gone, or with images of which nodes tell something else than before, or of all namespaces if it is what all nodes tell of
// the cluster.
func (s *Sources) tellOfNodes() {
	nodes := s.nodes.List("")
	changed, images, judged := make(map[string]bool), make(map[audit.ImageKey]bool), false
	for before, now := range s.toldNodes.changes(nodes) {
		var was, is audit.NodeRecord
		if before != nil {
			was = *before
		}
		if now != nil {
			is = *now
		}
		if was.UID != is.UID || was.NodeFacts != is.NodeFacts {
			changed[cmp.Or(was.Name, is.Name)] = true
		}
		judged = judged || was.UID != is.UID || was.NodeDetails != is.NodeDetails
		maps.Copy(images, s.images.change(was.Images, is.Images))
	}
	if judged {
		s.tell(Event{Resource: audit.Nodes})
	}
	if len(changed) > 0 {
		s.powers.look() // the control plane may run on others
		infrastructure := audit.InfrastructureOf(nodes)
		s.mu.Lock()
		same := infrastructure.Equal(&s.seen.nodes)
		s.seen.nodes = infrastructure
		s.mu.Unlock()
		if !same {
			s.tell(Event{Resource: audit.Nodes, StateChanged: true})
			return
		}
	}
	if len(changed)+len(images) == 0 || !s.read() { // before, nothing is judged
		return
	}
	for _, namespace := range s.pods.NamespacesWith(func(p *audit.PodRecord) bool {
		return changed[p.NodeName()] || len(images) > 0 && anyOf(p.Images(), images)
	}) {
		s.tell(Event{Resource: audit.Nodes, Namespace: namespace})
	}
}

func anyOf(keys iter.Seq[audit.ImageKey], of map[audit.ImageKey]bool) bool {
	for key := range keys {
		if of[key] {
			return true
		}
	}
	return false
}

// told are the records of a resource outside namespaces of which events have told, sorted by name.
type told[R Record[R]] []R

// changes takes in the records that there are, sorted by name, and returns those that have changed, come or gone since the last
// time, as they were and as they are. What was or is not there is the zero value.
func (t *told[R]) changes(records []R) iter.Seq2[R, R] {
	before, now := *t, records
	*t = records
	return func(yield func(R, R) bool) {
		var none R
		for len(before)+len(now) > 0 {
			order := cmp.Compare(len(now), len(before)) // what is left of one alone has gone or come
			if len(before) > 0 && len(now) > 0 {
				order = cmp.Compare(before[0].Identity().Name, now[0].Identity().Name)
			}
			was, is := none, none
			if order <= 0 {
				was, before = before[0], before[1:]
			}
			if order >= 0 {
				is, now = now[0], now[1:]
			}
			if (order != 0 || !was.Equal(is)) && !yield(was, is) {
				return
			}
		}
	}
}

// Status returns the state of every resource, in a fixed order. One that is read in two parts is in the state of the worse.
func (s *Sources) Status() []v1alpha1.SourceStatus {
	states := make([]v1alpha1.SourceStatus, 0, len(s.watchers))
	for _, w := range s.watchers {
		status := w.Status()
		at := slices.IndexFunc(states, func(s v1alpha1.SourceStatus) bool { return s.Resource == status.Resource })
		switch {
		case at < 0:
			states = append(states, status)
		case states[at].State == v1alpha1.SourceSynced:
			states[at] = status
		}
	}
	return states
}

// Settled says whether no source is still to be read for the first time, and what follows from all of them is known.
func (s *Sources) Settled() bool { return s.read() && s.powers.ready() }

// read says whether no source is still to be read for the first time.
func (s *Sources) read() bool {
	for _, w := range s.watchers {
		if w.Status().State == v1alpha1.SourceSyncing {
			return false
		}
	}
	return true
}

// Current says whether every source follows the API server at this moment, as far as it may.
func (s *Sources) Current() bool {
	for _, w := range s.watchers {
		if !w.current() {
			return false
		}
	}
	return true
}
