// A request and its answer, without any HTTP library: the broker's rules can be tested and measured without sockets.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace ccgpu::broker {

struct HttpRequest {
  std::string method;  // upper case
  std::string path;    // decoded, without query
  std::map<std::string, std::string> query;
  std::string cookie;         // the Cookie header
  std::string authorization;  // the Authorization header
  std::string body;
  std::string remote;   // address, for the log and for limits
  std::string sandbox;  // what the client calls its sandbox, for the log only; letters, digits, '.', '-', '_'
};

struct HttpResponse {
  int status = 500;
  std::string content_type;  // empty: no body to speak of
  std::string body;
  std::string set_cookie;               // empty: none
  std::string allow;                    // with 405
  std::chrono::seconds retry_after{0};  // with 429 and 503; 0: none
  std::string reason;                   // of a refusal: its code, for log and metrics; not sent
  bool our_fault = false;               // refused because something of ours is broken; not sent
};

}  // namespace ccgpu::broker
