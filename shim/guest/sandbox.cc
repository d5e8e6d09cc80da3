#include "shim/guest/sandbox.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/ttrpc/socket.h"
#include "shim/api/names.h"
#include "shim/guest/sandbox_mounts.h"

namespace ccgpu::shim {
namespace {

constexpr char kAgentSocket[] = "/run/ccgpu/agent-driver.sock";
constexpr char kLibraries[] = "/run/ccgpu/lib";
constexpr size_t kMaxEventLine = 16384;

// A collateral id comes from the host and becomes a file name: anything but a plain name is replaced.
std::string FileName(const std::string& id) {
  std::string out;
  for (char c : id)
    out.push_back(std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' ? c : '_');
  return out.empty() || out.front() == '.' ? "_" + out : out.substr(0, 200);
}

}  // namespace

Status Sandbox::Create(const v1::CreateSandboxRequest& request) {
  if (!request.hostname().empty()) ::sethostname(request.hostname().data(), request.hostname().size());
  if (!request.initdata().empty()) {
    RETURN_IF_ERROR(CheckInitData(request.initdata()));
  } else if (!launch_.gpus.empty()) {
    return Err("policy.missing", launch_.sandbox_id,
               "a pod that holds a confidential GPU needs a policy; make one with: ccgpu policy generate POD.yaml");
  }
  if (policy_) {
    // The count first: sessions to GPUs that the policy does not want are not even opened.
    std::vector<policy::AttachedGpu> bound;
    for (const auto& gpu : launch_.gpus) bound.push_back({gpu.uuid, ""});
    RETURN_IF_ERROR(policy::CheckSandbox(*policy_, request.oci_spec_json(), bound));
    RETURN_IF_ERROR(gpus_.Open(std::move(launch_.gpus), policy_->gpus.mode, host_));
    RETURN_IF_ERROR(policy::CheckSandbox(*policy_, request.oci_spec_json(), gpus_.Attached()));
  }
  for (const auto& [name, value] : request.sysctls()) RETURN_IF_ERROR(SetSysctl(name, value));
  RETURN_IF_ERROR(PrepareFiles(request));
  RETURN_IF_ERROR(UsePodsNameServers(request.oci_spec_json()));
  if (initdata_.data.count("aa.toml") > 0) RETURN_IF_ERROR(StartAgent());
  host_.Event("ccgpu-guestd", "sandbox.ready", policy_ ? "policy in force" : "no policy: nothing here can be attested",
              launch_.sandbox_id);
  return Ok();
}

Status Sandbox::CheckInitData(const std::string& text) {
  const Bytes& measured = launch_.host_data;
  Bytes digest = crypto::Sha256(AsBytes(text));
  if (!Equal(measured, digest))
    return Err("initdata.digest-mismatch", "initdata",
               "HOST_DATA of this sandbox is " + HexEncode(measured) + ", the document's SHA-256 is " +
                   HexEncode(digest) + ": the host handed in another document than the one that was measured");
  ASSIGN_OR_RETURN(initdata_, kbs::ParseInitData(text));
  if (initdata_.algorithm != "sha256")
    return Err("initdata.algorithm", "initdata",
               "HOST_DATA holds a SHA-256 digest; expected algorithm sha256, found " + initdata_.algorithm);
  auto entry = initdata_.data.find(std::string(policy::kPodPolicyEntry));
  if (entry == initdata_.data.end())
    return Err("policy.missing", "initdata",
               "the document has no entry " + std::string(policy::kPodPolicyEntry) +
                   "; make it with: ccgpu policy generate POD.yaml");
  ASSIGN_OR_RETURN(policy_, policy::ParsePodPolicy(entry->second, entry->first));
  host_.Event("ccgpu-guestd", "policy.in-force", "SHA-256 of the initdata document is HOST_DATA", HexEncode(digest));
  return Ok();
}

Status Sandbox::PrepareFiles(const v1::CreateSandboxRequest& request) {
  std::string dir = kGuestDir;
  for (const char* sub : {"/c", "/runc"}) RETURN_IF_ERROR(MakeDirs(dir + sub, 0711));
  if (!policy_) return Ok();
  RETURN_IF_ERROR(WriteFileAtomic(dir + "/initdata.toml", request.initdata(), 0600));
  for (const char* kind : {"rim", "ocsp", "crl"}) RETURN_IF_ERROR(MakeDirs(dir + "/collateral/" + kind, 0700));
  size_t number = 0;
  for (const auto& item : request.collateral()) {
    std::string path = dir + "/collateral/";
    if (item.kind() == "rim") path += "rim/" + FileName(item.id()) + ".xml";
    else if (item.kind() == "ocsp") path += "ocsp/" + std::to_string(number++) + ".der";
    else if (item.kind() == "crl") path += "crl/" + std::to_string(number++) + ".der";
    else continue;  // endorsements of a kind that came later than this guest: nobody here could read them
    RETURN_IF_ERROR(WriteFileAtomic(path, item.data(), 0600));
  }
  RETURN_IF_ERROR(MakeDirs(kLibraries, 0755));
  for (const char* name : {"libcuda.so.1", "libnvidia-ml.so.1"}) {
    auto image = launch_.images.find(name);
    if (image == launch_.images.end()) {
      if (gpus_.count() == 0) continue;
      return Err("sandbox.image-incomplete", name,
                 "the guest image has no such file; reinstall ccgpu or set guest_image");
    }
    RETURN_IF_ERROR(CopyImage(image->second.get(), std::string(kLibraries) + "/" + name, 0755));
  }
  // Read-only also for root in a container.
  if (::mount(kLibraries, kLibraries, "", MS_BIND, nullptr) != 0 ||
      ::mount("", kLibraries, "", MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) != 0)
    return ErrnoError("sandbox.mount", "make read-only", kLibraries);
  return Ok();
}

Status Sandbox::StartAgent() {
  auto image = launch_.images.find("agent");
  if (image == launch_.images.end())
    return Err("sandbox.image-incomplete", "agent", "the initdata names a broker, but the guest image has no agent");
  ASSIGN_OR_RETURN(Fd fuse, MountTsm());
  RETURN_IF_ERROR(platform_.ServeTsm(std::move(fuse)));
  if (gpus_.count() > 0) RETURN_IF_ERROR(gpus_.ServeAgent(kAgentSocket));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError("process.start", "pipe for", "the agent");
  Fd read_end(ends[0]), write_end(ends[1]);
  Spawn spawn;
  spawn.path = "/proc/self/fd/" + std::to_string(image->second.get());
  spawn.args = {"ccgpu-agent", "--events-fd", "3"};
  spawn.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
               std::string("CCGPU_DRIVER_SOCKET=") + kAgentSocket,
               std::string("CCGPU_NVML=") + kLibraries + "/libnvidia-ml.so.1",
               "CCGPU_INITDATA=/run/ccgpu/initdata.toml",
               "CCGPU_COLLATERAL=/run/ccgpu/collateral",
               std::string("CCGPU_TSM=") + kTsmDir + "/report",
               "CCGPU_SANDBOX_ID=" + launch_.sandbox_id,
               std::string(log::kFormatVariable) + (log::CurrentFormat() == log::Format::kJson ? "=json" : "=text")};
  spawn.fds = {-1, 2, 2, write_end.get()};
  ASSIGN_OR_RETURN([[maybe_unused]] pid_t pid, reaper_.Start(spawn, [this](int status) {
    host_.Event("ccgpu-guestd", "agent.exited", "the agent ended with status " + std::to_string(status),
                launch_.sandbox_id);
  }));
  agent_events_ = std::move(read_end);
  ttrpc::SetNonBlocking(agent_events_.get());
  loop_.Add(agent_events_.get(), EPOLLIN, [this](ttrpc::Loop::Events) { ReadAgentEvents(); });
  return Ok();
}

void Sandbox::ReadAgentEvents() {
  std::string& buffer = agent_text_;
  char piece[4096];
  for (;;) {
    ssize_t count = ::read(agent_events_.get(), piece, sizeof piece);
    if (count < 0) return;
    if (count == 0) return loop_.Remove(agent_events_.get());
    buffer.append(piece, static_cast<size_t>(count));
    for (size_t end; (end = buffer.find('\n')) != std::string::npos; buffer.erase(0, end + 1)) {
      auto line = ParseJson(std::string_view(buffer).substr(0, end), "agent event", 4);
      if (!line.ok() || !line->is_object()) continue;
      auto text = [&](const char* key) {
        auto it = line->find(key);
        return it != line->end() && it->is_string() ? it->get<std::string>() : std::string();
      };
      host_.Event("ccgpu-agent", text("code"), text("message"), text("subject"));
    }
    if (buffer.size() > kMaxEventLine) buffer.clear();
  }
}

}  // namespace ccgpu::shim
