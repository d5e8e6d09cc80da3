// What the server's answer means: an object, an error, and whether trying again is of any use.
#pragma once

#include <chrono>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace ccgpu::kube {

struct Failure {
  Error error;
  bool again = false;                        // the same request may succeed a little later
  std::chrono::milliseconds retry_after{0};  // the server's wish; 0: none
};

// A member that is a string; "" when it is none or not there.
std::string MemberText(const Json& object, const char* key);

// Of an answer that is not 2xx. `body` is a Status object or anything. `retry_after` is the header's value.
Failure FailureOf(int http_status, const std::string& body, const std::string& retry_after, const std::string& path);
// Of a Status object, as a watch carries it.
Failure FailureOf(const Json& status_object, const std::string& path);

}  // namespace ccgpu::kube
