#include "gpu-emulator/services/http_service.h"

#include <httplib.h>

#include <nlohmann/json.hpp>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/metrics.h"

namespace ccgpu::emulator {
namespace {

constexpr size_t kMaxRequest = 64 << 10;
constexpr char kJson[] = "application/json";

std::string RequestId() {
  const std::string hex = HexEncode(crypto::SystemRandom().Take(16));
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

}  // namespace

Result<std::unique_ptr<HttpService>> HttpService::Listen(const std::string& address, const Endorsements& endorsements,
                                                         const Clock& clock, Hooks hooks) {
  std::unique_ptr<HttpService> service(new HttpService);
  httplib::Server& server = service->listener_.server();
  server.set_payload_max_length(kMaxRequest);
  server.set_tcp_nodelay(true);
  server.set_read_timeout(5, 0);
  server.set_write_timeout(5, 0);

  const std::string last_updated = FormatTime(clock.Now());
  const RimMirror mirror(hooks.rim_mirror);
  server.Get("/v1/rim/ids", [&endorsements, mirror](const httplib::Request&, httplib::Response& response) {
    std::vector<std::string> ids = endorsements.RimIds();
    for (std::string& id : mirror.Ids()) {
      if (!endorsements.Rim(id)) ids.push_back(std::move(id));
    }
    response.set_content(nlohmann::json{{"ids", ids}}.dump(), kJson);
  });
  server.Get(R"(/v1/rim/([A-Za-z0-9_.]+))", [&endorsements, mirror, last_updated](const httplib::Request& request,
                                                                                  httplib::Response& response) {
    const std::string id = request.matches[1];
    const auto rim = endorsements.Rim(id);
    if (const auto kept = rim ? std::nullopt : mirror.Answer(id)) {
      response.set_content(*kept, kJson);
      return;
    }
    if (!rim) {
      response.status = 404;
      response.set_content(nlohmann::json{{"message", "RIM_NOT_FOUND"}, {"request_id", RequestId()}}.dump(), kJson);
      return;
    }
    response.set_content(nlohmann::json{{"id", id},
                                        {"rim", Base64Encode(AsBytes(*rim))},
                                        {"sha256", HexEncode(crypto::Sha256(AsBytes(*rim)))},
                                        {"request_id", RequestId()},
                                        {"last_updated", last_updated},
                                        {"rim_format", "TCG_RIM_SWID"}}
                             .dump(),
                         kJson);
  });
  auto ocsp = [&endorsements](const httplib::Request& request, httplib::Response& response) {
    const Bytes answer = endorsements.AnswerOcsp(AsBytes(request.body));
    response.set_content(ToText(answer), "application/ocsp-response");
  };
  server.Post("/", ocsp);
  server.Post("/ocsp", ocsp);
  server.Post("/ocsp/", ocsp);  // NVIDIA's verifier closes each base URL with a slash
  // RFC 6960 A.1: the request in base64, percent-encoded, as the rest of the path.
  server.Get(R"(/ocsp/(.+))", [&endorsements](const httplib::Request& request, httplib::Response& response) {
    const auto der = Base64Decode(request.matches[1].str());
    const Bytes answer = endorsements.AnswerOcsp(der.ok() ? ByteView(*der) : ByteView());
    response.set_content(ToText(answer), "application/ocsp-response");
  });
  if (hooks.more_routes) hooks.more_routes(server);
  if (hooks.answered) {
    server.set_logger([answered = hooks.answered](const httplib::Request& request, const httplib::Response& response) {
      answered(request.path, response.status);
    });
  }
  server.Get("/metrics", [metrics = hooks.metrics](const httplib::Request&, httplib::Response& response) {
    response.set_content(metrics ? metrics() : "", metrics::kContentType);
  });
  server.Get("/healthz", [healthy = hooks.healthy](const httplib::Request&, httplib::Response& response) {
    const bool ok = !healthy || healthy();
    response.status = ok ? 200 : 503;
    response.set_content(ok ? "ok\n" : "not ready\n", "text/plain");
  });

  RETURN_IF_ERROR(service->listener_.Start(address, {"http.bind", "http.bind"}));
  return service;
}

}  // namespace ccgpu::emulator
