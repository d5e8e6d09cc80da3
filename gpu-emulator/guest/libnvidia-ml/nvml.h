/* The part of NVML that this library has: names, layouts and numbers as attestation tools know them. */
#ifndef CCGPU_NVML_H_
#define CCGPU_NVML_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nvmlDevice_st* nvmlDevice_t;

typedef enum nvmlReturn_enum {
  NVML_SUCCESS = 0,
  NVML_ERROR_UNINITIALIZED = 1,
  NVML_ERROR_INVALID_ARGUMENT = 2,
  NVML_ERROR_NOT_SUPPORTED = 3,
  NVML_ERROR_NO_PERMISSION = 4,
  NVML_ERROR_ALREADY_INITIALIZED = 5,
  NVML_ERROR_NOT_FOUND = 6,
  NVML_ERROR_INSUFFICIENT_SIZE = 7,
  NVML_ERROR_DRIVER_NOT_LOADED = 9,
  NVML_ERROR_TIMEOUT = 10,
  NVML_ERROR_LIBRARY_NOT_FOUND = 12,
  NVML_ERROR_FUNCTION_NOT_FOUND = 13,
  NVML_ERROR_GPU_IS_LOST = 15,
  NVML_ERROR_RESET_REQUIRED = 16,
  NVML_ERROR_OPERATING_SYSTEM = 17,
  NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18,
  NVML_ERROR_IN_USE = 19,
  NVML_ERROR_MEMORY = 20,
  NVML_ERROR_NO_DATA = 21,
  NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25,
  NVML_ERROR_NOT_READY = 27,
  NVML_ERROR_GPU_NOT_FOUND = 28,
  NVML_ERROR_INVALID_STATE = 29,
  NVML_ERROR_UNKNOWN = 999
} nvmlReturn_t;

#define NVML_DEVICE_ARCH_AMPERE 7
#define NVML_DEVICE_ARCH_ADA 8
#define NVML_DEVICE_ARCH_HOPPER 9
#define NVML_DEVICE_ARCH_BLACKWELL 10
#define NVML_DEVICE_ARCH_UNKNOWN 0xffffffff

#define NVML_CC_SYSTEM_ENVIRONMENT_UNAVAILABLE 0
#define NVML_CC_SYSTEM_ENVIRONMENT_SIM 1
#define NVML_CC_SYSTEM_ENVIRONMENT_PROD 2
#define NVML_CC_SYSTEM_CPU_CAPS_NONE 0
#define NVML_CC_SYSTEM_CPU_CAPS_AMD_SEV_SNP 3
#define NVML_GPU_CERT_CHAIN_SIZE 0x1000
#define NVML_GPU_ATTESTATION_CERT_CHAIN_SIZE 0x1400
#define NVML_CC_GPU_CEC_NONCE_SIZE 0x20
#define NVML_CC_GPU_ATTESTATION_REPORT_SIZE 0x2000
#define NVML_CC_GPU_CEC_ATTESTATION_REPORT_SIZE 0x1000

