#include "shim/host/oom_watch.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"

namespace ccgpu::shim {
namespace {

uint64_t Kills(const std::string& file) {
  auto text = ReadFile(file, 4096);
  if (!text.ok()) return 0;
  size_t at = text->find("oom_kill ");
  return at == std::string::npos ? 0 : std::strtoull(text->c_str() + at + 9, nullptr, 10);
}

}  // namespace

OomWatch::OomWatch(const Cgroup& cgroup) : unified_(cgroup.unified()), file_(cgroup.OomFile()) {
  if (file_.empty()) return;
  if (unified_) {
    kills_ = Kills(file_);
    fd_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (fd_.valid()) ::inotify_add_watch(fd_.get(), file_.c_str(), IN_MODIFY);
    return;
  }
  Fd control(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
  Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!control.valid() || !event.valid()) return;
  std::string folder = file_.substr(0, file_.rfind('/'));
  Fd register_with(::open((folder + "/cgroup.event_control").c_str(), O_WRONLY | O_CLOEXEC));
  std::string line = std::to_string(event.get()) + " " + std::to_string(control.get());
  if (register_with.valid() && ::write(register_with.get(), line.data(), line.size()) > 0) fd_ = std::move(event);
}

bool OomWatch::Fired() {
  if (!fd_.valid()) return false;
  if (!unified_) {
    uint64_t count = 0;
    // The group's removal signals the same descriptor; then the file is gone.
    return ::read(fd_.get(), &count, sizeof count) == sizeof count && count > 0 && Exists(file_);
  }
  char buffer[512];
  while (::read(fd_.get(), buffer, sizeof buffer) > 0) {}
  uint64_t now = Kills(file_);
  bool more = now > kills_;
  if (now > 0) kills_ = now;
  return more;
}

}  // namespace ccgpu::shim
