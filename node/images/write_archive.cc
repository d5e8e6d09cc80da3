// WriteOciArchive. Everything that could differ between two runs (times, names of users, order) is fixed.
#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <cstdio>
#include <memory>
#include <set>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "node/images/archive.h"

namespace ccgpu::images {
namespace {

constexpr size_t kMaxSource = 4ull << 30;

// A tar archive in memory.
class TarWriter {
 public:
  explicit TarWriter(bool gzip) : archive_(archive_write_new(), archive_write_free) {
    archive_write_set_format_pax_restricted(archive_.get());
    if (gzip) {
      archive_write_add_filter_gzip(archive_.get());
      archive_write_set_filter_option(archive_.get(), "gzip", "timestamp", nullptr);
    }
    archive_write_set_bytes_in_last_block(archive_.get(), 1);
    auto write = [](archive*, void* user, const void* data, size_t size) -> la_ssize_t {
      static_cast<std::string*>(user)->append(static_cast<const char*>(data), size);
      return static_cast<la_ssize_t>(size);
    };
    archive_write_open(archive_.get(), &out_, nullptr, write, nullptr);
  }

  Status Add(const FileSpec& file, const std::string& content) {
    std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
    const std::string path = file.path.substr(file.path.find_first_not_of('/'));
    archive_entry_set_pathname(entry.get(), (file.type == 'd' ? path + "/" : path).c_str());
    archive_entry_set_filetype(entry.get(), file.type == 'd' ? AE_IFDIR : file.type == 'l' ? AE_IFLNK : AE_IFREG);
    archive_entry_set_perm(entry.get(), file.type == 'l' ? 0777 : file.mode);
    archive_entry_set_uid(entry.get(), file.uid);
    archive_entry_set_gid(entry.get(), file.gid);
    archive_entry_set_mtime(entry.get(), 0, 0);
    if (file.type == 'l') archive_entry_set_symlink(entry.get(), file.target.c_str());
    archive_entry_set_size(entry.get(), file.type == 'f' ? static_cast<la_int64_t>(content.size()) : 0);
    if (archive_write_header(archive_.get(), entry.get()) < ARCHIVE_WARN) return Failure(file.path);
    if (file.type == 'f' &&
        archive_write_data(archive_.get(), content.data(), content.size()) != static_cast<la_ssize_t>(content.size())) {
      return Failure(file.path);
    }
    return Ok();
  }

  Result<std::string> Finish() {
    if (archive_write_close(archive_.get()) != ARCHIVE_OK) return Failure("archive");
    return std::move(out_);
  }

 private:
  Error Failure(const std::string& path) const {
    const char* text = archive_error_string(archive_.get());
    return Err("image.cannot-write", path, text ? text : "unknown error");
  }
  std::string out_;
  std::unique_ptr<archive, int (*)(archive*)> archive_;
};

std::string Sha(const std::string& bytes) { return "sha256:" + HexEncode(crypto::Sha256(AsBytes(bytes))); }

// Folders above `path` that nobody named yet.
Status AddParents(TarWriter& tar, const std::string& path, std::set<std::string>& made) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    if (made.insert(parent).second)
      RETURN_IF_ERROR(
          tar.Add({.path = parent, .type = 'd', .mode = 0755, .content = {}, .source = {}, .target = {}}, ""));
  }
  return Ok();
}

struct Layer {
  std::string blob, diff_id;
};

Result<Layer> MakeLayer(const std::vector<FileSpec>& files, bool gzip) {
  TarWriter plain(false), packed(gzip);
  std::set<std::string> made, packed_made;
  for (const FileSpec& file : files) {
    if (!file.path.starts_with('/') || file.path.find_first_not_of('/') == std::string::npos) {
      return Err("image.bad-path", file.path, "must be an absolute path below /");
    }
    if (file.type != 'f' && file.type != 'd' && file.type != 'l')
      return Err("image.bad-path", file.path, "must be a file, folder or link");
    std::string content = file.content;
    if (file.type == 'f' && !file.source.empty()) {
      ASSIGN_OR_RETURN(content, ReadFile(file.source, kMaxSource));
    }
    RETURN_IF_ERROR(AddParents(plain, file.path, made));
    if (!made.insert(file.path).second) {
      if (file.type == 'd') continue;
      return Err("image.bad-path", file.path, "stands twice in one layer");
    }
    RETURN_IF_ERROR(plain.Add(file, content));
    if (gzip) {
      RETURN_IF_ERROR(AddParents(packed, file.path, packed_made));
      packed_made.insert(file.path);
      RETURN_IF_ERROR(packed.Add(file, content));
    }
  }
  Layer layer;
  ASSIGN_OR_RETURN(layer.blob, plain.Finish());
  layer.diff_id = Sha(layer.blob);
  if (gzip) {
    ASSIGN_OR_RETURN(layer.blob, packed.Finish());
  }
  return layer;
}

