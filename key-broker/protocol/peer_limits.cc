#include "key-broker/protocol/peer_limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ccgpu::broker {
namespace {

constexpr double kResourcesPerHandshake = 10;
constexpr std::chrono::seconds kLogPause{60};
constexpr double kRounding = 1e-6;  // of a request, that sums of fractions may be off

}  // namespace

std::string PeerOf(const std::string& address) {
  in6_addr v6{};
  if (::inet_pton(AF_INET6, address.substr(0, address.find('%')).c_str(), &v6) != 1) return address;
  char text[INET6_ADDRSTRLEN] = "";
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return ::inet_ntop(AF_INET, v6.s6_addr + 12, text, sizeof text);
  std::memset(v6.s6_addr + 8, 0, 8);
  return std::string(::inet_ntop(AF_INET6, &v6, text, sizeof text)) + "/64";
}

PeerLimits::PeerLimits(const PeerLimitOptions& options) {
  const auto set = [this](Cost cost, double burst, double per_second) {
    limits_[static_cast<size_t>(cost)] = {burst, per_second};
  };
  set(Cost::kChallenge, options.burst, options.per_second);
  set(Cost::kEvidence, options.burst, options.per_second);
  set(Cost::kResource, kResourcesPerHandshake * options.burst, kResourcesPerHandshake * options.per_second);
  set(Cost::kAdminFailure, options.admin_failures_a_minute, options.admin_failures_a_minute / 60.0);
  full_after_ = kLogPause;
  for (const Limit& limit : limits_) {
    if (limit.burst > 0)
      full_after_ = std::max(full_after_, std::chrono::seconds(std::lround(std::ceil(limit.burst / limit.per_second))));
  }
}

// Lets what came back in the meantime into the bucket; a clock that was set back gives nothing and takes nothing.
std::chrono::seconds PeerLimits::Refill(Bucket& bucket, const Limit& limit, TimePoint now) {
  const double passed = std::max(0.0, static_cast<double>((now - bucket.at).count()));
  bucket.spent = std::max(0.0, bucket.spent - passed * limit.per_second);
  bucket.at = now;
  const double missing = bucket.spent + 1 - limit.burst;
  return std::chrono::seconds(missing > kRounding ? std::lround(std::ceil(missing / limit.per_second - kRounding)) : 0);
}

std::chrono::seconds PeerLimits::Take(const std::string& peer, Cost cost, TimePoint now) {
  const Limit& limit = Of(cost);
  if (limit.burst == 0) return {};
  std::lock_guard lock(mutex_);
  Bucket& bucket = Enter(peer, now).buckets[static_cast<size_t>(cost)];
  const std::chrono::seconds wait = Refill(bucket, limit, now);
  if (wait.count() == 0) bucket.spent += 1;
  return wait;
}

std::chrono::seconds PeerLimits::Wait(const std::string& peer, Cost cost, TimePoint now) {
  const Limit& limit = Of(cost);
  if (limit.burst == 0) return {};
  std::lock_guard lock(mutex_);
  const auto known = peers_.find(peer);
  return known == peers_.end() ? std::chrono::seconds{}
                               : Refill(known->second->buckets[static_cast<size_t>(cost)], limit, now);
}

bool PeerLimits::MayLog(const std::string& peer, TimePoint now) {
  std::lock_guard lock(mutex_);
  TimePoint& logged = Enter(peer, now).logged;
  if (now - logged < kLogPause && now >= logged) return false;
  logged = now;
  return true;
}

size_t PeerLimits::size() {
  std::lock_guard lock(mutex_);
  return peers_.size();
}

PeerLimits::Peer& PeerLimits::Enter(const std::string& name, TimePoint now) {
  const auto known = peers_.find(name);
  if (known != peers_.end()) {
    by_use_.splice(by_use_.end(), by_use_, known->second);
  } else {
    Forget(now);
    by_use_.emplace_back().name = name;
    peers_.emplace(by_use_.back().name, std::prev(by_use_.end()));
  }
  by_use_.back().seen = now;
  return by_use_.back();
}

void PeerLimits::Forget(TimePoint now) {
  while (!by_use_.empty() && (by_use_.front().seen + full_after_ <= now || peers_.size() >= kMaxPeers)) {
    peers_.erase(by_use_.front().name);
    by_use_.pop_front();
  }
}

}  // namespace ccgpu::broker
