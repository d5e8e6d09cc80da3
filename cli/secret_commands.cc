#include "cli/secret_commands.h"

#include <iterator>

#include "base/file.h"
#include "base/json.h"
#include "cli/broker_client.h"
#include "cli/deployment/deployment.h"
#include "cli/table.h"
#include "trust/kbs/resource_path.h"
#include "trust/policy/key_release.h"

namespace ccgpu::cli {
namespace {

constexpr const char* kResource = "/kbs/v0/resource/";
constexpr const char* kPolicy = "/kbs/v0/ccgpu/release-policy/";
constexpr const char* kResources = "/kbs/v0/ccgpu/resources";
constexpr const char* kDecisions = "/kbs/v0/ccgpu/decisions";

std::string Trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

Result<BrokerClient> Connect(const Context& context, const BrokerOptions& options) {
  if (options.access) return BrokerClient::Connect(*options.access);
  BrokerAccess access;
  access.url = options.url;
  std::string token_file = options.token_file;
  if (options.url.empty() || options.ca_file.empty() || options.token_file.empty()) {
    ASSIGN_OR_RETURN(const deployment::DeploymentConfig config, deployment::LoadConfig(context.layout));
    if (access.url.empty()) access.url = config.broker_admin_url;
    access.ca_pem = config.broker_ca_pem;
    if (token_file.empty()) token_file = config.admin_token_file;
  }
  if (!options.ca_file.empty()) {
    ASSIGN_OR_RETURN(access.ca_pem, ReadFile(options.ca_file));
  }
  ASSIGN_OR_RETURN(const std::string token, ReadFile(token_file, 4096));
  access.token = Trimmed(token);
  return BrokerClient::Connect(access);
}

Status Put(const Context& context, const BrokerOptions& broker, const std::string& resource, const std::string& file,
           const std::string& release_file) {
  ASSIGN_OR_RETURN(const kbs::ResourcePath path, kbs::ParseResourcePath(resource));
  std::string secret, release;
  if (!release_file.empty()) {  // a policy that cannot be read stops the whole thing before anything is sent
    ASSIGN_OR_RETURN(release, ReadFile(release_file, 1 << 20));
    ASSIGN_OR_RETURN(const policy::KeyReleasePolicy policy, policy::ParseKeyReleasePolicy(release, release_file));
    if (!policy::AppliesTo(policy, path.ToString())) {
      return Err("input.bad-value", release_file, "its spec.resources does not name " + path.ToString());
    }
  }
  if (file == "-") {
    secret.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    ASSIGN_OR_RETURN(secret, ReadFile(file));
  }
  ASSIGN_OR_RETURN(BrokerClient client, Connect(context, broker));
  if (!release.empty()) {
    auto answer = client.Post(kPolicy + path.ToString(), release, "application/yaml");
    if (!answer.ok()) return answer.error();
  }
  auto answer = client.Post(kResource + path.ToString(), secret, "application/octet-stream");
  Wipe({reinterpret_cast<uint8_t*>(secret.data()), secret.size()});
  return answer.ok() ? Ok() : Status(answer.error());
}

// The JSON body of a GET.
Result<Json> Ask(const Context& context, const BrokerOptions& broker, const std::string& path) {
  ASSIGN_OR_RETURN(BrokerClient client, Connect(context, broker));
  ASSIGN_OR_RETURN(const BrokerAnswer answer, client.Get(path));
  return ParseJson(answer.body, "broker");
}

}  // namespace

int PutSecret(Context& context, const BrokerOptions& broker, const std::string& resource, const std::string& file,
              const std::string& release_file) {
  if (Status done = Put(context, broker, resource, file, release_file); !done.ok())
    return Report(context, done.error());
  if (context.json) {
    context.out << Json{{"resource", resource}, {"release_policy", !release_file.empty()}}.dump() << "\n";
  } else {
    context.out << "stored " << resource << "\n";
    if (release_file.empty())
      context.err << "note: without a release policy (--release FILE) the broker gives it to nobody, unless one was "
                     "stored before\n";
  }
  return kOk;
}

int ListSecrets(Context& context, const BrokerOptions& broker) {
  auto answer = Ask(context, broker, kResources);
  if (!answer.ok()) return Report(context, answer.error());
  const Json list = answer->is_object() ? answer->value("resources", Json::array()) : Json::array();
  if (context.json) {
    context.out << list.dump(2) << "\n";
    return kOk;
  }
  Table table({"RESOURCE", "VERSION", "SIZE", "RELEASE POLICY", "UPDATED"});
  for (const Json& one : list) {
    table.Add({one.value("path", ""), std::to_string(one.value("version", 0)), std::to_string(one.value("size", 0)),
               one.value("release_policy", false) ? "yes" : "none: released to nobody", one.value("updated", "")});
  }
  table.Print(context.out);
  return kOk;
}

int DeleteSecret(Context& context, const BrokerOptions& broker, const std::string& resource) {
  auto path = kbs::ParseResourcePath(resource);
  if (!path.ok()) return Report(context, path.error(), kUsage);
  auto client = Connect(context, broker);
  if (!client.ok()) return Report(context, client.error());
  auto answer = client->Delete(kResource + path->ToString());
  if (!answer.ok()) return Report(context, answer.error());
  context.out << (context.json ? Json{{"deleted", resource}}.dump() : "deleted " + resource) << "\n";
  return kOk;
}

int ListDecisions(Context& context, const BrokerOptions& broker, int limit, bool verify) {
  auto answer =
      Ask(context, broker, std::string(kDecisions) + "?limit=" + std::to_string(limit) + (verify ? "&verify=1" : ""));
  if (!answer.ok()) return Report(context, answer.error());
  if (context.json) {
    context.out << answer->dump(2) << "\n";
  } else {
    for (const Json& one : answer->value("decisions", Json::array())) context.out << one.dump() << "\n";
    if (answer->contains("chain")) context.out << "hash chain: " << (*answer)["chain"].dump() << "\n";
  }
  return verify && !answer->value("chain", Json::object()).value("ok", false) ? kFailed : kOk;
}

}  // namespace ccgpu::cli
