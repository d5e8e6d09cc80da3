#include <signal.h>

#include "base/log.h"
#include "node-manager/service/config.h"
#include "node-manager/service/http.h"
#include "node-manager/service/manager.h"

namespace ccgpu::nodemanager {

Status Run(const RunConfig& config, const std::string& version) {
  RETURN_IF_ERROR(CheckConfig(config));
  kube::Access access{config.api_server, config.token_file, config.ca_file};
  RETURN_IF_ERROR(access.FillInCluster());
  kube::Options options;
  options.user_agent = "ccgpu-node-manager/" + version;
  ASSIGN_OR_RETURN(const auto client, kube::Client::Make(access, options));
  SystemClock clock;
  Manager manager(config, *client, clock);
  std::unique_ptr<HttpServer> http;
  if (!config.http.empty()) {
    ASSIGN_OR_RETURN(http, HttpServer::Start(config.http, {[&] { return manager.Metrics(version); },
                                                           [&] { return manager.NotReadyBecause(); },
                                                           [&] { return manager.NotAliveBecause(); }}));
    log::Info("listening", {{"port", std::to_string(http->port())}});
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  int signal = 0;
  sigwait(&signals, &signal);
  log::Info("stopping", {{"signal", std::to_string(signal)}});
  manager.Leave();
  return Ok();
}

}  // namespace ccgpu::nodemanager
