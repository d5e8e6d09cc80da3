#include "node-manager/service/folder_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include <filesystem>

namespace ccgpu::nodemanager {

FolderWatch::FolderWatch(std::string folder)
    : folder_(std::move(folder)),
      notify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void FolderWatch::Wake() {
  const uint64_t one = 1;
  // Fails only when it is woken already.
  if (::write(wake_.get(), &one, sizeof one) < 0) return;
}

void FolderWatch::AddAll() {
  // Adding a path that is watched already changes nothing and costs one system call.
  top_ = ::inotify_add_watch(notify_.get(), folder_.c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
  std::error_code error;
  std::map<std::string, int> now;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string path = entry.path().string();
    if (!entry.is_directory(error)) continue;
    const auto old = watched_.find(path);
    now[path] = old != watched_.end() ? old->second
                                      : ::inotify_add_watch(notify_.get(), path.c_str(),
                                                            IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ONLYDIR);
  }
  watched_ = std::move(now);
}

void FolderWatch::Wait(std::chrono::milliseconds at_most) {
  const auto known = watched_.size();
  AddAll();
  // What was written into a folder before it was watched must not wait.
  if (watched_.size() > known) return;
  pollfd ready[] = {{notify_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  if (::poll(ready, 2, static_cast<int>(at_most.count())) <= 0) return;
  char buffer[8192];
  while (::read(wake_.get(), buffer, sizeof buffer) > 0) {}
  while (::read(notify_.get(), buffer, sizeof buffer) > 0) {}
}

}  // namespace ccgpu::nodemanager
