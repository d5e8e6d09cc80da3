// The broker's admin API over HTTPS with its CA pinned. No other certificate is believed.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace ccgpu::cli {

struct BrokerAccess {
  std::string url;  // https://host:port
  std::string ca_pem;
  std::string token;       // bearer token
  int forwarded_port = 0;  // not 0: connect to 127.0.0.1 there; the certificate must still be for the URL's host
};

struct BrokerAnswer {
  int status = 0;
  std::string body;
};

// Not for several threads.
class BrokerClient {
 public:
  // Error: cli.bad-url, cli.bad-certificate.
  static Result<BrokerClient> Connect(const BrokerAccess& access);
  BrokerClient(BrokerClient&&) noexcept;
  ~BrokerClient();

  // An answer of 200, or the broker's own reason, or cli.unavailable / cli.broker-refused.
  Result<BrokerAnswer> Get(const std::string& path);
  Result<BrokerAnswer> Post(const std::string& path, const std::string& body, const std::string& content_type);
  Result<BrokerAnswer> Delete(const std::string& path);

 private:
  struct Impl;
  explicit BrokerClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::cli
