// The sandbox as a whole, before any container: initdata held against HOST_DATA, the policy, the GPUs, the agent.
#pragma once

#include <optional>
#include <string>

#include "shim/api/guest.pb.h"
#include "shim/guest/gpus.h"
#include "shim/guest/host_link.h"
#include "shim/guest/platform_link.h"
#include "shim/guest/reaper.h"
#include "trust/kbs/initdata.h"
#include "trust/policy/pod_policy.h"

namespace ccgpu::shim {

class Sandbox {
 public:
  Sandbox(Launch launch, PlatformLink& platform, HostLink& host, Reaper& reaper, ttrpc::Loop& loop)
      : launch_(std::move(launch)), platform_(platform), host_(host), reaper_(reaper), loop_(loop) {}

  // Once; everything before its success is refused by the service. Not thread-safe; what follows is read-only
  // afterwards.
  Status Create(const v1::CreateSandboxRequest& request);

  // Without initdata there is no policy, and nothing in such a sandbox can prove anything to anybody.
  const std::optional<policy::PodPolicy>& policy() const { return policy_; }
  Gpus& gpus() { return gpus_; }

 private:
  Status CheckInitData(const std::string& text);
  Status PrepareFiles(const v1::CreateSandboxRequest& request);
  Status StartAgent();
  void ReadAgentEvents();

  Launch launch_;
  PlatformLink& platform_;
  HostLink& host_;
  Reaper& reaper_;
  ttrpc::Loop& loop_;
  Fd agent_events_;
  std::string agent_text_;  // an incomplete line
  kbs::InitData initdata_;
  std::optional<policy::PodPolicy> policy_;
  Gpus gpus_;
};

}  // namespace ccgpu::shim
