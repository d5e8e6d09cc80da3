// A node for tests: real containerd in a network namespace of its own, images made from Debian's busybox, an emulator
// that is only its control API, and the real programs ccgpu-node and ccgpu-device-plugin.
#pragma once

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/testing/temp_dir.h"
#include "device-plugin/testing/stub_emulator.h"
#include "node/api/node.grpc.pb.h"

namespace ccgpu::node {

using deviceplugin::StubEmulator;

// A program that the lab started; ended with the lab at the latest.
class Process {
 public:
  Process() = default;
  Process(std::vector<std::string> argv, const std::string& log, bool own_network = false,
          std::vector<std::string> env = {});
  Process(Process&& other) noexcept { *this = std::move(other); }
  Process& operator=(Process&& other) noexcept;
  ~Process() { End(); }
  bool running() const;
  void Kill(int signal);
  int Wait();  // exit code, or 128 + signal
  void End();  // SIGTERM, then SIGKILL after five seconds
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

struct RunResult {
  std::vector<v1::Event> events;
  std::vector<v1::LogLine> logs;
  v1::PodResult result;
  grpc::Status status;
  std::string Log(const std::string& container, const std::string& stream = "") const;  // lines joined by \n
  bool HasEvent(const std::string& code) const;
  std::string Describe() const;  // for failure messages
};

class Lab {
 public:
  static std::string WhyNot();  // empty when this machine can run it
  explicit Lab(int gpus = 2);
  ~Lab();
  void StartContainerd();
  void StartNode();
  void StartPlugin();
  void StopNode(int signal);  // SIGTERM or SIGKILL
  RunResult Run(const std::string& manifest, const std::function<void(v1::RunPodRequest&)>& change = {},
                const std::function<void(const v1::RunPodResponse&, grpc::ClientContext&)>& on_message = {});
  v1::Pod Describe(const std::string& name);
  std::string Remove(const std::string& name, bool force = true);  // "" or what went wrong
  int64_t Allocatable();
  bool WaitAllocatable(int64_t count);
  v1::Node::Stub& node() { return *stub_; }
  // What is left of all pods: containers, sandboxes, mounts, cgroups, records. Empty when nothing is.
  std::string LeftOvers();

  const std::string& dir() const { return dir_.path(); }
  StubEmulator& emulator() { return *emulator_; }
  Process& containerd() { return containerd_; }
  Process& plugin() { return plugin_; }

 private:
  const TempDir dir_;
  std::unique_ptr<StubEmulator> emulator_;
  Process containerd_, node_, plugin_;
  std::unique_ptr<v1::Node::Stub> stub_;
};

bool Eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit = std::chrono::seconds(15));

}  // namespace ccgpu::node
