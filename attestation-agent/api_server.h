// What containers of the pod may ask, on 127.0.0.1:8006: the routes of CoCo's api-server-rest, and two of ours.
//
//   GET /cdh/resource/R/T/T             the resource's bytes (application/octet-stream)
//   GET /aa/token?token_type=kbs        {"token","tee_keypair"}
//   GET /aa/evidence?runtime_data=X[&encoding=base64]             CPU evidence over X (at most 64 bytes)
//   GET /aa/additional-evidence?runtime_data=X[&encoding=base64]  device evidence, a JSON map
//   GET /info                           {"version","tee","additional_tees","feature"}
//   GET /attest/status                  the agent's own judgement of the GPUs
//   GET /ccgpu/evidence?nonce=HEX       everything a verifier needs, in one file (ccgpu.evidence/v1)
// Errors: 400, 404, 405 with CoCo's texts; 403 when the pod's GPUs were refused, 500 otherwise; the body says why.
#pragma once

#include <memory>
#include <string>

#include "attestation-agent/broker_client.h"
#include "attestation-agent/gpu_gate.h"

namespace ccgpu::agent {

struct ApiParts {
  Collector& collector;
  GpuGate& gate;
  BrokerClient& broker;
  const evidence::Collateral& collateral;
  std::string init_data_text;
  Events& events;
};

class ApiServer {
 public:
  explicit ApiServer(ApiParts parts);
  // Ends the answers that are under way, then the port is free.
  ~ApiServer();
  // Answers at 127.0.0.1:port (0: any) when it returns, on a few threads of its own; the port it got. Once. Errors:
  // agent.listen.
  Result<int> Start(int port);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::agent
