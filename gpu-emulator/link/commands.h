// Commands that a client sends through a channel, and their completions (docs/formats/link.md). A channel works in
// order: every command gets exactly one completion, in the order of the commands.
//
// Command record:    u16 op, u16 zero, u32 sequence, arguments. kCopyIn is followed by its kData records, kModuleLoad
// by kCode records,
//                    each full but the last.
// Completion record: u32 sequence, u64 device time in ns, then an answer as in rpc.h. A good kCopyOut is followed by
// its kData records.
#pragma once

#include <cstdint>

namespace ccgpu::link {

enum class Command : uint16_t {
  kSync = 1,          // ->
  kMemAlloc = 2,      // u64 size -> u64 address
  kMemFree = 3,       // u64 address
  kMemset = 4,        // u64 address, u64 count, u32 value, u8 width (1, 2, 4)
  kCopyIn = 5,        // u64 address, u64 size; data follows
  kCopyOut = 6,       // u64 address, u64 size -> data follows
  kCopyDevice = 7,    // u64 to, u64 from, u64 size
  kModuleLoad = 8,    // u32 texts, per text u64 size; code follows -> u32 module
  kModuleUnload = 9,  // u32 module
  kFunction = 10,     // u32 module, text name -> u32 params_size, static_shared, local_bytes, max_threads, count, per
                      // param u32 offset, size
  kGlobal = 11,       // u32 module, text name -> u64 address, u64 size
  kLaunch = 12,       // u32 module, text kernel, 6 x u32 grid and block, u32 dynamic shared, u32 size, params
  kMemInfo = 13,      // -> u64 free, u64 total
  kFreeAll = 14,      // every allocation and module of this channel
};

inline constexpr uint32_t kMaxTexts = 64;
inline constexpr uint64_t kMaxCode = 64ull << 20;
inline constexpr uint32_t kMaxParams = 4096;  // CUDA's limit on kernel parameters

}  // namespace ccgpu::link
