#include "shim/host/event_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>

#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

namespace ccgpu::shim {
namespace {

std::string Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  char text[40], out[64];
  ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(out, sizeof out, "%s.%03ldZ", text, now.tv_nsec / 1000000 % 1000);
  return out;
}

}  // namespace

EventLog::EventLog(std::string events_dir, const std::string& sandbox_id) {
  if (events_dir.empty() || sandbox_id.empty() || sandbox_id.find('/') != std::string::npos) return;
  file_ = events_dir + "/" + sandbox_id + "/events.jsonl";
}

void EventLog::WritePod(const std::string& name, const std::string& ns, const std::string& uid) {
  if (file_.empty() || name.empty()) return;
  const std::string folder = file_.substr(0, file_.rfind('/'));
  const Json pod = {{"name", name}, {"namespace", ns}, {"uid", uid}};
  const std::string text = pod.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  (void)MakeDirs(folder);
  // Not synced to a disk, which every pod would wait for: who reads half of it reads again.
  Fd fd(::open((folder + "/pod.json").c_str(), O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.valid() || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    log::Warning("cannot say whose events these are", {{"folder", folder}});
}

void EventLog::Write(const std::string& component, const std::string& code, const std::string& message,
                     const std::string& subject) {
  if (file_.empty()) return;
  Json line = {{"time", Now()}, {"component", component}, {"code", code}, {"message", message}, {"subject", subject}};
  std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  std::lock_guard lock(mutex_);
  (void)MakeDirs(file_.substr(0, file_.rfind('/')));
  Fd fd(::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  // One write, appended: other writers' lines stay whole.
  if (!fd.valid() || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    log::Warning("cannot write the pod's event file", {{"file", file_}});
}

}  // namespace ccgpu::shim
