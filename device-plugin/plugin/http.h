// GET /metrics, /healthz and /readyz (registered, and the GPUs are seen) on a TCP address.
#pragma once

#include "base/http/probes.h"
#include "device-plugin/plugin/device_table.h"
#include "device-plugin/plugin/metrics.h"

namespace ccgpu::deviceplugin {

// `address` is "127.0.0.1:9410"; port 0 picks one. Table and metrics must outlive it.
Result<std::unique_ptr<http::ProbePort>> ServeHttp(const std::string& address, const DeviceTable& table,
                                                   const Metrics& metrics);

}  // namespace ccgpu::deviceplugin
