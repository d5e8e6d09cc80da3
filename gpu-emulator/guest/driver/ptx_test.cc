// Real PTX through libcuda, in the strictest mode: what a pod's program does.
#ifdef CCGPU_HAVE_PTX
#include <gtest/gtest.h>

#include <numeric>

#include "gpu-emulator/guest/driver/test_machine.h"

namespace ccgpu::driver {
namespace {

constexpr char kVectorAdd[] = R"(
.version 7.0
.target sm_80
.address_size 64
.visible .global .align 4 .u32 bias = 100;
.visible .entry vector_add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n) {
  .reg .pred %p<2>;
  .reg .b32 %r<9>;
  .reg .b64 %rd<11>;
  ld.param.u64 %rd1, [a];
  ld.param.u64 %rd2, [b];
  ld.param.u64 %rd3, [c];
  ld.param.u32 %r1, [n];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p1, %r5, %r1;
  @%p1 bra done;
  mul.wide.u32 %rd4, %r5, 4;
  add.s64 %rd5, %rd1, %rd4;
  add.s64 %rd6, %rd2, %rd4;
  add.s64 %rd7, %rd3, %rd4;
  ld.global.u32 %r6, [%rd5];
  ld.global.u32 %r7, [%rd6];
  add.u32 %r6, %r6, %r7;
  ld.global.u32 %r8, [bias];
  add.u32 %r6, %r6, %r8;
  st.global.u32 [%rd7], %r6;
done:
  ret;
}
)";

TEST(Ptx, VectorAddEndToEnd) {
  TestMachine machine({.test_engine = false});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  CUmodule module;
  ASSERT_EQ(cuda.cuModuleLoadDataEx(&module, kVectorAdd, 0, nullptr, nullptr), CUDA_SUCCESS);
  CUfunction kernel;
  ASSERT_EQ(cuda.cuModuleGetFunction(&kernel, module, "vector_add"), CUDA_SUCCESS);
  CUdeviceptr bias;
  size_t size = 0;
  ASSERT_EQ(cuda.Get<decltype(::cuModuleGetGlobal_v2)>("cuModuleGetGlobal_v2")(&bias, &size, module, "bias"),
            CUDA_SUCCESS);
  ASSERT_EQ(size, 4u);
  const uint32_t seven = 7;
  uint32_t was = 0;
  ASSERT_EQ(cuda.cuMemcpyDtoH_v2(&was, bias, 4), CUDA_SUCCESS);
  EXPECT_EQ(was, 100u);
  ASSERT_EQ(cuda.cuMemcpyHtoD_v2(bias, &seven, 4), CUDA_SUCCESS);

  uint32_t n = 5000;
  std::vector<uint32_t> a(n), b(n), c(n);
  std::iota(a.begin(), a.end(), 1);
  std::iota(b.begin(), b.end(), 70000);
  CUdeviceptr da, db, dc;
  for (CUdeviceptr* pointer : {&da, &db, &dc}) ASSERT_EQ(cuda.cuMemAlloc_v2(pointer, 4 * n), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemcpyHtoD_v2(da, a.data(), 4 * n), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemcpyHtoD_v2(db, b.data(), 4 * n), CUDA_SUCCESS);
  void* params[] = {&da, &db, &dc, &n};
  ASSERT_EQ(cuda.cuLaunchKernel(kernel, (n + 255) / 256, 1, 1, 256, 1, 1, 0, nullptr, params, nullptr), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemcpyDtoH_v2(c.data(), dc, 4 * n), CUDA_SUCCESS);
  for (uint32_t i = 0; i < n; ++i) ASSERT_EQ(c[i], a[i] + b[i] + 7) << i;

  // One element too many: the kernel leaves its allocation.
  uint32_t more = 6000;
  params[3] = &more;
  ASSERT_EQ(cuda.cuLaunchKernel(kernel, 24, 1, 1, 256, 1, 1, 0, nullptr, params, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(cuda.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST(Ptx, UnknownInstructionIsNamedWithItsLine) {
  TestMachine machine({.test_engine = false});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  char log[300] = "";
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, CU_JIT_ERROR_LOG_BUFFER};
  void* values[] = {reinterpret_cast<void*>(sizeof log), log};
  CUmodule module;
  const char* text =
      ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k() {\n  frobnicate.b32 %r1;\n  ret;\n}\n";
  EXPECT_EQ(cuda.cuModuleLoadDataEx(&module, text, 2, options, values), CUDA_ERROR_INVALID_PTX);
  EXPECT_NE(std::string(log).find("line:5"), std::string::npos) << log;
  EXPECT_NE(std::string(log).find("frobnicate"), std::string::npos) << log;
}

TEST(Ptx, EndlessKernelEndsWithItsProgram) {
  TestMachine machine({.test_engine = false});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  CUmodule module;
  const char* text =
      ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry spin() {\nagain:\n  bra again;\n}\n";
  ASSERT_EQ(cuda.cuModuleLoadDataEx(&module, text, 0, nullptr, nullptr), CUDA_SUCCESS);
  CUfunction spin;
  ASSERT_EQ(cuda.cuModuleGetFunction(&spin, module, "spin"), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuLaunchKernel(spin, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(cuda.cuStreamQuery(nullptr), CUDA_ERROR_NOT_READY);
  machine.server.reset();  // the container's socket goes, and with it the channel
  EXPECT_NE(cuda.cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_TRUE(Eventually([&] { return machine.driver->Info()->memory_used == 0; }));
}

}  // namespace
}  // namespace ccgpu::driver
#endif
