#include "attestation-agent/agent.h"

#include <fcntl.h>
#include <signal.h>

#include <cstdlib>

#include "attestation-agent/api_server.h"
#include "attestation-agent/trust_config.h"
#include "base/file.h"
#include "base/program.h"
#include "collateral/folder.h"

namespace ccgpu::agent {
namespace {

Result<std::unique_ptr<Nvml>> OpenGpus(const std::string& library) {
  if (library.empty() || !Exists(library)) return std::unique_ptr<Nvml>();
  // In an emulated sandbox the library is always there; the driver's socket only with GPUs. Real hardware has no such
  // variable.
  if (const char* socket = std::getenv("CCGPU_DRIVER_SOCKET"); socket && !Exists(socket))
    return std::unique_ptr<Nvml>();
  return Nvml::Open(library);
}

}  // namespace

Status RunAgent(const AgentOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  const EndSignals ends;
  if (options.events_fd >= 0) ::fcntl(options.events_fd, F_SETFD, FD_CLOEXEC);
  Events events{Fd(options.events_fd)};
  SystemClock clock;
  crypto::SystemRandom random;

  auto start = [&]() -> Status {
    ASSIGN_OR_RETURN(const TrustConfig trust, LoadTrustConfig(options.init_data));
    // Whoever put it there need not be trusted: all of it is signed.
    ASSIGN_OR_RETURN(const collateral::Folder folder, collateral::ReadFolder(options.collateral));
    const evidence::Collateral collateral = collateral::ToCollateral(folder.documents);
    ASSIGN_OR_RETURN(std::unique_ptr<Nvml> nvml, OpenGpus(options.nvml));
    Collector collector(std::move(nvml), options.tsm);
    GpuGate gate(collector, collateral, trust.anchors, random, clock, events);
    BrokerClient broker(trust.broker, trust.init_data_text, collector, clock, options.sandbox_id);
    ApiServer server(ApiParts{collector, gate, broker, collateral, trust.init_data_text, events});
    RETURN_IF_ERROR(server.Start(options.port));
    events.Tell("agent.ready", "listens on 127.0.0.1:" + std::to_string(options.port));
    gate.Decide();
    ends.Wait();
    return Ok();
  };
  Status status = start();
  if (!status.ok()) events.Tell(status.error().code, status.error().text, status.error().subject);
  return status;
}

}  // namespace ccgpu::agent
