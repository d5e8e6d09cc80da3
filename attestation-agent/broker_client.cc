#include "attestation-agent/broker_client.h"

#include <httplib.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <thread>

#include "base/crypto/x509.h"
#include "trust/kbs/ear.h"
#include "trust/kbs/protocol.h"

namespace ccgpu::agent {
namespace {

constexpr std::chrono::milliseconds kFirstPause{50}, kLongestPause{1000};
constexpr std::chrono::seconds kShortestWait{1};
constexpr std::chrono::seconds kTokenSlack{30};  // a token that ends sooner is renewed first

std::string Path(std::string_view rest) { return std::string(kbs::kPathPrefix) + std::string(rest); }

// The value of our session cookie in a Set-Cookie header; empty when it is not there.
std::string SessionOf(const httplib::Response& response) {
  const std::string prefix = std::string(kbs::kSessionCookie) + "=";
  const std::string header = response.get_header_value("Set-Cookie");
  if (!header.starts_with(prefix)) return "";
  return header.substr(prefix.size(), header.find(';') - prefix.size());
}

// How long a broker that has too much to do wants to be left alone; nothing in other answers. A date, or nonsense, is
// no reason to ask again at once.
std::optional<std::chrono::seconds> RetryAfter(const httplib::Response& response) {
  if (response.status != 429 && response.status != 503) return std::nullopt;
  const std::string text = response.get_header_value("Retry-After");
  const bool number = !text.empty() && text.size() <= 6 && text.find_first_not_of("0123456789") == std::string::npos;
  return std::max(kShortestWait, std::chrono::seconds(number ? std::stol(text) : 0));
}

}  // namespace

struct BrokerClient::Http {
  std::unique_ptr<httplib::Client> client;

  static Result<std::unique_ptr<Http>> Connect(const kbs::BrokerAddress& broker) {
    auto http = std::make_unique<Http>();
    http->client = std::make_unique<httplib::Client>(broker.url);
    if (!http->client->is_valid()) return Err("broker.bad-url", broker.url, "is not a URL like https://10.1.2.1:8080");
    http->client->set_keep_alive(true);
    http->client->set_tcp_nodelay(true);  // else Nagle and TLS tickets cost 40 ms a request
    http->client->set_connection_timeout(5);
    http->client->set_read_timeout(30);
    if (broker.url.starts_with("https://")) {
      if (broker.cert_pem.empty()) return Err("broker.no-ca", broker.url, "the initdata pins no certificate for it");
      ASSIGN_OR_RETURN(auto pinned, crypto::Certificate::ListFromPem(broker.cert_pem));
      X509_STORE* store = X509_STORE_new();
      for (const auto& certificate : pinned) X509_STORE_add_cert(store, certificate.raw());
      http->client->set_ca_cert_store(store);  // takes it over
      http->client->enable_server_certificate_verification(true);
    }
    return http;
  }

