// The emulator's HTTP port: NVIDIA's RIM and OCSP services in their own shapes, Intel's PCS (pcs_routes.h), /metrics
// and /healthz.
//
//   GET  /v1/rim/ids        {"ids":[...]}
//   GET  /v1/rim/<id>       {"id","rim"(base64 XML),"sha256","request_id","last_updated","rim_format"};
//                           404 {"message":"RIM_NOT_FOUND","request_id"}
//   POST / or /ocsp         application/ocsp-request -> application/ocsp-response
//   GET  /ocsp/<base64>     the same (RFC 6960 A.1)
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/http/listener.h"
#include "gpu-emulator/services/endorsements.h"
#include "gpu-emulator/services/rim_mirror.h"

namespace ccgpu::emulator {

// Serves public, signed data only: no secrets, no state changes, so it needs no authentication.
class HttpService {
 public:
  struct Hooks {
    std::function<std::string()> metrics;  // Prometheus text
    std::function<bool()> healthy;
    std::function<void(httplib::Server&)> more_routes = {};                  // may be empty
    std::function<void(const std::string& path, int status)> answered = {};  // after each answer, any thread
    std::string rim_mirror = {};  // folder of <id>.json for ids that the emulator has no RIM of; empty: none
  };
  // `address` "127.0.0.1:0" (0: any free port). "http.bind" when it cannot be had. Everything given must outlive the
  // service.
  static Result<std::unique_ptr<HttpService>> Listen(const std::string& address, const Endorsements& endorsements,
                                                     const Clock& clock, Hooks hooks);

  int port() const { return listener_.port(); }
  std::string base_url() const { return "http://" + listener_.host() + ":" + std::to_string(port()); }

 private:
  HttpService() = default;
  static constexpr size_t kThreads = 4;
  http::Listener listener_{kThreads};
};

}  // namespace ccgpu::emulator
