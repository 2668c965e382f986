// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"strings"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// advice is a sentence of the documents that kubersafe is built on which no check judges, or not yet.
type advice struct {
	// text is the sentence, shortened.
	text string
	// why no check can judge it; "" if checks will.
	why string
	// planned are the ids of the checks that will judge it. Once they are all there, they do.
	planned []string
}

const (
	building = "It is about how images are built, before anything is in the cluster; the API shows only what runs."
	outside  = "It is about what is around the cluster, which its API does not show."
	noRule   = "It explains or weighs up, and asks for nothing that could be missing."
	people   = "It is about what people do and know, which leaves no trace in the API."
)

var notJudged = []advice{
	// Images.
	{text: "Images must be free of components with known vulnerabilities, and be scanned again and again.", planned: []string{"image-vulnerabilities", "image-scan-stale"}},
	{text: "Once vulnerabilities are found in running containers, update the source image and redeploy.", planned: []string{"image-vulnerabilities", "image-update-available"}},
	{text: "All images in the registry must be scanned periodically.", why: "Images that do not run are not looked at: what is in a registry is for the registry's own scanner."},
	{text: "Build a CI pipeline that integrates security assessment, and let a failure there fail the pipeline.", why: building},
	{text: "Only vetted code, approved for production, is used for building images.", why: building},
	{text: "Once an image is built, scan it, and push it to a private registry only if no issues are found.", why: building},
	{text: "Push only approved images to the private registries.", why: "What is pushed is between the pipeline and the registry; the checks on registries, digests and signatures judge what runs."},
	{text: "Only images that comply with the organisation's policy may run.", planned: []string{"image-registry-not-allowed", "image-signature"}},
	{text: "Image authorization plugins prevent the shipping of unauthorized images.", planned: []string{"no-image-admission"}},
	{text: "Use a Dockerfile, build the image yourself, and publish it in a private repository.", why: building},
	{text: "Start with the leanest base image, and add packages so that you know what is inside.", planned: []string{"image-too-large", "image-too-many-packages"}},
	{text: "Use as few dependencies as possible, and ones that have exactly what you want.", planned: []string{"image-too-many-packages"}},
	{text: "Smaller images are built and pulled faster and take less storage.", why: noRule},
	{text: "An image may interact with the operating system and run commands that open a backdoor.", why: "That shows only while it runs, to a tool that watches system calls; kubersafe reads the API and nothing else."},
	{text: "Create a service user when building the image, and run the container as that user.", planned: []string{"image-runs-as-root"}},
	// Nodes and the network around them.
	{text: "Limit SSH access to nodes.", why: "A node's own SSH server and the firewall before it are not in the API. What Pods do to it is judged: host-port, ssh-server, host-path-volume."},
	{text: "Ask users to use kubectl exec instead of SSH.", why: people},
	{text: "Avoid exposing any node to the internet; work only with private nodes.", planned: []string{"node-public-ip"}},
	{text: "Disable public access to the API of the control plane.", planned: []string{"api-server-public"}},
	{text: "Use a bastion host, a VPN tunnel or a direct connection to reach nodes and other infrastructure.", why: outside},
	{text: "Disable the cloud's metadata server for Pods with network policies.", planned: []string{"metadata-endpoint-reachable"}},
	{text: "Enable only the ports that you need.", why: "Which ports an application needs only its people know. Ports that nobody should expose are judged: service-exposes-admin-port, host-port."},
	{text: "Containers communicate only with those they are supposed to.", why: "Who is supposed to talk to whom is what the network policies themselves say. That there are such, and that they restrict something, is judged."},
	// Access.
	{text: "Make sure that RBAC is enabled.", planned: []string{"api-server-no-rbac", "api-server-always-allow"}},
	{text: "Define fine-grained access control rules for namespaces, containers and operations.", planned: []string{"rbac-wildcard", "rbac-privilege-path"}},
	{text: "A policy of the ABAC authorizer allows one user to read Pods of one namespace.", planned: []string{"api-server-abac"}},
	{text: "Do not give every user admin privileges; group users to what they need.", planned: []string{"rbac-cluster-admin", "rbac-too-many-admins"}},
	{text: "Secure the accounts of people and of automated systems.", why: "People's accounts are in an identity provider outside of the cluster. What they may do in the cluster is for the checks on RBAC."},
	{text: "Plan namespaces according to the workloads' permission needs.", why: "A plan cannot be read from the API. That workloads stay out of the namespace default is judged."},
	{text: "Resources created in one namespace can be hidden from other namespaces.", why: noRule},
	// Secrets.
	{text: "Enable encryption at rest.", planned: []string{"secrets-not-encrypted"}},
	{text: "Use a key management service.", why: "Which providers encrypt is in a file on the nodes of the control plane, which the API does not show. That there is such a file is judged: secrets-not-encrypted."},
	{text: "Keep credentials out of ConfigMaps.", why: "It needs the permission to read all ConfigMaps, which kubersafe does not ask for."},
	{text: "Encrypt backups, so that nobody can read the secrets in them without the key.", why: "Backups of etcd are outside of the cluster."},
	// Admission, sandboxes, placement.
	{text: "Enforce security policies automatically with admission controllers.", planned: []string{"admission-plugin-missing", "admission-fails-open", "admission-only-warns"}},
	{text: "Admit only images from authorized repositories, and ones that have been analysed before.", planned: []string{"no-image-admission"}},
	{text: "Sandbox containers with gVisor.", planned: []string{"not-sandboxed"}},
	{text: "Segregate sensitive workloads with namespaces, taints and tolerations.", planned: []string{"sensitive-namespace-shared", "sensitive-workload-not-segregated", "sensitive-pool-not-tainted"}},
	{text: "Restrict with RBAC roles who can schedule Pods to the sensitive nodes.", planned: []string{"sensitive-pool-open-to-all"}},
	// Logs and versions.
	{text: "Create audit policies, and enable audit logging.", planned: []string{"audit-log-disabled", "audit-policy-missing"}},
	{text: "Persist logs in a centralized place.", planned: []string{"audit-log-local-only"}},
	{text: "Enable audit logging of a managed control plane.", why: "A provider's control plane does not show its settings in the cluster's API."},
	{text: "Configure alerts and notifications on the logs.", why: outside},
	{text: "Automate a reaction, such as terminating the Pods that could be affected.", why: "kubersafe only reads what it audits. Its metrics can start whatever reacts."},
	{text: "Always run the latest version of Kubernetes, and plan to upgrade.", planned: []string{"kubernetes-unsupported", "kubernetes-outdated"}},
	{text: "Read the list of vulnerabilities that Kubernetes has had, with their scores.", planned: []string{"kubernetes-known-vulnerabilities"}},
	// Pods and Services.
	{text: "Upgrade containers with rolling updates.", planned: []string{"updates-not-rolling", "rollout-stuck"}},
	{text: "Do not update running containers directly: it breaks the relation between image and container.", planned: []string{"image-drift"}},
	{text: "Use init containers, not sidecars, for what happens once.", planned: []string{"bootstrap-sidecar"}},
	{text: "Let init containers wait for the microservices that a process depends on.", why: "Which services a process depends on is not in its manifest."},
	{text: "A Service of type NodePort can be good enough.", why: "The document calls it a personal preference that not everyone recommends, and another asks for load balancers: service-node-port follows the latter."},
	{text: "Use static IP addresses, which are free.", why: "Whether an address is reserved only the provider knows, and it is about availability."},
	{text: "Map external services to internal ones with type ExternalName.", why: "It is a possibility, no rule. Where such a Service points is judged: service-external-name."},
	{text: "This strategy works only for HTTP, not for UDP or TCP.", why: noRule},
	{text: "Large organisations have teams for authorization and application security.", why: people},
}

const notJudgedIntro = `
## Not judged, because

kubersafe follows published advice on the security of Kubernetes. These sentences of it no check judges.

| advice | why |
|---|---|
`

func writeNotJudged(page *strings.Builder, set *audit.Set) {
	page.WriteString(notJudgedIntro)
	for _, a := range notJudged {
		why := a.why
		if why == "" {
			missing := a.missing(set)
			if len(missing) == 0 {
				continue
			}
			why = "Planned: `" + strings.Join(missing, "`, `") + "`."
		}
		fmt.Fprintf(page, "| %s | %s |\n", a.text, why)
	}
}

// missing returns the planned checks that are not there.
func (a *advice) missing(set *audit.Set) []string {
	var missing []string
	for _, id := range a.planned {
		if set.Check(id) == nil {
			missing = append(missing, id)
		}
	}
	return missing
}
