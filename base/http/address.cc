#include "base/http/address.h"

#include <charconv>

namespace ccgpu::http {

Result<Address> ParseAddress(const std::string& text, const ListenReasons& reasons) {
  const size_t colon = text.rfind(':');
  const char* const end = text.data() + text.size();
  int port = -1;
  if (colon != std::string::npos) {
    const auto read = std::from_chars(text.data() + colon + 1, end, port);
    if (read.ec != std::errc() || read.ptr != end) port = -1;
  }
  if (port < 0 || port > 65535) return Err(reasons.bad_address, text, "is not HOST:PORT");
  return Address{text.substr(0, colon), port};
}

Error CannotListen(const std::string& address, const ListenReasons& reasons) {
  return Err(reasons.taken, address, "cannot listen there; is the port taken? (--http ADDRESS)");
}

}  // namespace ccgpu::http
