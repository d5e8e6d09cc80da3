// The launch digest of a process sandbox: what MEASUREMENT in its SNP report says, and how a relying party computes the
// expected value from the published guest image (docs/formats/launch-digest.md).
//
// It is AMD's construction (SEV-SNP firmware ABI 8.17, PAGE_INFO of 0x70 bytes) over pages that we choose: for each
// image file in order, one header page that names it, then its content in pages of 4 KiB.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"

namespace ccgpu::evidence {

inline constexpr size_t kLaunchPageSize = 4096;

// AMD's chain of pages. LD = SHA-384(LD || page digest || PAGE_INFO); starts as 48 zero bytes.
class LaunchDigest {
 public:
  enum class PageType : uint8_t { kNormal = 1, kVmsa = 2, kZero = 3, kUnmeasured = 4, kSecrets = 5, kCpuid = 6 };
  // `page_digest`: SHA-384 of the page (48 zero bytes for the types that have no content).
  void Add(ByteView page_digest, PageType type, uint64_t guest_address);
  const Bytes& value() const { return value_; }  // 48 bytes

 private:
  Bytes value_ = Bytes(48);
};

// One image file, digested page by page, so that it can be measured again without being read again.
struct MeasuredFile {
  std::string name;  // "guestd"
  uint64_t size = 0;
  std::vector<Bytes> page_digests;  // the last page is filled up with zeros
};
MeasuredFile MeasureFile(std::string name, ByteView content);

// MEASUREMENT of a sandbox that is launched from these files, in this order.
Bytes MeasureLaunch(const std::vector<MeasuredFile>& files);

}  // namespace ccgpu::evidence
