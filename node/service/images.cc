#include "node/service/images.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <thread>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "node/images/archive.h"

namespace ccgpu::node {

Status RunProgram(const std::vector<std::string>& words) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError("node.import-failed", "cannot make a pipe for", words[0]);
  Fd read_end(ends[0]), write_end(ends[1]);
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), 2);
  // This program blocks signals in all threads; its children must not inherit that.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, words[0].c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0)
    return Err("node.import-failed", words[0],
               "cannot be started (" + std::string(std::strerror(error)) + "); install containerd");
  write_end.Close();
  std::string output;
  char buffer[4096];
  ssize_t got;
  while ((got = ::read(read_end.get(), buffer, sizeof buffer)) > 0) {
    if (output.size() < (64u << 10)) output.append(buffer, static_cast<size_t>(got));
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Ok();
  return Err("node.import-failed", words[0], "failed: " + output);
}

ImageStore::ImageStore(CriClient& cri, std::string dir, std::string containerd, std::string ctr)
    : cri_(cri), dir_(std::move(dir)), containerd_(std::move(containerd)), ctr_(std::move(ctr)) {}

Result<std::vector<NodeImage>> ImageStore::Import(const std::string& archive, const std::string& reference) {
  if (archive.empty() || archive[0] != '/')
    return Err("node.import-failed", archive, "must be an absolute path on the node");
  ASSIGN_OR_RETURN(auto infos, images::ReadArchive(archive));
  if (!reference.empty() && infos.size() != 1) {
    return Err("node.import-failed", archive,
               "holds " + std::to_string(infos.size()) + " images; a new name needs exactly one");
  }
  const std::vector<std::string> base = {ctr_, "--address", containerd_, "--namespace", "k8s.io", "images"};
  auto run = [&](std::initializer_list<std::string> words) {
    std::vector<std::string> all = base;
    all.insert(all.end(), words);
    return RunProgram(all);
  };
  RETURN_IF_ERROR(run({"import", archive}));
  RETURN_IF_ERROR(MakeDirs(dir_, 0750));
  std::vector<NodeImage> out;
  for (auto& info : infos) {
    const std::string name = reference.empty() ? info.reference : reference;
    if (name.empty()) return Err("node.import-failed", archive, "names no image; give one (--image FILE=NAME)");
    if (name != info.reference && !info.reference.empty())
      RETURN_IF_ERROR(run({"tag", "--force", info.reference, name}));
    const std::string id = HexEncode(crypto::Sha256(AsBytes(info.config_json)));
    RETURN_IF_ERROR(WriteFileAtomic(dir_ + "/" + id + ".json", images::ImageInfoToJson(info), 0600));
    // The CRI plugin follows containerd's image store with a small delay.
    Result<runtime::v1::ImageStatusResponse> known = cri_.ImageStatus(name);
    for (int i = 0; i < 200 && !known.ok() && known.error().code == "cri.not-found"; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
      known = cri_.ImageStatus(name);
    }
    if (!known.ok()) return known.error();
    ASSIGN_OR_RETURN(NodeImage image, Describe(known->image(), name));
    out.push_back(std::move(image));
  }
  return out;
}

Result<NodeImage> ImageStore::Describe(const runtime::v1::Image& image, const std::string& reference) {
  NodeImage out;
  out.reference = reference;
  out.size = static_cast<int64_t>(image.size());
  if (!image.repo_digests().empty()) {
    const std::string& digest = image.repo_digests(0);
    out.manifest_digest = digest.substr(digest.find('@') == std::string::npos ? 0 : digest.find('@') + 1);
  }
  const std::string id = image.id().starts_with("sha256:") ? image.id().substr(7) : image.id();
  if (id.find('/') == std::string::npos && Exists(dir_ + "/" + id + ".json")) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(dir_ + "/" + id + ".json"));
    ASSIGN_OR_RETURN(const auto info, images::ImageInfoFromJson(text));
    out.config_json = info.config_json;
    out.rootfs_digest = info.rootfs_digest;
    if (out.manifest_digest.empty()) out.manifest_digest = info.manifest_digest;
    return out;
  }
  ASSIGN_OR_RETURN(const auto status, cri_.ImageStatus(image.id()));
  if (const auto info = status.info().find("info"); info != status.info().end()) {
    if (auto json = ParseJson(info->second, reference); json.ok() && json->contains("imageSpec"))
      out.config_json = (*json)["imageSpec"].dump();
  }
  return out;
}

Result<std::vector<NodeImage>> ImageStore::List() {
  ASSIGN_OR_RETURN(const auto all, cri_.ListImages());
  std::vector<NodeImage> out;
  for (const auto& image : all) {
    for (const auto& tag : image.repo_tags()) {
      ASSIGN_OR_RETURN(NodeImage one, Describe(image, tag));
      out.push_back(std::move(one));
    }
  }
  return out;
}

}  // namespace ccgpu::node
