#include <CLI/CLI.hpp>
#include <iostream>

#include "base/file.h"
#include "key-broker/server/config.h"

namespace ccgpu::broker {
namespace {

constexpr int kUsage = 2;

struct Flags {
  std::string config;
  std::vector<std::string> listen, tls_names, device_roots, rim_roots, amd_roots, intel_roots, tpm_roots;
  std::string state, master_key, tls_cert, tls_key, admin_token, auditor_token, rim_url, ocsp_url, pcs_url,
      intel_root_crl_url, log_level, log_format, peer_limits;
  bool init_only = false, strict_status = false, explain_denials = false, insecure_accept_emulated = false;
  int ready_fd = -1;
};

void Describe(CLI::App& app, Flags& flags, const std::string& version) {
  app.set_version_flag("--version", "ccgpu-broker " + version);
  app.add_option("--config", flags.config, "YAML file; flags go before it")->type_name("FILE");
  app.add_option(
         "--listen", flags.listen,
         "address:port to serve HTTPS on; may be given several times, and need not exist yet (default 127.0.0.1:8080)")
      ->type_name("ADDR");
  app.add_option("--state", flags.state, "folder for database, certificates and tokens (default /var/lib/ccgpu/broker)")
      ->type_name("DIR");
  app.add_option("--master-key", flags.master_key,
                 "64 hex digits; everything at rest is encrypted under it (default STATE/master.key)")
      ->type_name("FILE");
  app.add_option("--tls-cert", flags.tls_cert, "certificate chain (PEM) instead of the one the broker makes")
      ->type_name("FILE");
  app.add_option("--tls-key", flags.tls_key, "its private key (PEM)")->type_name("FILE");
  app.add_option("--admin-token", flags.admin_token,
                 "file with the administrator's token (default STATE/admin-token, made)")
      ->type_name("FILE");
  app.add_option("--auditor-token", flags.auditor_token,
                 "file with the auditor's token (default STATE/auditor-token, made)")
      ->type_name("FILE");
  app.add_flag("--init-only", flags.init_only,
               "make what is missing in STATE (master.key, tls/, admin-token, auditor-token) and end; the certificate "
               "lives as long as its CA, since nobody renews it");
  app.add_option("--tls-name", flags.tls_names, "one more name or address for the certificate the broker makes")
      ->type_name("NAME");
  app.add_option("--device-root", flags.device_roots, "one more root for GPU certificates (PEM)")->type_name("FILE");
  app.add_option("--rim-root", flags.rim_roots, "one more root for reference manifests (PEM)")->type_name("FILE");
  app.add_option("--amd-root", flags.amd_roots, "one more root for SNP reports (PEM)")->type_name("FILE");
  app.add_option("--intel-root", flags.intel_roots, "one more root for TDX quotes (PEM)")->type_name("FILE");
  app.add_option("--tpm-root", flags.tpm_roots, "a root of TPMs' attestation keys (PEM); none is built in")
      ->type_name("FILE");
  app.add_option("--rim-url", flags.rim_url, "reference manifest service; the id is appended (default NVIDIA's)")
      ->type_name("URL");
  app.add_option("--ocsp-url", flags.ocsp_url, "revocation service (default NVIDIA's)")->type_name("URL");
  app.add_option("--pcs-url", flags.pcs_url, "TCB info, QE identity and PCK lists (default Intel's)")->type_name("URL");
  app.add_option("--intel-root-crl-url", flags.intel_root_crl_url,
                 "the Intel root's revocation list in DER (default Intel's)")
      ->type_name("URL");
  app.add_option("--peer-limits", flags.peer_limits,
                 "what one address may do: keys of peerLimits in the configuration file, like '{burst: 5000}'")
      ->type_name("YAML");
  app.add_option("--log-level", flags.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_option("--log-format", flags.log_format, "text or json (default: what CCGPU_LOG_FORMAT says, else text)")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_option("--ready-fd", flags.ready_fd, "write \"ready ADDR...\" and a line end there when serving")
      ->type_name("N");
  app.add_flag("--strict-status", flags.strict_status, "answer 403, 404, 400 where CoCo's broker says 401");
  app.add_flag("--explain-denials", flags.explain_denials, "tell clients why they are refused");
  app.add_flag("--insecure-accept-emulated", flags.insecure_accept_emulated,
               "believe evidence of emulators, behind which no hardware stands");
  app.footer(
      "Without --config and flags it serves 127.0.0.1:8080 out of /var/lib/ccgpu/broker. Exit codes: 0 ended by a "
      "signal, 1 could not run, 2 usage.");
}

Result<BrokerConfig> Merge(const Flags& flags) {
  BrokerConfig out;
  if (!flags.config.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(flags.config, 1u << 20));
    ASSIGN_OR_RETURN(out, ParseBrokerConfig(text, flags.config));
  }
  if (!flags.listen.empty()) out.listen.clear();
  for (const std::string& text : flags.listen) {
    ASSIGN_OR_RETURN(ListenAddress address, ParseListenAddress(text));
    out.listen.push_back(std::move(address));
  }
  if (out.listen.empty()) out.listen.push_back({"127.0.0.1", 8080});
  const std::pair<const std::string*, std::string*> texts[] = {{&flags.state, &out.state},
                                                               {&flags.master_key, &out.master_key},
                                                               {&flags.tls_cert, &out.tls_cert},
                                                               {&flags.tls_key, &out.tls_key},
                                                               {&flags.admin_token, &out.admin_token},
                                                               {&flags.auditor_token, &out.auditor_token},
                                                               {&flags.rim_url, &out.rim_url},
                                                               {&flags.ocsp_url, &out.ocsp_url},
                                                               {&flags.log_level, &out.log_level},
                                                               {&flags.log_format, &out.log_format},
                                                               {&flags.pcs_url, &out.pcs_url},
                                                               {&flags.intel_root_crl_url, &out.intel_root_crl_url}};
  for (const auto& [from, to] : texts) {
    if (!from->empty()) *to = *from;
  }
  const std::pair<const std::vector<std::string>*, std::vector<std::string>*> lists[] = {
      {&flags.device_roots, &out.device_roots}, {&flags.rim_roots, &out.rim_roots}, {&flags.amd_roots, &out.amd_roots},
      {&flags.intel_roots, &out.intel_roots},   {&flags.tpm_roots, &out.tpm_roots}, {&flags.tls_names, &out.tls_names}};
  for (const auto& [from, to] : lists) {
    if (!from->empty()) *to = *from;
  }
  if (out.tls_cert.empty() != out.tls_key.empty())
    return Err("broker.bad-option", "--tls-cert", "goes together with --tls-key");
  if (!flags.peer_limits.empty()) RETURN_IF_ERROR(ParsePeerLimits(flags.peer_limits, "--peer-limits", out.peer_limits));
  out.strict_status |= flags.strict_status;
  out.explain_denials |= flags.explain_denials;
  out.insecure_accept_emulated |= flags.insecure_accept_emulated;
  out.ready_fd = flags.ready_fd;
  out.init_only = flags.init_only;
  return out;
}

}  // namespace

std::optional<BrokerConfig> ReadCommandLine(int argc, char** argv, const std::string& version, int* exit_code) {
  CLI::App app("ccgpu-broker: releases keys to confidential-GPU pods that prove what they are.");
  Flags flags;
  Describe(app, flags, version);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    *exit_code = app.exit(e) == 0 ? 0 : kUsage;
    return std::nullopt;
  }
  auto config = Merge(flags);
  if (!config.ok()) {
    std::cerr << "ccgpu-broker: " << config.error().ToString() << "\n";
    *exit_code = kUsage;
    return std::nullopt;
  }
  return std::move(*config);
}

}  // namespace ccgpu::broker
