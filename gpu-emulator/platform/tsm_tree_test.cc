#include "gpu-emulator/platform/tsm_tree.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace ccgpu::emulator {
namespace {

using Attribute = TsmTree::Attribute;

class TsmTreeTest : public ::testing::Test {
 protected:
  TsmTree tree_{[this](ByteView data, uint32_t privlevel) -> Result<TsmBlobs> {
    ++made_;
    if (refuse_) return Err("platform.bad-report-request", "test", "refused");
    Bytes report = ToBytes(data);
    report.push_back(static_cast<uint8_t>(privlevel));
    return TsmBlobs{report, Bytes(2, 9)};
  }};
  int made_ = 0;
  bool refuse_ = false;
};

TEST_F(TsmTreeTest, AReportBelongsToOneGeneration) {
  const auto id = static_cast<uint64_t>(tree_.Make("a"));
  Bytes out;
  EXPECT_EQ(tree_.Read(id, Attribute::kOutblob, out), -EINVAL);
  ASSERT_EQ(tree_.Write(id, Attribute::kInblob, Bytes(64, 1)), 0);
  ASSERT_EQ(tree_.Read(id, Attribute::kOutblob, out), 0);
  EXPECT_EQ(out[0], 1);
  ASSERT_EQ(tree_.Read(id, Attribute::kAuxblob, out), 0);
  EXPECT_EQ(made_, 1);
  ASSERT_EQ(tree_.Write(id, Attribute::kPrivlevel, AsBytes("3\n")), 0);
  ASSERT_EQ(tree_.Read(id, Attribute::kAuxblob, out), 0);
  EXPECT_EQ(made_, 2);
  ASSERT_EQ(tree_.Read(id, Attribute::kOutblob, out), 0);
  EXPECT_EQ(out.back(), 3);
  EXPECT_EQ(made_, 2);
  ASSERT_EQ(tree_.Read(id, Attribute::kGeneration, out), 0);
  EXPECT_EQ(ToText(out), "2\n");
}

TEST_F(TsmTreeTest, InstancesDoNotMix) {
  const auto a = static_cast<uint64_t>(tree_.Make("a")), b = static_cast<uint64_t>(tree_.Make("b"));
  ASSERT_EQ(tree_.Write(a, Attribute::kInblob, Bytes(64, 1)), 0);
  ASSERT_EQ(tree_.Write(b, Attribute::kInblob, Bytes(64, 2)), 0);
  Bytes out;
  ASSERT_EQ(tree_.Read(a, Attribute::kOutblob, out), 0);
  EXPECT_EQ(out[0], 1);
  ASSERT_EQ(tree_.Remove("a"), 0);
  EXPECT_EQ(tree_.Read(a, Attribute::kOutblob, out), -ENOENT);
  EXPECT_NE(tree_.Make("a"), static_cast<int64_t>(a));  // never the old one again
}

TEST_F(TsmTreeTest, BadValuesChangeNothing) {
  const auto id = static_cast<uint64_t>(tree_.Make("a"));
  for (const char* bad : {"", "x", "4", "-1", "1 ", "01x", "99999999999"}) {
    EXPECT_EQ(tree_.Write(id, Attribute::kPrivlevel, AsBytes(bad)), -EINVAL) << bad;
  }
  EXPECT_EQ(tree_.Write(id, Attribute::kInblob, Bytes(65)), -EFBIG);
  EXPECT_EQ(tree_.Write(id, Attribute::kOutblob, Bytes(1)), -EACCES);
  Bytes out;
  ASSERT_EQ(tree_.Read(id, Attribute::kGeneration, out), 0);
  EXPECT_EQ(ToText(out), "0\n");
  EXPECT_EQ(tree_.Read(id, Attribute::kInblob, out), -EACCES);
}

TEST_F(TsmTreeTest, ARefusedReportIsAnErrorNotAnOldReport) {
  const auto id = static_cast<uint64_t>(tree_.Make("a"));
  Bytes out;
  ASSERT_EQ(tree_.Write(id, Attribute::kInblob, Bytes(64, 1)), 0);
  ASSERT_EQ(tree_.Read(id, Attribute::kOutblob, out), 0);
  refuse_ = true;
  ASSERT_EQ(tree_.Read(id, Attribute::kOutblob, out), 0);  // the same generation is still good
  ASSERT_EQ(tree_.Write(id, Attribute::kInblob, Bytes(64, 2)), 0);
  EXPECT_EQ(tree_.Read(id, Attribute::kOutblob, out), -EIO);
}

TEST_F(TsmTreeTest, NamesAndNumbersAreBounded) {
  EXPECT_EQ(tree_.Make(""), -EINVAL);
  EXPECT_EQ(tree_.Make(".."), -EINVAL);
  EXPECT_EQ(tree_.Make(std::string(256, 'x')), -EINVAL);
  for (size_t i = 0; i < TsmTree::kMaxInstances; ++i) ASSERT_GT(tree_.Make(std::to_string(i)), 0);
  EXPECT_EQ(tree_.Make("one more"), -ENOSPC);
  EXPECT_EQ(tree_.Make("0"), -EEXIST);
}

}  // namespace
}  // namespace ccgpu::emulator
