// libnvidia-ml as an attestation tool uses it.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "gpu-emulator/guest/driver/test_machine.h"

namespace ccgpu::driver {
namespace {

using link::Mode;

static_assert(sizeof(nvmlSystemConfComputeSettings_t) == 0x14);
static_assert(sizeof(nvmlConfComputeGpuCertificate_t) == 8 + 0x1000 + 0x1400);
static_assert(sizeof(nvmlConfComputeGpuAttestationReport_t) == 12 + 0x20 + 0x2000 + 0x1000);

TEST(Nvml, CollectsEvidenceAndSetsReady) {
  TestMachine machine({.ready = false});
  Nvml nvml(machine.socket_path(true));
  unsigned count = 0;
  EXPECT_EQ(nvml.nvmlDeviceGetCount(&count), NVML_ERROR_UNINITIALIZED);
  ASSERT_EQ(nvml.nvmlInit_v2(), NVML_SUCCESS);
  ASSERT_EQ(nvml.nvmlDeviceGetCount(&count), NVML_SUCCESS);
  ASSERT_EQ(count, 1u);
  nvmlDevice_t device;
  ASSERT_EQ(nvml.nvmlDeviceGetHandleByIndex(0, &device), NVML_SUCCESS);
  EXPECT_EQ(nvml.nvmlDeviceGetHandleByIndex(1, &device), NVML_ERROR_INVALID_ARGUMENT);

  char text[96];
  ASSERT_EQ(nvml.nvmlDeviceGetUUID(device, text, sizeof text), NVML_SUCCESS);
  EXPECT_STREQ(text, machine.gpu->config().uuid.c_str());
  EXPECT_EQ(nvml.nvmlDeviceGetUUID(device, text, 10), NVML_ERROR_INSUFFICIENT_SIZE);
  ASSERT_EQ(nvml.nvmlDeviceGetVbiosVersion(device, text, sizeof text), NVML_SUCCESS);
  EXPECT_STREQ(text, "96.00.9F.00.01");
  ASSERT_EQ(nvml.nvmlSystemGetDriverVersion(text, sizeof text), NVML_SUCCESS);
  EXPECT_STREQ(text, "550.90.07");
  unsigned architecture = 0;
  ASSERT_EQ(nvml.nvmlDeviceGetArchitecture(device, &architecture), NVML_SUCCESS);
  EXPECT_EQ(architecture, 9u);

  nvmlConfComputeSystemState_t state;
  ASSERT_EQ(nvml.nvmlSystemGetConfComputeState(&state), NVML_SUCCESS);
  EXPECT_EQ(state.environment, 1u);  // never "production"
  EXPECT_EQ(state.ccFeature, 1u);
  EXPECT_EQ(state.devToolsMode, 0u);
  nvmlSystemConfComputeSettings_t settings{};
  EXPECT_EQ(nvml.nvmlSystemGetConfComputeSettings(&settings), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
  settings.version = nvmlSystemConfComputeSettings_v1;
  EXPECT_EQ(nvml.nvmlSystemGetConfComputeSettings(&settings), NVML_SUCCESS);

  auto certificate = std::make_unique<nvmlConfComputeGpuCertificate_t>();
  ASSERT_EQ(nvml.nvmlDeviceGetConfComputeGpuCertificate(device, certificate.get()), NVML_SUCCESS);
  const std::string pem(reinterpret_cast<char*>(certificate->attestationCertChain),
                        certificate->attestationCertChainSize);
  const auto chain = crypto::Certificate::ListFromPem(pem);
  ASSERT_TRUE(chain.ok());
  EXPECT_EQ(chain->front().Der(), machine.identity.leaf.Der());

  auto report = std::make_unique<nvmlConfComputeGpuAttestationReport_t>();
  std::memset(report->nonce, 0x42, sizeof report->nonce);
  ASSERT_EQ(nvml.nvmlDeviceGetConfComputeGpuAttestationReport(device, report.get()), NVML_SUCCESS);
  const ByteView bytes(report->attestationReport, report->attestationReportSize);
  EXPECT_TRUE(
      machine.identity.leaf.key().VerifyRaw(crypto::Hash::kSha384, bytes.first(bytes.size() - 96), bytes.last(96)));

  unsigned ready = 9;
  ASSERT_EQ(nvml.nvmlSystemGetConfComputeGpusReadyState(&ready), NVML_SUCCESS);
  EXPECT_EQ(ready, 0u);
  Nvml container(machine.socket_path(false));
  ASSERT_EQ(container.nvmlInit_v2(), NVML_SUCCESS);
  EXPECT_EQ(container.nvmlSystemSetConfComputeGpusReadyState(1), NVML_ERROR_NO_PERMISSION);
  ASSERT_EQ(nvml.nvmlSystemSetConfComputeGpusReadyState(1), NVML_SUCCESS);
  ASSERT_EQ(container.nvmlSystemGetConfComputeGpusReadyState(&ready), NVML_SUCCESS);
  EXPECT_EQ(ready, 1u);
  EXPECT_EQ(nvml.nvmlSystemSetConfComputeGpusReadyState(0), NVML_SUCCESS);
  EXPECT_EQ(nvml.nvmlSystemSetConfComputeGpusReadyState(1),
            NVML_ERROR_INVALID_ARGUMENT);  // latched, as on the real part
  EXPECT_EQ(nvml.nvmlShutdown(), NVML_SUCCESS);
  EXPECT_EQ(nvml.nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
}

TEST(Nvml, OffHasNoEvidenceAndDevtoolsSaysSo) {
  {
    TestMachine machine({.mode = Mode::kOff});
    Nvml nvml(machine.socket_path(true));
    ASSERT_EQ(nvml.nvmlInit_v2(), NVML_SUCCESS);
    nvmlConfComputeSystemState_t state;
    ASSERT_EQ(nvml.nvmlSystemGetConfComputeState(&state), NVML_SUCCESS);
    EXPECT_EQ(state.ccFeature, 0u);
    nvmlDevice_t device;
    ASSERT_EQ(nvml.nvmlDeviceGetHandleByIndex(0, &device), NVML_SUCCESS);
    auto report = std::make_unique<nvmlConfComputeGpuAttestationReport_t>();
    EXPECT_EQ(nvml.nvmlDeviceGetConfComputeGpuAttestationReport(device, report.get()), NVML_ERROR_NOT_SUPPORTED);
    EXPECT_EQ(nvml.nvmlSystemSetConfComputeGpusReadyState(1), NVML_ERROR_NOT_SUPPORTED);
  }
  TestMachine machine({.mode = Mode::kDevtools});
  Nvml nvml(machine.socket_path(true));
  ASSERT_EQ(nvml.nvmlInit_v2(), NVML_SUCCESS);
  nvmlConfComputeSystemState_t state;
  ASSERT_EQ(nvml.nvmlSystemGetConfComputeState(&state), NVML_SUCCESS);
  EXPECT_EQ(state.ccFeature, 1u);
  EXPECT_EQ(state.devToolsMode, 1u);
}

TEST(Nvml, ALostGpuIsLost) {
  TestMachine machine({});
  Nvml nvml(machine.socket_path());
  ASSERT_EQ(nvml.nvmlInit_v2(), NVML_SUCCESS);
  nvmlDevice_t device;
  ASSERT_EQ(nvml.nvmlDeviceGetHandleByIndex(0, &device), NVML_SUCCESS);
  machine.gpu->SetLinkDown(true);
  char text[96];
  EXPECT_TRUE(Eventually([&] { return nvml.nvmlDeviceGetUUID(device, text, sizeof text) == NVML_ERROR_GPU_IS_LOST; }));
}

// The symbols that NVIDIA's attestation SDK resolves at start; one missing stops it.
TEST(Nvml, HasEverySymbolThatTheSdkResolves) {
  TestMachine machine({});
  Nvml nvml(machine.socket_path());
  for (const char* name : {"nvmlInit_v2",
                           "nvmlShutdown",
                           "nvmlErrorString",
                           "nvmlSystemGetConfComputeState",
                           "nvmlSystemGetConfComputeSettings",
                           "nvmlSystemSetConfComputeGpusReadyState",
                           "nvmlSystemGetConfComputeGpusReadyState",
                           "nvmlSystemGetDriverVersion",
                           "nvmlDeviceGetCount",
                           "nvmlDeviceGetHandleByIndex",
                           "nvmlDeviceGetConfComputeGpuCertificate",
                           "nvmlDeviceGetConfComputeGpuAttestationReport",
                           "nvmlDeviceGetVbiosVersion",
                           "nvmlDeviceGetUUID",
                           "nvmlDeviceGetArchitecture",
                           "nvmlDeviceGetBoardId",
                           "nvmlSystemGetConfComputeCapabilities",
                           "nvmlDeviceGetConfComputeMemSizeInfo",
                           "nvmlDeviceGetConfComputeProtectedMemoryUsage",
                           "nvmlDeviceSetConfComputeUnprotectedMemSize",
                           "nvmlSystemGetConfComputeKeyRotationThresholdInfo",
                           "nvmlSystemSetConfComputeKeyRotationThresholdInfo"}) {
    EXPECT_NE(nvml.Get<void()>(name), nullptr);
  }
}

}  // namespace
}  // namespace ccgpu::driver
