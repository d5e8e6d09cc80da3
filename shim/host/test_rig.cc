#include "shim/host/test_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "base/ttrpc/socket.h"
#include "device-plugin/api/resolver.pb.h"
#include "gpu-emulator/api/control.grpc.pb.h"
#include "shim/api/names.h"
#include "shim/oci/cgroup.h"
#include "trust/kbs/initdata.h"
#include "trust/policy/rootfs_digest.h"

namespace ccgpu::shim {
namespace {

using namespace std::chrono_literals;

std::string Bin(const std::string& name) { return std::string(CCGPU_BIN_DIR) + "/" + name; }

pid_t Launch(const std::vector<std::string>& words, const std::string& cwd, const std::vector<std::string>& env, int in,
             int out, int err) {
  std::vector<char*> argv, envp;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  for (const auto& entry : env) envp.push_back(const_cast<char*>(entry.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(err, 2);
    ::syscall(SYS_close_range, 3, ~0u, 0);
    if (!cwd.empty() && ::chdir(cwd.c_str()) != 0) ::_exit(126);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  return pid;
}

}  // namespace

std::string WhyNoSandboxes() {
  if (::geteuid() != 0) return "not root";
  if (::access("/usr/sbin/runc", X_OK) != 0 && ::access("/usr/bin/runc", X_OK) != 0) return "runc is not installed";
  if (::access("/usr/bin/busybox", X_OK) != 0 && ::access("/bin/busybox", X_OK) != 0)
    return "busybox-static is not installed";
  if (Cgroup("/ccgpu-test-probe").folders().empty()) return "no control groups below /sys/fs/cgroup";
  if (!Exists(Bin("ccgpu-emulator"))) return "ccgpu-emulator is not built";
  return "";
}

Machine& Machine::Get() {
  static Machine machine;
  return machine;
}

Machine::Machine() {
  for (const char* sub : {"run", "state", "image"}) (void)MakeDirs(dir_ / sub, 0700);
  (void)::symlink(Bin("ccgpu-guestd").c_str(), (dir_ / "image/guestd").c_str());
  if (has_agent()) (void)::symlink(Bin("ccgpu-agent").c_str(), (dir_ / "image/agent").c_str());
  // Without the real ones anything will do: the sandbox only hands them out.
  for (const char* name : {"libcuda.so.1", "libnvidia-ml.so.1"}) {
    if (has_agent()) (void)::symlink(Bin(name).c_str(), (dir_ / "image/" + name).c_str());
    else (void)WriteFileAtomic(dir_ / "image/" + name, name);
  }
  int out[2];
  if (::pipe2(out, O_CLOEXEC) != 0) std::abort();
  Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Fd log(::open((dir_ / "emulator.log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  emulator_ = Launch({Bin("ccgpu-emulator"), "--state", dir_ / "state", "--run", dir_ / "run", "--gpus", "2"}, "",
                     {"PATH=/usr/bin"}, null.get(), out[1], log.get());
  ::close(out[1]);
  pollfd ready{out[0], POLLIN, 0};
  if (::poll(&ready, 1, 120000) != 1) std::abort();  // keys of 4096 bits on a slow machine
  ::close(out[0]);
}

bool Machine::has_agent() {
  return Exists(Bin("ccgpu-agent")) && Exists(Bin("libcuda.so.1")) && Exists(Bin("libnvidia-ml.so.1"));
}

std::string Machine::TrustDocument() {
  auto stub = emulator::v1::Control::NewStub(
      grpc::CreateChannel("unix:" + dir_ / "run/emulator.sock", grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  emulator::v1::GetRootsResponse roots;
  if (!stub->GetRoots(&context, {}, &roots).ok()) return "";
  auto pem = [](std::string text) {
    std::string out;
    for (char c : text) out += c == '\n' ? std::string("\\n") : std::string(1, c);
    return "[\"" + out + "\"]";
  };
  return "apiVersion: ccgpu.dev/v1alpha1\nkind: EvidenceTrust\nspec:\n  deviceRoots: " + pem(roots.device_root_pem()) +
         "\n  rimRoots: " + pem(roots.rim_root_pem()) + "\n  insecureAcceptEmulated: true\n";
}

std::vector<std::string> Machine::gpu_uuids() {
  auto stub = emulator::v1::Control::NewStub(
      grpc::CreateChannel("unix:" + dir_ / "run/emulator.sock", grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  emulator::v1::ListGpusResponse response;
  std::vector<std::string> out;
  if (stub->ListGpus(&context, {}, &response).ok())
    for (const auto& gpu : response.gpus()) out.push_back(gpu.uuid());
  return out;
}

std::vector<pid_t> Machine::GuestsOf(const std::string& sandbox) const {
  std::vector<pid_t> out;
  const std::string word = "CCGPU_SANDBOX_ID=" + sandbox + '\0',
                    parent = "\nPPid:\t" + std::to_string(emulator_) + "\n";
  DIR* proc = ::opendir("/proc");
  while (dirent* entry = proc ? ::readdir(proc) : nullptr) {
    const std::string process = std::string("/proc/") + entry->d_name;
    auto environment = ReadFile(process + "/environ", 1 << 20), status = ReadFile(process + "/status", 1 << 20);
    if (environment.ok() && environment->find(word) != std::string::npos && status.ok() &&
        status->find(parent) != std::string::npos)
      out.push_back(std::atoi(entry->d_name));
  }
  if (proc) ::closedir(proc);
  return out;
}

Machine::~Machine() {
  ::kill(emulator_, SIGTERM);
  ::waitpid(emulator_, nullptr, 0);
}

RunResult RunProgram(const std::vector<std::string>& words, const std::string& cwd, const std::vector<std::string>& env,
                     const std::string& input) {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) std::abort();
  pid_t pid = Launch(words, cwd, env, in[0], out[1], out[1]);
  ::close(in[0]);
  ::close(out[1]);
  if (!input.empty()) (void)!::write(in[1], input.data(), input.size());
  ::close(in[1]);
  RunResult result;
  char piece[4096];
  // Until the last writer is gone: a daemon that kept our pipe would make this hang, as it would containerd.
  for (ssize_t n; (n = ::read(out[0], piece, sizeof piece)) > 0;) result.output.append(piece, static_cast<size_t>(n));
  ::close(out[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

Rig::Rig() {
  (void)MakeDirs(dir_ / "tasks", 0700);
  containerd_ = std::make_unique<ttrpc::Server>(ttrpc::ServerOptions{.max_workers = 1});
  containerd_->On<containerd::ForwardRequest, containerd::Empty>(
      kEventsService, "Forward",
      [this](const containerd::ForwardRequest& r, const ttrpc::CallContext&) -> Result<containerd::Empty> {
        std::string id;
        const auto& any = r.envelope().event();
        if (any.type_url() == "containerd.events.TaskExit") {
          containerd::TaskExit e;
          e.ParseFromString(any.value());
          id = e.id();
        } else {
          containerd::TaskExecAdded e;  // container_id is field 1 of all of them, exec_id field 2 of some
          if (any.type_url().find("Exec") != std::string::npos && e.ParseFromString(any.value())) id = e.exec_id();
          containerd::TaskOOM first;
          if (id.empty() && first.ParseFromString(any.value())) id = first.container_id();
        }
        std::lock_guard lock(mutex_);
        events_.push_back(r.envelope().topic() + " " + id);
        changed_.notify_all();
        return containerd::Empty();
      });
  (void)containerd_->ServeUnix(dir_ / "c.sock.ttrpc");
  WriteConfig();
}

Rig::~Rig() {
  for (const auto& bundle : bundles_) {
    if (pid_t pid = ShimPid(bundle); pid > 0) {
      Fd shim(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
      ::kill(pid, SIGKILL);
      pollfd gone{shim.get(), POLLIN, 0};
      ::poll(&gone, 1, 5000);
    }
    (void)Delete(bundle.substr(bundle.rfind('/') + 1), bundle);
  }
  containerd_->Stop();
  if (resolver_) resolver_->Stop();
  Cgroup(cgroup()).Remove();
}

void Rig::WriteConfig(const std::string& more) {
  (void)WriteFileAtomic(config_file(), "platform_socket: " + Machine::Get().platform_socket() + "\nguest_image: " +
                                           Machine::Get().dir() + "/image\nevents_dir: " + dir_ / "pods\n" + more);
}

std::vector<Json> Rig::PodEvents(const std::string& sandbox) const {
  std::vector<Json> out;
  auto text = ReadFile(dir_ / "pods/" + sandbox + "/events.jsonl");
  if (!text.ok()) return out;
  for (size_t begin = 0; begin < text->size();) {
    size_t end = text->find('\n', begin);
    out.push_back(Json::parse(text->substr(begin, end - begin)));
    begin = end + 1;
  }
  return out;
}

std::string Rig::MakeRootfs() {
  std::string root = dir_ / "rootfs";
  if (Exists(root)) return root;
  ::umask(022);
  for (const char* sub : {"/bin", "/dev", "/proc", "/sys", "/tmp", "/run", "/etc"}) (void)MakeDirs(root + sub);
  auto busybox = ReadFile(Exists("/usr/bin/busybox") ? "/usr/bin/busybox" : "/bin/busybox");
  (void)WriteFileAtomic(root + "/bin/busybox", *busybox, 0755);
  for (const char* applet : {"sh", "cat", "echo", "sleep", "true", "ls", "test", "env", "kill"})
    (void)::symlink("busybox", (root + "/bin/" + applet).c_str());
  return root;
}

std::string Rig::MakeBundle(const std::string& id, const Json& spec) {
  std::string bundle = dir_ / "tasks/" + id;
  (void)MakeDirs(bundle + "/rootfs", 0711);
  (void)WriteFileAtomic(bundle + "/config.json", spec.dump());
  bundles_.push_back(bundle);
  return bundle;
}

Json Rig::ProcessSpec(const std::vector<std::string>& args) {
  Json caps = policy::DefaultCapabilities();
  return {{"user", {{"uid", 0}, {"gid", 0}}},
          {"args", args},
          {"env", {"PATH=/bin"}},
          {"cwd", "/"},
          {"capabilities", {{"bounding", caps}, {"effective", caps}, {"permitted", caps}}},
          {"noNewPrivileges", true}};
}

Json Rig::ContainerSpec(const std::string& id, const std::string& rootfs, const std::vector<std::string>& args) {
  Json namespaces = Json::array();
  for (const char* type : {"pid", "ipc", "uts", "mount", "network"}) namespaces.push_back({{"type", type}});
  return {
      {"ociVersion", "1.0.2-dev"},
      {"process", ProcessSpec(args)},
      {"root", {{"path", rootfs}}},
      {"mounts",
       {{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}, {"options", {"nosuid", "noexec", "nodev"}}},
        {{"destination", "/dev"},
         {"type", "tmpfs"},
         {"source", "tmpfs"},
         {"options", {"nosuid", "strictatime", "mode=755", "size=65536k"}}}}},
      {"linux", {{"cgroupsPath", cgroup() + "/" + id}, {"namespaces", namespaces}}}};
}

Json Rig::SandboxSpec(const std::string& id, const std::string& pod, const std::string& initdata_annotation) {
  Json spec = ContainerSpec(id, "rootfs", {"/pause"});
  spec["hostname"] = pod;
  spec["root"]["readonly"] = true;
  // No network of its own: a test needs no CNI.
  Json namespaces = Json::array();
  for (const char* type : {"pid", "ipc", "uts", "mount"}) namespaces.push_back({{"type", type}});
  spec["linux"]["namespaces"] = namespaces;
  spec["annotations"] = {
      {kCriContainerType, "sandbox"}, {kCriSandboxId, id}, {kCriSandboxName, pod}, {kCriSandboxNamespace, "default"}};
  if (!initdata_annotation.empty()) spec["annotations"][std::string(kbs::kInitDataAnnotation)] = initdata_annotation;
  return spec;
}

Json Rig::PodContainerSpec(const std::string& id, const std::string& sandbox, const std::string& pod,
                           const std::string& name, const std::string& rootfs, const std::vector<std::string>& args) {
  Json spec = ContainerSpec(id, rootfs, args);
  Json namespaces = {{{"type", "pid"}}, {{"type", "mount"}}};
  for (const char* type : {"ipc", "uts", "network"})
    namespaces.push_back({{"type", type}, {"path", std::string("/proc/4711/ns/") + (type[0] == 'n' ? "net" : type)}});
  spec["linux"]["namespaces"] = namespaces;
  spec["linux"]["maskedPaths"] = {"/proc/acpi",          "/proc/asound",     "/proc/kcore",       "/proc/keys",
                                  "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                                  "/sys/firmware",       "/proc/scsi"};
  spec["linux"]["readonlyPaths"] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  spec["linux"]["resources"] = {{"devices", {{{"allow", false}, {"access", "rwm"}}}}};
  // What CRI mounts by itself; the policy asks for exactly these.
  auto mount = [&](const char* where, const char* type, const std::string& source, std::vector<std::string> options) {
    spec["mounts"].push_back({{"destination", where}, {"type", type}, {"source", source}, {"options", options}});
  };
  mount("/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"});
  mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"});
  mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"});
  mount("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"});
  std::string files = dir_ / "io.containerd.grpc.v1.cri/sandboxes/" + sandbox;
  (void)MakeDirs(files + "/shm");
  for (const char* file : {"hostname", "hosts", "resolv.conf"}) {
    (void)WriteFileAtomic(files + "/" + file, pod + "\n");
    mount((std::string("/etc/") + file).c_str(), "bind", files + "/" + file, {"rbind", "rprivate", "rw"});
  }
  mount("/dev/shm", "bind", files + "/shm", {"rbind", "rprivate", "rw"});
  spec["annotations"] = {{kCriContainerType, "container"}, {kCriSandboxId, sandbox},
                         {kCriSandboxName, pod},           {kCriSandboxNamespace, "default"},
                         {kCriContainerName, name},        {kCriImageName, "localhost/bb:latest"}};
  return spec;
}

RunResult Rig::Start(const std::string& id, const std::string& bundle) {
  return RunProgram(
      {Bin("containerd-shim-ccgpu-v2"), "-namespace", "test", "-address", dir_ / "c.sock", "-publish-binary",
       "/usr/bin/containerd", "-id", id, "start"},
      bundle,
      {"PATH=/usr/sbin:/usr/bin", "TTRPC_ADDRESS=" + dir_ / "c.sock.ttrpc", "CCGPU_SHIM_CONFIG=" + config_file()});
}

RunResult Rig::Delete(const std::string& id, const std::string& bundle) {
  return RunProgram({Bin("containerd-shim-ccgpu-v2"), "-namespace", "test", "-address", dir_ / "c.sock",
                     "-publish-binary", "/usr/bin/containerd", "-id", id, "-bundle", bundle, "delete"},
                    bundle, {"PATH=/usr/sbin:/usr/bin"});
}

Result<ttrpc::Client> Rig::Connect(const std::string& bundle) {
  ASSIGN_OR_RETURN(std::string address, ReadFile(bundle + "/address"));
  return ttrpc::Client::ConnectUnix(address.substr(std::strlen("unix://")));
}

pid_t Rig::ShimPid(const std::string& bundle) {
  auto client = Connect(bundle);
  if (!client.ok()) return 0;
  containerd::ContainerRequest request;
  auto answer = client->Call<containerd::ConnectResponse>(kTaskService, "Connect", request, 5s);
  return answer.ok() ? static_cast<pid_t>(answer->shim_pid()) : 0;
}

std::vector<std::string> Rig::Events() {
  std::lock_guard lock(mutex_);
  return events_;
}

bool Rig::WaitForEvent(const std::string& event) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, 20s,
                           [&] { return std::find(events_.begin(), events_.end(), event) != events_.end(); });
}

std::vector<std::string> Rig::Leftovers(const std::vector<std::string>& ids) const {
  std::vector<std::string> out;
  for (const auto& id : ids) {
    const Cgroup group(cgroup() + "/" + id);
    for (const auto& folder : group.folders())
      if (Exists(folder)) out.push_back(folder);
    for (pid_t pid : Machine::Get().GuestsOf(id)) out.push_back("guest " + std::to_string(pid));
  }
  auto mounts = ReadFile("/proc/self/mounts");
  if (mounts.ok() && mounts->find(dir()) != std::string::npos) out.push_back("a mount below " + dir());
  return out;
}

void Rig::ServeResolver(const std::string& container, const std::vector<std::string>& uuids) {
  resolver_ = std::make_unique<ttrpc::Server>();
  resolver_->On<deviceplugin::v1::PodGpusRequest, deviceplugin::v1::PodGpusResponse>(
      "ccgpu.deviceplugin.v1.Resolver", "PodGpus",
      [=](const deviceplugin::v1::PodGpusRequest&,
          const ttrpc::CallContext&) -> Result<deviceplugin::v1::PodGpusResponse> {
        deviceplugin::v1::PodGpusResponse response;
        if (uuids.empty()) return response;
        auto* entry = response.add_containers();
        entry->set_container_name(container);
        for (const auto& uuid : uuids) entry->add_gpus()->set_device_id(uuid);
        return response;
      });
  (void)resolver_->ServeUnix(resolver_socket());
}

policy::PodPolicy PolicyFor(const std::string& pod, const std::string& container, const std::string& rootfs,
                            const std::vector<std::string>& args) {
  policy::PodPolicy policy;
  policy.pod_name = pod;
  policy.host_network = true;
  policy::ContainerPolicy one;
  one.name = container;
  one.image = "localhost/bb:latest";
  one.rootfs_digest = *policy::DigestDirectory(rootfs);
  one.args = args;
  one.env = {{"PATH", "/bin"}};
  one.capabilities = policy::DefaultCapabilities();
  one.no_new_privileges = true;
  policy.containers.push_back(one);
  return policy;
}

std::string AnnotationFor(const policy::PodPolicy& policy, const std::map<std::string, std::string>& more) {
  kbs::InitData init;
  init.data = more;
  init.data[std::string(policy::kPodPolicyEntry)] = policy::WritePodPolicy(policy);
  return kbs::EncodeInitDataAnnotation(kbs::WriteInitData(init));
}

}  // namespace ccgpu::shim
