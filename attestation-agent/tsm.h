// CPU evidence through Linux's configfs-tsm report interface (Documentation/ABI/testing/configfs-tsm-report).
#pragma once

#include <string>

#include "trust/evidence/cpu_evidence.h"

namespace ccgpu::agent {

// Asks the TEE for a report over exactly these 64 bytes. `folder` is /sys/kernel/config/tsm/report; makes an entry of
// its own there and removes it again. The kind of evidence is that of the kernel's provider. Errors: tsm.missing,
// tsm.failed, tsm.raced (another writer used the entry in between), tsm.provider when the TEE is none that is known.
Result<evidence::CpuEvidence> CollectCpu(const std::string& folder, ByteView report_data);
// What the files "outblob" and "auxblob" of an entry say when its file "provider" has this name. The platform wrote
// them and may be hostile. Errors: tsm.provider, or why a blob is not the provider's form.
Result<evidence::CpuEvidence> EvidenceOfBlobs(const std::string& provider, Bytes outblob, const std::string& auxblob);
// The KBS protocol's word for this TEE ("snp"), before there is evidence. Errors: as above.
Result<std::string> TeeOfProvider(const std::string& folder);

}  // namespace ccgpu::agent
