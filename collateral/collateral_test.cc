// Documents, folders and bundles: what goes in comes out, and what was changed on the way is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "base/testing/temp_dir.h"
#include "collateral/bundle.h"
#include "collateral/describe.h"
#include "collateral/folder.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::collateral {
namespace {

using crypto::KeyType;
using crypto::PrivateKey;
using ::testing::HasSubstr;

Documents Two() { return {{Kind::kRim, "NV_GPU_DRIVER_GH100_1.2", "<xml/>"}, {Kind::kCrl, "list", "der"}}; }

class Folders : public ::testing::Test {
 protected:
  const TempDir dir_;
};

TEST_F(Folders, OutAndIn) {
  ASSERT_TRUE(WriteFolder(dir_.path(), Two()).ok());
  auto read = ReadFolder(dir_.path());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->documents, Two());
  EXPECT_TRUE(read->strays.empty());
  EXPECT_TRUE(ReadFolder(dir_ / "none")->documents.empty());
  EXPECT_EQ(ReadFolder(dir_ / "none", true).error().code, "file.not-found");
  EXPECT_EQ(WriteFolder(dir_.path(), {{Kind::kRim, "../x", "y"}}).error().code, "collateral.bad-name");
}

TEST_F(Folders, NvidiasStoreAndMirror) {
  const std::string xml = "<SoftwareIdentity/>";
  const auto answer = [&](const std::string& id, const std::string& digest) {
    return Json{{"id", id}, {"rim", Base64Encode(AsBytes(xml))}, {"sha256", digest}, {"rim_format", "SWID"}}.dump();
  };
  const std::string digest = HexEncode(crypto::Sha256(AsBytes(xml)));
  ASSERT_TRUE(WriteFileAtomic(dir_ / "NV_A.xml", xml).ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ / "NV_B.json", answer("NV_B", digest)).ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ / "notes.txt", "x").ok());
  auto read = ReadFolder(dir_.path());
  ASSERT_TRUE(read.ok()) << read.error().ToString();
  EXPECT_EQ(read->documents, (Documents{{Kind::kRim, "NV_A", xml}, {Kind::kRim, "NV_B", xml}}));
  EXPECT_THAT(read->strays, ::testing::ElementsAre("notes.txt"));
  ASSERT_TRUE(WriteFileAtomic(dir_ / "NV_C.json", answer("NV_X", digest)).ok());
  EXPECT_EQ(ReadFolder(dir_.path()).error().code, "collateral.rim-unavailable");
  ASSERT_TRUE(WriteFileAtomic(dir_ / "NV_C.json", answer("NV_C", std::string(64, '0'))).ok());
  EXPECT_THAT(ReadFolder(dir_.path()).error().text, HasSubstr("sha256"));
}

TEST_F(Folders, AMirrorIsReadBack) {
  ASSERT_TRUE(WriteMirror(dir_.path(), Two(), ParseTime("2026-06-01").value()).ok());
  EXPECT_TRUE(Exists(dir_ / "NV_GPU_DRIVER_GH100_1.2.json"));
  auto read = ReadFolder(dir_.path());
  ASSERT_TRUE(read.ok()) << read.error().ToString();
  EXPECT_EQ(read->documents, (Documents{Two()[0]}));
}

TEST(Names, WhatCannotBeAFile) {
  for (const char* bad : {"", ".x", "a/b", "a..b", "a b", "\xc3\xa4"}) EXPECT_FALSE(IsName(bad)) << bad;
  EXPECT_TRUE(IsName("NV_GPU_DRIVER_GH100_550.90.07"));
}

class Bundles : public ::testing::Test {
 protected:
  const PrivateKey key_ = PrivateKey::Generate(KeyType::kP384);
  const std::string text_ = WriteBundle({ParseTime("2026-06-01T00:00:00Z").value(), "for site 7", Two()}, key_).value();
  std::string CodeOf(const std::string& text) {
    auto read = ReadBundle(text, key_.public_key());
    return read.ok() ? "" : read.error().code;
  }
  // The bundle with something changed, its manifest signed again where `resign`.
  std::string Edited(const std::function<void(Json& bundle, Json& manifest)>& edit, bool resign) {
    Json bundle = Json::parse(text_);
    Json manifest = Json::parse(bundle["manifest"].get<std::string>());
    edit(bundle, manifest);
    bundle["manifest"] = manifest.dump();
    if (resign) {
      const Bytes data = Concat({AsBytes(kBundleContext), AsBytes(bundle["manifest"].get<std::string>())});
      bundle["signature"] = Base64Encode(key_.SignRaw(crypto::Hash::kSha384, data));
    }
    return bundle.dump();
  }
};

