// A hostile device: its responses come from the input. The requester must never crash and never have a session.
#include <cstdlib>

#include "trust/spdm/requester.h"

namespace {

using namespace ccgpu;
using namespace ccgpu::spdm;

class Zeros final : public crypto::Random {
 public:
  void Fill(std::span<uint8_t> out) override { std::fill(out.begin(), out.end(), 1); }
};

// Records: flags u8 (bit 0 secured), length u16, bytes.
class Input final : public Transport {
 public:
  explicit Input(ByteView bytes) : in_(bytes) {}
  Result<Packet> Exchange(const Packet&) override {
    const uint8_t flags = in_.U8();
    const size_t length = std::min<size_t>(in_.U16(), in_.remaining());
    if (!in_.ok()) return Error::FromWire("link.end", "", "no more input");
    return Packet{(flags & 1) != 0, ToBytes(in_.Take(length))};
  }

 private:
  Reader in_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Zeros random;
  Input input({data, size});
  Requester requester({.transport = &input, .random = &random});
  if (!requester.Connect().ok()) return 0;
  (void)requester.GetMeasurements(Bytes(32));
  (void)requester.StartSession();
  if (requester.in_session()) std::abort();
  return 0;
}
