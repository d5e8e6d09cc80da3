// Codecs of TDX evidence: quotes, CoCo's JSON, the PCK extension, Intel's documents.
#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/composite.h"
#include "trust/evidence/sgx_pck.h"
#include "trust/evidence/tdx_quote.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::evidence {
namespace {

using ::testing::HasSubstr;

TdxQuote Sample(uint16_t version) {
  TdxQuote out;
  out.version = version;
  out.body.mr_td = Bytes(48, 0x11);
  out.qe_auth_data = Bytes(32, 7);
  out.pck_chain = "chain";
  if (version == 5) {
    out.body.tee_tcb_svn2 = Bytes(16, 1);
    out.body.mr_service_td = Bytes(48, 2);
  }
  return out;
}

TEST(TdxQuoteCodec, RoundTrips) {
  for (const uint16_t version : {4, 5}) {
    const Bytes bytes = EncodeTdxQuote(Sample(version));
    const TdxQuote parsed = ParseTdxQuote(bytes).value();
    EXPECT_EQ(parsed.size, bytes.size());
    EXPECT_EQ(parsed.body_offset, version == 5 ? 54u : 48u);
    EXPECT_EQ(EncodeTdxQuote(parsed), bytes);
  }
  // Version 5 with the TDX 1.0 body.
  TdxQuote small = Sample(5);
  small.body.tee_tcb_svn2.reset();
  small.body.mr_service_td.reset();
  EXPECT_EQ(EncodeTdxQuote(ParseTdxQuote(EncodeTdxQuote(small)).value()), EncodeTdxQuote(small));
}

// rule 15: tdx
TEST(TdxQuoteCodec, EveryCutAndEachWrongLengthIsRefused) {
  for (const uint16_t version : {4, 5}) {
    const Bytes bytes = EncodeTdxQuote(Sample(version));
    for (size_t size = 0; size < bytes.size(); ++size) {
      Bytes cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_FALSE(ParseTdxQuote(cut).ok()) << version << " " << size;
    }
    const size_t data = version == 5 ? 54 + 648 : 48 + 584;
    for (const size_t at :
         {data, data + 4 + 128 + 2, data + 4 + 134 + 384 + 64, data + 4 + 134 + 384 + 64 + 2 + 32 + 2}) {
      for (const uint8_t change : {1, 0x80}) {
        Bytes changed = bytes;
        changed[at] ^= change;
        EXPECT_FALSE(ParseTdxQuote(changed).ok()) << version << " " << at;
      }
    }
  }
  EXPECT_THAT(ParseTdxQuote(Bytes(kMaxTdxQuoteSize + 1)).error().text, HasSubstr("at most"));
}

TEST(TdxQuoteCodec, ErrorsNameTheByte) {
  Bytes bytes = EncodeTdxQuote(Sample(4));
  bytes.resize(500);
  EXPECT_THAT(ParseTdxQuote(bytes).error().text, HasSubstr("at byte"));
  EXPECT_EQ(ParseTdxQuote(bytes).error().code, "tdx.quote-malformed");
}

TEST(TdxQuoteCodec, ReservedBytesOfTheQeReportAreZero) {
  const Bytes good = EncodeQeReport({});
  for (const size_t at : {0x14u, 0x60u, 0xa0u, 0x106u}) {
    Bytes bad = good;
    bad[at] = 1;
    EXPECT_FALSE(ParseQeReport(bad).ok()) << at;
  }
  EXPECT_FALSE(ParseQeReport(Bytes(383)).ok());
  EXPECT_FALSE(ParseQeReport(Bytes(385)).ok());
}

TEST(TdxEvidenceJson, IsCoCos) {
  const TdxEvidence evidence{Bytes(3, 1), std::nullopt};
  EXPECT_EQ(TdxEvidenceToJson(evidence), R"({"cc_eventlog":null,"quote":"AQEB"})");
  const TdxEvidence with_log = TdxEvidenceFromJson(R"({"cc_eventlog":"AgI=","quote":"AQEB"})").value();
  EXPECT_EQ(with_log.event_log, Bytes(2, 2));
  for (const char* bad :
       {"", "[]", "{}", R"({"quote":1})", R"({"quote":"!"})", R"({"quote":""})", R"({"quote":"AQEB","other":1})",
        R"({"quote":"AQEB","quote":"AQEB"})", R"({"quote":"AQEB","cc_eventlog":3})"}) {
    EXPECT_FALSE(TdxEvidenceFromJson(bad).ok()) << bad;
  }
}

TEST(CpuEvidence, IsChosenByTheTeesWord) {
  EXPECT_TRUE(IsKnownTee("snp") && IsKnownTee("tdx"));
  const char* json = R"({"cc_eventlog":null,"quote":"AQEB"})";
  const CpuEvidence tdx = CpuEvidenceFromJson("tdx", json).value();
  EXPECT_EQ(TeeOf(tdx), "tdx");
  EXPECT_EQ(CpuEvidenceToJson(tdx), json);
  EXPECT_EQ(CpuEvidenceFromJson("snp", json).error().code, "evidence.malformed");
  for (const char* tee : {"", "sgx", "TDX", "sample"})
    EXPECT_EQ(CpuEvidenceFromJson(tee, json).error().code, "evidence.unknown-tee") << tee;
}

TEST(CompositeJson, CarriesIntelsDocuments) {
  CompositeEvidence pod;
  pod.nonce = Bytes(32, 1);
  pod.cpu = TdxEvidence{Bytes(3, 1), Bytes(2, 2)};
  pod.collateral.tcb_infos = {{"{\"a\":\"\\u00e4\"}", "chain\n"}};
  pod.collateral.qe_identities = {{"b", ""}};
  const CompositeEvidence back = ParseComposite(EncodeComposite(pod)).value();
  EXPECT_EQ(TeeOf(back.cpu), "tdx");
  ASSERT_EQ(back.collateral.tcb_infos.size(), 1u);
  EXPECT_EQ(back.collateral.tcb_infos[0].body, pod.collateral.tcb_infos[0].body);
  EXPECT_EQ(back.collateral.tcb_infos[0].issuer_chain, "chain\n");
  EXPECT_EQ(back.collateral.qe_identities[0].body, "b");
}

crypto::Certificate WithExtension(Bytes value, bool twice = false) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP256);
  crypto::CertificateSpec spec;
  spec.subject = {{"CN", "x"}};
  spec.key = key.public_key();
  spec.not_after = TimePoint(std::chrono::hours(24));
  spec.extensions = {{kOidSgxExtensions, value, false}};
  if (twice) spec.extensions.push_back({kOidSgxExtensions, value, false});
  return crypto::MakeCertificate(spec, key, nullptr).value();
}

