// The guest's side of the KBS protocol (request, challenge, attestation, response) over TLS to the one broker that the
// measured initdata names.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "attestation-agent/collector.h"
#include "base/clock.h"
#include "trust/kbs/initdata.h"

namespace httplib {
struct Response;
}

namespace ccgpu::agent {

struct Token {
  std::string jwt;
  TimePoint expires{};
};

// Any thread; requests go one after the other.
class BrokerClient {
 public:
  // The token's key is made here and lives as long as this object. `sandbox_id`, if any, goes along for the broker's
  // log.
  BrokerClient(kbs::BrokerAddress broker, std::string init_data_text, Collector& collector, const Clock& clock,
               std::string sandbox_id = "", std::chrono::milliseconds patience = kPatience);
  ~BrokerClient();

  // How long one call goes on when the broker does not answer (it may be moving to another node, or be upgraded) or
  // asks to wait (429, 503): many pods may start at once. When it asks for longer than this, the call fails at once.
  static constexpr std::chrono::seconds kPatience{30};

  // A token that is good for some time yet: the last one, or a new one by attesting.
  Result<Token> GetToken();
  // The resource "repository/type/tag", decrypted. Attests first when needed, and once more when the token is refused.
  // Errors: broker.unreachable (after kPatience), broker.refused (or the broker's own reason code when it explains
  // itself), kbs.* parsing codes.
  Result<Bytes> GetResource(const std::string& path);
  const kbs::TeeKey& key() const { return key_; }

 private:
  struct Http;
  Status Connect();
  Result<Token> Attest();
  Result<Token> TokenLocked(bool fresh);
  Result<Bytes> ResourceLocked(const std::string& path);
  // What the broker says when it refuses, as our error; remembers in asked_to_wait_ when it says to come back.
  Error Refusal(const httplib::Response& response, const std::string& path);
  // Calls again while patience lasts, over a new connection each time, as late as the broker says when it asks to wait.
  template <class T>
  Result<T> Patiently(const std::function<Result<T>()>& call);

  std::mutex mutex_;
  kbs::BrokerAddress broker_;
  std::string init_data_text_, sandbox_id_;
  Collector& collector_;
  const Clock& clock_;
  const std::chrono::milliseconds patience_;
  kbs::TeeKey key_;
  std::unique_ptr<Http> http_;
  std::optional<Token> token_;
  std::optional<std::chrono::seconds> asked_to_wait_;  // in the last answer
};

}  // namespace ccgpu::agent
