#include "node-installer/cluster.h"

#include "kube/names.h"
#include "kube/paths.h"

namespace ccgpu::installer {
namespace {

// We ask again two seconds later anyway.
constexpr kube::CallOptions OneTry() { return {"", std::chrono::milliseconds(0)}; }

std::string Member(const Json& object, const char* map, const std::string& key) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) return "";
  const auto values = metadata->find(map);
  if (values == metadata->end() || !values->is_object()) return "";
  const auto value = values->find(key);
  return value != values->end() && value->is_string() ? value->get<std::string>() : "";
}

class KubeCluster final : public Cluster {
 public:
  KubeCluster(kube::Client& client, ClusterPlace place) : client_(client), place_(std::move(place)) {}

  Result<bool> UninstallWanted() override {
    auto set = client_.Get(kube::Group("apps/v1", place_.name_space, "daemonsets", place_.daemon_set), OneTry());
    // Deleted without having asked: what is installed stays, as in an upgrade.
    if (!set.ok() && set.error().code == "kube.not-found") return false;
    if (!set.ok()) return set.error();
    return Member(*set, "annotations", kube::kUninstallAnnotation) == "true";
  }

  Result<bool> NodeEnabled() override {
    ASSIGN_OR_RETURN(const Json node, client_.Get(kube::NodePath(place_.node)));
    return Member(node, "labels", kube::kEnabledLabel) == "true";
  }

  Status Label(const std::optional<std::string>& installed, bool ready) override {
    Json labels = {{kube::kInstalledLabel, nullptr}, {kube::kReadyLabel, nullptr}};
    if (installed) labels[kube::kInstalledLabel] = *installed;
    if (ready) labels[kube::kReadyLabel] = "true";
    auto patched = client_.Patch(kube::NodePath(place_.node), kube::PatchType::kMerge,
                                 {{"metadata", {{"labels", std::move(labels)}}}}, OneTry());
    return patched.ok() ? Ok() : Status(patched.error());
  }

 private:
  kube::Client& client_;
  const ClusterPlace place_;
};

}  // namespace

std::unique_ptr<Cluster> MakeCluster(kube::Client& client, ClusterPlace place) {
  return std::make_unique<KubeCluster>(client, std::move(place));
}

}  // namespace ccgpu::installer
