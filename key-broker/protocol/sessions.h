// RCAR sessions, in memory: a challenge waits here for its evidence.
//
//   (auth) -> kChallenged -(evidence accepted)-> kAttested      both end when their time is over, fixed at auth
// A nonce is good for one accepted attestation, and for at most kMaxAttempts tries.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/crypto/digest.h"

namespace ccgpu::broker {

enum class SessionState { kChallenged, kAttested };

struct Session {
  std::string id;     // 32 hex digits (a version 4 UUID without dashes)
  std::string nonce;  // base64 of 32 random bytes
  std::string tee, peer;
  SessionState state = SessionState::kChallenged;
  TimePoint expires{};
  uint32_t attempts = 0;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  bool released = false;  // has got a key
};

// Any thread.
class Sessions {
 public:
  static constexpr uint32_t kMaxAttempts = 8;
  // `peer_limit`: how many of them one peer may have; 0: all.
  Sessions(crypto::Random& random, std::chrono::seconds lifetime, size_t limit, size_t peer_limit)
      : random_(random), lifetime_(lifetime), limit_(limit), peer_limit_(peer_limit) {}

  // "session.too-many", "session.too-many-of-peer" when a limit is reached with sessions that are still alive.
  Result<Session> Start(const std::string& tee, const std::string& peer, TimePoint now);
  // Until the oldest session ends, at least a second: sooner there is no place.
  std::chrono::seconds UntilPlace(TimePoint now);
  // A copy; "session.unknown" or "session.expired".
  Result<Session> Find(const std::string& id, TimePoint now);
  // Counts a try with this nonce; "session.nonce-used" when the session has attested already,
  // "session.too-many-attempts", "session.wrong-nonce".
  Result<Session> BeginAttempt(const std::string& id, const std::string& nonce, TimePoint now);
  // After the evidence was accepted. Of several attempts at once only the first succeeds; the others get
  // "session.nonce-used".
  Status MarkAttested(const std::string& id, TimePoint now);
  // Time since the challenge, at the first call for a session; nothing later, or when it is not known any more.
  std::optional<std::chrono::duration<double>> FirstRelease(const std::string& id);
  size_t size();

 private:
  void Forget(TimePoint now);
  crypto::Random& random_;
  std::chrono::seconds lifetime_;
  size_t limit_, peer_limit_;
  std::mutex mutex_;
  std::unordered_map<std::string, Session> sessions_;
  std::unordered_map<std::string, size_t> of_peer_;          // how many; peers without any are not in it
  std::deque<std::pair<TimePoint, std::string>> by_expiry_;  // all live equally long: oldest first
};

}  // namespace ccgpu::broker