TEST(PckExtension, RoundTrips) {
  PckExtensions facts;
  for (uint8_t i = 0; i < 16; ++i) facts.components[i] = static_cast<uint8_t>(i * 16);
  facts.pce_svn = 300;
  facts.fmspc = {1, 2, 3, 4, 5, 6};
  facts.sgx_type = 2;
  for (const bool platform : {false, true}) {
    if (platform) facts.platform_instance = Bytes(16, 9), facts.smt_enabled = true, facts.cached_keys = false;
    const PckExtensions back = ReadPckExtensions(WithExtension(MakePckExtension(facts).value)).value();
    EXPECT_EQ(back.components, facts.components);
    EXPECT_EQ(back.pce_svn, 300);
    EXPECT_EQ(back.fmspc, facts.fmspc);
    EXPECT_EQ(back.platform_instance, facts.platform_instance);
    EXPECT_EQ(back.smt_enabled, facts.smt_enabled);
    EXPECT_EQ(back.dynamic_platform, std::nullopt);
  }
  const Bytes good = MakePckExtension(facts).value;
  EXPECT_FALSE(ReadPckExtensions(WithExtension(good, true)).ok());
  for (size_t size = 0; size < good.size(); size += 7)
    EXPECT_FALSE(
        ReadPckExtensions(WithExtension(Bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(size)))).ok());
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(ReadPckExtensions(WithExtension(longer)).ok());
}

TEST(PckExtension, OfRealCertificates) {
  SKIP_WITHOUT_VECTORS();
  const auto read = [](const char* name) {
    return ReadPckExtensions(crypto::Certificate::FromPem(test::VectorText(name)).value()).value();
  };
  EXPECT_EQ(HexEncode(read("tdx/gotdx_tdx_prod_quote_SPR_E4_pck_leaf.pem").fmspc), "50806f000000");
  EXPECT_EQ(HexEncode(read("tdx/gotdx_cos-113-tdx-quote_pck_leaf.pem").fmspc), "00806f050000");
  EXPECT_EQ(read("tdx/gotdx_cos-113-tdx-quote_pck_leaf.pem").pce_svn, 11);
}

