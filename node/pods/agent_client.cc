#include "node/pods/agent_client.h"

#include <fcntl.h>
#include <httplib.h>
#include <sched.h>

#include <thread>

#include "base/fd.h"
#include "base/file.h"

namespace ccgpu::node {

Result<HttpAnswer> AskAgent(const std::string& netns_file, const std::string& path, std::chrono::milliseconds timeout,
                            int port) {
  Fd netns(::open(netns_file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns.valid()) return ErrnoError("node.agent-unreachable", "cannot open network namespace", netns_file);
  Result<HttpAnswer> out = Err("node.agent-unreachable", path, "the thread did not run");
  std::thread thread([&] {
    // Only this thread moves, and it ends: nothing needs to be put back.
    if (::setns(netns.get(), CLONE_NEWNET) != 0) {
      out = ErrnoError("node.agent-unreachable", "cannot enter network namespace", netns_file);
      return;
    }
    httplib::Client client("127.0.0.1", port);
    client.set_connection_timeout(timeout);
    client.set_read_timeout(timeout);
    client.set_keep_alive(false);
    auto response = client.Get(path.c_str());
    if (!response) {
      out = Err("node.agent-unreachable", "127.0.0.1:" + std::to_string(port),
                "no agent answers in the pod (" + httplib::to_string(response.error()) +
                    "); does the pod have an initdata with aa.toml?");
      return;
    }
    out = HttpAnswer{response->status, response->body};
  });
  thread.join();
  return out;
}

}  // namespace ccgpu::node
