// What the broker is told at its start: a YAML file (broker.example.yaml documents each key), and flags that go before
// it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "key-broker/protocol/peer_limits.h"

namespace ccgpu::broker {

struct ListenAddress {
  std::string host;  // an address; not a name
  uint16_t port = 8080;
  std::string ToString() const;
};
Result<ListenAddress> ParseListenAddress(const std::string& text);  // "127.0.0.1:8080", "[::1]:8080"

struct BrokerConfig {
  std::vector<ListenAddress> listen;
  std::string state = "/var/lib/ccgpu/broker";
  std::string master_key;                  // file; empty: STATE/master.key
  std::string tls_cert, tls_key;           // files; empty: made by the broker under its own CA in STATE/tls
  std::string admin_token, auditor_token;  // files; empty: made by the broker in STATE
  bool init_only = false;                  // make the files above in STATE, and end
  std::vector<std::string> tls_names;      // more names and addresses for the made certificate
  std::vector<std::string> device_roots, rim_roots, amd_roots, intel_roots,
      tpm_roots;                            // PEM files, added to the builtin hardware roots
  std::string rim_url, ocsp_url;            // empty: NVIDIA's
  std::string pcs_url, intel_root_crl_url;  // empty: Intel's
  std::chrono::seconds rim_lifetime{3600}, ocsp_lifetime{10};
  std::chrono::seconds session_lifetime{300}, token_lifetime{300};
  int threads = 128;
  size_t max_sessions = 100000;
  PeerLimitOptions peer_limits;
  bool strict_status = false, explain_denials = false, insecure_accept_emulated = false;
  std::string log_level = "info";
  std::string log_format;  // text, json; empty: the environment's
  int ready_fd = -1;
};

// Errors with file:line:column.
Result<BrokerConfig> ParseBrokerConfig(const std::string& yaml, const std::string& file);
// The file's mapping peerLimits alone, as --peer-limits has it; keys that it lacks stay as they are in `to`.
Status ParsePeerLimits(const std::string& yaml, const std::string& file, PeerLimitOptions& to);

// The whole command line. Nothing when the program is done (--help, --version, wrong usage): then *exit_code says with
// what.
std::optional<BrokerConfig> ReadCommandLine(int argc, char** argv, const std::string& version, int* exit_code);

}  // namespace ccgpu::broker
