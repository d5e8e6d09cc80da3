// Talks to the agent inside a pod's network namespace, from a thread that goes there for one request and ends.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"

namespace ccgpu::node {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// GET http://127.0.0.1:8006<path>. "node.agent-unreachable" when nobody listens there or the namespace is gone.
Result<HttpAnswer> AskAgent(const std::string& netns_file, const std::string& path, std::chrono::milliseconds timeout,
                            int port = 8006);

}  // namespace ccgpu::node
