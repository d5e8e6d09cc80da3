// A host that reads, flips, replays and patches what crosses the link, in each mode: rows C1, C2, I1, I2 and I4 of the
// threat table. What must succeed in a weaker mode is tested too: it is the proof that the attack is real.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "gpu-emulator/guest/driver/test_machine.h"
#include "gpu-emulator/link/layout.h"

namespace ccgpu::driver {
namespace {

using link::Mode;

constexpr char kDataCanary[] = "canary-of-the-data-4f1c9a7e";
constexpr char kCodeCanary[] = "canary_of_the_code_77d0";

class Attack : public testing::TestWithParam<Mode> {
  // public for the lists of attacks below
 public:
  void SetUp() override {
    machine_ = std::make_unique<TestMachine>(TestMachine::Setup{.mode = GetParam()});
    cuda_ = std::make_unique<Cuda>(*machine_);
    ASSERT_EQ(cuda_->Begin(), CUDA_SUCCESS);
    ASSERT_EQ(cuda_->cuMemAlloc_v2(&memory_, 1 << 20), CUDA_SUCCESS);
  }
  bool sealed() const { return GetParam() == Mode::kHopperCc; }

  uint8_t* Slot(bool d2h, uint32_t number) const {
    return machine_->host().at(link::RingOffset(0, d2h) + number % link::kSlots * link::kSlotStride);
  }
  link::RingControl& Ring(bool d2h) const {
    link::ChannelControl* control = machine_->host().control(0);
    return d2h ? control->d2h : control->h2d;
  }
  // Runs `call` while the device stands still; `attack` gets the number of the first record that the call sent.
  CUresult Under(const std::function<CUresult()>& call, uint32_t records,
                 const std::function<void(uint32_t first)>& attack) {
    const uint32_t first = link::Load(Ring(false).head);
    machine_->gpu->SetHang(true);
    CUresult result = CUDA_ERROR_UNKNOWN;
    CUcontext context;
    cuda_->Get<decltype(::cuCtxGetCurrent)>("cuCtxGetCurrent")(&context);
    std::thread caller([&] {
      cuda_->cuCtxSetCurrent(context);
      result = call();
    });
    EXPECT_TRUE(Eventually([&] { return link::Load(Ring(false).head) == first + records; }));
    attack(first);
    machine_->gpu->SetHang(false);
    caller.join();
    return result;
  }
  std::string Read(size_t size) {
    std::string out(size, '?');
    EXPECT_EQ(cuda_->cuMemcpyDtoH_v2(out.data(), memory_, size), CUDA_SUCCESS);
    return out;
  }

  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<Cuda> cuda_;
  CUdeviceptr memory_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Modes, Attack, testing::Values(Mode::kOff, Mode::kDevtools, Mode::kApm, Mode::kHopperCc),
                         [](const auto& info) {
                           return info.param == Mode::kHopperCc ? "hopper_cc" : std::string(link::ModeName(info.param));
                         });

TEST_P(Attack, ReadsTheBounceBuffers) {
  CUmodule module;
  ASSERT_EQ(cuda_->cuMemcpyHtoD_v2(memory_, kDataCanary, sizeof kDataCanary), CUDA_SUCCESS);
  ASSERT_EQ(cuda_->cuModuleLoadDataEx(&module, kCodeCanary, 0, nullptr, nullptr), CUDA_SUCCESS);
  char back[sizeof kDataCanary];
  ASSERT_EQ(cuda_->cuMemcpyDtoH_v2(back, memory_, sizeof back), CUDA_SUCCESS);
  EXPECT_STREQ(back, kDataCanary);
  const bool data_in_clear = GetParam() == Mode::kOff || GetParam() == Mode::kDevtools;
  EXPECT_EQ(machine_->FindInLink(kDataCanary) != 0, data_in_clear);
  EXPECT_EQ(machine_->FindInLink(kCodeCanary) != 0, !sealed());
}

TEST_P(Attack, FlipsOneBitOnTheWayIn) {
  const CUresult result = Under([&] { return cuda_->cuMemcpyHtoD_v2(memory_, kDataCanary, sizeof kDataCanary); }, 2,
                                [&](uint32_t first) { Slot(false, first + 1)[link::kSlotHeader + 3] ^= 0x20; });
  if (sealed()) {
    EXPECT_EQ(result, CUDA_ERROR_ECC_UNCORRECTABLE);
    char back[8];
    EXPECT_EQ(cuda_->cuMemcpyDtoH_v2(back, memory_, sizeof back), CUDA_ERROR_ECC_UNCORRECTABLE);
    EXPECT_EQ(link::Load(machine_->host().registers()->error_count), 1u);
    return;
  }
  EXPECT_EQ(result, CUDA_SUCCESS);
  std::string expected(kDataCanary, sizeof kDataCanary);
  expected[3] ^= 0x20;
  EXPECT_EQ(Read(expected.size()), expected);
}

TEST_P(Attack, FlipsOneBitOnTheWayOut) {
  ASSERT_EQ(cuda_->cuMemcpyHtoD_v2(memory_, kDataCanary, sizeof kDataCanary), CUDA_SUCCESS);
  const uint32_t first = link::Load(Ring(true).head);
  std::string back(sizeof kDataCanary, '?');
  ASSERT_EQ(cuda_->cuMemcpyDtoHAsync_v2(back.data(), memory_, back.size(), nullptr), CUDA_SUCCESS);
  ASSERT_TRUE(Eventually([&] { return link::Load(Ring(true).head) == first + 2; }));
  Slot(true, first + 1)[link::kSlotHeader + 3] ^= 0x20;
  const CUresult result = cuda_->cuCtxSynchronize();
  std::string expected(kDataCanary, sizeof kDataCanary);
  if (sealed()) {
    EXPECT_EQ(result, CUDA_ERROR_ECC_UNCORRECTABLE);
    expected.assign(sizeof kDataCanary, '\0');  // never wrong data
  } else {
    EXPECT_EQ(result, CUDA_SUCCESS);
    expected[3] ^= 0x20;
  }
  EXPECT_EQ(back, expected);
}

TEST_P(Attack, PatchesTheKernel) {
  CUmodule module = nullptr;
  const CUresult result = Under([&] { return cuda_->cuModuleLoadDataEx(&module, "adz", 0, nullptr, nullptr); }, 2,
                                [&](uint32_t first) { Slot(false, first + 1)[link::kSlotHeader + 2] ^= 'z' ^ 'd'; });
  if (sealed()) {
    EXPECT_EQ(result, CUDA_ERROR_ECC_UNCORRECTABLE);
    return;
  }
  ASSERT_EQ(result, CUDA_SUCCESS);
  CUfunction function;
  EXPECT_EQ(cuda_->cuModuleGetFunction(&function, module, "add"), CUDA_SUCCESS);  // the attacker's, not the tenant's
}

TEST_P(Attack, ReplaysAnOldRecord) {
  const std::string old_data(100, 'o'), new_data(100, 'n');
  const uint32_t first = link::Load(Ring(false).head);
  ASSERT_EQ(cuda_->cuMemcpyHtoD_v2(memory_, old_data.data(), old_data.size()), CUDA_SUCCESS);
  const Bytes recorded(Slot(false, first + 1), Slot(false, first + 1) + link::kSlotHeader + old_data.size());
  const CUresult result =
      Under([&] { return cuda_->cuMemcpyHtoD_v2(memory_, new_data.data(), new_data.size()); }, 2,
            [&](uint32_t at) { std::memcpy(Slot(false, at + 1), recorded.data(), recorded.size()); });
  if (sealed()) {
    EXPECT_EQ(result, CUDA_ERROR_ECC_UNCORRECTABLE);
    return;
  }
  EXPECT_EQ(result, CUDA_SUCCESS);
  EXPECT_EQ(Read(old_data.size()), old_data);  // stale data accepted
}

// The same old record with the counter that is due: the tag covers the counter.
class SealedAttack : public Attack {};
INSTANTIATE_TEST_SUITE_P(Modes, SealedAttack, testing::Values(Mode::kHopperCc));
TEST_P(SealedAttack, ReplaysWithAForgedCounter) {
  const std::string data(100, 'o');
  const uint32_t first = link::Load(Ring(false).head);
  ASSERT_EQ(cuda_->cuMemcpyHtoD_v2(memory_, data.data(), data.size()), CUDA_SUCCESS);
  Bytes recorded(Slot(false, first + 1), Slot(false, first + 1) + link::kSlotHeader + data.size());
  const CUresult result = Under([&] { return cuda_->cuMemcpyHtoD_v2(memory_, data.data(), data.size()); }, 2,
                                [&](uint32_t at) {
                                  std::memcpy(recorded.data() + offsetof(link::RecordHeader, counter),
                                              Slot(false, at + 1) + offsetof(link::RecordHeader, counter), 8);
                                  std::memcpy(Slot(false, at + 1), recorded.data(), recorded.size());
                                });
  EXPECT_EQ(result, CUDA_ERROR_ECC_UNCORRECTABLE);
}

TEST_P(Attack, LiesInHeadersAndCounts) {
  struct Lie {
    const char* what;
    std::function<void(Attack&, uint32_t)> tell;
  };
  const Lie lies[] = {
      {"length", [](Attack& a, uint32_t at) { std::memset(a.Slot(false, at), 0xff, 4); }},
      {"kind", [](Attack& a, uint32_t at) { a.Slot(false, at)[4] = 9; }},
      {"head", [](Attack& a, uint32_t) { link::Store(a.Ring(false).head, 0x80000000u); }},
  };
  for (const Lie& lie : lies) {
    SCOPED_TRACE(lie.what);
    TearDown();
    SetUp();
    const CUresult result = Under([&] { return cuda_->cuMemcpyHtoD_v2(memory_, kDataCanary, sizeof kDataCanary); }, 2,
                                  [&](uint32_t first) { lie.tell(*this, first); });
    EXPECT_NE(result, CUDA_SUCCESS);
    EXPECT_EQ(machine_->gpu->config().index, 0u);  // the device is alive
  }
}

}  // namespace
}  // namespace ccgpu::driver