// rule 15: tdx
TEST(IntelDocuments, AreReadStrictly) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP256);
  TcbInfo info;
  info.modules.push_back({"TDX_01", Bytes(48), Bytes(8), Bytes(8, 0xff), {}});
  info.levels.push_back({});
  info.levels[0].verdict = {TcbStatus::kUpToDate, "2025-01-01T00:00:00Z", {"A"}};
  const std::string good = MakeTcbInfo(info, key);
  const TcbInfo back = ParseTcbInfo(good).value();
  EXPECT_TRUE(
      key.public_key().VerifyRaw(crypto::Hash::kSha256, AsBytes(back.signature.text), back.signature.signature));
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  const std::string bad[] = {"",
                             "{}",
                             good.substr(1),
                             good + "x",
                             replaced("\"id\":\"TDX\"", "\"id\":\"SGX\""),
                             replaced("\"version\":3", "\"version\":4"),
                             replaced("\"version\":3", "\"version\":3,\"more\":1"),
                             replaced("\"version\":3", "\"version\":3,\"version\":3"),
                             replaced("UpToDate", "Uptodate"),
                             replaced("\"pcesvn\":0", "\"pcesvn\":65536"),
                             replaced("\"pcesvn\":0", "\"pcesvn\":-1"),
                             replaced("{\"svn\":0},", ""),
                             replaced("{\"svn\":0}", "{\"svn\":256}"),
                             replaced("\"fmspc\":\"000000000000\"", "\"fmspc\":\"0000000000\""),
                             replaced("1970-01-01", "1970-13-01"),
                             replaced("\"signature\":\"", "\"signature\":\"00"),
                             replaced("\"tdxModuleIdentities\":[",
                                      "\"tdxModuleIdentities\":[{\"id\":\"TDX_01\",\"mrsigner\":\"" +
                                          std::string(96, '0') + "\",\"attributes\":\"" + std::string(16, '0') +
                                          "\",\"attributesMask\":\"" + std::string(16, '0') + "\",\"tcbLevels\":[]},")};
  for (const std::string& text : bad) EXPECT_FALSE(ParseTcbInfo(text).ok()) << text;
  EXPECT_FALSE(ParseQeIdentity(good).ok());
}

// rule 2: tdx
TEST(IntelDocuments, WhatIsSignedIsTheTextItself) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP256);
  QeIdentity identity;
  std::string body = MakeQeIdentity(identity, key);
  // White space around the value is not part of it; inside it is.
  body.insert(body.find(":{") + 1, " \n");
  body.insert(body.rfind(",\"signature\""), " ");
  const QeIdentity back = ParseQeIdentity(body).value();
  EXPECT_TRUE(back.signature.text.starts_with("{\"id\"") && back.signature.text.ends_with("}"));
  EXPECT_TRUE(
      key.public_key().VerifyRaw(crypto::Hash::kSha256, AsBytes(back.signature.text), back.signature.signature));
  // A member of the inner object that is called like the outer one leads nowhere else.
  EXPECT_FALSE(ParseQeIdentity(R"({"x":{"enclaveIdentity":{}},"enclaveIdentity":{},"signature":""})").ok());
}

TEST(IntelDocuments, RealOnesAreSignedByTheirSigner) {
  SKIP_WITHOUT_VECTORS();
  const auto signer =
      crypto::Certificate::ListFromPem(test::VectorText("tdx/tcbInfoIssuerChain.pem")).value().front().key();
  const auto is_signed = [&](const SignedText& text) {
    return signer.VerifyRaw(crypto::Hash::kSha256, AsBytes(text.text), text.signature);
  };
  EXPECT_TRUE(is_signed(ParseTcbInfo(test::VectorText("tdx/gotdx_sample_tcbInfo_response"))->signature));
  const TcbInfo newer = ParseTcbInfo(test::VectorText("tdx/gotdx_sample_tcbinfo_response_v5")).value();
  EXPECT_EQ(newer.modules.size(), 2u);
  EXPECT_EQ(newer.evaluation_number, 18u);
  EXPECT_TRUE(is_signed(ParseQeIdentity(test::VectorText("tdx/gotdx_sample_qeIdentity_response"))->signature));
}

}  // namespace
}  // namespace ccgpu::evidence
