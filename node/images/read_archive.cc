// ReadArchive: which images an archive holds (OCI layout first, else docker's manifest.json), and the facts of each.
#include <archive_entry.h>

#include <map>
#include <set>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/json.h"
#include "node/images/archive.h"
#include "node/images/layers.h"

namespace ccgpu::images {
namespace {

constexpr size_t kMaxDocument = 4u << 20;  // manifests and configs

struct Contents {
  std::map<std::string, std::string> small;  // path -> bytes of everything that may be a document
  std::map<std::string, int64_t> sizes;
};

// What the archive says about one image.
struct Plan {
  std::vector<std::string> names;
  std::string manifest_digest;
  std::string config_path;
  std::vector<std::string> layer_paths;
};

std::string Clean(std::string path) {
  while (path.starts_with("./")) path.erase(0, 2);
  return path;
}

Result<Contents> ReadSmall(const std::string& path) {
  ASSIGN_OR_RETURN(TarReader tar, TarReader::OpenFile(path));
  Contents out;
  for (;;) {
    ASSIGN_OR_RETURN(archive_entry * entry, tar.Next());
    if (entry == nullptr) return out;
    if (archive_entry_filetype(entry) != AE_IFREG) continue;
    const std::string name = Clean(PathOf(entry));
    const int64_t size = archive_entry_size(entry);
    out.sizes[name] = size;
    if (size > static_cast<int64_t>(kMaxDocument)) continue;
    ASSIGN_OR_RETURN(out.small[name], tar.Content(kMaxDocument));
  }
}

Result<std::string> BlobPath(const Json& descriptor, const std::string& where) {
  ASSIGN_OR_RETURN(const std::string digest, JsonString(descriptor, "digest", where));
  if (!digest.starts_with("sha256:") || digest.size() != 71 ||
      digest.find_first_not_of("0123456789abcdef", 7) != std::string::npos) {
    return Err("image.bad-archive", where, "digest " + digest + " is not sha256:<64 hex digits>");
  }
  return "blobs/sha256/" + digest.substr(7);
}

// A document of the layout, its digest checked.
Result<Json> Document(const Contents& contents, const Json& descriptor, const std::string& where) {
  ASSIGN_OR_RETURN(const std::string path, BlobPath(descriptor, where));
  const auto it = contents.small.find(path);
  if (it == contents.small.end()) return Err("image.bad-archive", where, path + " is not in the archive");
  if (HexEncode(crypto::Sha256(AsBytes(it->second))) != path.substr(13))
    return Err("image.digest-mismatch", path, "its content has another digest");
  return ParseJson(it->second, path);
}

std::string NameOf(const Json& descriptor) {
  if (!descriptor.contains("annotations") || !descriptor["annotations"].is_object()) return "";
  const Json& annotations = descriptor["annotations"];
  for (const char* key : {"io.containerd.image.name", "org.opencontainers.image.ref.name"}) {
    if (annotations.contains(key) && annotations[key].is_string()) return annotations[key].get<std::string>();
  }
  return "";
}

Status PlanOciManifest(const Contents& contents, const Json& descriptor, const std::string& name, int depth,
                       std::vector<Plan>& plans) {
  ASSIGN_OR_RETURN(const Json document, Document(contents, descriptor, "index.json"));
  if (document.contains("manifests")) {  // an index of platforms
    if (depth > 2 || !document["manifests"].is_array())
      return Err("image.bad-archive", "index.json", "is nested too deep");
    for (const Json& one : document["manifests"]) {
      const Json platform = one.is_object() ? one.value("platform", Json::object()) : Json::object();
      if (platform.value("os", "linux") == "linux" && platform.value("architecture", "amd64") == "amd64") {
        return PlanOciManifest(contents, one, name, depth + 1, plans);
      }
    }
    return Err("image.wrong-platform", name, "holds no linux/amd64 image");
  }
  Plan plan;
  plan.names = {name};
  ASSIGN_OR_RETURN(plan.manifest_digest, JsonString(descriptor, "digest", "index.json"));
  ASSIGN_OR_RETURN(const Json config, JsonObject(document, "config", "manifest"));
  ASSIGN_OR_RETURN(plan.config_path, BlobPath(config, "manifest.config"));
  if (!document.contains("layers") || !document["layers"].is_array())
    return Err("image.bad-archive", "manifest.layers", "must be a list");
  for (const Json& layer : document["layers"]) {
    ASSIGN_OR_RETURN(const std::string path, BlobPath(layer, "manifest.layers"));
    plan.layer_paths.push_back(path);
  }
  plans.push_back(std::move(plan));
  return Ok();
}

Result<std::vector<Plan>> PlanOci(const Contents& contents) {
  ASSIGN_OR_RETURN(const Json index, ParseJson(contents.small.at("index.json"), "index.json"));
  if (!index.is_object() || !index.contains("manifests") || !index["manifests"].is_array()) {
    return Err("image.bad-archive", "index.json", "must hold a list of manifests");
  }
  std::vector<Plan> plans;
  for (const Json& descriptor : index["manifests"]) {
    if (!descriptor.is_object()) return Err("image.bad-archive", "index.json", "a manifest's descriptor is an object");
    RETURN_IF_ERROR(PlanOciManifest(contents, descriptor, NameOf(descriptor), 0, plans));
  }
  return plans;
}

Result<std::vector<Plan>> PlanDocker(const Contents& contents) {
  ASSIGN_OR_RETURN(const Json list, ParseJson(contents.small.at("manifest.json"), "manifest.json"));
  if (!list.is_array()) return Err("image.bad-archive", "manifest.json", "must be a list");
  std::vector<Plan> plans;
  for (const Json& one : list) {
    Plan plan;
    ASSIGN_OR_RETURN(plan.config_path, JsonString(one, "Config", "manifest.json"));
    auto strings = [&](const char* key, std::vector<std::string>& out) -> Status {
      if (!one.contains(key) || one[key].is_null()) return Ok();
      if (!one[key].is_array())
        return Err("image.bad-archive", "manifest.json", std::string(key) + " must be a list of strings");
      for (const Json& text : one[key]) {
        if (!text.is_string())
          return Err("image.bad-archive", "manifest.json", std::string(key) + " must be a list of strings");
        out.push_back(text.get<std::string>());
      }
      return Ok();
    };
    RETURN_IF_ERROR(strings("RepoTags", plan.names));
    RETURN_IF_ERROR(strings("Layers", plan.layer_paths));
    if (plan.names.empty()) plan.names.emplace_back();
    plans.push_back(std::move(plan));
  }
  return plans;
}

Status AddLayer(const std::string& archive_path, const std::string& layer_path, const std::string& diff_id,
                LayerStack& stack) {
  ASSIGN_OR_RETURN(TarReader tar, TarReader::OpenFile(archive_path));
  for (;;) {
    ASSIGN_OR_RETURN(archive_entry * entry, tar.Next());
    if (entry == nullptr) return Err("image.bad-archive", layer_path, "the layer is not in the archive");
    if (archive_entry_filetype(entry) != AE_IFREG || Clean(PathOf(entry)) != layer_path) continue;
    crypto::Hasher hasher(crypto::Hash::kSha256);
    ByteSource blob = [&]() -> Result<ByteView> {
      ASSIGN_OR_RETURN(const ByteView piece, tar.Data());
      hasher.Update(piece);
      return piece;
    };
    RETURN_IF_ERROR(stack.Add(blob, diff_id));
    for (;;) {
      ASSIGN_OR_RETURN(const ByteView rest, blob());
      if (rest.empty()) break;
    }
    if (layer_path.starts_with("blobs/sha256/") && HexEncode(hasher.Finish()) != layer_path.substr(13)) {
      return Err("image.digest-mismatch", layer_path, "its content has another digest");
    }
    return Ok();
  }
}

Result<ImageInfo> ReadImage(const std::string& path, const Contents& contents, const Plan& plan) {
  const auto config = contents.small.find(plan.config_path);
  if (config == contents.small.end())
    return Err("image.bad-archive", path, "the config " + plan.config_path + " is not in the archive");
  ImageInfo info;
  info.manifest_digest = plan.manifest_digest;
  info.config_json = config->second;
  info.size = static_cast<int64_t>(config->second.size());
  if (plan.config_path.starts_with("blobs/sha256/") &&
      HexEncode(crypto::Sha256(AsBytes(info.config_json))) != plan.config_path.substr(13)) {
    return Err("image.digest-mismatch", plan.config_path, "its content has another digest");
  }
  ASSIGN_OR_RETURN(const Json parsed, ParseJson(info.config_json, "config"));
  ASSIGN_OR_RETURN(const Json rootfs, JsonObject(parsed, "rootfs", "config"));
  const Json diff_ids = rootfs.value("diff_ids", Json::array());
  if (!diff_ids.is_array() || diff_ids.size() != plan.layer_paths.size()) {
    return Err("image.bad-archive", path,
               "the config names " + std::to_string(diff_ids.size()) + " layers, the manifest " +
                   std::to_string(plan.layer_paths.size()));
  }
  LayerStack stack;
  for (size_t i = 0; i < plan.layer_paths.size(); ++i) {
    if (!diff_ids[i].is_string()) return Err("image.bad-archive", "config.rootfs.diff_ids", "must be strings");
    RETURN_IF_ERROR(AddLayer(path, plan.layer_paths[i], diff_ids[i].get<std::string>(), stack));
    const auto size = contents.sizes.find(plan.layer_paths[i]);
    info.size += size == contents.sizes.end() ? 0 : size->second;
  }
  info.rootfs_digest = stack.Digest();
  info.etc_passwd = stack.SmallFile("etc/passwd");
  info.etc_group = stack.SmallFile("etc/group");
  return info;
}

}  // namespace

Result<std::vector<ImageInfo>> ReadArchive(const std::string& path) try {
  ASSIGN_OR_RETURN(const Contents contents, ReadSmall(path));
  std::vector<Plan> plans;
  if (contents.small.contains("index.json")) {
    ASSIGN_OR_RETURN(plans, PlanOci(contents));
  } else if (contents.small.contains("manifest.json")) {
    ASSIGN_OR_RETURN(plans, PlanDocker(contents));
  } else {
    return Err("image.bad-archive", path, "is neither an OCI layout (index.json) nor a docker archive (manifest.json)");
  }
  std::vector<ImageInfo> out;
  for (const Plan& plan : plans) {
    ASSIGN_OR_RETURN(ImageInfo info, ReadImage(path, contents, plan));
    for (const std::string& name : plan.names) {
      out.push_back(info);
      out.back().reference = name;
    }
  }
  if (out.empty()) return Err("image.bad-archive", path, "holds no image");
  return out;
} catch (const Json::exception& e) {  // a member of another type than its name promises
  return Err("image.bad-archive", path, e.what());
}

}  // namespace ccgpu::images
