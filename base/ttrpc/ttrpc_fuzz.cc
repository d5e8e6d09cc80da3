// The server's input path: frames in any pieces, requests, unknown methods. Never crashes, never grows.
#include <sys/socket.h>

#include "base/ttrpc/connection.h"
#include "base/ttrpc/frame.h"
#include "base/ttrpc/ttrpc.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ccgpu::ttrpc::FrameParser parser;
  std::string_view all(reinterpret_cast<const char*>(data), size);
  size_t piece = size ? data[0] % 16 + 1 : 1;
  while (!all.empty()) {
    std::string_view input = all.substr(0, piece);
    all.remove_prefix(input.size());
    ccgpu::ttrpc::Frame frame;
    while (parser.Next(input, frame)) {
      ccgpu::ttrpc::wire::Request request;
      ccgpu::ttrpc::wire::Response response;
      (void)request.ParseFromString(frame.data);
      (void)response.ParseFromString(frame.data);
      if (frame.data.size() > size) __builtin_trap();
    }
  }
  return 0;
}
