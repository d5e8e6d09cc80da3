#include "key-broker/server/program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/lock_file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/program.h"
#include "key-broker/server/https_server.h"

namespace ccgpu::broker {
namespace {

// Two brokers on one state would each believe to be the only writer of the ledger.
Result<Fd> LockState(const std::string& state) {
  ASSIGN_OR_RETURN(Fd lock, TryLockFile(state + "/lock", kPredecessorsEnd, "broker.state"));
  if (!lock.valid()) return Err("broker.state-in-use", state, "another broker runs on this state folder");
  return lock;
}

Status AddRoots(const std::vector<std::string>& files, std::vector<crypto::Certificate>& to) {
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(const std::string pem, ReadFile(file, 1u << 20));
    auto roots = crypto::Certificate::ListFromPem(pem);
    if (!roots.ok()) return roots.error().In(file);
    for (auto& root : *roots) to.push_back(std::move(root));
  }
  return Ok();
}

Result<verify::Anchors> AnchorsOf(const BrokerConfig& config) {
  verify::Anchors anchors = verify::BuiltinAnchors();
  RETURN_IF_ERROR(AddRoots(config.device_roots, anchors.device_roots));
  RETURN_IF_ERROR(AddRoots(config.rim_roots, anchors.rim_roots));
  RETURN_IF_ERROR(AddRoots(config.amd_roots, anchors.amd_roots));
  RETURN_IF_ERROR(AddRoots(config.intel_roots, anchors.intel_roots));
  RETURN_IF_ERROR(AddRoots(config.tpm_roots, anchors.tpm_roots));
  anchors.insecure_accept_emulated = config.insecure_accept_emulated;
  if (config.insecure_accept_emulated) {
    log::Warning(
        "--insecure-accept-emulated: keys will be released to emulated devices, which protect nothing from their host");
  }
  return anchors;
}

Result<TlsIdentity> TlsOf(const BrokerConfig& config, TimePoint now) {
  if (!config.tls_cert.empty()) return LoadTls(config.tls_cert, config.tls_key);
  std::vector<std::string> names = {"localhost", "127.0.0.1"};
  for (const auto& address : config.listen) names.push_back(address.host);
  for (const auto& name : config.tls_names) names.push_back(name);
  std::erase_if(names, [](const std::string& name) { return name == "0.0.0.0" || name == "::"; });
  return LoadOrMakeTls(config.state + "/tls", names, now, config.init_only);
}

std::string MasterKeyFile(const BrokerConfig& config) {
  return config.master_key.empty() ? config.state + "/master.key" : config.master_key;
}

// A file that the operator gives is never made: an empty mount would hand out a token that nobody knows.
Result<std::string> TokenOf(const std::string& given, const std::string& own) {
  return given.empty() ? LoadOrMakeToken(own) : LoadToken(given);
}

// --init-only: what another run of the broker, perhaps on another machine, can be started with.
Status MakeState(const BrokerConfig& config, TimePoint now) {
  RETURN_IF_ERROR(MakeMasterKey(MasterKeyFile(config)));
  auto admin = TokenOf(config.admin_token, config.state + "/admin-token");
  if (!admin.ok()) return admin.error();
  auto auditor = TokenOf(config.auditor_token, config.state + "/auditor-token");
  if (!auditor.ok()) return auditor.error();
  auto tls = TlsOf(config, now);
  return tls.ok() ? Ok() : Status(tls.error());
}

CollateralOptions CollateralOf(const BrokerConfig& config) {
  CollateralOptions out{.rim_lifetime = config.rim_lifetime, .ocsp_lifetime = config.ocsp_lifetime};
  collateral::ServiceUrls& urls = out.urls;
  if (!config.rim_url.empty()) urls.rim = config.rim_url;
  if (!config.ocsp_url.empty()) urls.ocsp = config.ocsp_url;
  if (!config.pcs_url.empty()) urls.pcs = config.pcs_url;
  if (!config.intel_root_crl_url.empty()) urls.intel_root_crl = config.intel_root_crl_url;
  return out;
}

double FileSize(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<double>(info.st_size) : 0;
}

void AddServerMetrics(Broker& broker, const BrokerConfig& config, const std::string& version, TimePoint tls_ends,
                      HttpCollateral& collateral, const Clock& clock) {
  broker.metrics().AddCollector([=, &collateral, &clock](metrics::Page& page) {
    metrics::WriteProcess(page, "ccgpu_broker", version);
    collateral.WriteMetrics(page, clock.Now());
    page.Gauge("ccgpu_broker_tls_certificate_expires_timestamp_seconds", "When the server's own certificate ends.",
               static_cast<double>(tls_ends.time_since_epoch().count()));
    const std::string file = config.state + "/broker.db";
    page.Gauge("ccgpu_broker_store_bytes", "Size of the database with resources and ledger.",
               FileSize(file) + FileSize(file + "-wal"));
    struct statvfs disk {};
    if (::statvfs(config.state.c_str(), &disk) != 0) return;
    const double block = static_cast<double>(disk.f_frsize);
    page.Gauge("ccgpu_broker_state_free_bytes", "Free space where the state lies.",
               static_cast<double>(disk.f_bavail) * block);
    page.Gauge("ccgpu_broker_state_size_bytes", "Size of the file system where the state lies.",
               static_cast<double>(disk.f_blocks) * block);
  });
}

Status SayReady(const BrokerConfig& config, const HttpsServer& server) {
  std::string line = "ready";
  for (const auto& address : server.addresses()) line += " " + address.ToString();
  log::Info("serving", {{"addresses", line.substr(6)}, {"state", config.state}});
  line += "\n";
  RETURN_IF_ERROR(WriteFileAtomic(config.state + "/ready", line));
  if (config.ready_fd < 0) return Ok();
  const ssize_t written = ::write(config.ready_fd, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size()))
    return ErrnoError("broker.state", "cannot write to", "--ready-fd " + std::to_string(config.ready_fd));
  ::close(config.ready_fd);
  return Ok();
}

}  // namespace

