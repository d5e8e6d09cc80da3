// An emulated pod with GPUs that answers a broker's challenge, and the vendor services that its evidence needs.
#pragma once

#include <atomic>
#include <deque>
#include <string>

#include "key-broker/appraisal/collateral.h"
#include "trust/kbs/jwe.h"
#include "trust/kbs/protocol.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::broker {

struct TestPod {
  explicit TestPod(size_t gpu_count = 1);
  // A whole machine in protected PCIe: eight GPUs, then the four NVSwitches between them.
  static TestPod WithSwitches();

  // Evidence for this nonce, bound to `bound_to` (normally this pod's own key).
  kbs::AttestRequest Answer(const std::string& nonce, const kbs::PublicJwk& bound_to);
  kbs::AttestRequest Answer(const std::string& nonce) { return Answer(nonce, key.jwk); }
  verify::Anchors Anchors() const;

  kbs::TeeKey key = kbs::TeeKey::Generate();
  std::string init_data;
  std::string host_data;              // hex
  std::deque<verify::GpuWorld> gpus;  // and switches
  verify::SnpWorld cpu;
};

// The RIM and OCSP services of the pod's vendor. Any thread once set up.
class TestVendor final : public collateral::Fetcher {
 public:
  explicit TestVendor(const TestPod& pod) : pod_(pod) {}
  Result<collateral::FetchAnswer> Fetch(const collateral::FetchRequest& request) override;

  std::atomic<bool> down{false};
  std::atomic<int> fetches{0};
  std::string revoked_level;         // "device1": answered as revoked
  TimePoint now = verify::kTestNow;  // of the OCSP answers

 private:
  const TestPod& pod_;
};

}  // namespace ccgpu::broker
