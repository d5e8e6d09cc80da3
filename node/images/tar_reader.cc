#include "node/images/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>
#include <optional>

namespace ccgpu::images {

struct TarReader::Feed {
  ByteSource source;
  std::optional<Error> error;
};

namespace {

std::string Either(const char* bytes, const char* utf8) {
  return bytes != nullptr ? bytes : utf8 != nullptr ? utf8 : "";
}

}  // namespace

void TarReader::Closer::operator()(archive* a) const { archive_read_free(a); }

Error TarReader::Failure() const {
  if (feed_ && feed_->error) return *feed_->error;
  const char* text = archive_error_string(archive_.get());
  return Err("image.bad-archive", name_,
             std::string("cannot be read as an archive: ") + (text ? text : "unknown error"));
}

Result<TarReader> TarReader::OpenFile(const std::string& path) {
  TarReader reader;
  reader.name_ = path;
  reader.archive_.reset(archive_read_new());
  archive_read_support_format_tar(reader.archive_.get());
  archive_read_support_filter_all(reader.archive_.get());
  if (archive_read_open_filename(reader.archive_.get(), path.c_str(), 1u << 20) != ARCHIVE_OK) return reader.Failure();
  return reader;
}

Result<TarReader> TarReader::Open(ByteSource source, const std::string& name, bool raw) {
  TarReader reader;
  reader.name_ = name;
  reader.feed_ = std::make_shared<Feed>(Feed{std::move(source), {}});
  reader.archive_.reset(archive_read_new());
  if (raw) {
    archive_read_support_format_raw(reader.archive_.get());
    archive_read_support_filter_gzip(reader.archive_.get());
    archive_read_support_filter_zstd(reader.archive_.get());
  } else {
    archive_read_support_format_tar(reader.archive_.get());
  }
  auto read = [](archive* a, void* user, const void** buffer) -> la_ssize_t {
    auto* feed = static_cast<Feed*>(user);
    auto piece = feed->source();
    if (!piece.ok()) {
      feed->error = piece.error();
      archive_set_error(a, EIO, "%s", "source failed");
      return ARCHIVE_FATAL;
    }
    *buffer = piece->data();
    return static_cast<la_ssize_t>(piece->size());
  };
  if (archive_read_open(reader.archive_.get(), reader.feed_.get(), nullptr, read, nullptr) != ARCHIVE_OK)
    return reader.Failure();
  return reader;
}

Result<TarReader> TarReader::OpenTar(ByteSource source, const std::string& name) {
  return Open(std::move(source), name, false);
}
Result<TarReader> TarReader::OpenCompressed(ByteSource source, const std::string& name) {
  return Open(std::move(source), name, true);
}

Result<archive_entry*> TarReader::Next() {
  archive_entry* entry = nullptr;
  const int got = archive_read_next_header(archive_.get(), &entry);
  if (got == ARCHIVE_EOF) return static_cast<archive_entry*>(nullptr);
  if (got != ARCHIVE_OK && got != ARCHIVE_WARN) return Failure();  // a warning: a name that the locale cannot say
  return entry;
}

Result<ByteView> TarReader::Data() {
  const void* buffer = nullptr;
  size_t size = 0;
  la_int64_t offset = 0;
  // Sparse files of tar come with holes; layers do not hold such, and content with holes left out would be wrong
  // content.
  const int got = archive_read_data_block(archive_.get(), &buffer, &size, &offset);
  if (got == ARCHIVE_EOF) return ByteView();
  if (got != ARCHIVE_OK) return Failure();
  if (size == 0) return Data();
  return ByteView(static_cast<const uint8_t*>(buffer), size);
}

Result<std::string> TarReader::Content(size_t limit) {
  std::string out;
  for (;;) {
    ASSIGN_OR_RETURN(const ByteView piece, Data());
    if (piece.empty()) return out;
    if (out.size() + piece.size() > limit)
      return Err("image.too-large", name_, "holds a document of more than " + std::to_string(limit) + " bytes");
    out.append(AsText(piece));
  }
}

std::string PathOf(archive_entry* entry) {
  return Either(archive_entry_pathname(entry), archive_entry_pathname_utf8(entry));
}
std::string HardLinkOf(archive_entry* entry) {
  return Either(archive_entry_hardlink(entry), archive_entry_hardlink_utf8(entry));
}
std::string SymlinkOf(archive_entry* entry) {
  return Either(archive_entry_symlink(entry), archive_entry_symlink_utf8(entry));
}

}  // namespace ccgpu::images
