// Copies of 64 MiB through libcuda and the link, beside AES-256-GCM alone on one core.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <cstring>

#include "gpu-emulator/guest/driver/test_machine.h"

namespace ccgpu::driver {
namespace {

constexpr size_t kBytes = 64 << 20;

void HostToDevice(benchmark::State& state, link::Mode mode) {
  TestMachine machine({.mode = mode});
  Cuda cuda(machine);
  CUdeviceptr memory = 0;
  if (cuda.Begin() != CUDA_SUCCESS || cuda.cuMemAlloc_v2(&memory, kBytes) != CUDA_SUCCESS)
    return state.SkipWithError("no GPU");
  const Bytes data(kBytes, 0x5a);
  for (auto _ : state) {
    if (cuda.cuMemcpyHtoD_v2(memory, data.data(), kBytes) != CUDA_SUCCESS) return state.SkipWithError("copy failed");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kBytes));
}

void DeviceToHost(benchmark::State& state, link::Mode mode) {
  TestMachine machine({.mode = mode});
  Cuda cuda(machine);
  CUdeviceptr memory = 0;
  if (cuda.Begin() != CUDA_SUCCESS || cuda.cuMemAlloc_v2(&memory, kBytes) != CUDA_SUCCESS)
    return state.SkipWithError("no GPU");
  Bytes data(kBytes);
  for (auto _ : state) {
    if (cuda.cuMemcpyDtoH_v2(data.data(), memory, kBytes) != CUDA_SUCCESS) return state.SkipWithError("copy failed");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kBytes));
}

// What `openssl speed -evp aes-256-gcm -bytes 262144` measures: one buffer that stays in the cache.
void CipherAlone(benchmark::State& state) {
  const Bytes key(32, 1), nonce(12, 2);
  Bytes buffer(256 * 1024, 3), out(buffer.size());
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nullptr, key.data(), nonce.data());
  for (auto _ : state) {
    int size = 0;
    EVP_EncryptUpdate(context, out.data(), &size, buffer.data(), static_cast<int>(buffer.size()));
    benchmark::DoNotOptimize(out.data());
  }
  EVP_CIPHER_CTX_free(context);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * buffer.size()));
}

// A command there and its completion back: the floor under every synchronous call.
void RoundTrip(benchmark::State& state) {
  TestMachine machine({});
  Cuda cuda(machine);
  if (cuda.Begin() != CUDA_SUCCESS) return state.SkipWithError("no GPU");
  size_t available, total;
  for (auto _ : state) cuda.cuMemGetInfo_v2(&available, &total);
}

BENCHMARK_CAPTURE(HostToDevice, hopper_cc, link::Mode::kHopperCc)->UseRealTime();
BENCHMARK_CAPTURE(HostToDevice, off, link::Mode::kOff)->UseRealTime();
BENCHMARK_CAPTURE(DeviceToHost, hopper_cc, link::Mode::kHopperCc)->UseRealTime();
BENCHMARK_CAPTURE(DeviceToHost, off, link::Mode::kOff)->UseRealTime();
BENCHMARK(CipherAlone)->UseRealTime();
BENCHMARK(RoundTrip)->UseRealTime();

}  // namespace
}  // namespace ccgpu::driver

BENCHMARK_MAIN();
