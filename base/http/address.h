// Where a program's small port listens, as its --http option says it.
#pragma once

#include <string>

#include "base/result.h"

namespace ccgpu::http {

// The codes by which a program tells that its --http address is no good.
struct ListenReasons {
  Reason bad_address;  // is not HOST:PORT
  Reason taken;        // cannot be listened on
};

struct Address {
  std::string host;
  int port = 0;  // 0: any free one
};

// "127.0.0.1:9410"
Result<Address> ParseAddress(const std::string& text, const ListenReasons& reasons);
Error CannotListen(const std::string& address, const ListenReasons& reasons);

}  // namespace ccgpu::http
