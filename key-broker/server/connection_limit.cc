#include "key-broker/server/connection_limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>

#include "key-broker/protocol/peer_limits.h"

namespace ccgpu::broker {
namespace {

std::string AddressOf(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  const void* bytes = address.ss_family == AF_INET6
                          ? static_cast<const void*>(&reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr)
                          : &reinterpret_cast<sockaddr_in*>(&address)->sin_addr;
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(address.ss_family, bytes, text, sizeof text);
  return text;
}

int LimitIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

}  // namespace

struct ConnectionLimit::Place {
  ConnectionLimit& of;
  std::string peer;
  ~Place() { of.Leave(peer); }

  static int Index() {
    static const int index = SSL_get_ex_new_index(
        0, nullptr, nullptr, nullptr,
        [](void*, void* place, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<Place*>(place); });
    return index;
  }
};

void ConnectionLimit::Watch(SSL_CTX& context) {
  if (per_peer_ == 0) return;
  SSL_CTX_set_ex_data(&context, LimitIndex(), this);
  SSL_CTX_set_info_callback(&context, WhenHandshakeStarts);
}

void ConnectionLimit::WhenHandshakeStarts(const SSL* ssl, int where, int) {
  if ((where & SSL_CB_HANDSHAKE_START) == 0 || SSL_get_ex_data(ssl, Place::Index())) return;
  auto& limit = *static_cast<ConnectionLimit*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), LimitIndex()));
  const int socket = SSL_get_fd(ssl);
  const std::string address = AddressOf(socket), peer = PeerOf(address);
  if (!limit.Enter(peer)) {
    ::shutdown(socket, SHUT_RDWR);  // the handshake finds the end of the connection
    return limit.refused_(address);
  }
  auto place = std::unique_ptr<Place>(new Place{limit, peer});
  // The callback gets every SSL object as const, also the one whose handshake is under way.
  if (SSL_set_ex_data(const_cast<SSL*>(ssl), Place::Index(), place.get()) == 1) (void)place.release();
}

bool ConnectionLimit::Enter(const std::string& peer) {
  std::lock_guard lock(mutex_);
  size_t& held = held_[peer];
  if (held >= per_peer_) return false;
  ++held;
  return true;
}

void ConnectionLimit::Leave(const std::string& peer) {
  std::lock_guard lock(mutex_);
  const auto held = held_.find(peer);
  if (--held->second == 0) held_.erase(held);
}

}  // namespace ccgpu::broker
