#include "node-manager/setup/setup.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/encoding.h"
#include "base/file.h"
#include "base/log.h"
#include "kube/paths.h"

namespace ccgpu::nodemanager {
namespace {

using Files = std::map<std::string, std::string>;

constexpr size_t kMostFile = 256 << 10;

// One line of the public ConfigMap: its key, and the Secret's entry that it is taken from.
struct Published {
  const char *key, *from;
};
constexpr Published kRoots[] = {{"device-root.pem", "vendor__device-root.pem"},
                                {"rim-root.pem", "vendor__rim-root.pem"},
                                {"amd-root.pem", "amd__ark.pem"},
                                {"intel-root.pem", "intel__root.pem"},
                                {"tpm-root.pem", "vtpm__vtpm-root.pem"}};
// Entry of the broker's Secret, file of its state folder.
constexpr Published kBrokerFiles[] = {{"master.key", "master.key"},   {"tls.crt", "tls/server.crt"},
                                      {"tls.key", "tls/server.key"},  {"ca.pem", "tls/ca.crt"},
                                      {"admin-token", "admin-token"}, {"auditor-token", "auditor-token"}};

Error Missing(const std::string& path, const std::string& maker) {
  return Err("manager.setup-missing-file", path, "is not there; " + maker + " makes it");
}

Result<Files> ReadIdentity(const std::string& folder) {
  Files files;
  for (const char* part : {"vendor", "amd", "intel", "vtpm"}) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder + "/" + part, error)) {
      const std::string name = entry.path().filename().string();
      if (!name.ends_with(".key") && !name.ends_with(".pem")) continue;
      ASSIGN_OR_RETURN(files[std::string(part) + "__" + name], ReadFile(entry.path().string(), kMostFile));
    }
  }
  for (const auto& root : kRoots) {
    if (files.count(root.from) == 0) return Missing(folder + "/" + root.from, "ccgpu-emulator --identities-only");
  }
  return files;
}

Result<Files> ReadBroker(const std::string& folder) {
  Files files;
  for (const auto& file : kBrokerFiles) {
    auto text = ReadFile(folder + "/" + file.from, kMostFile);
    if (!text.ok()) return Missing(folder + "/" + file.from, "ccgpu-broker --init-only");
    files[file.key] = *text;
  }
  return files;
}

Json Metadata(const std::string& ns, const std::string& name, const std::string& app) {
  return {{"namespace", ns},
          {"name", name},
          {"labels", {{"app.kubernetes.io/part-of", "ccgpu"}, {"app.kubernetes.io/instance", app}}}};
}

// The Secret's content: what is there already, else `files`.
Result<Files> EnsureSecret(kube::Client& client, const SetupOptions& options, const std::string& name,
                           const Files& files) {
  Json data = Json::object();
  for (const auto& [key, value] : files) data[key] = Base64Encode(AsBytes(value));
  const Json secret = {{"apiVersion", "v1"},
                       {"kind", "Secret"},
                       {"metadata", Metadata(options.ns, name, options.name)},
                       {"type", "Opaque"},
                       {"data", data}};
  auto made = client.Create(kube::Core(options.ns, "secrets"), secret);
  if (made.ok()) {
    log::Info("made a Secret", {{"name", name}});
    return files;
  }
  if (made.error().code != "kube.exists") return made.error();
  ASSIGN_OR_RETURN(const Json present, client.Get(kube::Core(options.ns, "secrets", name)));
  Files out;
  const Json entries = present.contains("data") && present["data"].is_object() ? present["data"] : Json::object();
  for (const auto& [key, value] : entries.items()) {
    auto bytes = Base64Decode(value.is_string() ? value.get<std::string>() : "");
    if (bytes.ok()) out[key] = AsText(*bytes);
  }
  log::Info("the Secret is there and stays as it is", {{"name", name}});
  return out;
}

Status Require(const Files& files, const std::string& secret, const std::string& key) {
  if (files.count(key) != 0) return Ok();
  return Err("manager.setup-incomplete", secret,
             "has no entry " + key + "; delete the Secret to have it made anew (keys under it are lost then)");
}

}  // namespace

Status Setup(kube::Client& client, const SetupOptions& options) {
  ASSIGN_OR_RETURN(const Files made_identity, ReadIdentity(options.identity));
  ASSIGN_OR_RETURN(const Files made_broker, ReadBroker(options.broker));
  const std::string identity_name = options.name + "-identity", broker_name = options.name + "-broker";
  ASSIGN_OR_RETURN(const Files identity, EnsureSecret(client, options, identity_name, made_identity));
  ASSIGN_OR_RETURN(const Files broker, EnsureSecret(client, options, broker_name, made_broker));
  // Nothing of the public ConfigMap comes from files of this run when an older Secret is in force.
  Json data = {{"kbs-url", options.kbs_url},
               {"rim-url", options.rim_url},
               {"ocsp-url", options.ocsp_url},
               {"pcs-url", options.pcs_url},
               {"insecure-accept-emulated", options.accept_emulated ? "true" : "false"}};
  for (const auto& root : kRoots) {
    RETURN_IF_ERROR(Require(identity, identity_name, root.from));
    data[root.key] = identity.at(root.from);
  }
  for (const char* key : {"master.key", "tls.crt", "tls.key", "ca.pem", "admin-token"})
    RETURN_IF_ERROR(Require(broker, broker_name, key));
  data["kbs-cert.pem"] = broker.at("ca.pem");

  const std::string name = options.name + "-trust";
  const Json map = {{"apiVersion", "v1"},
                    {"kind", "ConfigMap"},
                    {"metadata", Metadata(options.ns, name, options.name)},
                    {"data", data}};
  auto made = client.Create(kube::Core(options.ns, "configmaps"), map);
  if (!made.ok() && made.error().code == "kube.exists")
    made = client.Patch(kube::Core(options.ns, "configmaps", name), kube::PatchType::kMerge, {{"data", data}});
  if (!made.ok()) return made.error();
  return EnableNodes(client, options.enable_nodes);
}

}  // namespace ccgpu::nodemanager
