// CPU evidence through Linux's configfs-tsm report interface (Documentation/ABI/testing/configfs-tsm-report).
#pragma once

#include <string>

#include "trust/evidence/snp_certs.h"

namespace ccgpu::agent {

// Asks the TEE for a report over exactly these 64 bytes. `folder` is /sys/kernel/config/tsm/report; makes an entry of
// its own there and removes it again. Errors: tsm.missing, tsm.failed, tsm.raced (another writer used the entry in
// between), tsm.provider when the TEE is not SNP.
Result<evidence::SnpEvidence> CollectSnp(const std::string& folder, ByteView report_data);

}  // namespace ccgpu::agent