Json Descriptor(const char* type, const std::string& blob) {
  return {{"mediaType", type}, {"digest", Sha(blob)}, {"size", blob.size()}};
}

Json Config(const ImageSpec& spec, const std::vector<Layer>& layers) {
  Json config = Json::object();
  if (!spec.entrypoint.empty()) config["Entrypoint"] = spec.entrypoint;
  if (!spec.cmd.empty()) config["Cmd"] = spec.cmd;
  if (!spec.env.empty()) config["Env"] = spec.env;
  if (!spec.working_dir.empty()) config["WorkingDir"] = spec.working_dir;
  if (!spec.user.empty()) config["User"] = spec.user;
  if (!spec.labels.empty()) config["Labels"] = spec.labels;
  Json diff_ids = Json::array();
  for (const Layer& layer : layers) diff_ids.push_back(layer.diff_id);
  return {{"architecture", "amd64"},
          {"os", "linux"},
          {"created", "1970-01-01T00:00:00Z"},
          {"config", config},
          {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
}

}  // namespace

Result<std::string> WriteOciArchive(const ImageSpec& spec, const std::string& path) {
  std::vector<Layer> layers;
  for (const auto& files : spec.layers) {
    ASSIGN_OR_RETURN(Layer layer, MakeLayer(files, spec.gzip));
    layers.push_back(std::move(layer));
  }
  const std::string config = Config(spec, layers).dump();
  Json manifest = {{"schemaVersion", 2},
                   {"mediaType", "application/vnd.oci.image.manifest.v1+json"},
                   {"config", Descriptor("application/vnd.oci.image.config.v1+json", config)},
                   {"layers", Json::array()}};
  const char* layer_type =
      spec.gzip ? "application/vnd.oci.image.layer.v1.tar+gzip" : "application/vnd.oci.image.layer.v1.tar";
  for (const Layer& layer : layers) manifest["layers"].push_back(Descriptor(layer_type, layer.blob));
  const std::string manifest_text = manifest.dump();
  Json entry = Descriptor("application/vnd.oci.image.manifest.v1+json", manifest_text);
  const size_t colon = spec.reference.rfind(':');
  entry["annotations"] = {{"io.containerd.image.name", spec.reference},
                          {"org.opencontainers.image.ref.name",
                           colon == std::string::npos ? spec.reference : spec.reference.substr(colon + 1)}};
  const Json index = {{"schemaVersion", 2},
                      {"mediaType", "application/vnd.oci.image.index.v1+json"},
                      {"manifests", Json::array({entry})}};

  std::map<std::string, const std::string*> blobs;
  for (const Layer& layer : layers) blobs[Sha(layer.blob).substr(7)] = &layer.blob;
  blobs[Sha(config).substr(7)] = &config;
  blobs[Sha(manifest_text).substr(7)] = &manifest_text;
  TarWriter tar(false);
  auto add = [&](const std::string& name, const std::string& content) {
    return tar.Add({.path = "/" + name, .type = 'f', .mode = 0644, .content = {}, .source = {}, .target = {}}, content);
  };
  RETURN_IF_ERROR(add("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  for (const auto& [digest, content] : blobs) RETURN_IF_ERROR(add("blobs/sha256/" + digest, *content));
  RETURN_IF_ERROR(add("index.json", index.dump()));
  ASSIGN_OR_RETURN(const std::string bytes, tar.Finish());
  RETURN_IF_ERROR(WriteFileAtomic(path, bytes));
  return Sha(manifest_text);
}

}  // namespace ccgpu::images
