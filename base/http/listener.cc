#include "base/http/listener.h"

#include <httplib.h>

#include <charconv>

namespace ccgpu::http {
namespace {

// -1 when the text ends in no ":PORT".
int PortOf(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return -1;
  const char* const end = address.data() + address.size();
  int port = -1;
  const auto read = std::from_chars(address.data() + colon + 1, end, port);
  return read.ec == std::errc() && read.ptr == end && port <= 65535 ? port : -1;
}

}  // namespace

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
  const int wanted = PortOf(address);
  if (wanted < 0) return Err(reasons.bad_address, address, "is not HOST:PORT");
  host_ = address.substr(0, address.rfind(':'));
  if (wanted == 0) port_ = server_->bind_to_any_port(host_);
  else port_ = server_->bind_to_port(host_, wanted) ? wanted : -1;
  if (port_ <= 0) return Err(reasons.taken, address, "cannot listen there; is the port taken? (--http ADDRESS)");
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  // A stop before the accept loop runs would be lost and the join would never end.
  while (!server_->is_running()) std::this_thread::yield();
  return Ok();
}

}  // namespace ccgpu::http
