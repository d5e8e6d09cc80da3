#include "base/http/probes.h"
#include "base/log.h"
#include "base/program.h"
#include "node-manager/service/config.h"
#include "node-manager/service/manager.h"

namespace ccgpu::nodemanager {

Status Run(const RunConfig& config, const std::string& version) {
  const EndSignals ends;
  RETURN_IF_ERROR(CheckConfig(config));
  kube::Access access{config.api_server, config.token_file, config.ca_file};
  RETURN_IF_ERROR(access.FillInCluster());
  kube::Options options;
  options.user_agent = "ccgpu-node-manager/" + version;
  ASSIGN_OR_RETURN(const auto client, kube::Client::Make(access, options));
  SystemClock clock;
  Manager manager(config, *client, clock);
  std::unique_ptr<http::ProbePort> http;
  if (!config.http.empty()) {
    ASSIGN_OR_RETURN(http, http::ProbePort::Serve(config.http,
                                                  {.metrics = [&] { return manager.Metrics(version); },
                                                   .not_ready_because = [&] { return manager.NotReadyBecause(); },
                                                   .not_alive_because = [&] { return manager.NotAliveBecause(); }},
                                                  {"manager.bad-config", "manager.http-bind-failed"}));
    log::Info("listening", {{"port", std::to_string(http->port())}});
  }
  log::Info("stopping", {{"signal", std::to_string(ends.Wait())}});
  manager.Leave();
  return Ok();
}

}  // namespace ccgpu::nodemanager