typedef struct nvmlConfComputeSystemState_st {
  unsigned environment, ccFeature, devToolsMode;
} nvmlConfComputeSystemState_t;
typedef struct nvmlSystemConfComputeSettings_st {
  unsigned version, environment, ccFeature, devToolsMode, multiGpuMode;
} nvmlSystemConfComputeSettings_t;
#define nvmlSystemConfComputeSettings_v1 0x1000014
typedef struct nvmlConfComputeSystemCaps_st {
  unsigned cpuCaps, gpusCaps;
} nvmlConfComputeSystemCaps_t;
typedef struct nvmlConfComputeGpuCertificate_st {
  unsigned certChainSize, attestationCertChainSize;
  unsigned char certChain[NVML_GPU_CERT_CHAIN_SIZE];
  unsigned char attestationCertChain[NVML_GPU_ATTESTATION_CERT_CHAIN_SIZE];
} nvmlConfComputeGpuCertificate_t;
typedef struct nvmlConfComputeGpuAttestationReport_st {
  unsigned isCecAttestationReportPresent, attestationReportSize, cecAttestationReportSize;
  unsigned char nonce[NVML_CC_GPU_CEC_NONCE_SIZE];
  unsigned char attestationReport[NVML_CC_GPU_ATTESTATION_REPORT_SIZE];
  unsigned char cecAttestationReport[NVML_CC_GPU_CEC_ATTESTATION_REPORT_SIZE];
} nvmlConfComputeGpuAttestationReport_t;
typedef struct nvmlConfComputeMemSizeInfo_st {
  unsigned long long protectedMemSizeKib, unprotectedMemSizeKib;
} nvmlConfComputeMemSizeInfo_t;
typedef struct nvmlMemory_st {
  unsigned long long total, free, used;
} nvmlMemory_t;
typedef struct nvmlMemory_v2_st {
  unsigned version;
  unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;
typedef struct nvmlConfComputeSetKeyRotationThresholdInfo_st {
  unsigned version;
  unsigned long long maxAttackerAdvantage;
} nvmlConfComputeSetKeyRotationThresholdInfo_t;
typedef struct nvmlConfComputeGetKeyRotationThresholdInfo_st {
  unsigned version;
  unsigned long long attackerAdvantage;
} nvmlConfComputeGetKeyRotationThresholdInfo_t;

#define CCGPU_NVML __attribute__((visibility("default")))
CCGPU_NVML nvmlReturn_t nvmlInit(void);
CCGPU_NVML nvmlReturn_t nvmlInit_v2(void);
CCGPU_NVML nvmlReturn_t nvmlInitWithFlags(unsigned flags);
CCGPU_NVML nvmlReturn_t nvmlShutdown(void);
CCGPU_NVML const char* nvmlErrorString(nvmlReturn_t result);

CCGPU_NVML nvmlReturn_t nvmlSystemGetDriverVersion(char* version, unsigned length);
CCGPU_NVML nvmlReturn_t nvmlSystemGetNVMLVersion(char* version, unsigned length);
CCGPU_NVML nvmlReturn_t nvmlSystemGetCudaDriverVersion(int* version);
CCGPU_NVML nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int* version);
CCGPU_NVML nvmlReturn_t nvmlSystemGetConfComputeState(nvmlConfComputeSystemState_t* state);
CCGPU_NVML nvmlReturn_t nvmlSystemGetConfComputeSettings(nvmlSystemConfComputeSettings_t* settings);
CCGPU_NVML nvmlReturn_t nvmlSystemGetConfComputeCapabilities(nvmlConfComputeSystemCaps_t* capabilities);
CCGPU_NVML nvmlReturn_t nvmlSystemGetConfComputeGpusReadyState(unsigned* ready);
CCGPU_NVML nvmlReturn_t nvmlSystemSetConfComputeGpusReadyState(unsigned ready);
CCGPU_NVML nvmlReturn_t
nvmlSystemGetConfComputeKeyRotationThresholdInfo(nvmlConfComputeGetKeyRotationThresholdInfo_t* info);
CCGPU_NVML nvmlReturn_t
nvmlSystemSetConfComputeKeyRotationThresholdInfo(nvmlConfComputeSetKeyRotationThresholdInfo_t* info);

CCGPU_NVML nvmlReturn_t nvmlDeviceGetCount(unsigned* count);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetCount_v2(unsigned* count);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned index, nvmlDevice_t* device);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t* device);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetHandleByUUID(const char* uuid, nvmlDevice_t* device);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned* index);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned* minor);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char* name, unsigned length);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char* uuid, unsigned length);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char* serial, unsigned length);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t device, char* version, unsigned length);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetBoardId(nvmlDevice_t device, unsigned* board);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t device, unsigned* architecture);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int* major, int* minor);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t* memory);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetConfComputeGpuCertificate(nvmlDevice_t device,
                                                               nvmlConfComputeGpuCertificate_t* certificate);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetConfComputeGpuAttestationReport(nvmlDevice_t device,
                                                                     nvmlConfComputeGpuAttestationReport_t* report);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetConfComputeMemSizeInfo(nvmlDevice_t device, nvmlConfComputeMemSizeInfo_t* info);
CCGPU_NVML nvmlReturn_t nvmlDeviceGetConfComputeProtectedMemoryUsage(nvmlDevice_t device, nvmlMemory_t* memory);
CCGPU_NVML nvmlReturn_t nvmlDeviceSetConfComputeUnprotectedMemSize(nvmlDevice_t device, unsigned long long kib);
#undef CCGPU_NVML

#ifdef __cplusplus
}
#endif
#endif
