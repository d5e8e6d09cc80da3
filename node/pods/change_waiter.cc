#include "node/pods/change_waiter.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include <algorithm>

namespace ccgpu::node {

ChangeWaiter::ChangeWaiter()
    : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

void ChangeWaiter::Wake() {
  const uint64_t one = 1;
  if (::write(event_.get(), &one, sizeof one) < 0) return;  // full means: awake already
}

void ChangeWaiter::Watch(const std::string& dir) {
  if (!inotify_.valid() || watched_.count(dir) != 0) return;
  if (::inotify_add_watch(inotify_.get(), dir.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) >= 0) watched_.insert(dir);
}

void ChangeWaiter::Wait(std::chrono::milliseconds timeout) {
  if (!inotify_.valid()) timeout = std::min(timeout, std::chrono::milliseconds(50));
  pollfd fds[2] = {{event_.get(), POLLIN, 0}, {inotify_.get(), POLLIN, 0}};
  if (::poll(fds, 2, static_cast<int>(timeout.count())) <= 0) return;
  alignas(inotify_event) char sink[4096];
  while (::read(event_.get(), sink, sizeof(uint64_t)) > 0) {}
  if (inotify_.valid()) {
    while (::read(inotify_.get(), sink, sizeof sink) > 0) {}
  }
}

}  // namespace ccgpu::node
