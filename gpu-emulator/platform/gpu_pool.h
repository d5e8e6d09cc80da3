// What the secure processor needs of the machine's GPUs.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"
#include "gpu-emulator/identity/collateral_item.h"

namespace ccgpu::emulator {

struct LockedGpu {
  uint32_t index = 0;
  std::string uuid;
  Bytes lock_nonce;          // 32 bytes
  Bytes device_cert_sha384;  // 48 bytes, of the leaf's DER at LOCK time
  uint64_t lock_count = 0;
  Fd link;  // the link memory, for the guest
};

// Any thread.
class GpuPool {
 public:
  virtual ~GpuPool() = default;
  // LOCKs all of them to the sandbox, or none.
  virtual Result<std::vector<LockedGpu>> Lock(const std::string& sandbox_id, const std::vector<std::string>& uuids) = 0;
  // Scrubs and frees whatever the sandbox holds. Idempotent.
  virtual void Release(const std::string& sandbox_id) = 0;
  // RIMs and revocation answers for these GPUs, signed, fresh.
  virtual std::vector<CollateralItem> Collateral(const std::vector<std::string>& uuids) = 0;
};

}  // namespace ccgpu::emulator
