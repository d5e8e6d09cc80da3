// gRPC's words in HTTP/2 headers: what a request asks, how a call ended (PROTOCOL-HTTP2, "Requests", "Responses",
// "Errors").
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rpc/outcome.h"

namespace ccgpu::rpc {

using Headers = std::vector<std::pair<std::string, std::string>>;

// The first value of that name; nullptr: none.
const std::string* Find(const Headers& headers, std::string_view name);

// timeout 0: none is told.
Headers RequestHeaders(const std::string& path, std::chrono::milliseconds timeout);
Headers ResponseHeaders();
// A long message is cut: peers refuse large trailers, and then even the code would be lost.
Headers Trailers(const Outcome& outcome);

struct Asked {
  std::string path;                                  // "/package.Service/Method"
  std::optional<std::chrono::milliseconds> timeout;  // at most a day
  int http_status = 200;                             // else: no gRPC request; answer with this and nothing more
};
Asked ReadRequest(const Headers& request);

// Of the last headers of a response; nullopt: they tell no gRPC status.
std::optional<Outcome> ReadOutcome(const Headers& trailers);
// Of a stream that the peer ended without one: by its HTTP status, or by RST_STREAM's error code.
Outcome FromHttpStatus(std::string_view status);
Outcome FromReset(uint32_t error_code);

}  // namespace ccgpu::rpc
