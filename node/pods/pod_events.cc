#include "node/pods/pod_events.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "base/fd.h"
#include "base/json.h"
#include "node/cri/refusal.h"

namespace ccgpu::node {
namespace {

constexpr size_t kMostEvents = 20000;  // a sandbox must not fill the node's memory

// Good news whose codes are in areas that otherwise refuse.
constexpr std::array<std::string_view, 4> kGood = {"gpu.session", "policy.in-force", "attest.gpu-accepted",
                                                   "attest.not-applicable"};

}  // namespace

std::string EventToJson(const PodEvent& event) {
  const Json json = {{"time", event.time},
                     {"component", event.component},
                     {"code", event.code},
                     {"message", event.message},
                     {"subject", event.subject}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

PodEvent EventFromJson(const std::string& line) {
  const auto json = ParseJson(line, "event", 8);
  if (!json.ok() || !json->is_object()) return {"", "unknown", "node.bad-event", line.substr(0, 200), ""};
  auto text = [&](const char* key) -> std::string {
    const auto found = json->find(key);
    return found != json->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return {text("time"), text("component"), text("code"), text("message"), text("subject")};
}

PodEvents::PodEvents(std::string own_file) : own_file_(std::move(own_file)) {
  LineFile own(own_file_);
  while (own.Read([&](std::string_view line) { events_.push_back(EventFromJson(std::string(line))); }) > 0) {}
}

void PodEvents::Add(PodEvent event) {
  Fd fd(::open(own_file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  const std::string line = EventToJson(event) + "\n";
  // An event that cannot be kept is still shown.
  if (fd.valid() && ::write(fd.get(), line.data(), line.size()) < 0) fd.Close();
  events_.push_back(std::move(event));
}

void PodEvents::FollowSandbox(const std::string& file) {
  for (const auto& one : followed_) {
    if (one->path() == file) return;
  }
  followed_.push_back(std::make_unique<LineFile>(file));
}

bool PodEvents::Pull() {
  bool any = false;
  for (auto& file : followed_) {
    any |= file->Read([&](std::string_view line) {
      if (!line.empty() && events_.size() < kMostEvents) events_.push_back(EventFromJson(std::string(line)));
    }) > 0;
  }
  return any;
}

const PodEvent* FindRefusal(const std::vector<PodEvent>& events) {
  const PodEvent* found = nullptr;
  for (const auto& event : events) {
    if (event.component == "ccgpu-node") continue;
    if (event.code == "attest.gpu-accepted") {
      found = nullptr;
    } else if (found == nullptr && IsRefusal(event.code) &&
               std::find(kGood.begin(), kGood.end(), event.code) == kGood.end()) {
      found = &event;
    }
  }
  return found;
}

}  // namespace ccgpu::node
