// VerifyGpu on keys, signatures and chains that other verifiers have let pass.
#include <gmock/gmock.h>

#include "base/encoding.h"
#include "trust/verify/testing/keys.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

using crypto::CertificateSpec;

// rule 5: gpu, rim
// advisory: CVE-2020-0601
TEST(VerifyGpuKeys, ExplicitCurveParametersAreRefused) {
  const GpuWorld good;
  for (const auto& [level, key, code] : {std::tuple("device0", good.device[0].key, "gpu.chain-invalid"),
                                         {"device1", good.device[1].key, "gpu.chain-invalid"},
                                         {"rim0", good.rim[0].key, "rim.chain-invalid"},
                                         {"rim1", good.rim[1].key, "rim.chain-invalid"}}) {
    const crypto::PrivateKey copy = key;
    GpuWorld w({{level, [&](CertificateSpec& s) { s.key = test::WithExplicitCurve(copy); }}});
    EXPECT_FALSE(w.Run().accepted) << level;
    EXPECT_EQ(FirstCode(w.Run()), code) << level << w.Run().ToJson();
  }
}

// r or s of 0, of the group's order and above it.
// rule 5: gpu
// advisory: CVE-2022-21449
TEST(VerifyGpuKeys, SignatureValuesOutOfRange) {
  const Bytes order =
      HexDecode("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973")
          .value();
  for (const Bytes& value : {Bytes(48), order, Bytes(48, 0xff)}) {
    for (size_t offset : {96u, 48u}) {
      GpuWorld w;
      std::copy(value.begin(), value.end(), w.evidence.report.end() - static_cast<ptrdiff_t>(offset));
      EXPECT_EQ(FirstCode(w.Run()), "gpu.signature-invalid") << HexEncode(value) << offset;
    }
  }
}

// A key of the right type, but RSA or of another curve, at each place where the profile says P-384.
// rule 3: gpu, rim
TEST(VerifyGpuKeys, OtherKeysThanTheProfiles) {
  for (const auto& [level, code] : {std::pair("device0", "gpu.chain-invalid"),
                                    {"device1", "gpu.chain-invalid"},
                                    {"device3", "gpu.chain-invalid"},
                                    {"rim0", "rim.chain-invalid"}}) {
    for (const crypto::KeyType type : {crypto::KeyType::kP256, crypto::KeyType::kP521, crypto::KeyType::kRsa2048}) {
      GpuWorld w({{level, [&](CertificateSpec& s) { s.key = crypto::PrivateKey::Generate(type).public_key(); }}});
      EXPECT_EQ(FirstCode(w.Run()), code) << level << static_cast<int>(type);
    }
  }
}

// Corrupt PEM is a refusal, not a crash.
// rule 15: gpu
// advisory: agentrust-445
TEST(VerifyGpuKeys, CorruptPem) {
  const GpuWorld good;
  const std::string pem = good.evidence.certificate_chain;
  const std::vector<std::string> bad = {"",
                                        "\n",
                                        "-----BEGIN CERTIFICATE-----",
                                        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
                                        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                                        pem.substr(0, pem.size() / 2),
                                        pem.substr(1),
                                        std::string(pem).replace(100, 1, "!"),
                                        std::string(pem).replace(100, 1, 1, '\0'),
                                        pem + pem,
                                        "x" + pem,
                                        std::string(1 << 20, 'A')};
  for (const std::string& chain : bad) {
    GpuWorld w = good;
    w.evidence.certificate_chain = chain;
    EXPECT_EQ(FirstCode(w.Run()), "gpu.chain-malformed") << chain.substr(0, 60);
  }
}

}  // namespace
}  // namespace ccgpu::verify
