#include "node-manager/service/http.h"

#include <httplib.h>

#include <thread>

#include "base/metrics.h"

namespace ccgpu::nodemanager {

struct HttpServer::Impl {
  httplib::Server server;
  Answers answers;
  std::thread thread;
  int port = 0;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->server.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

int HttpServer::port() const { return impl_->port; }

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address, Answers answers) {
  const auto colon = address.rfind(':');
  int port = -1;
  if (colon != std::string::npos && colon + 1 < address.size() &&
      address.find_first_not_of("0123456789", colon + 1) == std::string::npos && address.size() - colon <= 6) {
    port = std::stoi(address.substr(colon + 1));
  }
  if (port < 0 || port > 65535) return Err("manager.bad-config", address, "is not HOST:PORT");
  auto impl = std::make_unique<Impl>();
  impl->answers = std::move(answers);
  auto& server = impl->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(2); };
  // The library's default would let two processes share the port without a word.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  auto probe = [&server](const char* path, const std::function<std::string()>& missing) {
    server.Get(path, [&missing](const httplib::Request&, httplib::Response& response) {
      const std::string why = missing();
      if (!why.empty()) response.status = 503;
      response.set_content(why.empty() ? "ok\n" : why + "\n", "text/plain");
    });
  };
  probe("/readyz", impl->answers.not_ready_because);
  probe("/healthz", impl->answers.not_alive_because);
  server.Get("/metrics", [raw = impl.get()](const httplib::Request&, httplib::Response& response) {
    response.set_content(raw->answers.metrics(), metrics::kContentType);
  });
  const std::string host = address.substr(0, colon);
  if (port == 0) {
    impl->port = server.bind_to_any_port(host.c_str());
  } else if (server.bind_to_port(host.c_str(), port)) {
    impl->port = port;
  }
  if (impl->port <= 0)
    return Err("manager.http-bind-failed", address, "cannot listen there; is the port taken? (--http ADDRESS)");
  impl->thread = std::thread([&server] { server.listen_after_bind(); });
  // A stop before the accept loop runs would be lost and the join would never end.
  while (!server.is_running()) std::this_thread::yield();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

}  // namespace ccgpu::nodemanager
