// GET /metrics (Prometheus text), /healthz (the process serves) and /readyz (registered, and the GPUs are seen; 503
// says what is missing) on a TCP address.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "device-plugin/plugin/device_table.h"
#include "device-plugin/plugin/metrics.h"

namespace ccgpu::deviceplugin {

class HttpServer {
 public:
  // `address` is "127.0.0.1:9410"; port 0 picks one. Table and metrics must outlive it.
  static Result<std::unique_ptr<HttpServer>> Start(const std::string& address, const DeviceTable& table,
                                                   const Metrics& metrics);
  ~HttpServer();
  int port() const;

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::deviceplugin
