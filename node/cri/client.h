// A client of a container runtime's CRI socket (runtime.v1).
//
// Errors: what a ccgpu program behind the runtime (shim, guestd) refused comes back as that program's own Error, code
// and subject included (see refusal.h); everything else is "cri.call-failed" or "cri.not-found" with the runtime's
// words.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "node/cri/cri.pb.h"

namespace grpc {
class ClientContext;
}

namespace ccgpu::node {

// Ends the calls that were made with it, now and later. Any thread.
class CallGate {
 public:
  void Close();
  bool closed() const;

 private:
  friend class GatedCall;
  mutable std::mutex mutex_;
  bool closed_ = false;
  std::set<grpc::ClientContext*> running_;
};

struct SandboxInfo {
  runtime::v1::PodSandboxStatus status;
  std::string netns_path;  // file of the pod's network namespace; empty when it is the host's or unknown
  int32_t pid = 0;         // of the sandbox task, host view; 0 when unknown
};

// Any thread.
class CriClient {
 public:
  explicit CriClient(const std::string& socket);
  ~CriClient();

  // Ok when the runtime can start pods; else "cri.not-ready" says which condition is missing. `need_network` asks for
  // CNI too.
  Status Ready(bool need_network = true);

  // Long calls take a gate (may be null) that ends them early.
  Result<std::string> RunSandbox(const runtime::v1::PodSandboxConfig& config, const std::string& handler,
                                 CallGate* gate);
  Result<std::string> CreateContainer(const std::string& sandbox, const runtime::v1::ContainerConfig& config,
                                      const runtime::v1::PodSandboxConfig& sandbox_config, CallGate* gate);
  Status StartContainer(const std::string& id, CallGate* gate);

  // These succeed when what they remove is not there any more.
  Status StopContainer(const std::string& id, std::chrono::seconds grace);
  Status RemoveContainer(const std::string& id);
  Status StopSandbox(const std::string& id);
  Status RemoveSandbox(const std::string& id);

  Result<runtime::v1::ContainerStatus> ContainerStatus(const std::string& id);
  Result<SandboxInfo> SandboxStatus(const std::string& id);
  Result<std::vector<runtime::v1::PodSandbox>> ListSandboxes(const std::map<std::string, std::string>& labels);
  Result<std::vector<runtime::v1::Container>> ListContainers(const std::string& sandbox);
  Result<runtime::v1::ExecSyncResponse> Exec(const std::string& container, const std::vector<std::string>& command,
                                             std::chrono::seconds timeout);
  Result<std::vector<runtime::v1::Image>> ListImages();
  // The image with its config ("info"); "cri.not-found" when it is not there.
  Result<runtime::v1::ImageStatusResponse> ImageStatus(const std::string& reference);

 private:
  struct Stubs;
  std::unique_ptr<Stubs> stubs_;
};

}  // namespace ccgpu::node
