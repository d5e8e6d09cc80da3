#include "key-broker/protocol/metrics.h"

namespace ccgpu::broker {

std::string Metrics::Text(size_t live_sessions) const {
  std::string out;
  auto counter = [&](const char* name, const char* help, const std::atomic<uint64_t>& value) {
    out += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " counter\n" + name + " " +
           std::to_string(value.load()) + "\n";
  };
  counter("kbs_http_requests_total", "Requests answered.", http_requests);
  counter("kbs_auth_requests_total", "Challenges asked for.", auth_requests);
  counter("kbs_auth_errors_total", "Challenges refused.", auth_errors);
  counter("kbs_attestation_requests_total", "Evidence presented.", attestation_requests);
  counter("kbs_attestation_successes_total", "Evidence accepted.", attestation_successes);
  counter("kbs_attestation_failures_total", "Evidence refused.", attestation_failures);
  counter("kbs_policy_approvals_total", "Releases allowed by policy.", policy_approvals);
  counter("kbs_policy_violations_total", "Releases denied.", policy_violations);
  counter("kbs_resource_reads_total", "Resources released.", resource_reads);
  counter("kbs_resource_writes_total", "Resources written.", resource_writes);
  counter("kbs_resource_deletes_total", "Resources deleted.", resource_deletes);
  counter("ccgpu_broker_admin_refusals_total", "Calls of admin routes without the right.", admin_refusals);
  out += "# HELP ccgpu_broker_sessions Sessions alive.\n# TYPE ccgpu_broker_sessions gauge\nccgpu_broker_sessions " +
         std::to_string(live_sessions) + "\n";
  return out;
}

}  // namespace ccgpu::broker
