// HTTPS in front of a Broker, on one or more addresses.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "key-broker/protocol/broker.h"
#include "key-broker/server/config.h"
#include "key-broker/server/tls_identity.h"

namespace ccgpu::broker {

// TLS 1.2 and 1.3, HTTP/1.1 with keep-alive. One thread holds one connection; `threads` per address.
class HttpsServer {
 public:
  // Serves when it returns. Port 0 takes a free one. An address that no interface has (yet) is fine. Of the threads one
  // peer may hold `peer_connections`; 0: all. `broker` must outlive it.
  static Result<std::unique_ptr<HttpsServer>> Start(Broker& broker, const TlsIdentity& tls,
                                                    const std::vector<ListenAddress>& listen, int threads,
                                                    size_t peer_connections);
  ~HttpsServer();  // stops
  void Stop();     // waits for requests being answered
  const std::vector<ListenAddress>& addresses() const { return addresses_; }

 private:
  struct Listener;
  HttpsServer();
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<ListenAddress> addresses_;
};

}  // namespace ccgpu::broker
