// What Prometheus and the kubelet ask every program: GET /metrics, /healthz (it works) and /readyz (it serves). The
// last two answer 200 "ok", or 503 and what is missing.
//
// Over libevent, which is a tenth of what cpp-httplib brings along with OpenSSL: the device plugin counts its pages
// (docs/decisions/0008-grpc-over-nghttp2.md).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/http/address.h"
#include "base/result.h"

namespace ccgpu::http {

// Called in the port's thread, one at a time; what they use must outlive it.
struct Probes {
  std::function<std::string()> metrics;                 // Prometheus text
  std::function<std::string()> not_ready_because;       // empty: ready
  std::function<std::string()> not_alive_because = {};  // empty: alive; no function: alive as long as it answers
};

// One TCP port and one thread, until it is destroyed.
class ProbePort {
 public:
  // `address` is "127.0.0.1:9410"; port 0 takes any free one. Serves when it returns.
  static Result<std::unique_ptr<ProbePort>> Serve(const std::string& address, Probes probes,
                                                  const ListenReasons& reasons);
  ~ProbePort();
  ProbePort(const ProbePort&) = delete;
  ProbePort& operator=(const ProbePort&) = delete;

  int port() const;

 private:
  struct Impl;
  explicit ProbePort(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::http
