#include "trust/kbs/gzip.h"

#include <zlib.h>

#include <cstdlib>

namespace ccgpu::kbs {
namespace {

constexpr int kGzipWindow = 15 + 16;  // zlib's way to say "gzip wrapper"
constexpr size_t kChunk = 64u << 10;

Bytef* In(std::string_view data) { return reinterpret_cast<Bytef*>(const_cast<char*>(data.data())); }

}  // namespace

std::string GzipCompress(std::string_view data) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) std::abort();
  std::string out(deflateBound(&stream, data.size()), '\0');
  stream.next_in = In(data);
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Result<std::string> GzipDecompress(std::string_view data, size_t limit) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) std::abort();
  stream.next_in = In(data);
  stream.avail_in = static_cast<uInt>(data.size());
  std::string out;
  int state = Z_OK;
  while (state == Z_OK) {
    const size_t had = out.size();
    if (had > limit) break;
    out.resize(had + kChunk);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + had);
    stream.avail_out = kChunk;
    state = inflate(&stream, Z_NO_FLUSH);
    out.resize(had + kChunk - stream.avail_out);
  }
  const size_t left = stream.avail_in;
  inflateEnd(&stream);
  if (out.size() > limit) {
    return Err("initdata.too-large", "initdata annotation", "unpacks to more than " + std::to_string(limit) + " bytes");
  }
  if (state != Z_STREAM_END) return Err("initdata.bad-gzip", "initdata annotation", "is not a whole gzip stream");
  if (left != 0)
    return Err("initdata.bad-gzip", "initdata annotation",
               std::to_string(left) + " bytes stand after the gzip stream's end");
  return out;
}

}  // namespace ccgpu::kbs
