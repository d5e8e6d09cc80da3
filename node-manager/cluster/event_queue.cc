#include "node-manager/cluster/event_queue.h"

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/log.h"
#include "kube/names.h"
#include "kube/paths.h"

namespace ccgpu::nodemanager {
namespace {

constexpr size_t kMostWaiting = 200;
constexpr auto kSameAgain = std::chrono::minutes(10);

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string MicroTime(const std::string& time, TimePoint fallback) {
  // YYYY-MM-DDTHH:MM:SS[.f..]Z
  std::string seconds, fraction;
  if (time.size() >= 20 && time.size() <= 30 && time.back() == 'Z' && (time[19] == '.' || time.size() == 20)) {
    seconds = time.substr(0, 19);
    if (time[19] == '.') fraction = time.substr(20, time.size() - 21);
  }
  bool good = !seconds.empty() && ParseTime(seconds + "Z").ok();
  for (char c : fraction) good = good && IsDigit(c);
  if (!good) {
    seconds = FormatTime(fallback).substr(0, 19);
    fraction.clear();
  }
  fraction.resize(6, '0');
  return seconds + "." + fraction + "Z";
}

std::string Cut(std::string text, size_t size) {
  if (text.size() <= size) return text;
  size -= 4;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) size--;
  return text.substr(0, size) + " ...";
}

std::string EventName(const std::string& about, const std::string& id) {
  std::string prefix = about.substr(0, 200);
  while (!prefix.empty() && (prefix.back() == '.' || prefix.back() == '-')) prefix.pop_back();
  const Bytes hash = crypto::Sha256(AsBytes(id));
  return prefix + "." + HexEncode(ByteView(hash).first(8));
}

Json MakeEvent(const std::string& ns, const std::string& name, const Json& regarding, const EventSpec& spec,
               const std::string& instance, const std::string& micro_time) {
  return {{"apiVersion", "events.k8s.io/v1"},
          {"kind", "Event"},
          {"metadata", {{"namespace", ns}, {"name", name}}},
          {"eventTime", micro_time},
          {"reportingController", kube::kReporter},
          {"reportingInstance", Cut(instance, 128)},
          {"type", spec.warning ? "Warning" : "Normal"},
          {"reason", Cut(spec.reason, 128)},
          {"action", Cut(spec.action, 128)},
          {"note", Cut(spec.note, kMostNote)},
          {"regarding", regarding}};
}

void NodeEvents::Add(EventSpec spec) {
  const TimePoint now = clock_.Now();
  const bool same =
      spec.reason == last_.reason && spec.note == last_.note && now >= last_time_ && now - last_time_ < kSameAgain;
  if (same || waiting_.size() >= kMostWaiting) return;
  (spec.warning ? log::Warning : log::Info)(spec.note, {{"reason", spec.reason}});
  const std::string id = node_ + "/" + FormatTime(now) + "/" + std::to_string(next_++) + spec.reason + spec.note;
  const std::string name = EventName(node_, id);
  // kubectl finds a Node's events by its name as uid, as kubelet writes it.
  const Json regarding = {{"apiVersion", "v1"}, {"kind", "Node"}, {"name", node_}, {"uid", node_}};
  waiting_.push_back({MakeEvent("default", name, regarding, spec, node_, MicroTime("", now))});
  last_ = std::move(spec);
  last_time_ = now;
}

bool NodeEvents::Flush() {
  kube::CallOptions once;
  once.retry_for = std::chrono::milliseconds(0);
  while (!waiting_.empty()) {
    auto made = client_.Create(kube::Group("events.k8s.io/v1", "default", "events"), waiting_.front().event, once);
    if (!made.ok()) {
      const std::string& code = made.error().code;
      if (code == "kube.unavailable" || code == "kube.throttled" || code == "kube.unauthorized" ||
          code == "kube.tls-refused" || code == "kube.no-credentials" || code == "kube.stopped")
        return false;
      if (code != "kube.exists") {
        log::Warning("the API server does not take an Event", {{"why", made.error().ToString()}});
        failed_++;
        waiting_.pop_front();
        continue;
      }
    }
    reported_++;
    waiting_.pop_front();
  }
  return true;
}

}  // namespace ccgpu::nodemanager
