#include "key-broker/protocol/sessions.h"

#include <algorithm>

#include "base/encoding.h"

namespace ccgpu::broker {
namespace {

constexpr size_t kNonceSize = 32;

std::string NewId(crypto::Random& random) {
  Bytes id = random.Take(16);
  id[6] = static_cast<uint8_t>((id[6] & 0x0f) | 0x40);  // RFC 9562: version 4
  id[8] = static_cast<uint8_t>((id[8] & 0x3f) | 0x80);
  return HexEncode(id);
}

Error Unknown() { return Err("session.unknown", "session", "is not known here (any more): start again with /auth"); }

}  // namespace

void Sessions::Forget(TimePoint now) {
  while (!by_expiry_.empty() && by_expiry_.front().first <= now) {
    const auto session = sessions_.find(by_expiry_.front().second);
    const auto peer = of_peer_.find(session->second.peer);
    if (--peer->second == 0) of_peer_.erase(peer);
    sessions_.erase(session);
    by_expiry_.pop_front();
  }
}

Result<Session> Sessions::Start(const std::string& tee, const std::string& peer, TimePoint now) {
  Session session;
  session.id = NewId(random_);
  session.nonce = Base64Encode(random_.Take(kNonceSize));
  session.tee = tee;
  session.peer = peer;
  session.expires = now + lifetime_;
  std::lock_guard lock(mutex_);
  Forget(now);
  if (sessions_.size() >= limit_)
    return Err("session.too-many", "sessions", "all " + std::to_string(limit_) + " places are taken; try again later");
  const auto of_peer = of_peer_.find(peer);
  if (peer_limit_ > 0 && of_peer != of_peer_.end() && of_peer->second >= peer_limit_) {
    return Err("session.too-many-of-peer", peer,
               "has " + std::to_string(peer_limit_) + " sessions alive, as many as one peer may have; try again later");
  }
  sessions_[session.id] = session;
  ++of_peer_[peer];
  by_expiry_.emplace_back(session.expires, session.id);
  return session;
}

Result<Session> Sessions::Find(const std::string& id, TimePoint now) {
  std::lock_guard lock(mutex_);
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return Unknown();
  if (it->second.expires <= now)
    return Err("session.expired", "session",
               "expired at " + FormatTime(it->second.expires) + ": start again with /auth");
  return it->second;
}

Result<Session> Sessions::BeginAttempt(const std::string& id, const std::string& nonce, TimePoint now) {
  std::lock_guard lock(mutex_);
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return Unknown();
  Session& session = it->second;
  if (session.expires <= now)
    return Err("session.expired", "session", "expired at " + FormatTime(session.expires) + ": start again with /auth");
  if (session.state == SessionState::kAttested) {
    return Err("session.nonce-used", "session", "has attested already; its nonce is used up: start again with /auth");
  }
  if (!EqualConstantTime(AsBytes(session.nonce), AsBytes(nonce))) {
    return Err("session.wrong-nonce", "runtime-data.nonce", "is not the nonce that this session was given");
  }
  if (++session.attempts > kMaxAttempts)
    return Err("session.too-many-attempts", "session", "was tried too often with this nonce: start again with /auth");
  return session;
}

Status Sessions::MarkAttested(const std::string& id, TimePoint now) {
  std::lock_guard lock(mutex_);
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return Unknown();
  if (it->second.expires <= now) return Err("session.expired", "session", "expired while its evidence was verified");
  if (it->second.state == SessionState::kAttested)
    return Err("session.nonce-used", "session", "has attested already, by another request at the same time");
  it->second.state = SessionState::kAttested;
  return Ok();
}

std::optional<std::chrono::duration<double>> Sessions::FirstRelease(const std::string& id) {
  std::lock_guard lock(mutex_);
  const auto it = sessions_.find(id);
  if (it == sessions_.end() || it->second.released) return std::nullopt;
  it->second.released = true;
  return std::chrono::steady_clock::now() - it->second.started;
}

std::chrono::seconds Sessions::UntilPlace(TimePoint now) {
  std::lock_guard lock(mutex_);
  const std::chrono::seconds second{1};
  return by_expiry_.empty() ? second : std::max(second, by_expiry_.front().first - now);
}

size_t Sessions::size() {
  std::lock_guard lock(mutex_);
  return sessions_.size();
}

}  // namespace ccgpu::broker
