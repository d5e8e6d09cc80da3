#include "device-plugin/plugin/http.h"

namespace ccgpu::deviceplugin {

Result<std::unique_ptr<http::ProbePort>> ServeHttp(const std::string& address, const DeviceTable& table,
                                                   const Metrics& metrics) {
  return http::ProbePort::Serve(address,
                                {.metrics = [&] { return metrics.Text(*table.Get()); },
                                 .not_ready_because = [&] { return metrics.NotReadyBecause(); }},
                                {"plugin.bad-config", "plugin.http-bind-failed"});
}

}  // namespace ccgpu::deviceplugin
