// The sandbox that this shim serves: found out from the first container's bundle, launched, prepared, put away.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "shim/host/config.h"
#include "shim/host/event_log.h"
#include "shim/host/guest.h"
#include "shim/oci/cgroup.h"
#include "shim/oci/spec.h"

namespace ccgpu::shim {

// Thread-safe.
class Pod {
 public:
  Pod(Config config, std::string ns, ttrpc::Loop& loop)
      : config_(std::move(config)), namespace_(std::move(ns)), loop_(loop) {}

  const Config& config() const { return config_; }
  EventLog* events() { return events_.get(); }

  // The steps of a sandbox, in order (the way of a pod): policy document, GPUs, launch, control group, CreateSandbox.
  // After an error nothing of it is left. Every error is also an event.
  Status Begin(const SpecFacts& spec, const std::string& spec_json, const std::string& id, const std::string& bundle,
               GuestCallbacks callbacks);
  // nullptr before Begin and after the guest's end.
  std::shared_ptr<Guest> guest();
  // The GPUs a container is to get: CDI, else what the device plugin said for its name; all of them locked to this
  // sandbox.
  Result<std::vector<std::string>> GpusOf(const SpecFacts& container);
  // Kills the guest and waits until it is gone; at most `limit`.
  void End(std::chrono::milliseconds limit);
  // Files for `delete`, which has nothing but the bundle.
  Status WriteBundleState(const std::string& bundle, const std::string& cgroups_path);

 private:
  Status BeginSteps(const SpecFacts& spec, const std::string& spec_json, const std::string& id,
                    const std::string& bundle, GuestCallbacks callbacks);
  Result<std::string> InitData(const SpecFacts& spec);
  Status FindGpus(const SpecFacts& spec, bool has_policy);

  const Config config_;
  const std::string namespace_;
  ttrpc::Loop& loop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<Guest> guest_;
  bool gone_ = false;
  bool refused_by_guest_ = false;
  std::unique_ptr<EventLog> events_;
  std::string sandbox_id_;
  Cgroup cgroup_;
  std::map<std::string, std::vector<std::string>> bound_;  // container name -> uuids, as the device plugin says
  std::vector<std::string> gpus_;                          // all of the pod
};

}  // namespace ccgpu::shim