TEST_F(Bundles, OutAndIn) {
  auto read = ReadBundle(text_, key_.public_key());
  ASSERT_TRUE(read.ok()) << read.error().ToString();
  EXPECT_EQ(read->documents, Two());
  EXPECT_EQ(read->note, "for site 7");
  EXPECT_TRUE(LooksLikeBundle(text_));
  EXPECT_FALSE(LooksLikeBundle("{}"));
}

TEST_F(Bundles, AnotherKeyOrKind) {
  EXPECT_EQ(ReadBundle(text_, PrivateKey::Generate(KeyType::kP384).public_key()).error().code,
            "collateral.bundle-signature");
  EXPECT_EQ(ReadBundle(text_, PrivateKey::Generate(KeyType::kP256).public_key()).error().code, "collateral.bad-key");
  EXPECT_EQ(ReadBundle(text_, crypto::PublicKey()).error().code, "collateral.bad-key");
  EXPECT_EQ(WriteBundle({}, PrivateKey::Generate(KeyType::kP256)).error().code, "collateral.bad-key");
}

TEST_F(Bundles, ChangedAfterSigning) {
  EXPECT_EQ(CodeOf(Edited([](Json&, Json& m) { m["note"] = "for site 8"; }, false)), "collateral.bundle-signature");
  EXPECT_EQ(
      CodeOf(Edited([](Json& b, Json&) { b["documents"].begin().value() = Base64Encode(AsBytes("other")); }, true)),
      "collateral.bundle-malformed");
  EXPECT_EQ(CodeOf(Edited([](Json& b, Json&) { b["documents"].erase(b["documents"].begin()); }, true)),
            "collateral.bundle-malformed");
  EXPECT_EQ(CodeOf(Edited([](Json& b, Json&) { b["documents"]["00"] = ""; }, true)), "collateral.bundle-malformed");
}

TEST_F(Bundles, AnythingUnknownIsRefused) {
  EXPECT_EQ(CodeOf(Edited([](Json& b, Json&) { b["more"] = 1; }, true)), "collateral.bundle-malformed");
  EXPECT_EQ(CodeOf(Edited([](Json& b, Json&) { b["format"] = "ccgpu.collateral-bundle/v2"; }, true)),
            "collateral.bundle-malformed");
  EXPECT_EQ(CodeOf(Edited([](Json&, Json& m) { m["more"] = 1; }, true)), "collateral.bundle-malformed");
  EXPECT_EQ(CodeOf(Edited([](Json&, Json& m) { m["documents"][0]["kind"] = "recipe"; }, true)),
            "collateral.unknown-kind");
  EXPECT_EQ(CodeOf(Edited([](Json&, Json& m) { m["documents"][0]["name"] = "../../etc"; }, true)),
            "collateral.bundle-malformed");
  EXPECT_EQ(CodeOf(Edited([](Json&, Json& m) { m["documents"].push_back(m["documents"][0]); }, true)),
            "collateral.bundle-malformed");
  EXPECT_EQ(CodeOf(Edited([](Json&, Json& m) { m["documents"][0]["size"] = -1; }, true)),
            "collateral.bundle-malformed");
  for (const char* text : {"", "{", "[]", "{\"format\":1}"}) EXPECT_NE(CodeOf(text), "") << text;
}

TEST_F(Bundles, CutAnywhere) {
  for (size_t length = 0; length < text_.size(); length += 7) EXPECT_NE(CodeOf(text_.substr(0, length)), "");
}

TEST(Describe, RealDocuments) {
  SKIP_WITHOUT_VECTORS();
  auto rim = Recognise(test::VectorText("nvidia/nvat/rims/NV_GPU_DRIVER_GH100_550.144.03.xml"), "NV_X");
  ASSERT_TRUE(rim.ok());
  const Description said = Describe((*rim)[0]);
  EXPECT_THAT(said.what, HasSubstr("version 550.144.03"));
  EXPECT_EQ(said.for_whom, "GH100");
  ASSERT_TRUE(said.until);
  EXPECT_EQ(FreshnessAt(said, *said.until), Freshness::kFresh);
  EXPECT_EQ(FreshnessAt(said, *said.until + std::chrono::seconds(1)), Freshness::kOver);
  auto vcek = Recognise(test::VectorText("snp/virtee_vcek_milan.der"), "");
  ASSERT_TRUE(vcek.ok()) << vcek.error().ToString();
  EXPECT_EQ((*vcek)[0].kind, Kind::kAmdCertificate);
  EXPECT_THAT(Describe((*vcek)[0]).for_whom, HasSubstr("Milan"));
  EXPECT_EQ(Recognise(test::VectorText("snp/ask_ark_milan.pem"), "")->size(), 2u);
  EXPECT_FALSE(Recognise("hello", "x").ok());
  EXPECT_EQ(FreshnessAt(Describe({Kind::kCrl, "x", "nonsense"}), TimePoint()), Freshness::kUnreadable);
}

}  // namespace
}  // namespace ccgpu::collateral
