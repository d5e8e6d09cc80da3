// GET /metrics, /healthz (the process serves) and /readyz (503 says what is missing) on a TCP address.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace ccgpu::nodemanager {

class HttpServer {
 public:
  struct Answers {
    std::function<std::string()> metrics;
    std::function<std::string()> not_ready_because;  // empty: ready
    std::function<std::string()> not_alive_because;  // empty: alive
  };
  // `address` is HOST:PORT; port 0 picks one. The functions are called in threads of the server.
  static Result<std::unique_ptr<HttpServer>> Start(const std::string& address, Answers answers);
  ~HttpServer();
  int port() const;

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::nodemanager
