#include "node/images/layers.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include "base/crypto/digest.h"
#include "base/encoding.h"

namespace ccgpu::images {
namespace {

constexpr size_t kSmall = 1u << 20;

bool IsWanted(const std::string& path) { return path.ends_with("etc/passwd") || path.ends_with("etc/group"); }

Bytes Capability(archive_entry* entry) {
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  archive_entry_xattr_reset(entry);
  while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    if (std::string_view(name) == "security.capability") return ToBytes({static_cast<const uint8_t*>(value), size});
  }
  return {};
}

}  // namespace

Status LayerStack::Add(ByteSource blob, const std::string& diff_id) {
  ASSIGN_OR_RETURN(TarReader plain, TarReader::OpenCompressed(std::move(blob), diff_id));
  crypto::Hasher hasher(crypto::Hash::kSha256);
  ASSIGN_OR_RETURN(archive_entry * whole, plain.Next());
  const bool empty = whole == nullptr;
  ByteSource hashed = [&]() -> Result<ByteView> {
    if (empty) return ByteView();
    ASSIGN_OR_RETURN(const ByteView piece, plain.Data());
    hasher.Update(piece);
    return piece;
  };
  tree_.BeginLayer();
  ASSIGN_OR_RETURN(TarReader tar, TarReader::OpenTar(hashed, diff_id));
  for (;;) {
    ASSIGN_OR_RETURN(archive_entry * entry, tar.Next());
    if (entry == nullptr) break;
    RETURN_IF_ERROR(AddEntry(tar, entry));
  }
  for (;;) {  // what stands behind the archive's end belongs to the digest too
    ASSIGN_OR_RETURN(const ByteView rest, hashed());
    if (rest.empty()) break;
  }
  const std::string found = "sha256:" + HexEncode(hasher.Finish());
  if (found != diff_id)
    return Err("image.digest-mismatch", "layer", "the image's config says " + diff_id + ", the layer is " + found);
  return Ok();
}

Status LayerStack::AddEntry(TarReader& tar, archive_entry* entry) {
  const std::string path = PathOf(entry);
  if (path.empty()) return Err("image.bad-path", "layer", "holds an entry without a name");
  if (archive_entry_hardlink(entry) != nullptr || archive_entry_hardlink_utf8(entry) != nullptr)
    return tree_.AddHardLink(path, HardLinkOf(entry));
  policy::TreeEntry out{.type = '?',
                        .mode = static_cast<uint32_t>(archive_entry_perm(entry)) & 07777,
                        .uid = static_cast<uint32_t>(archive_entry_uid(entry)),
                        .gid = static_cast<uint32_t>(archive_entry_gid(entry)),
                        .content_sha256 = {},
                        .target = {},
                        .capability = {}};
  switch (archive_entry_filetype(entry)) {
    case S_IFREG: {
      out.type = 'f';
      out.capability = Capability(entry);
      crypto::Hasher hasher(crypto::Hash::kSha256);
      std::string content;
      for (;;) {
        ASSIGN_OR_RETURN(const ByteView piece, tar.Data());
        if (piece.empty()) break;
        hasher.Update(piece);
        out.size += piece.size();
        if (IsWanted(path) && content.size() <= kSmall) content.append(AsText(piece));
      }
      if (out.size != static_cast<uint64_t>(archive_entry_size(entry)))
        return Err("image.bad-archive", path, "is a sparse file: not supported in layers");
      out.content_sha256 = hasher.Finish();
      if (IsWanted(path) && content.size() <= kSmall) small_[HexEncode(out.content_sha256)] = std::move(content);
      break;
    }
    case S_IFDIR: out.type = 'd'; break;
    case S_IFLNK:
      out.type = 'l';
      out.target = SymlinkOf(entry);
      break;
    case S_IFCHR:
    case S_IFBLK:
      out.type = archive_entry_filetype(entry) == S_IFCHR ? 'c' : 'b';
      out.major = static_cast<uint32_t>(archive_entry_rdevmajor(entry));
      out.minor = static_cast<uint32_t>(archive_entry_rdevminor(entry));
      break;
    case S_IFIFO: out.type = 'p'; break;
    default: return Err("image.bad-archive", path, "is of a kind that images do not hold");
  }
  return tree_.Add(path, std::move(out));
}

std::string LayerStack::SmallFile(const std::string& path) const {
  const auto entry = tree_.tree().find(path);
  if (entry == tree_.tree().end() || entry->second.type != 'f') return "";
  const auto content = small_.find(HexEncode(entry->second.content_sha256));
  return content == small_.end() ? "" : content->second;
}

}  // namespace ccgpu::images
