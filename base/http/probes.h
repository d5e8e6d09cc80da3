// What Prometheus and the kubelet ask every program: GET /metrics, /healthz (it works) and /readyz (it serves). The
// last two answer 200 "ok", or 503 and what is missing.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/http/listener.h"

namespace ccgpu::http {

// Called in threads of the server; what they use must outlive it.
struct Probes {
  std::function<std::string()> metrics;                 // Prometheus text
  std::function<std::string()> not_ready_because;       // empty: ready
  std::function<std::string()> not_alive_because = {};  // empty: alive; no function: alive as long as it answers
};

Result<std::unique_ptr<Listener>> ServeProbes(const std::string& address, Probes probes, const ListenReasons& reasons);

}  // namespace ccgpu::http
