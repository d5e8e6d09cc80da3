#include "base/http/listener.h"

#include <httplib.h>

namespace ccgpu::http {

Listener::Listener(size_t threads) : server_(std::make_unique<httplib::Server>()) {
  server_->new_task_queue = [threads] { return new httplib::ThreadPool(threads); };
  // The library's default, SO_REUSEPORT, would let two processes share the port without a word and answer in turns.
  server_->set_socket_options([](socket_t socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
}

Listener::~Listener() {
  if (!thread_.joinable()) return;
  server_->stop();
  thread_.join();
}

Status Listener::Start(const std::string& address, const ListenReasons& reasons) {
  ASSIGN_OR_RETURN(const Address wanted, ParseAddress(address, reasons));
  host_ = wanted.host;
  if (wanted.port == 0) port_ = server_->bind_to_any_port(host_);
  else port_ = server_->bind_to_port(host_, wanted.port) ? wanted.port : -1;
  if (port_ <= 0) return CannotListen(address, reasons);
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  // A stop before the accept loop runs would be lost and the join would never end.
  while (!server_->is_running()) std::this_thread::yield();
  return Ok();
}

}  // namespace ccgpu::http
