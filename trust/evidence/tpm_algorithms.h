// The TCG's numbers for hash algorithms (TPM 2.0 Library, part 2, 6.3), and digests under them.
//
// SHA-1 is here because real logs and quotes carry SHA-1 banks that must be read to be judged; whether one is believed
// is trust/verify's decision (it is not, by default). base/crypto has no SHA-1, so that nothing else can use it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace ccgpu::evidence {

namespace tpm_alg {
inline constexpr uint16_t kSha1 = 0x0004, kSha256 = 0x000b, kSha384 = 0x000c, kSha512 = 0x000d;
}

// Size of a digest; nothing for algorithms that this code does not compute (SM3, SHA-3).
std::optional<size_t> TpmHashSize(uint16_t algorithm);
// "sha256"; "0x0012" for an algorithm that this code does not know.
std::string TpmHashName(uint16_t algorithm);
// The number of a name; nothing when the name is unknown.
std::optional<uint16_t> TpmHashOfName(std::string_view name);
// Precondition: TpmHashSize(algorithm). Anything else ends the program.
Bytes TpmDigest(uint16_t algorithm, ByteView data);
// What a register holds after it was extended: H(old || digest).
Bytes TpmExtend(uint16_t algorithm, ByteView old, ByteView digest);

}  // namespace ccgpu::evidence
