// A hostile guest or host: commands of any shape in clear, and a ring whose control words and headers anyone may have
// written.
#include <cstring>

#include "gpu-emulator/device/executor.h"

namespace ccgpu::device {
namespace {

class NoEngine final : public ptx::Engine {
 public:
  Result<std::unique_ptr<ptx::Module>> Load(const std::vector<std::string>&, ptx::Memory&) override {
    return Err("cuda.invalid-ptx", "line:1", "no engine in this fuzz target");
  }
  Status Launch(ptx::Module&, std::string_view, const ptx::LaunchSpec&, ptx::Memory&) override { return Ok(); }
};

}  // namespace
}  // namespace ccgpu::device

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;  // NOLINT
  static link::LinkMemory link = link::LinkMemory::Create("").value();
  static auto memory = device::DeviceMemory::Create(1 << 20).value();
  std::memset(link.control(0), 0, sizeof(link::ChannelControl));
  link::RingReader reader(link, 0, false, link::RecordCipher(link::Protection::kClear, {}));
  link::RingWriter writer(link, 0, true, link::RecordCipher(link::Protection::kClear, {}));
  std::atomic<bool> stop = false;
  device::Executor executor(*memory, std::make_unique<device::NoEngine>(), reader, writer, stop);

  // Input: repeated { u16 length, u8 kind, bytes }; each becomes a record as it stands, true or not.
  Reader in(ByteView(data, size));
  uint32_t head = 0;
  while (in.remaining() > 3 && head < link::kSlots) {
    const uint16_t length = in.U16();
    const uint8_t kind = in.U8();
    const ByteView payload = in.Take(std::min<size_t>(length, in.remaining()));
    uint8_t* slot = link.at(link::RingOffset(0, false)) + head * link::kSlotStride;
    link::RecordHeader header{.length = (kind & 0x80) ? length * 0x10001u : static_cast<uint32_t>(payload.size()),
                              .kind = kind & 0x7fu,
                              .counter = head + 1,
                              .tag = {}};
    std::memcpy(slot, &header, sizeof header);
    std::memcpy(slot + link::kSlotHeader, payload.data(), payload.size());
    ++head;
  }
  link::Store(link.control(0)->h2d.head, head + (size > 0 && data[0] == 0xff ? 40 : 0));
  for (uint32_t i = 0; i < link::kSlots && reader.HasRecord(); ++i) {
    link::Store(link.control(0)->d2h.tail, link::Load(link.control(0)->d2h.head));  // the other end keeps reading
    // Commands that are followed by data would wait for records that never come: those run on a channel that is being
    // closed.
    const uint8_t op = link.at(link::RingOffset(0, false))[i % link::kSlots * link::kSlotStride + link::kSlotHeader];
    stop = op == static_cast<uint8_t>(link::Command::kCopyIn) ||
           op == static_cast<uint8_t>(link::Command::kModuleLoad) ||
           op == static_cast<uint8_t>(link::Command::kCopyOut);
    const Status ran = executor.RunOne();
    if (!ran.ok() && ran.error().code != "link.stopped") break;
  }
  return 0;
}
