// Reading tar archives with libarchive: one class, bytes from a file or from a callback. Private to node/images.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"

struct archive;
struct archive_entry;

namespace ccgpu::images {

// Gives the next piece of bytes; empty at the end. The view stays valid until the next call.
using ByteSource = std::function<Result<ByteView>()>;

class TarReader {
 public:
  static Result<TarReader> OpenFile(const std::string& path);
  // Bytes of a tar archive, not compressed.
  static Result<TarReader> OpenTar(ByteSource source, const std::string& name);
  // Bytes that may be compressed (gzip, zstd, or not at all), seen as one entry with the plain bytes.
  static Result<TarReader> OpenCompressed(ByteSource source, const std::string& name);

  // nullptr at the end. The entry is the reader's and lasts until the next call.
  Result<archive_entry*> Next();
  // Of the present entry; empty at its end.
  Result<ByteView> Data();
  // The present entry's content, at most `limit` bytes ("image.too-large").
  Result<std::string> Content(size_t limit);

 private:
  struct Feed;
  struct Closer {
    void operator()(archive* a) const;
  };
  static Result<TarReader> Open(ByteSource source, const std::string& name, bool raw);
  Error Failure() const;
  std::unique_ptr<archive, Closer> archive_;
  std::shared_ptr<Feed> feed_;
  std::string name_;
};

// Paths of an entry as bytes, whatever the locale.
std::string PathOf(archive_entry* entry);
std::string HardLinkOf(archive_entry* entry);  // "" when it is none
std::string SymlinkOf(archive_entry* entry);

}  // namespace ccgpu::images
