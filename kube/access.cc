#include <cstdlib>

#include "base/file.h"
#include "kube/client.h"

namespace ccgpu::kube {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Status Access::FillInCluster() {
  if (server.empty()) {
    std::string host = Variable("KUBERNETES_SERVICE_HOST");
    std::string port = Variable("KUBERNETES_SERVICE_PORT_HTTPS");
    if (port.empty()) port = Variable("KUBERNETES_SERVICE_PORT");
    if (host.empty() || port.empty())
      return Err("kube.no-credentials", "KUBERNETES_SERVICE_HOST",
                 "is not set: outside of a pod say where the API is (--api-server, --token-file, --ca-file)");
    if (host.find(':') != std::string::npos) host = "[" + host + "]";
    server = "https://" + host + ":" + port;
  }
  const std::string folder = kServiceAccountFolder;
  if (token_file.empty()) token_file = folder + "/token";
  if (ca_file.empty()) ca_file = folder + "/ca.crt";
  return Ok();
}

Result<std::string> PodNamespace(const std::string& folder) {
  auto text = ReadFile(folder + "/namespace", 1024);
  if (!text.ok() || text->empty())
    return Err("kube.no-credentials", folder + "/namespace", "cannot be read: does this run in a pod? (--namespace)");
  return *text;
}

}  // namespace ccgpu::kube
