#include "trust/evidence/launch_digest.h"

#include <algorithm>

#include "base/crypto/digest.h"

namespace ccgpu::evidence {
namespace {

constexpr uint16_t kPageInfoSize = 0x70;
constexpr std::string_view kHeaderMagic = "ccgpu image file";

Bytes HeaderPageDigest(const MeasuredFile& file) {
  Writer page;
  page.Text(kHeaderMagic).U64(file.size).U64(file.name.size()).Text(file.name);
  page.bytes().resize(kLaunchPageSize);
  return crypto::Sha384(page.bytes());
}

}  // namespace

void LaunchDigest::Add(ByteView page_digest, PageType type, uint64_t guest_address) {
  Writer info;
  info.Raw(value_).Raw(page_digest).U16(kPageInfoSize).U8(static_cast<uint8_t>(type)).U8(0 /* IMI */);
  info.U8(0).U8(0).U8(0).U8(0);  // permissions of VMPL 3, 2, 1; reserved
  info.U64(guest_address);
  value_ = crypto::Sha384(info.bytes());
}

MeasuredFile MeasureFile(std::string name, ByteView content) {
  MeasuredFile file{std::move(name), content.size(), {}};
  file.page_digests.reserve((content.size() + kLaunchPageSize - 1) / kLaunchPageSize);
  for (size_t at = 0; at < content.size(); at += kLaunchPageSize) {
    ByteView part = content.subspan(at, std::min(kLaunchPageSize, content.size() - at));
    if (part.size() == kLaunchPageSize) {
      file.page_digests.push_back(crypto::Sha384(part));
    } else {
      Bytes page = ToBytes(part);
      page.resize(kLaunchPageSize);
      file.page_digests.push_back(crypto::Sha384(page));
    }
  }
  return file;
}

Bytes MeasureLaunch(const std::vector<MeasuredFile>& files) {
  LaunchDigest digest;
  uint64_t address = 0;
  for (const MeasuredFile& file : files) {
    digest.Add(HeaderPageDigest(file), LaunchDigest::PageType::kNormal, address);
    address += kLaunchPageSize;
    for (const Bytes& page : file.page_digests) {
      digest.Add(page, LaunchDigest::PageType::kNormal, address);
      address += kLaunchPageSize;
    }
  }
  return digest.value();
}

}  // namespace ccgpu::evidence
