#include "base/http/probes.h"

#include <httplib.h>

#include "base/metrics.h"

namespace ccgpu::http {

Result<std::unique_ptr<Listener>> ServeProbes(const std::string& address, Probes probes, const ListenReasons& reasons) {
  auto listener = std::make_unique<Listener>(2);
  httplib::Server& server = listener->server();
  const auto probe = [&server](const char* path, std::function<std::string()> missing) {
    server.Get(path, [missing = std::move(missing)](const httplib::Request&, httplib::Response& response) {
      const std::string why = missing ? missing() : "";
      if (!why.empty()) response.status = 503;
      response.set_content(why.empty() ? "ok\n" : why + "\n", "text/plain");
    });
  };
  probe("/readyz", std::move(probes.not_ready_because));
  probe("/healthz", std::move(probes.not_alive_because));
  server.Get("/metrics", [text = std::move(probes.metrics)](const httplib::Request&, httplib::Response& response) {
    response.set_content(text(), metrics::kContentType);
  });
  RETURN_IF_ERROR(listener->Start(address, reasons));
  return listener;
}

}  // namespace ccgpu::http
