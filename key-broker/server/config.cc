#include "key-broker/server/config.h"

#include <arpa/inet.h>

#include "base/yaml.h"

namespace ccgpu::broker {
namespace {

constexpr int64_t kMaxSessions = 10000000;

bool IsAddress(const std::string& text) {
  unsigned char out[sizeof(in6_addr)];
  return inet_pton(AF_INET, text.c_str(), out) == 1 || inet_pton(AF_INET6, text.c_str(), out) == 1;
}

void ReadSeconds(YamlMap& map, const std::string& key, int64_t low, int64_t high, std::chrono::seconds& to) {
  const int64_t value = map.Int(key, false, to.count());
  if (value < low || value > high)
    map.Fail("input.bad-value", key,
             "must be from " + std::to_string(low) + " to " + std::to_string(high) + " seconds");
  else to = std::chrono::seconds(value);
}

template <class T>
void ReadCount(YamlMap& map, const std::string& key, int64_t low, int64_t high, T& to) {
  const int64_t value = map.Int(key, false, static_cast<int64_t>(to));
  if (value < low || value > high)
    map.Fail("input.bad-value", key, "must be from " + std::to_string(low) + " to " + std::to_string(high));
  else to = static_cast<T>(value);
}

void ReadPeerLimits(YamlMap& map, PeerLimitOptions& to) {
  ReadCount(map, "connections", 0, 1024, to.connections);
  ReadCount(map, "sessions", 0, kMaxSessions, to.sessions);
  ReadCount(map, "burst", 0, 1000000, to.burst);
  ReadCount(map, "perSecond", 1, 1000000, to.per_second);
  ReadCount(map, "adminFailuresPerMinute", 0, 1000000, to.admin_failures_a_minute);
}

}  // namespace

std::string ListenAddress::ToString() const {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port);
}

Result<ListenAddress> ParseListenAddress(const std::string& text) {
  const Error bad = Err("broker.bad-address", text, "is not an address and a port, like 127.0.0.1:8080 or [::1]:8080");
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return bad;
  ListenAddress out;
  out.host = text.substr(0, colon);
  if (out.host.starts_with('[') && out.host.ends_with(']')) out.host = out.host.substr(1, out.host.size() - 2);
  const std::string port = text.substr(colon + 1);
  if (!IsAddress(out.host) || port.empty() || port.size() > 5 ||
      port.find_first_not_of("0123456789") != std::string::npos || std::stol(port) > 65535)
    return bad;
  out.port = static_cast<uint16_t>(std::stol(port));
  return out;
}

Result<BrokerConfig> ParseBrokerConfig(const std::string& yaml, const std::string& file) {
  ASSIGN_OR_RETURN(YamlDocument document, YamlDocument::Parse(yaml, file));
  YamlMap& map = *document;
  BrokerConfig out;
  for (const std::string& text : map.Strings("listen")) {
    auto address = ParseListenAddress(text);
    if (address.ok()) out.listen.push_back(*address);
    else map.Fail("input.bad-value", "listen", "\"" + text + "\" " + address.error().text);
  }
  out.state = map.String("state", false, out.state);
  out.master_key = map.String("masterKey");
  YamlMap tls = map.Map("tls");
  out.tls_cert = tls.String("cert");
  out.tls_key = tls.String("key");
  out.tls_names = tls.Strings("names");
  if (out.tls_cert.empty() != out.tls_key.empty()) tls.Fail("input.bad-value", "cert", "cert and key go together");
  tls.Done();
  YamlMap roots = map.Map("roots");
  out.device_roots = roots.Strings("device");
  out.rim_roots = roots.Strings("rim");
  out.amd_roots = roots.Strings("amd");
  out.intel_roots = roots.Strings("intel");
  out.tpm_roots = roots.Strings("tpm");
  roots.Done();
  YamlMap collateral = map.Map("collateral");
  out.rim_url = collateral.String("rimUrl");
  out.ocsp_url = collateral.String("ocspUrl");
  out.pcs_url = collateral.String("pcsUrl");
  out.intel_root_crl_url = collateral.String("intelRootCrlUrl");
  ReadSeconds(collateral, "rimLifetime", 0, 7 * 86400, out.rim_lifetime);
  ReadSeconds(collateral, "ocspLifetime", 0, 86400, out.ocsp_lifetime);
  collateral.Done();
  ReadSeconds(map, "sessionLifetime", 10, 3600, out.session_lifetime);
  ReadSeconds(map, "tokenLifetime", 10, 86400, out.token_lifetime);
  ReadCount(map, "threads", 1, 1024, out.threads);
  ReadCount(map, "maxSessions", 1, kMaxSessions, out.max_sessions);
  YamlMap peer_limits = map.Map("peerLimits");
  ReadPeerLimits(peer_limits, out.peer_limits);
  peer_limits.Done();
  out.strict_status = map.Bool("strictStatus");
  out.explain_denials = map.Bool("explainDenials");
  out.insecure_accept_emulated = map.Bool("insecureAcceptEmulated");
  out.log_level = map.OneOf("logLevel", {"debug", "info", "warning", "error"}, false, "info");
  out.log_format = map.OneOf("logFormat", {"text", "json"}, false, "");
  RETURN_IF_ERROR(document.Done());
  return out;
}

Status ParsePeerLimits(const std::string& yaml, const std::string& file, PeerLimitOptions& to) {
  ASSIGN_OR_RETURN(YamlDocument document, YamlDocument::Parse(yaml, file));
  ReadPeerLimits(*document, to);
  return document.Done();
}

}  // namespace ccgpu::broker
