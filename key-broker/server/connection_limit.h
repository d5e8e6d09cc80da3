// How many of a server's threads one peer may hold. A thread serves one connection, also one that says nothing until it
// times out: without a limit, as many silent connections as there are threads would shut everybody else out.
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

namespace ccgpu::broker {

// Any thread. A connection counts from the moment a thread takes it until its SSL object is freed.
class ConnectionLimit {
 public:
  // `refused` is told the address of each connection that is one too many. `per_peer` 0: no limit.
  ConnectionLimit(size_t per_peer, std::function<void(const std::string& address)> refused)
      : per_peer_(per_peer), refused_(std::move(refused)) {}

  // Counts the connections of this context, and shuts those that are too many before a byte of them is read. Must
  // outlive them.
  void Watch(SSL_CTX& context);

 private:
  struct Place;  // of one connection, owned by its SSL object
  static void WhenHandshakeStarts(const SSL* ssl, int where, int value);
  bool Enter(const std::string& peer);
  void Leave(const std::string& peer);

  const size_t per_peer_;
  const std::function<void(const std::string& address)> refused_;
  std::mutex mutex_;
  std::unordered_map<std::string, size_t> held_;  // by peer; those without any are not in it
};

}  // namespace ccgpu::broker
