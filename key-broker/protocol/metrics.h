// Counters in Prometheus' text format. No label carries anything that a client chose.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace ccgpu::broker {

struct Metrics {
  std::atomic<uint64_t> http_requests{0}, auth_requests{0}, auth_errors{0}, attestation_requests{0},
      attestation_successes{0}, attestation_failures{0}, policy_approvals{0}, policy_violations{0}, resource_reads{0},
      resource_writes{0}, resource_deletes{0}, admin_refusals{0};
  std::string Text(size_t live_sessions) const;
};

}  // namespace ccgpu::broker
