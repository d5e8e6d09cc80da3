// A guest for tests: does what it is told over its "task" channel, one text line per command and answer, and knows the
// platform channel. It is launched like guestd.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <set>

#include "base/encoding.h"
#include "gpu-emulator/platform/frame_stream.h"

namespace {

using ccgpu::Bytes;
using ccgpu::emulator::FrameStream;
using ccgpu::platform::v1::Frame;

constexpr auto kPatience = std::chrono::seconds(10);

std::string Namespace(const char* kind) {
  char target[64] = {};
  const std::string path = std::string("/proc/self/ns/") + kind;
  return readlink(path.c_str(), target, sizeof target - 1) > 0 ? target : "?";
}

std::string OpenDescriptors() {
  std::set<int> open;
  for (int fd = 0; fd < 256; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) open.insert(fd);
  }
  std::string text;
  for (int fd : open) text += (text.empty() ? "" : ",") + std::to_string(fd);
  return text;
}

std::string Ask(FrameStream& platform, const Frame& request, std::vector<int> fds = {}) {
  if (auto sent = platform.Send(request, fds); !sent.ok()) return "send " + sent.error().ToString();
  auto answer = platform.Receive(kPatience);
  if (!answer.ok()) return "receive " + answer.error().ToString();
  if (answer->frame.has_failure()) return "failure " + answer->frame.failure().code();
  if (answer->frame.has_reported()) {
    return "report " + ccgpu::HexEncode(ccgpu::AsBytes(answer->frame.reported().report())) + " " +
           ccgpu::HexEncode(ccgpu::AsBytes(answer->frame.reported().cert_table()));
  }
  return answer->frame.has_tsm_ready() ? "ready" : "odd answer";
}

std::string Report(FrameStream& platform, const std::string& hex, uint32_t vmpl) {
  auto data = ccgpu::HexDecode(hex);
  Frame request;
  request.mutable_report()->set_report_data(data.ok() ? ccgpu::ToText(*data) : "");
  request.mutable_report()->set_vmpl(vmpl);
  return Ask(platform, request);
}

std::string MountTsm(FrameStream& platform, const std::string& dir) {
  const int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fuse < 0) return "no /dev/fuse";
  const std::string options =
      "fd=" + std::to_string(fuse) + ",rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions";
  if (mount("ccgpu-tsm", dir.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
    return std::string("mount: ") + strerror(errno);
  Frame request;
  request.mutable_tsm();
  std::string answer = Ask(platform, request, {fuse});
  close(fuse);
  return answer;
}

// "ok" or the error's name.
std::string WriteFile(const std::string& path, const std::string& hex) {
  const Bytes data = ccgpu::HexDecode(hex).value();
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_TRUNC);
  if (fd < 0) return strerrorname_np(errno);
  const ssize_t put = write(fd, data.data(), data.size());
  const int write_errno = errno;
  if (close(fd) != 0) return strerrorname_np(errno);
  return put == static_cast<ssize_t>(data.size()) ? "ok" : strerrorname_np(write_errno);
}

std::string ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return strerrorname_np(errno);
  Bytes content;
  uint8_t buffer[300];  // smaller than a report, so that offsets are used
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0) ccgpu::Append(content, {buffer, static_cast<size_t>(got)});
  const int read_errno = errno;
  close(fd);
  return got < 0 ? strerrorname_np(read_errno) : ccgpu::HexEncode(content);
}

std::string List(const std::string& path) {
  DIR* dir = opendir(path.c_str());
  if (dir == nullptr) return strerrorname_np(errno);
  std::set<std::string> names;
  while (const dirent* entry = readdir(dir)) names.insert(entry->d_name);
  closedir(dir);
  std::string text;
  for (const auto& name : names) text += name + " ";
  return text;
}

std::string Facts(const ccgpu::platform::v1::GuestParams& params) {
  utsname names{};
  uname(&names);
  std::string text = "pid=" + std::to_string(getpid()) + " host=" + names.nodename + " fds=" + OpenDescriptors();
  for (const char* kind : {"pid", "mnt", "ipc", "uts", "net"}) text += " " + Namespace(kind);
  text += " gpus=" + std::to_string(params.gpus_size());
  // Writing to an image file must be impossible, through any descriptor.
  const std::string image = "/proc/self/fd/" + std::to_string(params.image_fd_base());
  const int writable = open(image.c_str(), O_RDWR | O_CLOEXEC);
  text += std::string(" image=") + (writable >= 0 && write(writable, "x", 1) == 1 ? "writable" : "sealed");
  return text;
}

std::string Run(const std::vector<std::string>& words, FrameStream& platform,
                const ccgpu::platform::v1::GuestParams& params) {
  const std::string& command = words[0];
  const auto arg = [&](size_t i) { return i < words.size() ? words[i] : std::string(); };
  if (command == "report") return Report(platform, arg(1), static_cast<uint32_t>(atoi(arg(2).c_str())));
  if (command == "facts") return Facts(params);
  if (command == "tsm") return MountTsm(platform, arg(1));
  if (command == "mkdir") return mkdir(arg(1).c_str(), 0755) == 0 ? "ok" : strerrorname_np(errno);
  if (command == "rmdir") return rmdir(arg(1).c_str()) == 0 ? "ok" : strerrorname_np(errno);
  if (command == "write") return WriteFile(arg(1), arg(2));
  if (command == "read") return ReadFile(arg(1));
  if (command == "list") return List(arg(1));
  if (command == "env") return getenv(arg(1).c_str()) != nullptr ? getenv(arg(1).c_str()) : "unset";
  if (command == "launch") {  // what only a shim may ask for
    Frame request;
    request.mutable_launch()->set_sandbox_id("x");
    return Ask(platform, request);
  }
  if (command == "exit") _exit(atoi(arg(1).c_str()));
  return "unknown command";
}

}  // namespace

int main() {
  FrameStream platform{ccgpu::Fd(3)};
  auto params = platform.Receive(kPatience);
  if (!params.ok() || !params->frame.has_params()) return 100;
  const int task = params->frame.params().channel_fd_base();
  std::string line;
  char c;
  while (read(task, &c, 1) == 1) {
    if (c != '\n') {
      line += c;
      continue;
    }
    std::vector<std::string> words;
    for (size_t at = 0; at <= line.size();) {
      const size_t end = std::min(line.find(' ', at), line.size());
      words.push_back(line.substr(at, end - at));
      at = end + 1;
    }
    const std::string answer = Run(words, platform, params->frame.params()) + "\n";
    if (write(task, answer.data(), answer.size()) < 0) return 101;
    line.clear();
  }
  return 0;
}
