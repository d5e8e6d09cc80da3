#include "attestation-agent/api_server.h"

#include <httplib.h>

#include "base/encoding.h"
#include "base/http/listener.h"
#include "base/json.h"
#include "trust/kbs/resource_path.h"

namespace ccgpu::agent {
namespace {

using httplib::Request;
using httplib::Response;

constexpr size_t kWorkers = 3;
constexpr size_t kReportDataSize = 64;
constexpr std::chrono::milliseconds kDecisionLimit{20000};
constexpr char kText[] = "text/plain; charset=utf-8";
constexpr char kJson[] = "application/json";

void Fail(Response& response, const Error& error) {
  response.status = error.code.starts_with("gpu.") || error.code.starts_with("environment.") ? 403 : 500;
  response.set_content(error.ToString() + "\n", kText);
}

void BadRequest(Response& response, const std::string& why) {
  response.status = 400;
  response.set_content("BAD REQUEST: " + why + "\n", kText);
}

// The runtime_data parameter, decoded and filled with zeros; an error text in `why` otherwise.
std::optional<Bytes> RuntimeData(const Request& request, std::string& why) {
  if (!request.has_param("runtime_data")) {
    why = "runtime_data is missing";
    return std::nullopt;
  }
  Bytes out = ToBytes(AsBytes(request.get_param_value("runtime_data")));
  if (request.has_param("encoding")) {
    if (request.get_param_value("encoding") != "base64") {
      why = "encoding must be base64 (URL-safe, no padding) or absent";
      return std::nullopt;
    }
    auto decoded = Base64UrlDecode(AsText(out));
    if (!decoded.ok()) {
      why = "runtime_data: " + decoded.error().text;
      return std::nullopt;
    }
    out = *decoded;
  }
  if (out.size() > kReportDataSize) {
    why = "runtime_data has " + std::to_string(out.size()) + " bytes; a report holds at most 64";
    return std::nullopt;
  }
  out.resize(kReportDataSize);
  return out;
}

}  // namespace

struct ApiServer::Impl {
  explicit Impl(ApiParts p) : parts(std::move(p)) {
    httplib::Server& server = listener.server();
    server.set_keep_alive_timeout(1);
    server.set_tcp_nodelay(true);
    server.set_payload_max_length(64 << 10);
    server.Get(R"(/cdh/resource/(.*))",
               [this](const Request& request, Response& response) { Resource(request.matches[1], response); });
    server.Get("/aa/token", [this](const Request& request, Response& response) { GetToken(request, response); });
    server.Get("/aa/evidence", [this](const Request& request, Response& response) { CpuEvidence(request, response); });
    server.Get("/aa/additional-evidence",
               [this](const Request& request, Response& response) { DeviceEvidence(request, response); });
    server.Get("/info", [this](const Request&, Response& response) { Info(response); });
    server.Get("/attest/status", [this](const Request&, Response& response) {
      response.set_content(parts.gate.StatusJson() + "\n", kJson);
    });
    server.Get("/ccgpu/evidence",
               [this](const Request& request, Response& response) { WholeEvidence(request, response); });
    server.set_error_handler([](const Request& request, Response& response) {
      if (!response.body.empty()) return;
      if (response.status == 404 && request.method != "GET") response.status = 405;
      if (response.status == 404) response.set_content("URL NOT FOUND", kText);
      else if (response.status == 405) response.set_content("Method Not Allowed", kText);
    });
  }

  void Resource(const std::string& path, Response& response) {
    auto parsed = kbs::ParseResourcePath(path);
    if (!parsed.ok()) return BadRequest(response, parsed.error().ToString());
    Result<Bytes> resource = [&]() -> Result<Bytes> {
      RETURN_IF_ERROR(parts.gate.WaitUntilOpen(kDecisionLimit));
      return parts.broker.GetResource(path);
    }();
    if (!resource.ok()) {
      parts.events.Tell(resource.error().code, resource.error().text,
                        "kbs:///" + path + (resource.error().subject.empty() ? "" : ": " + resource.error().subject));
      return Fail(response, resource.error());
    }
    parts.events.Tell("broker.released", "the broker released it to this pod", "kbs:///" + path);
    response.set_content(reinterpret_cast<const char*>(resource->data()), resource->size(), "application/octet-stream");
    Wipe(*resource);
  }

  void GetToken(const Request& request, Response& response) {
    if (request.get_param_value("token_type") != "kbs") return BadRequest(response, "token_type must be kbs");
    auto token = parts.broker.GetToken();
    if (!token.ok()) return Fail(response, token.error());
    response.set_content(Json({{"token", token->jwt}, {"tee_keypair", parts.broker.key().key.Pem()}}).dump(), kJson);
  }

  void CpuEvidence(const Request& request, Response& response) {
    std::string why;
    auto data = RuntimeData(request, why);
    if (!data) return BadRequest(response, why);
    auto evidence = parts.collector.Cpu(*data);
    if (!evidence.ok()) return Fail(response, evidence.error());
    response.set_content(evidence::CpuEvidenceToJson(*evidence), kJson);
  }

  void DeviceEvidence(const Request& request, Response& response) {
    std::string why;
    auto data = RuntimeData(request, why);
    if (!data) return BadRequest(response, why);
    auto gpus = parts.collector.Gpus(ByteView(*data).first(32));
    if (!gpus.ok()) return Fail(response, gpus.error());
    response.set_content(gpus->empty() ? "{}" : evidence::AdditionalEvidence(*gpus), kJson);
  }

  void Info(Response& response) {
    auto tee = parts.collector.Tee();
    if (!tee.ok()) return Fail(response, tee.error());
    Json info = {{"version", CCGPU_VERSION}, {"tee", *tee}, {"feature", "all"}};
    if (parts.collector.has_gpus()) info["additional_tees"] = {"nvidia"};
    response.set_content(info.dump(), kJson);
  }

  void WholeEvidence(const Request& request, Response& response) {
    auto nonce = HexDecode(request.get_param_value("nonce"));
    if (!nonce.ok() || nonce->size() != 32) return BadRequest(response, "nonce must be 64 hexadecimal digits");
    auto evidence = parts.collector.Composite(Base64Encode(*nonce), parts.broker.key().jwk);
    if (!evidence.ok()) return Fail(response, evidence.error());
    evidence->init_data = parts.init_data_text;
    evidence->collateral = parts.collateral;
    response.set_content(evidence::EncodeComposite(*evidence), kJson);
  }

  ApiParts parts;
  // Its port is nobody else's: a container of the pod that could listen beside us would take others' requests.
  http::Listener listener{kWorkers};
};

ApiServer::ApiServer(ApiParts parts) : impl_(std::make_unique<Impl>(std::move(parts))) {}
ApiServer::~ApiServer() = default;

Result<int> ApiServer::Start(int port) {
  const std::string address = "127.0.0.1:" + std::to_string(port);
  if (!impl_->listener.Start(address, {"agent.listen", "agent.listen"}).ok())
    return Err("agent.listen", address, "cannot be bound: is another program of the pod using it?");
  return impl_->listener.port();
}

}  // namespace ccgpu::agent
