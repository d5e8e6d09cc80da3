// libcuda from end to end: program, library, link, device.
#include <gtest/gtest.h>

#include <numeric>

#include "gpu-emulator/guest/driver/test_machine.h"

namespace ccgpu::driver {
namespace {

using link::Mode;

class CudaTest : public testing::TestWithParam<Mode> {};
INSTANTIATE_TEST_SUITE_P(Modes, CudaTest, testing::Values(Mode::kOff, Mode::kDevtools, Mode::kApm, Mode::kHopperCc),
                         [](const auto& info) {
                           return info.param == Mode::kHopperCc ? "hopper_cc" : std::string(link::ModeName(info.param));
                         });

// Loads the test engine's kernels and adds two vectors on the GPU.
void AddVectors(Cuda& cuda, size_t count) {
  CUmodule module;
  ASSERT_EQ(cuda.cuModuleLoadDataEx(&module, "add\npoke\nspin", 0, nullptr, nullptr), CUDA_SUCCESS);
  CUfunction add;
  ASSERT_EQ(cuda.cuModuleGetFunction(&add, module, "add"), CUDA_SUCCESS);
  std::vector<uint32_t> a(count), b(count), c(count);
  std::iota(a.begin(), a.end(), 5);
  std::iota(b.begin(), b.end(), 1000);
  CUdeviceptr da, db, dc;
  for (CUdeviceptr* pointer : {&da, &db, &dc}) ASSERT_EQ(cuda.cuMemAlloc_v2(pointer, 4 * count), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemcpyHtoD_v2(da, a.data(), 4 * count), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemcpyHtoD_v2(db, b.data(), 4 * count), CUDA_SUCCESS);
  auto n = static_cast<uint32_t>(count);
  void* params[] = {&da, &db, &dc, &n};
  ASSERT_EQ(cuda.cuLaunchKernel(add, (n + 255) / 256, 1, 1, 256, 1, 1, 0, nullptr, params, nullptr), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemcpyDtoH_v2(c.data(), dc, 4 * count), CUDA_SUCCESS);
  for (size_t i = 0; i < count; ++i) ASSERT_EQ(c[i], a[i] + b[i]) << i;
}

TEST_P(CudaTest, AddsVectors) {
  TestMachine machine({.mode = GetParam()});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  AddVectors(cuda, 1000);
}

// More data than the ring has slots for, with a length that is no multiple of anything.
TEST_P(CudaTest, CopiesMoreThanARing) {
  TestMachine machine({.mode = GetParam()});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  Bytes data(11 * 1000 * 1000 + 13), back(data.size());
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  CUdeviceptr first, second;
  ASSERT_EQ(cuda.cuMemAlloc_v2(&first, data.size()), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemAlloc_v2(&second, data.size()), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemcpyHtoD_v2(first, data.data(), data.size()), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemcpyDtoD_v2(second, first, data.size()), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemcpyDtoH_v2(back.data(), second, back.size()), CUDA_SUCCESS);
  EXPECT_EQ(back, data);
}

TEST(Cuda, FreshMemoryReadsZeroAndInfoAddsUp) {
  TestMachine machine({});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  size_t before = 0, total = 0, after = 0;
  ASSERT_EQ(cuda.cuMemGetInfo_v2(&before, &total), CUDA_SUCCESS);
  EXPECT_EQ(total, 1ull << 30);
  CUdeviceptr pointer;
  ASSERT_EQ(cuda.cuMemAlloc_v2(&pointer, 1 << 20), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemsetD32_v2(pointer, 0x5a5a5a5a, (1 << 20) / 4), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemGetInfo_v2(&after, &total), CUDA_SUCCESS);
  EXPECT_EQ(before - after, 1u << 20);
  uint32_t word = 0;
  ASSERT_EQ(cuda.cuMemcpyDtoH_v2(&word, pointer + 4000, 4), CUDA_SUCCESS);
  EXPECT_EQ(word, 0x5a5a5a5au);
  ASSERT_EQ(cuda.cuMemFree_v2(pointer), CUDA_SUCCESS);
  CUdeviceptr again;
  ASSERT_EQ(cuda.cuMemAlloc_v2(&again, 1 << 20), CUDA_SUCCESS);
  EXPECT_EQ(again, pointer);
  ASSERT_EQ(cuda.cuMemcpyDtoH_v2(&word, again + 4000, 4), CUDA_SUCCESS);
  EXPECT_EQ(word, 0u);
}

TEST(Cuda, RefusesWhatIsOutOfBounds) {
  TestMachine machine({});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  CUdeviceptr pointer;
  ASSERT_EQ(cuda.cuMemAlloc_v2(&pointer, 1000), CUDA_SUCCESS);
  char data[2000] = {};
  EXPECT_EQ(cuda.cuMemcpyHtoD_v2(pointer, data, 1001), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuda.cuMemcpyHtoD_v2(pointer + 999, data, 2), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuda.cuMemcpyDtoH_v2(data, pointer - 1, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuda.cuMemFree_v2(pointer + 512), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuda.cuMemAlloc_v2(&pointer, 2ull << 30), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(cuda.cuMemcpyHtoD_v2(pointer, data, 1000), CUDA_SUCCESS);
}

TEST(Cuda, NeedsADriverSocket) {
  TestMachine machine({});
  machine.server.reset();
  Cuda cuda(machine);
  EXPECT_EQ(cuda.cuInit(0), CUDA_ERROR_NO_DEVICE);
}

TEST(Cuda, Answers802UntilReady) {
  TestMachine machine({.ready = false});
  Cuda cuda(machine);
  EXPECT_EQ(cuda.cuInit(0), CUDA_ERROR_SYSTEM_NOT_READY);
  // The library's answer is no more than politeness: the device itself refuses.
  const auto refused = machine.driver->OpenChannel();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "gpu.not-ready");
  ASSERT_TRUE(machine.driver->SetReady(true).ok());
  EXPECT_EQ(cuda.Begin(), CUDA_SUCCESS);
}

TEST(Cuda, BadPtxSaysWhere) {
  TestMachine machine({});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  char log[200] = "?";
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
  CUmodule module;
  EXPECT_EQ(cuda.cuModuleLoadDataEx(&module, "bad", 2, options, values), CUDA_ERROR_INVALID_PTX);
  EXPECT_NE(std::string(log).find("line:7"), std::string::npos) << log;
  EXPECT_NE(std::string(log).find("frobnicate.b32"), std::string::npos) << log;
  EXPECT_EQ(cuda.cuModuleLoadDataEx(&module,
                                    "\x7f"
                                    "ELF",
                                    0, nullptr, nullptr),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
  AddVectors(cuda, 10);  // nothing is spoilt
}

TEST(Cuda, IllegalAddressIsStickyUntilReset) {
  TestMachine machine({});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  CUmodule module;
  ASSERT_EQ(cuda.cuModuleLoadDataEx(&module, "poke", 0, nullptr, nullptr), CUDA_SUCCESS);
  CUfunction poke;
  ASSERT_EQ(cuda.cuModuleGetFunction(&poke, module, "poke"), CUDA_SUCCESS);
  uint64_t address = 64;
  void* params[] = {&address};
  ASSERT_EQ(cuda.cuLaunchKernel(poke, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(cuda.cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  CUdeviceptr pointer;
  EXPECT_EQ(cuda.cuMemAlloc_v2(&pointer, 16), CUDA_ERROR_ILLEGAL_ADDRESS);
  ASSERT_EQ(cuda.cuDevicePrimaryCtxReset_v2(0), CUDA_SUCCESS);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  AddVectors(cuda, 10);
}

TEST(Cuda, StreamsAreAsynchronousAndCallbacksRunInOrder) {
  TestMachine machine({});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  CUstream stream;
  ASSERT_EQ(cuda.cuStreamCreate(&stream, 0), CUDA_SUCCESS);
  CUevent start, end;
  ASSERT_EQ(cuda.cuEventCreate(&start, 0), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuEventCreate(&end, 0), CUDA_SUCCESS);
  CUdeviceptr pointer;
  ASSERT_EQ(cuda.cuMemAlloc_v2(&pointer, 8 << 20), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuEventRecord(start, stream), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemsetD32_v2(pointer, 7, 2 << 20), CUDA_SUCCESS);
  std::vector<uint32_t> back(2 << 20);
  ASSERT_EQ(cuda.cuMemcpyDtoHAsync_v2(back.data(), pointer, 8 << 20, stream), CUDA_SUCCESS);
  int order = 0;
  const auto callback = [](CUstream, CUresult status, void* data) {
    if (status == CUDA_SUCCESS) ++*static_cast<int*>(data);
  };
  ASSERT_EQ(cuda.cuStreamAddCallback(stream, callback, &order, 0), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuEventRecord(end, stream), CUDA_SUCCESS);
  EXPECT_EQ(order, 1);
  ASSERT_EQ(cuda.cuEventSynchronize(end), CUDA_SUCCESS);
  EXPECT_EQ(cuda.cuStreamQuery(stream), CUDA_SUCCESS);
  EXPECT_EQ(back.front(), 7u);
  EXPECT_EQ(back.back(), 7u);
  float milliseconds = -1;
  ASSERT_EQ(cuda.cuEventElapsedTime(&milliseconds, start, end), CUDA_SUCCESS);
  EXPECT_GT(milliseconds, 0);
}

TEST(Cuda, ManyLaunchesWithoutWaiting) {
  TestMachine machine({});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  CUmodule module;
  ASSERT_EQ(cuda.cuModuleLoadDataEx(&module, "add", 0, nullptr, nullptr), CUDA_SUCCESS);
  CUfunction add;
  ASSERT_EQ(cuda.cuModuleGetFunction(&add, module, "add"), CUDA_SUCCESS);
  CUdeviceptr one, sum;
  ASSERT_EQ(cuda.cuMemAlloc_v2(&one, 4), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemAlloc_v2(&sum, 4), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemsetD32_v2(one, 1, 1), CUDA_SUCCESS);
  uint32_t n = 1;
  void* params[] = {&one, &sum, &sum, &n};
  for (int i = 0; i < 1000; ++i)
    ASSERT_EQ(cuda.cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr), CUDA_SUCCESS);
  uint32_t result = 0;
  ASSERT_EQ(cuda.cuMemcpyDtoH_v2(&result, sum, 4), CUDA_SUCCESS);
  EXPECT_EQ(result, 1000u);
}

TEST(Cuda, ManagedMemoryIsSeenByBothSides) {
  TestMachine machine({});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  CUmodule module;
  ASSERT_EQ(cuda.cuModuleLoadDataEx(&module, "add", 0, nullptr, nullptr), CUDA_SUCCESS);
  CUfunction add;
  ASSERT_EQ(cuda.cuModuleGetFunction(&add, module, "add"), CUDA_SUCCESS);
  CUdeviceptr a, c;
  ASSERT_EQ(cuda.cuMemAllocManaged(&a, 400, 1), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuMemAllocManaged(&c, 400, 1), CUDA_SUCCESS);
  auto* host_a = reinterpret_cast<uint32_t*>(a);
  auto* host_c = reinterpret_cast<uint32_t*>(c);
  std::iota(host_a, host_a + 100, 1);
  uint32_t n = 100;
  void* params[] = {&a, &a, &c, &n};
  ASSERT_EQ(cuda.cuLaunchKernel(add, 1, 1, 1, 128, 1, 1, 0, nullptr, params, nullptr), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuCtxSynchronize(), CUDA_SUCCESS);
  EXPECT_EQ(host_c[0], 2u);
  EXPECT_EQ(host_c[99], 200u);
  EXPECT_EQ(cuda.cuMemFree_v2(a), CUDA_SUCCESS);
  EXPECT_EQ(cuda.cuMemFree_v2(c), CUDA_SUCCESS);
}

// Every function that a real suite binds (Numba's) is there, by its plain name, for dlsym and for cuGetProcAddress.
TEST(Cuda, HasEveryFunctionThatARealSuiteBinds) {
  TestMachine machine({});
  Cuda cuda(machine);
  for (const char* name : {"cuInit",
                           "cuDriverGetVersion",
                           "cuDeviceGetCount",
                           "cuDeviceGet",
                           "cuDeviceGetName",
                           "cuDeviceGetAttribute",
                           "cuDeviceComputeCapability",
                           "cuDevicePrimaryCtxGetState",
                           "cuDevicePrimaryCtxRelease",
                           "cuDevicePrimaryCtxReset",
                           "cuDevicePrimaryCtxRetain",
                           "cuDevicePrimaryCtxSetFlags",
                           "cuCtxCreate",
                           "cuCtxGetDevice",
                           "cuCtxGetCurrent",
                           "cuCtxPushCurrent",
                           "cuCtxPopCurrent",
                           "cuCtxDestroy",
                           "cuModuleLoadDataEx",
                           "cuModuleUnload",
                           "cuModuleGetFunction",
                           "cuModuleGetGlobal",
                           "cuFuncSetCacheConfig",
                           "cuMemAlloc",
                           "cuMemAllocManaged",
                           "cuMemsetD8",
                           "cuMemsetD8Async",
                           "cuMemcpyHtoD",
                           "cuMemcpyHtoDAsync",
                           "cuMemcpyDtoD",
                           "cuMemcpyDtoDAsync",
                           "cuMemcpyDtoH",
                           "cuMemcpyDtoHAsync",
                           "cuMemFree",
                           "cuStreamCreate",
                           "cuStreamDestroy",
                           "cuStreamSynchronize",
                           "cuStreamAddCallback",
                           "cuLaunchKernel",
                           "cuLaunchCooperativeKernel",
                           "cuMemHostAlloc",
                           "cuMemFreeHost",
                           "cuMemHostRegister",
                           "cuMemHostUnregister",
                           "cuMemHostGetDevicePointer",
                           "cuMemGetInfo",
                           "cuEventCreate",
                           "cuEventDestroy",
                           "cuEventElapsedTime",
                           "cuEventQuery",
                           "cuEventRecord",
                           "cuEventSynchronize",
                           "cuStreamWaitEvent",
                           "cuPointerGetAttribute",
                           "cuMemGetAddressRange",
                           "cuMemHostGetFlags",
                           "cuCtxSynchronize",
                           "cuLinkCreate",
                           "cuLinkAddData",
                           "cuLinkAddFile",
                           "cuLinkComplete",
                           "cuLinkDestroy",
                           "cuProfilerStart",
                           "cuProfilerStop",
                           "cuFuncGetAttribute",
                           "cuOccupancyMaxActiveBlocksPerMultiprocessor",
                           "cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags",
                           "cuOccupancyMaxPotentialBlockSize",
                           "cuOccupancyMaxPotentialBlockSizeWithFlags",
                           "cuIpcGetMemHandle",
                           "cuIpcOpenMemHandle",
                           "cuIpcCloseMemHandle",
                           "cuCtxEnablePeerAccess",
                           "cuDeviceCanAccessPeer",
                           "cuDeviceGetUuid"}) {
    EXPECT_NE(cuda.Get<void()>(name), nullptr);
    void* address = nullptr;
    CUdriverProcAddressQueryResult status;
    EXPECT_EQ(cuda.cuGetProcAddress_v2(name, &address, 12000, 0, &status), CUDA_SUCCESS);
    EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SUCCESS) << name;
  }
}

TEST(Cuda, LinkedModulesAndProcAddresses) {
  TestMachine machine({});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  CUlinkState state;
  ASSERT_EQ(cuda.cuLinkCreate_v2(0, nullptr, nullptr, &state), CUDA_SUCCESS);
  char first[] = "add", second[] = "poke";
  ASSERT_EQ(cuda.cuLinkAddData_v2(state, CU_JIT_INPUT_PTX, first, 3, "first", 0, nullptr, nullptr), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuLinkAddData_v2(state, CU_JIT_INPUT_PTX, second, sizeof second, "second", 0, nullptr, nullptr),
            CUDA_SUCCESS);
  void* image = nullptr;
  size_t size = 0;
  ASSERT_EQ(cuda.cuLinkComplete(state, &image, &size), CUDA_SUCCESS);
  CUmodule module;
  ASSERT_EQ(cuda.cuModuleLoadDataEx(&module, image, 0, nullptr, nullptr), CUDA_SUCCESS);
  CUfunction function;
  EXPECT_EQ(cuda.cuModuleGetFunction(&function, module, "add"), CUDA_SUCCESS);
  EXPECT_EQ(cuda.cuModuleGetFunction(&function, module, "poke"), CUDA_SUCCESS);
  EXPECT_EQ(cuda.cuModuleGetFunction(&function, module, "nothing"), CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(cuda.cuLinkDestroy(state), CUDA_SUCCESS);
  EXPECT_EQ(cuda.cuModuleUnload(module), CUDA_SUCCESS);
  EXPECT_EQ(cuda.cuModuleUnload(module), CUDA_ERROR_INVALID_HANDLE);

  void* address = nullptr;
  CUdriverProcAddressQueryResult status;
  ASSERT_EQ(cuda.cuGetProcAddress_v2("cuMemAlloc", &address, 12000, 0, &status), CUDA_SUCCESS);
  EXPECT_EQ(address, reinterpret_cast<void*>(cuda.cuMemAlloc_v2));
  EXPECT_EQ(address, reinterpret_cast<void*>(cuda.Get<decltype(::cuMemAlloc_v2)>("cuMemAlloc")));
  ASSERT_EQ(cuda.cuGetProcAddress_v2("cuTexObjectCreate", &address, 12000, 0, &status), CUDA_SUCCESS);
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
}

}  // namespace
}  // namespace ccgpu::driver
