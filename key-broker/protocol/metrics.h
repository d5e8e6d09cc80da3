// What the broker counts. kbs_*: the names of CoCo's broker, for dashboards that know those; ccgpu_broker_*: ours.
// No label carries anything that a client chose.
#pragma once

#include "base/metrics.h"

namespace ccgpu::broker {

// Any thread.
struct Metrics {
  metrics::Registry registry;
  metrics::Counter& http_requests = registry.AddCounter("kbs_http_requests_total", "Requests answered.");
  metrics::Counter& auth_requests = registry.AddCounter("kbs_auth_requests_total", "Challenges asked for.");
  metrics::Counter& auth_errors = registry.AddCounter("kbs_auth_errors_total", "Challenges refused.");
  metrics::Counter& attestation_requests = registry.AddCounter("kbs_attestation_requests_total", "Evidence presented.");
  metrics::Counter& attestation_successes =
      registry.AddCounter("kbs_attestation_successes_total", "Evidence accepted.");
  metrics::Counter& attestation_failures = registry.AddCounter("kbs_attestation_failures_total", "Evidence refused.");
  metrics::Counter& policy_approvals = registry.AddCounter("kbs_policy_approvals_total", "Releases allowed by policy.");
  metrics::Counter& policy_violations = registry.AddCounter("kbs_policy_violations_total", "Releases denied.");
  metrics::Counter& resource_reads = registry.AddCounter("kbs_resource_reads_total", "Resources released.");
  metrics::Counter& resource_writes = registry.AddCounter("kbs_resource_writes_total", "Resources written.");
  metrics::Counter& resource_deletes = registry.AddCounter("kbs_resource_deletes_total", "Resources deleted.");
  metrics::Counter& admin_refusals =
      registry.AddCounter("ccgpu_broker_admin_refusals_total", "Calls of admin routes without the right.");
  metrics::Counter& connections_refused = registry.AddCounter(
      "ccgpu_broker_connections_refused_total", "Connections closed unread, since their peer held too many.");
  // `route` as in the broker's table, or "none"; `status` as answered, "401" for most refusals unless --strict-status.
  metrics::Family<metrics::Counter>& answers = registry.AddCounters(
      "ccgpu_broker_http_requests_total", "Requests answered, by route and status.", {"route", "method", "status"});
  metrics::Family<metrics::Histogram>& seconds =
      registry.AddHistograms("ccgpu_broker_http_request_seconds", "Time to answer a request.", {"route", "method"});
  metrics::Family<metrics::Counter>& refusals = registry.AddCounters(
      "ccgpu_broker_refusals_total", "Requests refused, by route and reason code.", {"route", "code"});
  metrics::Family<metrics::Counter>& internal_errors = registry.AddCounters(
      "ccgpu_broker_internal_errors_total", "Requests that failed by our own fault, by reason code.", {"code"});
  metrics::Family<metrics::Counter>& attested =
      registry.AddCounters("ccgpu_broker_attestations_total", "Evidence judged, by CPU, environment and result.",
                           {"tee", "environment", "result"});
  metrics::Counter& releases = registry.AddCounter("ccgpu_broker_releases_total", "Keys released to attested pods.");
  metrics::Histogram& handshake_seconds = registry.AddHistogram(
      "ccgpu_broker_handshake_seconds", "From a pod's challenge to its first key: evidence collection is part of it.");
};

}  // namespace ccgpu::broker
