#include "node/service/test_lab.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "node/images/archive.h"

namespace ccgpu::node {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

bool Eventually(const std::function<bool()>& condition, milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 10);
  }
  return true;
}

// --- Process

Process::Process(std::vector<std::string> argv, const std::string& log, bool own_network,
                 std::vector<std::string> env) {
  pid_ = ::fork();
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(fd, 1);
  ::dup2(fd, 2);
  for (int other = 3; other < 1024; ++other) ::close(other);
  if (own_network && ::unshare(CLONE_NEWNET) == 0) {
    const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    ::ioctl(socket, SIOCSIFFLAGS, &request);
    ::close(socket);
  }
  for (auto& one : env) ::putenv(const_cast<char*>(one.c_str()));
  std::vector<char*> words;
  for (auto& word : argv) words.push_back(word.data());
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  ::_exit(127);
}

Process& Process::operator=(Process&& other) noexcept {
  End();
  pid_ = std::exchange(other.pid_, -1);
  return *this;
}

bool Process::running() const { return pid_ > 0 && ::kill(pid_, 0) == 0; }
void Process::Kill(int signal) {
  if (pid_ > 0) ::kill(pid_, signal);
}

int Process::Wait() {
  if (pid_ <= 0) return -1;
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void Process::End() {
  if (pid_ <= 0) return;
  Kill(SIGTERM);
  int status = 0;
  if (!Eventually([&] { return ::waitpid(pid_, &status, WNOHANG) != 0; }, milliseconds(10000))) {
    Kill(SIGKILL);
    ::waitpid(pid_, &status, 0);
  }
  pid_ = -1;
}

// --- RunResult

std::string RunResult::Log(const std::string& container, const std::string& stream) const {
  std::string out;
  for (const auto& line : logs) {
    if (line.container() != container || (!stream.empty() && line.stream() != stream)) continue;
    out += (out.empty() ? "" : "\n") + line.text();
  }
  return out;
}

bool RunResult::HasEvent(const std::string& code) const {
  for (const auto& event : events) {
    if (event.code() == code) return true;
  }
  return false;
}

std::string RunResult::Describe() const {
  std::string out = "rpc: " + status.error_message() + "\nresult: " + result.ShortDebugString() + "\n";
  for (const auto& event : events) out += "event " + event.ShortDebugString() + "\n";
  for (const auto& line : logs) out += "log " + line.ShortDebugString() + "\n";
  return out;
}

// --- Lab

namespace {

constexpr char kBusybox[] = "/bin/busybox";

std::vector<images::FileSpec> BusyboxFiles() {
  std::vector<images::FileSpec> files;
  files.push_back({"/bin/busybox", 'f', 0755, 0, 0, "", kBusybox, ""});
  for (const char* applet : {"sh", "sleep", "echo", "cat", "env", "id", "httpd", "true", "false", "ls", "hostname",
                             "kill", "mkdir", "touch", "wc", "yes", "head", "printf", "readlink"}) {
    files.push_back({std::string("/bin/") + applet, 'l', 0777, 0, 0, "", "", "busybox"});
  }
  files.push_back({"/etc/passwd", 'f', 0644, 0, 0, "root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n", "", ""});
  files.push_back({"/etc/group", 'f', 0644, 0, 0, "root:x:0:\nuser:x:1000:\n", "", ""});
  files.push_back({"/tmp", 'd', 01777, 0, 0, "", "", ""});
  return files;
}

void WriteText(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

// Shims that our containerd started outlive it; they carry its address in their arguments.
void EndShims(const std::string& address) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "cmdline");
    const std::string line((std::istreambuf_iterator<char>(file)), {});
    if (line.find("containerd-shim") != std::string::npos && line.find(address) != std::string::npos)
      ::kill(std::stoi(name), SIGKILL);
  }
}

}  // namespace

