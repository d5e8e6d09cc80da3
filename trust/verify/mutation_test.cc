// Any flipped bit of a signed document, and any cut, changes the verdict to refused: CPU and GPU evidence,
// certificates, RIMs, OCSP answers, CRLs. How: trust/evidence/test_mutation.h.
#include <gmock/gmock.h>

#include "trust/evidence/test_mutation.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

using test::EveryCutIsRefused;
using test::EveryFlipIsRefused;
using test::SampledFlipsAreRefused;

// The verdict on a world with one document replaced.
test::Judge JudgeSnp(const SnpWorld& world, std::function<void(SnpWorld&, const Bytes&)> put) {
  return [&world, put](const Bytes& bytes) {
    SnpWorld changed = world;
    put(changed, bytes);
    return changed.Run().accepted;
  };
}

void PutSnpReport(SnpWorld& w, const Bytes& bytes) { w.evidence.report = bytes; }

// rule 2: snp
TEST(Mutation, SnpReports) {
  SnpWorld w;
  EXPECT_TRUE(EveryFlipIsRefused("snp report", w.evidence.report, JudgeSnp(w, PutSnpReport)));
  EXPECT_TRUE(EveryCutIsRefused("snp report", w.evidence.report, JudgeSnp(w, PutSnpReport)));
  w.report.version = 5;
  w.report.launch_mit_vector = w.report.current_mit_vector = 3;
  w.Sign();
  EXPECT_TRUE(EveryFlipIsRefused("snp report of version 5", w.evidence.report, JudgeSnp(w, PutSnpReport)));
}

// rule 2: snp
TEST(Mutation, SnpCertificates) {
  const SnpWorld w;
  for (size_t i : {0u, 1u}) {
    const Bytes& der = w.evidence.certificates[i].der;
    const auto judge = JudgeSnp(w, [i](SnpWorld& c, const Bytes& b) { c.evidence.certificates[i].der = b; });
    EXPECT_TRUE(EveryFlipIsRefused("snp " + w.evidence.certificates[i].type, der, judge));
    EXPECT_TRUE(EveryCutIsRefused("snp " + w.evidence.certificates[i].type, der, judge));
  }
}

// rule 2: snp
TEST(Mutation, SnpCrl) {
  SnpWorld w;
  w.options.require_revocation = true;
  const Bytes crl =
      evidence::MakeCrl(w.chain[2].certificate, w.chain[2].key, kTestNow, kTestNow + std::chrono::hours(1), {}, true)
          .value();
  const auto judge = JudgeSnp(w, [](SnpWorld& c, const Bytes& b) { c.collateral.crls = {b}; });
  EXPECT_TRUE(SampledFlipsAreRefused("snp crl", crl, judge, 300));
  EXPECT_TRUE(EveryCutIsRefused("snp crl", crl, judge));
}

TEST(Mutation, RealSnpReport) {
  SKIP_WITHOUT_VECTORS();
  SnpWorld w;
  w.evidence = {test::VectorBytes("snp/azure_genoa_report.bin"),
                {{"VCEK", crypto::Certificate::FromPem(test::VectorText("snp/azure_genoa_vcek.pem")).value().Der()}}};
  w.options = {};
  w.options.report_data = evidence::ParseSnpReport(w.evidence.report)->report_data;
  w.anchors = BuiltinAnchors();
  w.now = ParseTime("2025-06-01").value();
  EXPECT_TRUE(EveryFlipIsRefused("real snp report", w.evidence.report, JudgeSnp(w, PutSnpReport)));
}

test::Judge JudgeGpu(const GpuWorld& world, Cache& cache, std::function<void(GpuWorld&, const Bytes&)> put) {
  return [&world, &cache, put](const Bytes& bytes) {
    GpuWorld changed = world;
    put(changed, bytes);
    return VerifyGpu(evidence::Unverified(changed.evidence), changed.collateral, changed.anchors, changed.options,
                     changed.now, &cache)
        .accepted;
  };
}

