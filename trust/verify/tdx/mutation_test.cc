// Any flipped bit of a TDX quote or of Intel's documents, and any cut, is refused.
#include <gmock/gmock.h>

#include "trust/evidence/test_mutation.h"
#include "trust/verify/testing/tdx_world.h"

namespace ccgpu::verify {
namespace {

test::Judge JudgeTdx(const TdxWorld& world, Cache& cache, std::function<void(TdxWorld&, const Bytes&)> put) {
  return [&world, &cache, put](const Bytes& bytes) {
    TdxWorld changed = world;
    put(changed, bytes);
    return VerifyTdx(evidence::Unverified(changed.evidence), changed.collateral, changed.anchors, changed.options,
                     changed.now, &cache)
        .accepted;
  };
}

// The PCK chain is text whose root is only compared with the pinned one; its certificates are flipped below.
// rule 2: tdx
TEST(Mutation, TdxQuotes) {
  for (const uint16_t version : {4, 5}) {
    const TdxWorld w({}, version);
    Cache cache;
    const auto judge = JudgeTdx(w, cache, [](TdxWorld& c, const Bytes& b) { c.evidence.quote = b; });
    const Bytes& quote = w.evidence.quote;
    const size_t chain = quote.size() - w.quote.pck_chain.size();
    EXPECT_TRUE(test::EveryFlipIsRefused("tdx quote " + std::to_string(version), quote, judge,
                                         {{chain, quote.size() - chain}}));
    EXPECT_TRUE(
        test::EveryCutIsRefused("tdx quote " + std::to_string(version), quote, judge, test::LongTests() ? 1 : 7));
  }
}

// rule 4: tdx
TEST(Mutation, TdxCertificates) {
  const TdxWorld w;
  Cache cache;
  for (const size_t index : {0u, 1u}) {
    const auto put = [index](TdxWorld& c, const Bytes& der) {
      const auto certificate = crypto::Certificate::FromDer(der);
      std::string chain;
      for (size_t i = 0; i < 3; ++i) {
        if (i != index) chain += c.chain[i].certificate.Pem();
        else if (certificate.ok()) chain += certificate->Pem();
      }
      c.quote.pck_chain = chain;
      c.evidence.quote = evidence::EncodeTdxQuote(c.quote);
    };
    EXPECT_TRUE(test::SampledFlipsAreRefused("pck chain " + std::to_string(index), w.chain[index].certificate.Der(),
                                             JudgeTdx(w, cache, put), 150));
  }
}

// rule 14: tdx
TEST(Mutation, IntelsDocuments) {
  const TdxWorld w;
  Cache cache;
  const auto bytes = [](const std::string& text) { return ToBytes(AsBytes(text)); };
  const auto tcb = JudgeTdx(w, cache, [](TdxWorld& c, const Bytes& b) { c.collateral.tcb_infos[0].body = ToText(b); });
  const auto qe =
      JudgeTdx(w, cache, [](TdxWorld& c, const Bytes& b) { c.collateral.qe_identities[0].body = ToText(b); });
  // Hexadecimal digits of the signature may be of either case: bit 5 of a letter says nothing.
  const auto span = [](const std::string& body) {
    const size_t at = body.rfind("\"signature\":\"") + 13;
    return std::vector<test::Span>{{at, 128}};
  };
  const std::string &info = w.collateral.tcb_infos[0].body, &identity = w.collateral.qe_identities[0].body;
  EXPECT_TRUE(test::SampledFlipsAreRefused("tcb info", bytes(info), tcb, 300, span(info)));
  EXPECT_TRUE(test::EveryCutIsRefused("tcb info", bytes(info), tcb, 37));
  EXPECT_TRUE(test::SampledFlipsAreRefused("qe identity", bytes(identity), qe, 300, span(identity)));
  EXPECT_TRUE(test::EveryCutIsRefused("qe identity", bytes(identity), qe, 17));
  for (const size_t i : {0u, 1u}) {
    const auto crl = JudgeTdx(w, cache, [i](TdxWorld& c, const Bytes& b) { c.collateral.crls[i] = b; });
    EXPECT_TRUE(test::SampledFlipsAreRefused("intel crl " + std::to_string(i), w.collateral.crls[i], crl, 200));
    EXPECT_TRUE(test::EveryCutIsRefused("intel crl " + std::to_string(i), w.collateral.crls[i], crl, 11));
  }
}

}  // namespace
}  // namespace ccgpu::verify
