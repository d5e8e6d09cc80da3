#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/ttrpc/client.h"
#include "shim/api/names.h"
#include "shim/host/actions.h"
#include "shim/host/bundle_state.h"
#include "shim/host/task_options.h"
#include "shim/oci/cgroup.h"
#include "shim/oci/mounts.h"
#include "shim/oci/spec.h"

namespace ccgpu::shim {
namespace {

constexpr int kGuestWaitMillis = 3000;  // containerd gives five seconds for all of it
constexpr auto kAlive = std::chrono::milliseconds(100);
constexpr auto kAnswer = std::chrono::milliseconds(500);

// Closing the shim's connection killed the guest already; this makes sure and waits.
void EndGuest(const BundleState& state) {
  if (state.guest_pid <= 0) return;
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, state.guest_pid, 0)));
  if (!pidfd.valid() || ProcessStartTime(state.guest_pid) != state.guest_start || state.guest_start == 0) return;
  ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  pollfd gone{pidfd.get(), POLLIN, 0};
  ::poll(&gone, 1, kGuestWaitMillis);
}

// A connection alone proves nothing: a shim that is just dying still has its socket.
bool Answers(const std::string& socket) {
  auto client = ttrpc::Client::ConnectUnix(socket, kAlive);
  if (!client.ok()) return false;
  return client->CallRaw(kTaskService, "Connect", "", kAnswer).ok();
}

}  // namespace

Result<std::string> DeleteAction(const Flags& flags) {
  if (flags.ns.empty() || flags.id.empty()) return Err("shim.usage", "delete", "needs -namespace and -id");
  std::string bundle = flags.bundle.empty() ? "." : flags.bundle;
  auto spec = ReadBundleSpec(bundle);
  auto state = ReadBundle(bundle);
  std::string socket = spec.ok() ? SocketPath(flags.address, flags.ns, GroupOf(*spec, flags.id)) : "";
  bool shim_lives = !socket.empty() && Answers(socket);
  // A pod's shim that lives goes on serving the pod's other containers; of this one only files are left.
  if (!shim_lives && state.ok()) EndGuest(*state);
  if (spec.ok()) {
    bool whole_pod = spec->kind == ContainerKind::kPodSandbox;
    if (!whole_pod || !shim_lives) {
      Cgroup cgroup(spec->cgroups_path);
      cgroup.KillAll();
      cgroup.Remove();
    }
  }
  (void)UnmountAll(bundle + "/rootfs");
  if (!shim_lives && !socket.empty()) ::unlink(socket.c_str());
  containerd::DeleteResponse response;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  response.set_exit_status(128 + SIGKILL);
  response.mutable_exited_at()->set_seconds(now.tv_sec);
  response.mutable_exited_at()->set_nanos(static_cast<int32_t>(now.tv_nsec));
  if (state.ok()) response.set_pid(static_cast<uint32_t>(state->init_pid));
  return response.SerializeAsString();
}

std::string InfoAction(const std::string& version) {
  containerd::RuntimeInfo info;
  info.set_name("io.containerd.ccgpu.v2");
  info.mutable_version()->set_version(version);
  return info.SerializeAsString();
}

}  // namespace ccgpu::shim
