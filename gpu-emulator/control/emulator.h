// The whole program behind main: everything that `ccgpu-emulator` runs, wired together.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/crypto/digest.h"
#include "gpu-emulator/control/control_service.h"
#include "gpu-emulator/control/emulator_metrics.h"
#include "gpu-emulator/platform/platform_server.h"
#include "gpu-emulator/platform/vtpm_guest.h"
#include "gpu-emulator/services/http_service.h"
#include "gpu-emulator/services/pcs_documents.h"

namespace ccgpu::emulator {

struct EmulatorOptions {
  std::string state_dir;  // identities; made at the first start
  std::string run_dir;    // emulator.sock, platform.sock, gpuN.link, emulator.ready
  uint32_t gpus = 1;
  std::string profile = "h100-ncc-v5";  // a name or a file
  std::string http = "127.0.0.1:0";
  std::string platform = "snp";         // snp, tdx (quotes of version 4), tdx-v5, vtpm (needs swtpm)
  std::string platform_fault = "none";  // TdxFaults; on tdx only
  std::string version = {};             // told by /metrics
  std::string rim_mirror = {};          // folder of other RIM services' answers to hand on; empty: none
  std::string authorities = {};         // folder of a deployment's authorities (authorities.h); empty: own ones
};

// Reads the keys of a YAML file (state, run, gpus, profile, http, platform) into `options` where they are not set there
// already, as `given` says. Errors "config.invalid" with file:line:column.
struct OptionsGiven {
  bool state = false, run = false, gpus = false, profile = false, http = false, platform = false;
};
Status ReadOptionsFile(const std::string& file, const OptionsGiven& given, EmulatorOptions& options);

class Emulator {
 public:
  // Returns when every socket answers.
  static Result<std::unique_ptr<Emulator>> Start(const EmulatorOptions& options, const Clock& clock,
                                                 crypto::Random& random);
  // In this order: no new launches, guests killed and GPUs scrubbed, then the services.
  ~Emulator();

  const std::string& http_url() const { return http_url_; }
  const DevicePki& pki() const { return pki_; }
  const SnpIdentity& chip() const { return chip_; }
  const TdxIdentity& tdx() const { return tdx_; }
  const VtpmIdentity& vtpm() const { return vtpm_; }
  Machine& machine() { return *machine_; }
  const Endorsements& endorsements() const { return *endorsements_; }
  std::string Metrics() const;  // Prometheus text

 private:
  Emulator() = default;
  Fd lock_;  // the run folder's, so that two emulators never share one
  DevicePki pki_;
  SnpIdentity chip_;
  TdxIdentity tdx_;
  VtpmIdentity vtpm_;
  std::unique_ptr<PcsDocuments> pcs_;
  std::unique_ptr<CpuPlatform> cpu_;
  Profile profile_;
  std::unique_ptr<Endorsements> endorsements_;
  std::unique_ptr<Machine> machine_;
  PlatformParts parts_;
  std::unique_ptr<EmulatorMetrics> metrics_;
  std::unique_ptr<HttpService> http_;
  std::unique_ptr<ControlService> control_;
  std::unique_ptr<PlatformServer> platform_;
  std::string http_url_, ready_file_;
};

}  // namespace ccgpu::emulator
