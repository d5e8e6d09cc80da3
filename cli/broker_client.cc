#include "cli/broker_client.h"

#include <httplib.h>
#include <openssl/pem.h>

#include "base/crypto/x509.h"
#include "trust/kbs/protocol.h"

namespace ccgpu::cli {

struct BrokerClient::Impl {
  Impl(const std::string& host, int port, std::string token)
      : client(host, port), headers{{"Authorization", "Bearer " + token}} {}
  httplib::SSLClient client;
  httplib::Headers headers;
  std::string where;

  Result<BrokerAnswer> Judge(const httplib::Result& result) const {
    if (!result) {
      if (result.error() == httplib::Error::SSLServerVerification) {
        return Err("cli.broker-untrusted", where, "shows a certificate that the deployment's broker CA did not make");
      }
      return Err("cli.unavailable", where,
                 "the broker does not answer (" + httplib::to_string(result.error()) +
                     "): does it run, and is this its address?");
    }
    if (result->status == 200) return BrokerAnswer{result->status, result->body};
    if (auto body = kbs::ParseErrorBody(result->body); body.ok()) {
      if (body->why) return *body->why;
      return Err("cli.broker-refused", where,
                 body->detail + " (" + body->variant + ", HTTP " + std::to_string(result->status) + ")");
    }
    return Err("cli.broker-refused", where, "HTTP " + std::to_string(result->status));
  }
};

BrokerClient::BrokerClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BrokerClient::BrokerClient(BrokerClient&&) noexcept = default;
BrokerClient::~BrokerClient() = default;

Result<BrokerClient> BrokerClient::Connect(const BrokerAccess& access) {
  constexpr std::string_view kScheme = "https://";
  std::string rest = access.url.starts_with(kScheme) ? access.url.substr(kScheme.size()) : "";
  while (rest.ends_with('/')) rest.pop_back();
  const size_t colon = rest.rfind(':');
  const std::string port = colon == std::string::npos ? "443" : rest.substr(colon + 1);
  if (rest.empty() || rest.find('/') != std::string::npos || port.empty() || port.size() > 5 ||
      port.find_first_not_of("0123456789") != std::string::npos) {
    return Err("cli.bad-url", access.url, "must be https://HOST:PORT");
  }
  ASSIGN_OR_RETURN(const auto certificates, crypto::Certificate::ListFromPem(access.ca_pem));
  const std::string host = rest.substr(0, colon);
  auto impl =
      std::make_unique<Impl>(host, access.forwarded_port ? access.forwarded_port : std::stoi(port), access.token);
  if (access.forwarded_port) impl->client.set_hostname_addr_map({{host, "127.0.0.1"}});
  impl->where = access.url;
  X509_STORE* store = X509_STORE_new();  // the client frees it
  for (const auto& certificate : certificates) X509_STORE_add_cert(store, certificate.raw());
  impl->client.set_ca_cert_store(store);
  impl->client.enable_server_certificate_verification(true);
  impl->client.set_connection_timeout(10);
  impl->client.set_read_timeout(30);
  impl->client.set_tcp_nodelay(true);
  return BrokerClient(std::move(impl));
}

Result<BrokerAnswer> BrokerClient::Get(const std::string& path) {
  return impl_->Judge(impl_->client.Get(path, impl_->headers));
}

Result<BrokerAnswer> BrokerClient::Post(const std::string& path, const std::string& body,
                                        const std::string& content_type) {
  return impl_->Judge(impl_->client.Post(path, impl_->headers, body, content_type));
}

Result<BrokerAnswer> BrokerClient::Delete(const std::string& path) {
  return impl_->Judge(impl_->client.Delete(path, impl_->headers));
}

}  // namespace ccgpu::cli
