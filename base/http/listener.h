// A plain HTTP server on one TCP address, in threads of its own: what every program's small port stands on.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "base/http/address.h"
#include "base/result.h"

namespace httplib {
class Server;
}

namespace ccgpu::http {

// Routes and limits are set through server(), then Start() is called, once.
class Listener {
 public:
  explicit Listener(size_t threads);
  // Ends the answers that are under way, then the port is free.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  httplib::Server& server() { return *server_; }
  // `address` is "127.0.0.1:9410"; port 0 takes any free one. Serves when it returns; handlers are called in threads of
  // the server.
  Status Start(const std::string& address, const ListenReasons& reasons);
  const std::string& host() const { return host_; }
  int port() const { return port_; }

 private:
  std::unique_ptr<httplib::Server> server_;
  std::thread thread_;
  std::string host_;
  int port_ = 0;
};

}  // namespace ccgpu::http
