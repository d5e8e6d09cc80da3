// Plays containerd for the shim's tests: the real shim program, the real guestd, the real emulator, bundles made here.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/testing/temp_dir.h"
#include "base/ttrpc/client.h"
#include "base/ttrpc/server.h"
#include "shim/api/containerd.pb.h"
#include "trust/policy/pod_policy.h"

namespace ccgpu::shim {

// Why these tests cannot run here; empty when they can.
std::string WhyNoSandboxes();

// One emulator with two GPUs for all tests of the program (its keys take seconds to make), ended at exit.
class Machine {
 public:
  static Machine& Get();
  ~Machine();
  const std::string& dir() const { return dir_.path(); }
  std::string platform_socket() const { return dir_ / "run/platform.sock"; }
  // Guests of this sandbox that live, by the host's process numbers.
  std::vector<pid_t> GuestsOf(const std::string& sandbox) const;
  std::vector<std::string> gpu_uuids();
  // The agent and the driver libraries are built: the guest image is the real one.
  static bool has_agent();
  // An EvidenceTrust document that accepts this machine's GPUs.
  std::string TrustDocument();

 private:
  Machine();
  const TempDir dir_;
  pid_t emulator_ = 0;
};

struct RunResult {
  int status = -1;
  std::string output;  // stdout and stderr together, as containerd takes them
};
RunResult RunProgram(const std::vector<std::string>& words, const std::string& cwd, const std::vector<std::string>& env,
                     const std::string& input = "");

// containerd's part for one namespace.
class Rig {
 public:
  Rig();
  ~Rig();
  const std::string& dir() const { return dir_.path(); }
  std::string config_file() const { return dir_ / "shim.yaml"; }
  void WriteConfig(const std::string& more = "");
  // Folder of the events that a pod's people see.
  std::vector<Json> PodEvents(const std::string& sandbox) const;
  // A folder with busybox, as a container's rootfs.
  std::string MakeRootfs();

  // Writes a bundle; `spec` becomes its config.json.
  std::string MakeBundle(const std::string& id, const Json& spec);
  static Json ProcessSpec(const std::vector<std::string>& args);
  Json ContainerSpec(const std::string& id, const std::string& rootfs, const std::vector<std::string>& args);
  Json SandboxSpec(const std::string& id, const std::string& pod, const std::string& initdata_annotation);
  Json PodContainerSpec(const std::string& id, const std::string& sandbox, const std::string& pod,
                        const std::string& name, const std::string& rootfs, const std::vector<std::string>& args);

  // `start` in the bundle; the shim's address, or what it printed.
  RunResult Start(const std::string& id, const std::string& bundle);
  RunResult Delete(const std::string& id, const std::string& bundle);
  Result<ttrpc::Client> Connect(const std::string& bundle);
  // The pid of the process that listens behind a bundle's address.
  pid_t ShimPid(const std::string& bundle);

  // What is left of these containers and sandboxes: guests, control groups, mounts below dir().
  std::vector<std::string> Leftovers(const std::vector<std::string>& ids) const;

  // Topics of the events so far, with the container's or exec's id: "/tasks/exit c1".
  std::vector<std::string> Events();
  bool WaitForEvent(const std::string& event);

  // The device plugin's resolver: what it answers for any pod. Serves from the first call on.
  void ServeResolver(const std::string& container, const std::vector<std::string>& uuids);
  std::string resolver_socket() const { return dir_ / "resolver.sock"; }

 private:
  // Named as the folder: other runs of these tests on the machine have containers of the same names.
  std::string cgroup() const { return dir().substr(dir().rfind('/')); }

  const TempDir dir_;
  std::unique_ptr<ttrpc::Server> containerd_, resolver_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
  std::vector<std::string> bundles_;
};

// The policy that the spec of PodContainerSpec fits.
policy::PodPolicy PolicyFor(const std::string& pod, const std::string& container, const std::string& rootfs,
                            const std::vector<std::string>& args);
// `more`: other entries of the initdata document.
std::string AnnotationFor(const policy::PodPolicy& policy, const std::map<std::string, std::string>& more = {});

}  // namespace ccgpu::shim