// rule 2: gpu
TEST(Mutation, GpuReport) {
  const GpuWorld w;
  Cache cache;
  const auto judge = JudgeGpu(w, cache, [](GpuWorld& c, const Bytes& b) { c.evidence.report = b; });
  EXPECT_TRUE(EveryFlipIsRefused("gpu report", w.evidence.report, judge));
  EXPECT_TRUE(EveryCutIsRefused("gpu report", w.evidence.report, judge, test::LongTests() ? 1 : 5));
}

// The root in the evidence is only compared with the pinned one, by name and key: the rest of it says nothing.
// rule 2: gpu
TEST(Mutation, GpuCertificates) {
  const GpuWorld w;
  Cache cache;
  for (size_t i = 0; i + 1 < w.device.size(); ++i) {
    const auto put = [i](GpuWorld& c, const Bytes& b) {
      auto certificate = crypto::Certificate::FromDer(b);
      if (!certificate.ok()) {
        c.evidence.certificate_chain.clear();
        return;
      }
      std::vector<crypto::Certificate> chain = CertificatesOf(c.device);
      chain[i] = *certificate;
      c.evidence.certificate_chain = evidence::ChainPem(chain);
    };
    EXPECT_TRUE(SampledFlipsAreRefused("gpu certificate " + std::to_string(i), w.device[i].certificate.Der(),
                                       JudgeGpu(w, cache, put), 100));
  }
  const Bytes pem = ToBytes(AsBytes(w.evidence.certificate_chain));
  const auto put = [](GpuWorld& c, const Bytes& b) { c.evidence.certificate_chain = ToText(b); };
  const size_t closing = pem.size() - 1;  // the last line's end may be missing
  EXPECT_TRUE(EveryCutIsRefused("gpu chain", Bytes(pem.begin(), pem.begin() + static_cast<ptrdiff_t>(closing)),
                                JudgeGpu(w, cache, put), 11));
}

// The signature covers the document but for the Signature element itself; of its certificates the root says nothing.
// rule 2: rim
TEST(Mutation, Rims) {
  const GpuWorld w;
  Cache cache;
  for (const auto& [id, xml] : w.collateral.rims) {
    const auto judge =
        JudgeGpu(w, cache, [&id = id](GpuWorld& c, const Bytes& b) { c.collateral.rims[id] = ToText(b); });
    // From the root element to the certificates: before it stands the XML declaration, which nothing signs.
    const size_t start = xml.find("<SoftwareIdentity"), certificates = xml.find("X509Certificate");
    ASSERT_NE(start, std::string::npos) << xml.substr(0, 300);
    ASSERT_NE(certificates, std::string::npos);
    const size_t behind = xml.rfind("X509Certificate");
    EXPECT_TRUE(SampledFlipsAreRefused("rim " + id, ToBytes(AsBytes(xml)), judge, 200,
                                       {{0, start}, {certificates, behind - certificates}}));
    EXPECT_TRUE(EveryCutIsRefused("rim " + id, ToBytes(AsBytes(xml)), judge, xml.size() / 40));
  }
}

// rule 2: gpu, rim
TEST(Mutation, OcspAnswers) {
  const GpuWorld w;
  Cache cache;
  for (size_t i = 0; i < w.collateral.ocsp_responses.size(); ++i) {
    const auto judge = JudgeGpu(w, cache, [i](GpuWorld& c, const Bytes& b) { c.collateral.ocsp_responses[i] = b; });
    const Bytes& answer = w.collateral.ocsp_responses[i];
    if (i == 0) {
      EXPECT_TRUE(EveryFlipIsRefused("ocsp 0", answer, judge));
    } else {
      EXPECT_TRUE(SampledFlipsAreRefused("ocsp " + std::to_string(i), answer, judge, 60));
    }
    EXPECT_TRUE(EveryCutIsRefused("ocsp " + std::to_string(i), answer, judge, 29));
  }
}

}  // namespace
}  // namespace ccgpu::verify
