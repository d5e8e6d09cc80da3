// What the agent trusts: read from the measured initdata document and from nowhere else.
#pragma once

#include <string>

#include "base/result.h"
#include "trust/kbs/initdata.h"
#include "trust/verify/verify.h"

namespace ccgpu::agent {

struct TrustConfig {
  std::string init_data_text;  // sent to the broker, whose evidence check ties it to HOST_DATA
  kbs::BrokerAddress broker;   // "aa.toml"
  verify::Anchors anchors;     // "ccgpu-trust.yaml" added to the built-in hardware roots
};

// Errors: those of the parsers, with the entry's name in the subject; agent.no-broker without an aa.toml.
Result<TrustConfig> LoadTrustConfig(const std::string& init_data_path);

// The document EvidenceTrust (docs/policy.md).
Result<verify::Anchors> ParseEvidenceTrust(const std::string& yaml, const std::string& name);

}  // namespace ccgpu::agent
