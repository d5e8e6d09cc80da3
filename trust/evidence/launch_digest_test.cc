#include "trust/evidence/launch_digest.h"

#include <gtest/gtest.h>

#include "base/crypto/digest.h"
#include "base/encoding.h"

namespace ccgpu::evidence {
namespace {

TEST(LaunchDigest, StartsAsZerosAndChainsPages) {
  LaunchDigest digest;
  EXPECT_EQ(digest.value(), Bytes(48));
  // By hand: LD || SHA-384(page) || 70 00 | 01 | 00 | 00 00 00 | 00 | gpa.
  Bytes page(kLaunchPageSize, 0x5a);
  Bytes input(48);
  Append(input, crypto::Sha384(page));
  Append(input, HexDecode("7000010000000000").value());
  Append(input, HexDecode("0020000000000000").value());
  ASSERT_EQ(input.size(), 0x70u);
  digest.Add(crypto::Sha384(page), LaunchDigest::PageType::kNormal, 0x2000);
  EXPECT_EQ(digest.value(), crypto::Sha384(input));
}

TEST(LaunchDigest, CommitsToContentNameSizeAndOrder) {
  Bytes a(5000, 1), b(4096, 2);
  const Bytes base = MeasureLaunch({MeasureFile("guestd", a), MeasureFile("agent", b)});
  EXPECT_EQ(base, MeasureLaunch({MeasureFile("guestd", a), MeasureFile("agent", b)}));
  EXPECT_NE(base, MeasureLaunch({MeasureFile("agent", b), MeasureFile("guestd", a)}));
  EXPECT_NE(base, MeasureLaunch({MeasureFile("guestd", b), MeasureFile("agent", a)}));
  EXPECT_NE(base, MeasureLaunch({MeasureFile("guestd", a)}));
  Bytes changed = a;
  changed[4999] ^= 1;
  EXPECT_NE(base, MeasureLaunch({MeasureFile("guestd", changed), MeasureFile("agent", b)}));
  Bytes longer = a;
  longer.push_back(0);  // the same pages after padding, another size
  EXPECT_NE(base, MeasureLaunch({MeasureFile("guestd", longer), MeasureFile("agent", b)}));
  EXPECT_EQ(MeasureFile("x", {}).page_digests.size(), 0u);
}

}  // namespace
}  // namespace ccgpu::evidence
