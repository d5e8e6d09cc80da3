#include "trust/evidence/rim.h"

#include <gmock/gmock.h>
#include <libxml/parser.h>
#include <xmlsec/crypto.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/xmlsec.h>
#include <xmlsec/xmltree.h>

#include "trust/evidence/test_vectors.h"

namespace ccgpu::evidence {
namespace {

using ::testing::HasSubstr;

struct TestSigner {
  crypto::PrivateKey key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  std::vector<crypto::Certificate> chain;
  TestSigner() {
    crypto::CertificateSpec spec;
    spec.subject = {{"CN", "EMULATED RIM signer"}};
    spec.key = key.public_key();
    spec.not_after = TimePoint(std::chrono::seconds(4000000000));
    chain = {crypto::MakeCertificate(spec, key, nullptr).value()};
  }
};

Rim Spec() {
  Rim out;
  out.name = out.product = "GH100";
  out.edition = "GPU";
  out.colloquial_version = "550.90.07";
  out.manufacturer = "EMULATED, NOT NVIDIA";
  out.manufacturer_id = "99999";
  out.measurements = {{7, true, {Bytes(48, 7)}, ""}, {24, true, {Bytes(48, 1), Bytes(48)}, ""}};
  return out;
}

// A second opinion on our canonicalisation and signature: xmlsec1, told the key.
bool XmlsecAccepts(const std::string& xml, const crypto::Certificate& leaf) {
  static const bool ready = xmlSecInit() == 0 && xmlSecCryptoAppInit(nullptr) == 0 && xmlSecCryptoInit() == 0;
  EXPECT_TRUE(ready);
  xmlDoc* doc = xmlReadMemory(xml.data(), static_cast<int>(xml.size()), nullptr, nullptr, XML_PARSE_NONET);
  xmlNode* node = xmlSecFindNode(xmlDocGetRootElement(doc), xmlSecNodeSignature, xmlSecDSigNs);
  const std::string pem = leaf.Pem();
  xmlSecDSigCtx* context = xmlSecDSigCtxCreate(nullptr);
  context->signKey =
      xmlSecCryptoAppKeyLoadMemory(reinterpret_cast<const xmlSecByte*>(pem.data()), static_cast<xmlSecSize>(pem.size()),
                                   xmlSecKeyDataFormatCertPem, nullptr, nullptr, nullptr);
  const bool accepted = node && context->signKey && xmlSecDSigCtxVerify(context, node) == 0 &&
                        context->status == xmlSecDSigStatusSucceeded;
  xmlSecDSigCtxDestroy(context);
  xmlFreeDoc(doc);
  return accepted;
}

TEST(Rim, MadeOneIsReadAndVerified) {
  const TestSigner signer;
  const std::string xml = MakeRim(Spec(), signer.key, signer.chain).value();
  const auto rim = ParseRim(xml);
  ASSERT_TRUE(rim.ok()) << rim.error().ToString();
  EXPECT_TRUE(VerifyRimSignature(*rim));
  EXPECT_TRUE(XmlsecAccepts(xml, signer.chain[0]));
  EXPECT_EQ(rim->colloquial_version, "550.90.07");
  EXPECT_EQ(rim->manufacturer_id, "99999");
  EXPECT_EQ(rim->measurements.size(), 64u);
  EXPECT_TRUE(rim->Find(7)->active);
  EXPECT_FALSE(rim->Find(8)->active);
  EXPECT_EQ(rim->Find(24)->alternatives.size(), 2u);
  EXPECT_EQ(rim->tag_id.size(), 96u);
}

TEST(Rim, RealOnes) {
  SKIP_WITHOUT_VECTORS();
  for (const char* name :
       {"nvidia/nvtrust_v1_initial/Driver_RIM_test_no_gpu.swidtag",
        "nvidia/nvtrust_v1_initial/1010_0200_882_96005E0001_test_no_gpu.swidtag",
        "nvidia/samples/1010_0200_882_96005E0001_PROD.swidtag", "nvidia/samples/1010_0200_882_960074001A_PROD.swidtag",
        "nvidia/nvat/rims/NV_GPU_DRIVER_GH100_550.144.03.xml",
        "nvidia/nvat/rims/switchVBIOSRim_NV_SWITCH_BIOS_5612_0002_890_9610550001.xml",
        "nvidia/emulated_example/NV_GPU_DRIVER_GH100_550.90.07.xml",
        "nvidia/emulated_example/NV_GPU_VBIOS_1010_0200_882_96009F0001.xml"}) {
    const std::string xml = test::VectorText(name);
    const auto rim = ParseRim(xml);
    ASSERT_TRUE(rim.ok()) << name << ": " << rim.error().ToString();
    EXPECT_TRUE(VerifyRimSignature(*rim)) << name;
    EXPECT_TRUE(XmlsecAccepts(xml, rim->chain[0])) << name;
  }
  for (const char* name : {"nvidia/nvat/rims/incorrect_signature_driver_rim.xml"}) {
    const auto rim = ParseRim(test::VectorText(name));
    EXPECT_FALSE(rim.ok() && VerifyRimSignature(*rim)) << name;
  }
}

// Any change of the signed part is seen; sampled over the document.
// rule 2: rim
TEST(Rim, ChangedBytesAreSeen) {
  const TestSigner signer;
  const std::string xml = MakeRim(Spec(), signer.key, signer.chain).value();
  const size_t certificates = xml.find("<ds:KeyInfo>");  // what follows is judged with the chain, not by the signature
  for (size_t at = 0; at < certificates; at += 37) {
    for (char flip : {'\x01', '\x20'}) {
      std::string bad = xml;
      bad[at] ^= flip;
      const auto rim = ParseRim(bad);
      if (!rim.ok()) continue;
      // Whitespace between attributes and line ends inside base64 are not part of the canonical form.
      const bool same = Equal(rim->document_digest, ParseRim(xml)->document_digest) &&
                        Equal(rim->signed_info, ParseRim(xml)->signed_info) &&
                        rim->signature == ParseRim(xml)->signature;
      EXPECT_TRUE(same || !VerifyRimSignature(*rim)) << at;
    }
  }
}

struct Edit {
  const char* name;
  const char* from;
  const char* to;
  const char* code;
};
class BadRims : public ::testing::TestWithParam<Edit> {};

// rule 15: rim
TEST_P(BadRims, IsRefused) {
  const TestSigner signer;
  std::string xml = MakeRim(Spec(), signer.key, signer.chain).value();
  const size_t at = xml.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  xml.replace(at, std::string_view(GetParam().from).size(), GetParam().to);
  const auto rim = ParseRim(xml);
  if (std::string_view(GetParam().code).empty()) {
    ASSERT_TRUE(rim.ok()) << rim.error().ToString();
    EXPECT_FALSE(VerifyRimSignature(*rim));
  } else {
    ASSERT_FALSE(rim.ok());
    EXPECT_EQ(rim.error().code, GetParam().code) << rim.error().text;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Edits, BadRims,
    ::testing::Values(
        Edit{"value", "index=\"7\" active=\"True\" alternatives=\"1\" ns2:Hash0=\"07",
             "index=\"7\" active=\"True\" alternatives=\"1\" ns2:Hash0=\"08", ""},
        Edit{"active_off", "index=\"7\" active=\"True\"", "index=\"7\" active=\"False\"", ""},
        Edit{"version", "550.90.07", "550.90.08", ""},
        // rule 3: rim
        Edit{"rsa_signature_method", "xmldsig-more#ecdsa-sha384", "xmldsig-more#rsa-sha384", "rim.signature-profile"},
        Edit{"hmac", "xmldsig-more#ecdsa-sha384", "xmldsig-more#hmac-sha384", "rim.signature-profile"},
        Edit{"sha1", "xmldsig-more#sha384\"", "xmldsig#sha1\"", "rim.signature-profile"},
        Edit{"xpath_transform", "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
             "http://www.w3.org/TR/1999/REC-xpath-19991116", "rim.signature-profile"},
        Edit{"reference_elsewhere", "URI=\"\"", "URI=\"#x\"", "rim.signature-profile"},
        Edit{"reference_without_uri", " URI=\"\"", "", "rim.signature-profile"},
        Edit{"second_signature", "<ds:Signature ",
             "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"/><ds:Signature ", "rim.signature-profile"},
        Edit{"no_signature", "<ds:Signature ", "<ds:Object xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"/><ds:Sig ",
             "rim.malformed"},
        Edit{"duplicate_index", "index=\"8\"", "index=\"7\"", "rim.malformed"},
        Edit{"index_range", "index=\"63\"", "index=\"64\"", "rim.malformed"},
        Edit{"hidden_alternative", "ns2:Hash0=\"0707", "ns2:Hash1=\"00\" ns2:Hash0=\"0707", "rim.malformed"},
        Edit{"active_word", "active=\"True\"", "active=\"yes\"", "rim.malformed"},
        Edit{"other_root", "<SoftwareIdentity xmlns=\"http", "<SoftwareIdentity xmlns=\"xttp", "rim.malformed"},
        Edit{"doctype", "<SoftwareIdentity", "<!DOCTYPE a [<!ENTITY b \"c\">]><SoftwareIdentity", "rim.malformed"},
        Edit{"processing_instruction", "<ns0:Payload", "<?x y?><ns0:Payload", "rim.malformed"},
        Edit{"not_closed", "</ns0:Payload>", "", "rim.malformed"}),
    [](const auto& info) { return std::string(info.param.name); });

// rule 2: rim
TEST(Rim, SignedByAnotherKeyThanTheEmbedded) {
  const TestSigner signer, other;
  const auto rim = ParseRim(MakeRim(Spec(), signer.key, other.chain).value());
  ASSERT_TRUE(rim.ok());
  EXPECT_FALSE(VerifyRimSignature(*rim));
}

// rule 5: rim
// advisory: CVE-2022-21449
TEST(Rim, AllZeroSignature) {
  const TestSigner signer;
  Rim rim = ParseRim(MakeRim(Spec(), signer.key, signer.chain).value()).value();
  rim.signature = Bytes(96);
  EXPECT_FALSE(VerifyRimSignature(rim));
}

TEST(Rim, SpecThatCannotBeWritten) {
  const TestSigner signer;
  Rim spec = Spec();
  spec.manufacturer = "A\"B";
  EXPECT_FALSE(MakeRim(spec, signer.key, signer.chain).ok());
  spec = Spec();
  spec.measurements[0].alternatives[0].pop_back();
  EXPECT_FALSE(MakeRim(spec, signer.key, signer.chain).ok());
}

// rule 15: rim
TEST(Rim, TruncationsAreRefused) {
  const TestSigner signer;
  const std::string xml = MakeRim(Spec(), signer.key, signer.chain).value();
  for (size_t size = 0; size + 2 < xml.size(); size += 211)
    EXPECT_FALSE(ParseRim(std::string_view(xml).substr(0, size)).ok()) << size;
}

}  // namespace
}  // namespace ccgpu::evidence