std::string Lab::WhyNot() {
  if (::geteuid() != 0) return "not root";
  for (const char* program :
       {"/usr/bin/containerd", "/usr/bin/ctr", "/usr/sbin/runc", kBusybox, "/usr/lib/cni/bridge"}) {
    if (!Exists(program))
      return std::string(program) +
             " is missing (apt-get install containerd runc containernetworking-plugins busybox-static)";
  }
  for (const char* program : {"/ccgpu-node", "/ccgpu-device-plugin"}) {
    if (!Exists(std::string(CCGPU_BIN_DIR) + program)) return std::string(program) + " is not built";
  }
  if (!Exists("/sys/fs/cgroup/cgroup.controllers") && !Exists("/sys/fs/cgroup/memory")) return "no cgroups";
  return "";
}

Lab::Lab(int gpus) {
  for (const char* dir : {"run", "containerd/cni", "logs", "pods"}) EXPECT_TRUE(MakeDirs(dir_ / dir).ok());
  emulator_ = std::make_unique<StubEmulator>(dir_ / "run/emulator.sock");
  std::vector<emulator::v1::Gpu> list;
  for (int i = 0; i < gpus; ++i) list.push_back(StubEmulator::MakeGpu(static_cast<uint32_t>(i), i / 2));
  emulator_->Set(list);
  WriteText(
      dir_ / "containerd/cni/10-lab.conflist",
      R"({"cniVersion": "0.4.0", "name": "lab", "plugins": [{"type": "bridge", "bridge": "lab0", "isGateway": true,
    "ipam": {"type": "host-local", "dataDir": ")" +
          dir_.path() + R"(/containerd/ipam", "ranges": [[{"subnet": "10.99.0.0/24"}]]}}]})");
  WriteText(dir_ / "containerd/config.toml", R"(version = 2
root = ")" + dir_.path() + R"(/containerd/root"
state = ")" + dir_.path() + R"(/containerd/state"
[grpc]
  address = ")" + dir_.path() + R"(/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/lab/pause:latest"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = ")" + dir_.path() + R"(/containerd/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    pod_annotations = ["ccgpu.dev/*"]
    container_annotations = ["cdi.k8s.io/*"]
)");
  StartContainerd();
  StartNode();
  StartPlugin();
  for (const auto& [reference, entrypoint] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"localhost/lab/pause:latest", {"/bin/sleep", "2147483647"}}, {"localhost/lab/busybox:latest", {}}}) {
    images::ImageSpec spec;
    spec.reference = reference;
    spec.layers = {BusyboxFiles()};
    spec.entrypoint = entrypoint;
    spec.cmd = entrypoint.empty() ? std::vector<std::string>{"/bin/sh"} : std::vector<std::string>{};
    spec.env = {"PATH=/bin"};
    const std::string archive = dir_ / "image.tar";
    auto written = images::WriteOciArchive(spec, archive);
    EXPECT_TRUE(written.ok()) << (written.ok() ? "" : written.error().ToString());
    grpc::ClientContext context;
    v1::ImportImageRequest request;
    request.set_archive_path(archive);
    v1::ImportImageResponse response;
    const auto status = stub_->ImportImage(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
}

Lab::~Lab() {
  v1::ListPodsResponse pods;
  grpc::ClientContext context;
  if (stub_->ListPods(&context, {}, &pods).ok()) {
    for (const auto& pod : pods.pods()) Remove(pod.name());
  }
  if (::testing::Test::HasFailure()) {
    for (const char* log : {"logs/node.log", "logs/plugin.log", "logs/containerd.log"}) {
      std::ifstream file(dir_ / log);
      std::string text((std::istreambuf_iterator<char>(file)), {});
      if (text.size() > 6000) text = text.substr(text.size() - 6000);
      std::fprintf(stderr, "--- %s\n%s\n", log, text.c_str());
    }
  }
  plugin_.End();
  node_.End();
  containerd_.End();
  EndShims(dir_ / "run/containerd.sock");
  std::ifstream mounts("/proc/self/mounts");
  std::vector<std::string> points;
  for (std::string source, point, rest; mounts >> source >> point && std::getline(mounts, rest);) {
    if (point.starts_with(dir_ / "")) points.push_back(point);
  }
  for (auto point = points.rbegin(); point != points.rend(); ++point) ::umount2(point->c_str(), MNT_DETACH);
}

void Lab::StartContainerd() {
  containerd_ = Process({"/usr/bin/containerd", "--config", dir_ / "containerd/config.toml", "--log-level", "info"},
                        dir_ / "logs/containerd.log", true);
}

void Lab::StartNode() {
  node_ = Process({std::string(CCGPU_BIN_DIR) + "/ccgpu-node", "--state", dir_.path(), "--cgroup-parent",
                   "/" + fs::path(dir_.path()).filename().string()},
                  dir_ / "logs/node.log");
  const std::string socket = "unix:" + dir_ / "run/node.sock";
  EXPECT_TRUE(Eventually([&] {
    grpc::ChannelArguments args;
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = v1::Node::NewStub(grpc::CreateCustomChannel(socket, grpc::InsecureChannelCredentials(), args));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + milliseconds(5000));
    v1::StatusResponse status;
    return stub_->Status(&context, {}, &status).ok() &&
           (status.ready() || status.not_ready_because().find("node.no-plugin") != std::string::npos);
  })) << "the node or containerd did not come up";
}

void Lab::StartPlugin() {
  plugin_ = Process({std::string(CCGPU_BIN_DIR) + "/ccgpu-device-plugin", "--state", dir_.path(), "--http", ""},
                    dir_ / "logs/plugin.log");
  int64_t healthy = 0;
  for (const auto& gpu : emulator_->Get()) healthy += gpu.healthy();
  EXPECT_TRUE(WaitAllocatable(healthy));
}

void Lab::StopNode(int signal) {
  node_.Kill(signal);
  node_.Wait();
}

RunResult Lab::Run(const std::string& manifest, const std::function<void(v1::RunPodRequest&)>& change,
                   const std::function<void(const v1::RunPodResponse&, grpc::ClientContext&)>& on_message) {
  RunResult out;
  v1::RunPodRequest request;
  request.set_manifest(manifest);
  request.set_file_name("pod.yaml");
  if (change) change(request);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(90));
  auto reader = stub_->RunPod(&context, request);
  v1::RunPodResponse message;
  while (reader->Read(&message)) {
    if (message.has_event()) out.events.push_back(message.event());
    if (message.has_log()) out.logs.push_back(message.log());
    if (message.has_result()) out.result = message.result();
    if (on_message) on_message(message, context);
  }
  out.status = reader->Finish();
  return out;
}

v1::Pod Lab::Describe(const std::string& name) {
  grpc::ClientContext context;
  v1::PodRef ref;
  ref.set_name(name);
  v1::Pod pod;
  stub_->DescribePod(&context, ref, &pod);
  return pod;
}

std::string Lab::Remove(const std::string& name, bool force) {
  grpc::ClientContext context;
  v1::PodRef ref;
  ref.set_name(name);
  ref.set_force(force);
  v1::RemovePodResponse response;
  const auto status = stub_->RemovePod(&context, ref, &response);
  return status.ok() ? "" : status.error_message();
}

int64_t Lab::Allocatable() {
  grpc::ClientContext context;
  v1::StatusResponse status;
  if (!stub_->Status(&context, {}, &status).ok()) return -1;
  const auto found = status.allocatable().find("ccgpu.dev/cc-gpu");
  return found == status.allocatable().end() ? -1 : found->second;
}

bool Lab::WaitAllocatable(int64_t count) {
  return Eventually([&] { return Allocatable() == count; });
}

std::string Lab::LeftOvers() {
  std::string out;
  auto note = [&](const std::string& what) { out += what + "\n"; };
  const std::string group = fs::path(dir_.path()).filename();
  std::error_code ignored;
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup")) {
    for (const auto& pod : fs::directory_iterator(hierarchy.path() / group, ignored)) {
      if (pod.is_directory()) note("cgroup " + pod.path().string());
    }
  }
  for (const auto& entry : fs::directory_iterator(dir_ / "node/pods", ignored)) note("record " + entry.path().string());
  for (const auto& entry : fs::directory_iterator(dir_ / "logs/pods", ignored)) note("log " + entry.path().string());
  for (const auto& entry :
       fs::directory_iterator(dir_ / "containerd/state/io.containerd.runtime.v2.task/k8s.io", ignored))
    note("task " + entry.path().string());
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(dir_.path()) != std::string::npos) note("mount " + line);
  }
  return out;
}

}  // namespace ccgpu::node