  Result<httplib::Response> Send(const std::string& url, const std::string& path, httplib::Result result) {
    if (result) return *result;
    return Err("broker.unreachable", url + path, "no answer: " + httplib::to_string(result.error()));
  }
};

BrokerClient::BrokerClient(kbs::BrokerAddress broker, std::string init_data_text, Collector& collector,
                           const Clock& clock, std::string sandbox_id, std::chrono::milliseconds patience)
    : broker_(std::move(broker)),
      init_data_text_(std::move(init_data_text)),
      sandbox_id_(std::move(sandbox_id)),
      collector_(collector),
      clock_(clock),
      patience_(patience),
      key_(kbs::TeeKey::Generate()) {}
BrokerClient::~BrokerClient() = default;

Status BrokerClient::Connect() {
  if (http_) return Ok();
  ASSIGN_OR_RETURN(http_, Http::Connect(broker_));
  if (!sandbox_id_.empty()) http_->client->set_default_headers({{std::string(kbs::kSandboxHeader), sandbox_id_}});
  return Ok();
}

// Its own reason when it explains itself.
Error BrokerClient::Refusal(const httplib::Response& response, const std::string& path) {
  asked_to_wait_ = RetryAfter(response);
  auto body = kbs::ParseErrorBody(response.body);
  if (!body.ok())
    return Err("broker.refused", path,
               "the broker answered " + std::to_string(response.status) + " without saying why");
  const kbs::ErrorBody& said = *body;
  if (said.why) return *said.why;
  return Err("broker.refused", path, "the broker answered " + std::to_string(response.status) + ": " + said.detail);
}

Result<Token> BrokerClient::Attest() {
  // Request and challenge.
  RETURN_IF_ERROR(Connect());
  kbs::AuthRequest request;
  ASSIGN_OR_RETURN(request.tee, collector_.Tee());
  ASSIGN_OR_RETURN(
      httplib::Response challenged,
      http_->Send(broker_.url, "/auth", http_->client->Post(Path("/auth"), request.ToJson(), "application/json")));
  if (challenged.status != 200) return Refusal(challenged, "/auth");
  ASSIGN_OR_RETURN(kbs::Challenge challenge, kbs::ParseChallenge(challenged.body));
  const std::string session = SessionOf(challenged);
  if (session.empty()) return Err("broker.protocol", "/auth", "the broker's answer opens no session");

  // Evidence over the challenge, and the attestation. Evidence of many GPUs takes longer than a broker waits for the
  // next request of a connection, and while it waits, a thread of it does.
  http_.reset();
  ASSIGN_OR_RETURN(evidence::CompositeEvidence evidence, collector_.Composite(challenge.nonce, key_.jwk));
  kbs::AttestRequest attest;
  attest.init_data = init_data_text_;
  attest.nonce = challenge.nonce;
  attest.tee_pubkey = key_.jwk;
  attest.primary_evidence_json = evidence::CpuEvidenceToJson(evidence.cpu);
  attest.additional_evidence = evidence.additional_evidence;
  const httplib::Headers headers = {{"Cookie", std::string(kbs::kSessionCookie) + "=" + session}};
  RETURN_IF_ERROR(Connect());
  ASSIGN_OR_RETURN(httplib::Response attested,
                   http_->Send(broker_.url, "/attest",
                               http_->client->Post(Path("/attest"), headers, attest.ToJson(), "application/json")));
  if (attested.status != 200) return Refusal(attested, "/attest");

  Token token;
  ASSIGN_OR_RETURN(token.jwt, kbs::ParseTokenResponse(attested.body));
  ASSIGN_OR_RETURN(token.expires, kbs::UnverifiedExpiry(token.jwt));
  return token;
}

Result<Token> BrokerClient::TokenLocked(bool fresh) {
  if (!fresh && token_ && clock_.Now() + kTokenSlack < token_->expires) return *token_;
  token_.reset();
  ASSIGN_OR_RETURN(Token token, Attest());
  token_ = token;
  return token;
}

template <class T>
Result<T> BrokerClient::Patiently(const std::function<Result<T>()>& call) {
  const auto end = std::chrono::steady_clock::now() + patience_;
  for (std::chrono::milliseconds pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    asked_to_wait_.reset();
    Result<T> result = call();
    http_.reset();  // the next call may be late, and the broker has a thread for each connection
    const bool unreachable = !result.ok() && std::string_view(result.error().code) == "broker.unreachable";
    if (!unreachable && !asked_to_wait_) return result;
    const std::chrono::milliseconds wait = unreachable ? pause : *asked_to_wait_;
    if (std::chrono::steady_clock::now() + wait >= end) return result;
    std::this_thread::sleep_for(wait);
  }
}

Result<Token> BrokerClient::GetToken() {
  std::lock_guard lock(mutex_);
  return Patiently<Token>([this] { return TokenLocked(false); });
}

Result<Bytes> BrokerClient::GetResource(const std::string& path) {
  std::lock_guard lock(mutex_);
  return Patiently<Bytes>([this, &path] { return ResourceLocked(path); });
}

Result<Bytes> BrokerClient::ResourceLocked(const std::string& path) {
  for (bool fresh : {false, true}) {
    const bool had_token = token_.has_value();
    ASSIGN_OR_RETURN(Token token, TokenLocked(fresh));
    RETURN_IF_ERROR(Connect());
    const httplib::Headers headers = {{"Authorization", "Bearer " + token.jwt}};
    const std::string url_path = Path("/resource/" + path);
    ASSIGN_OR_RETURN(httplib::Response response,
                     http_->Send(broker_.url, url_path, http_->client->Get(url_path, headers)));
    if (response.status == 200) return kbs::DecryptJwe(key_, response.body);
    // A token that was refused although it should be good (the broker restarted): attest once more. A fresh one is
    // final.
    if (response.status == 401 && had_token && !fresh) continue;
    return Refusal(response, path);
  }
  return Err("broker.refused", path, "the broker refuses tokens that it has just given");
}

}  // namespace ccgpu::agent