Status RunBroker(const BrokerConfig& config, const std::string& version) {
  const EndSignals ends;
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(077);
  const SystemClock clock;
  crypto::SystemRandom random;

  RETURN_IF_ERROR(MakeDirs(config.state, 0700));
  ASSIGN_OR_RETURN(const Fd lock, LockState(config.state));
  if (config.init_only) return MakeState(config, clock.Now());
  ::unlink((config.state + "/ready").c_str());
  ASSIGN_OR_RETURN(const StoreKeys keys, LoadMasterKey(MasterKeyFile(config)));
  ASSIGN_OR_RETURN(const auto db, Database::Open(config.state + "/broker.db"));
  RETURN_IF_ERROR(CheckMasterKey(*db, keys));
  ASSIGN_OR_RETURN(const crypto::PrivateKey token_key,
                   LoadOrMakeKey(config.state + "/token.key", crypto::KeyType::kP256));
  ASSIGN_OR_RETURN(const std::string admin, TokenOf(config.admin_token, config.state + "/admin-token"));
  ASSIGN_OR_RETURN(const std::string auditor, TokenOf(config.auditor_token, config.state + "/auditor-token"));
  const Roles roles(admin, auditor);
  ASSIGN_OR_RETURN(const TlsIdentity tls, TlsOf(config, clock.Now()));
  ASSIGN_OR_RETURN(verify::Anchors anchors, AnchorsOf(config));

  const std::unique_ptr<collateral::Fetcher> fetcher = collateral::MakeHttpFetcher();
  HttpCollateral collateral(CollateralOf(config), *fetcher);
  EvidenceAppraiser appraiser(std::move(anchors), collateral);
  BrokerOptions options;
  options.style = {config.strict_status, config.explain_denials};
  options.session_lifetime = config.session_lifetime;
  options.token_lifetime = config.token_lifetime;
  options.max_sessions = config.max_sessions;
  options.peer_limits = config.peer_limits;
  options.version = version;
  options.insecure_accept_emulated = config.insecure_accept_emulated;
  Broker broker({*db, keys, appraiser, roles, clock, random, token_key}, options);
  ASSIGN_OR_RETURN(const int64_t entries, broker.ledger().Verify());
  log::Info("ledger is whole", {{"entries", std::to_string(entries)}});
  AddServerMetrics(broker, config, version, tls.chain[0].NotAfter(), collateral, clock);

  ASSIGN_OR_RETURN(const auto server,
                   HttpsServer::Start(broker, tls, config.listen, config.threads, config.peer_limits.connections));
  RETURN_IF_ERROR(SayReady(config, *server));
  log::Info("stopping", {{"signal", std::to_string(ends.Wait())}});
  server->Stop();
  ::unlink((config.state + "/ready").c_str());
  return Ok();
}

}  // namespace ccgpu::broker
