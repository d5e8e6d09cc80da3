#include "key-broker/server/https_server.h"

#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <thread>

#include "base/log.h"
#include "key-broker/server/connection_limit.h"
#include "trust/kbs/protocol.h"

namespace ccgpu::broker {
namespace {

constexpr time_t kIdleSeconds = 5;
constexpr time_t kReadSeconds = 10;
constexpr size_t kRequestsPerConnection = 1000;

bool SetUpTls(SSL_CTX& context, const TlsIdentity& tls) {
  if (SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION) != 1) return false;
  if (SSL_CTX_use_certificate(&context, tls.chain[0].raw()) != 1 ||
      SSL_CTX_use_PrivateKey(&context, tls.key.raw()) != 1)
    return false;
  for (size_t i = 1; i < tls.chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(&context, tls.chain[i].raw()) != 1) return false;
  }
  // Agents connect once and then fetch their keys: resumption would buy them nothing.
  SSL_CTX_set_num_tickets(&context, 0);
  SSL_CTX_set_options(&context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  return SSL_CTX_check_private_key(&context) == 1;
}

void SetSocketOptions(int socket) {
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // The address of a bridge may come later than the broker.
  ::setsockopt(socket, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
}

// Anybody may send it: what is no name at all is left out of the log.
std::string PlainName(std::string text) {
  const bool plain = text.size() <= 128 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
                     });
  return plain ? std::move(text) : "";
}

void Answer(Broker& broker, const httplib::Request& in, std::string body, httplib::Response& out) {
  HttpRequest request;
  request.method = in.method;
  request.path = in.path;
  for (const auto& [key, value] : in.params) request.query.emplace(key, value);
  request.cookie = in.get_header_value("Cookie");
  request.authorization = in.get_header_value("Authorization");
  request.remote = in.remote_addr;
  request.sandbox = PlainName(in.get_header_value(std::string(kbs::kSandboxHeader)));
  request.body = std::move(body);
  HttpResponse response = broker.Handle(request);
  out.status = response.status;
  if (!response.set_cookie.empty()) out.set_header("Set-Cookie", response.set_cookie);
  if (!response.allow.empty()) out.set_header("Allow", response.allow);
  if (response.retry_after.count() > 0) out.set_header("Retry-After", std::to_string(response.retry_after.count()));
  out.set_header("Cache-Control", "no-store");
  out.set_content(std::move(response.body), response.content_type.empty() ? "text/plain" : response.content_type);
}

// Everything goes to Broker::Handle: routes are decided there, not here.
void Route(httplib::Server& server, Broker& broker) {
  const auto plain = [&broker](const httplib::Request& in, httplib::Response& out) { Answer(broker, in, "", out); };
  // Bodies are read by hand: so forms are not taken apart, and unpacked bodies have the same limit.
  const auto with_body = [&broker](const httplib::Request& in, httplib::Response& out,
                                   const httplib::ContentReader& reader) {
    std::string body;
    // RFC 9112 6.3: a request that says nothing about a body has none (the library would wait for the connection's
    // end).
    const bool none = !in.has_header("Content-Length") && !in.has_header("Transfer-Encoding");
    const bool whole = none || reader([&](const char* data, size_t size) {
                         if (body.size() + size > kbs::kMaxRequestBody) return false;
                         body.append(data, size);
                         return true;
                       });
    if (!whole) {
      if (out.status < 400) out.status = 413;
      return;
    }
    Answer(broker, in, std::move(body), out);
  };
  server.Get(".*", plain);
  server.Options(".*", plain);
  server.Post(".*", with_body);
  server.Put(".*", with_body);
  server.Patch(".*", with_body);
  server.Delete(".*", with_body);
  server.set_payload_max_length(kbs::kMaxRequestBody);
  server.set_keep_alive_max_count(kRequestsPerConnection);
  server.set_keep_alive_timeout(kIdleSeconds);
  server.set_read_timeout(kReadSeconds);
  server.set_write_timeout(kReadSeconds);
  server.set_tcp_nodelay(true);
  server.set_socket_options([](int socket) { SetSocketOptions(socket); });
  server.set_error_handler([](const httplib::Request&, httplib::Response& out) {
    if (!out.body.empty()) return;
    out.set_content(kbs::ErrorBody{"InvalidRequest",
                                   "the HTTP request was not accepted (status " + std::to_string(out.status) + ")",
                                   std::nullopt, ""}
                        .ToJson(),
                    "application/json");
  });
  server.set_exception_handler([](const httplib::Request&, httplib::Response& out, std::exception_ptr) {
    log::Error("an exception came out of a request");
    out.status = 500;
  });
}

}  // namespace

struct HttpsServer::Listener {
  Listener(Broker& broker, const TlsIdentity& tls, size_t peer_connections)
      : limit(peer_connections, [&broker](const std::string& address) { broker.ConnectionRefused(address); }),
        server([&](SSL_CTX& context) {
          limit.Watch(context);
          return SetUpTls(context, tls);
        }) {}
  ConnectionLimit limit;
  httplib::SSLServer server;
  std::thread thread;
};

HttpsServer::HttpsServer() = default;
HttpsServer::~HttpsServer() { Stop(); }

void HttpsServer::Stop() {
  for (auto& listener : listeners_) listener->server.stop();
  for (auto& listener : listeners_) {
    if (listener->thread.joinable()) listener->thread.join();
  }
}

Result<std::unique_ptr<HttpsServer>> HttpsServer::Start(Broker& broker, const TlsIdentity& tls,
                                                        const std::vector<ListenAddress>& listen, int threads,
                                                        size_t peer_connections) {
  std::unique_ptr<HttpsServer> out(new HttpsServer);
  for (const ListenAddress& wanted : listen) {
    auto listener = std::make_unique<Listener>(broker, tls, peer_connections);
    if (!listener->server.is_valid()) return Err("broker.tls-damaged", "TLS", "the certificate and key are not usable");
    Route(listener->server, broker);
    listener->server.new_task_queue = [threads] { return new httplib::ThreadPool(static_cast<size_t>(threads)); };
    ListenAddress bound = wanted;
    if (wanted.port == 0) {
      const int port = listener->server.bind_to_any_port(wanted.host);
      if (port <= 0) return Err("broker.cannot-listen", wanted.ToString(), "cannot be listened on");
      bound.port = static_cast<uint16_t>(port);
    } else if (!listener->server.bind_to_port(wanted.host, wanted.port)) {
      return Err("broker.cannot-listen", wanted.ToString(), "cannot be listened on: is another program there?");
    }
    out->addresses_.push_back(bound);
    out->listeners_.push_back(std::move(listener));
  }
  for (auto& listener : out->listeners_) {
    listener->thread = std::thread([server = &listener->server] { server->listen_after_bind(); });
    // The socket takes connections since it was bound; stop() only works once the loop runs.
    while (!listener->server.is_running()) std::this_thread::yield();
  }
  return out;
}

}  // namespace ccgpu::broker
