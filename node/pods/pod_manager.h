// All pods of the node: takes manifests in, admits them, finds them again after a restart.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "node/pods/pod.h"

namespace ccgpu::node {

// Any thread.
class PodManager {
 public:
  // Reads the records of an earlier run and tells the device manager which pods still hold devices. Starts nothing yet.
  static Result<std::unique_ptr<PodManager>> Open(PodEnvironment environment);
  ~PodManager();  // Detach

  // Goes on with the pods of before, and sweeps sandboxes that belong to none of them as soon as the runtime answers.
  void Start();
  // Lets go of all pods without ending them.
  void Detach();

  // Errors by stage: input.* and node.unsupported-field (a bad manifest), node.pod-exists, node.image-missing,
  // node.run-as-root, and what DeviceManager::Admit refuses. A finished pod of the same name makes room.
  Result<std::shared_ptr<Pod>> Run(const std::string& manifest, const std::string& file_name);
  std::shared_ptr<Pod> Find(const std::string& pod_namespace,
                            const std::string& name) const;  // null: none. Empty: default
  std::vector<std::shared_ptr<Pod>> List() const;            // oldest first
  // Ends the pod if it runs, waits for it and deletes every trace.
  Status Remove(const std::string& pod_namespace, const std::string& name, bool force);
  Status Remove(const std::shared_ptr<Pod>& pod, bool force);

 private:
  explicit PodManager(PodEnvironment environment) : env_(std::move(environment)) {}
  Status CheckImages(const PodSpec& spec);
  bool SweepSandboxes();
  void Sweep();
  void SweepEvents();

  PodEnvironment env_;
  std::mutex running_;  // one Run at a time up to the pod's start: names and devices are taken together
  mutable std::mutex mutex_;
  std::condition_variable stop_;
  bool detached_ = false;
  std::vector<std::shared_ptr<Pod>> pods_;
  std::thread sweeper_;
};

// What the init and other containers of a pod ask the device manager for.
std::vector<ContainerDemand> Demands(const PodSpec& spec);

}  // namespace ccgpu::node
