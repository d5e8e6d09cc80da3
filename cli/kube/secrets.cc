#include "cli/kube/secrets.h"

#include "base/encoding.h"
#include "base/file.h"

namespace ccgpu::cli {
namespace {

constexpr int kBrokerPort = 8080;

Result<std::string> Token(const Cluster& cluster, const ClusterBrokerOptions& options) {
  if (!options.token_file.empty()) return ReadFile(options.token_file, 4096);
  ASSIGN_OR_RETURN(const Json secret, cluster.kubectl.Get({"secret", "ccgpu-broker", "-n", cluster.system_namespace}));
  auto token = Base64Decode(TextAt(secret, "/data/admin-token"));
  if (!token.ok() || token->empty())
    return Err("cli.not-installed", "Secret " + cluster.system_namespace + "/ccgpu-broker", "holds no admin-token");
  return std::string(AsText(*token));
}

Result<BrokerAccess> Access(const Cluster& cluster, const ClusterBrokerOptions& options) {
  BrokerAccess access;
  access.url = "https://" + options.service + "." + cluster.system_namespace + ".svc:" + std::to_string(kBrokerPort);
  if (!options.ca_file.empty()) {
    ASSIGN_OR_RETURN(access.ca_pem, ReadFile(options.ca_file, 1u << 20));
  } else {
    ASSIGN_OR_RETURN(const TrustMap map, ReadTrustMap(cluster));
    access.ca_pem = map.choices.kbs_cert_pem;
  }
  ASSIGN_OR_RETURN(access.token, Token(cluster, options));
  while (!access.token.empty() && (access.token.back() == '\n' || access.token.back() == ' ')) access.token.pop_back();
  return access;
}

}  // namespace

int WithBroker(Context& context, const Cluster& cluster, const ClusterBrokerOptions& options,
               const std::function<int(const BrokerOptions&)>& act) {
  auto access = Access(cluster, options);
  if (!access.ok()) return Report(context, access.error());
  auto forward =
      PortForward::Open(cluster.kubectl, {"-n", cluster.system_namespace}, "service/" + options.service, kBrokerPort);
  if (!forward.ok()) return Report(context, forward.error());
  access->forwarded_port = forward->local_port();
  BrokerOptions broker;
  broker.access = *access;
  return act(broker);
}

}  // namespace ccgpu::cli
