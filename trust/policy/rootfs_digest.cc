#include "trust/policy/rootfs_digest.h"

#include <vector>

#include "base/crypto/digest.h"
#include "base/encoding.h"

namespace ccgpu::policy {
namespace {

constexpr std::string_view kHeader = "ccgpu rootfs 1\n";
constexpr int kMaxLinks = 40;  // as the kernel

// "a/b" out of "/a//./b/"; nothing when it leaves the root or is the root itself ("").
bool Normalize(std::string_view path, std::vector<std::string>& parts) {
  size_t start = 0;
  while (start <= path.size()) {
    size_t end = path.find('/', start);
    if (end == std::string_view::npos) end = path.size();
    const std::string_view part = path.substr(start, end - start);
    start = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == ".." || part.find('\0') != std::string_view::npos) return false;
    parts.emplace_back(part);
  }
  return true;
}

std::string Join(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : "/") + part;
  return out;
}

// Where a path really is when folders on its way are symbolic links of the image: as an unpacker does that stays in the
// root. A folder that does not exist stays as it is written.
Result<std::string> ResolveFolder(const Tree& tree, std::vector<std::string> todo) {
  std::vector<std::string> done;
  int links = 0;
  for (size_t at = 0; at < todo.size(); ++at) {
    if (todo[at] == "..") {
      if (!done.empty()) done.pop_back();
      continue;
    }
    done.push_back(todo[at]);
    const auto it = tree.find(Join(done));
    if (it == tree.end() || it->second.type != 'l') continue;
    if (++links > kMaxLinks) return Err("image.bad-path", Join(todo), "goes round in symbolic links");
    const std::string& target = it->second.target;
    done.pop_back();
    if (target.starts_with('/')) done.clear();
    std::vector<std::string> rest;
    size_t start = 0;
    while (start <= target.size()) {
      size_t end = target.find('/', start);
      if (end == std::string::npos) end = target.size();
      const std::string part = target.substr(start, end - start);
      start = end + 1;
      if (!part.empty() && part != ".") rest.push_back(part);
    }
    rest.insert(rest.end(), todo.begin() + static_cast<long>(at) + 1, todo.end());
    todo = std::move(rest);
    at = static_cast<size_t>(-1);
  }
  return Join(done);
}

bool IsBelow(const std::string& path, const std::string& folder) {
  return folder.empty() || (path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/');
}

}  // namespace

std::string TreeDigest(const Tree& tree) {
  crypto::Hasher hasher(crypto::Hash::kSha256);
  hasher.Update(AsBytes(kHeader));
  for (const auto& [path, entry] : tree) {
    std::string line(1, entry.type);
    char number[32];
    snprintf(number, sizeof number, " %04o", entry.type == 'l' ? 0777 : entry.mode & 07777);
    line += number;
    line += " " + std::to_string(entry.uid) + " " + std::to_string(entry.gid);
    switch (entry.type) {
      case 'f': line += " " + std::to_string(entry.size) + " " + HexEncode(entry.content_sha256); break;
      case 'l': line += " " + std::to_string(entry.target.size()) + " " + entry.target; break;
      case 'c':
      case 'b': line += " " + std::to_string(entry.major) + " " + std::to_string(entry.minor); break;
      default: break;
    }
    line += " cap=" + HexEncode(entry.capability) + " " + std::to_string(path.size()) + " " + path + "\n";
    hasher.Update(AsBytes(line));
  }
  return "sha256:" + HexEncode(hasher.Finish());
}

void LayeredTree::BeginLayer() { of_this_layer_.clear(); }

Result<std::string> LayeredTree::Place(const std::string& path) {
  std::vector<std::string> parts;
  if (!Normalize(path, parts)) return Err("image.bad-path", path, "a layer must not hold paths with \"..\"");
  if (parts.empty()) return std::string();
  const std::string name = parts.back();
  parts.pop_back();
  ASSIGN_OR_RETURN(const std::string folder, ResolveFolder(tree_, parts));
  // Parents that no layer names are made as unpackers make them.
  for (size_t slash = folder.find('/'); !folder.empty(); slash = folder.find('/', slash + 1)) {
    const std::string parent = folder.substr(0, slash);
    auto [it, made] = tree_.emplace(
        parent, TreeEntry{.type = 'd', .mode = 0755, .content_sha256 = {}, .target = {}, .capability = {}});
    if (!made && it->second.type != 'd') return Err("image.bad-path", path, "its parent " + parent + " is no folder");
    if (made) of_this_layer_.insert(parent);
    if (slash == std::string::npos) break;
  }
  return folder.empty() ? name : folder + "/" + name;
}

void LayeredTree::Remove(const std::string& path, const std::set<std::string>& keep) {
  for (auto it = tree_.begin(); it != tree_.end();) {
    if ((it->first == path || IsBelow(it->first, path)) && !keep.contains(it->first)) {
      it = tree_.erase(it);
    } else {
      ++it;
    }
  }
}

Status LayeredTree::Add(const std::string& path, TreeEntry entry) {
  ASSIGN_OR_RETURN(const std::string place, Place(path));
  if (place.empty()) return Ok();  // the root: not counted
  const size_t slash = place.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : place.substr(0, slash);
  const std::string name = slash == std::string::npos ? place : place.substr(slash + 1);
  if (name == ".wh..wh..opq") {  // hides what lower layers have in this folder
    std::set<std::string> keep = of_this_layer_;
    keep.insert(folder);
    Remove(folder, keep);
    return Ok();
  }
  if (name.starts_with(".wh..wh.")) return Ok();  // other words of aufs: no meaning in images
  if (name.starts_with(".wh.")) {
    Remove((folder.empty() ? "" : folder + "/") + name.substr(4), {});
    return Ok();
  }
  const auto old = tree_.find(place);
  if (old != tree_.end() && !(old->second.type == 'd' && entry.type == 'd')) Remove(place, {});
  tree_[place] = std::move(entry);
  of_this_layer_.insert(place);
  return Ok();
}

Status LayeredTree::AddHardLink(const std::string& path, const std::string& target) {
  std::vector<std::string> parts;
  if (!Normalize(target, parts) || parts.empty())
    return Err("image.bad-path", target, "a hard link must not leave the image");
  const std::string name = parts.back();
  parts.pop_back();
  ASSIGN_OR_RETURN(const std::string folder, ResolveFolder(tree_, parts));
  const auto it = tree_.find(folder.empty() ? name : folder + "/" + name);
  if (it == tree_.end() || it->second.type == 'd')
    return Err("image.bad-path", path, "is a hard link to " + target + ", which is no file of the image");
  TreeEntry entry = it->second;
  return Add(path, std::move(entry));
}

}  // namespace ccgpu::policy
