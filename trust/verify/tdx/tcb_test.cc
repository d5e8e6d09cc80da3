// Intel's TCB evaluation: levels and how three statuses become one.
#include "trust/verify/tdx/tcb.h"

#include <gtest/gtest.h>

#include "trust/verify/testing/tdx_world.h"

namespace ccgpu::verify {
namespace {

using evidence::TcbStatus;
constexpr TcbStatus kAll[] = {TcbStatus::kUpToDate,
                              TcbStatus::kSwHardeningNeeded,
                              TcbStatus::kConfigurationNeeded,
                              TcbStatus::kConfigurationAndSwHardeningNeeded,
                              TcbStatus::kOutOfDate,
                              TcbStatus::kOutOfDateConfigurationNeeded,
                              TcbStatus::kRevoked};

TEST(TdxTcb, StatusesCombineLikeASemilattice) {
  for (const TcbStatus a : kAll) {
    EXPECT_EQ(WorseTcb(a, a), a);
    EXPECT_EQ(WorseTcb(a, TcbStatus::kUpToDate), a);
    EXPECT_EQ(WorseTcb(a, TcbStatus::kRevoked), TcbStatus::kRevoked);
    for (const TcbStatus b : kAll) {
      EXPECT_EQ(WorseTcb(a, b), WorseTcb(b, a));
      for (const TcbStatus c : kAll) EXPECT_EQ(WorseTcb(WorseTcb(a, b), c), WorseTcb(a, WorseTcb(b, c)));
    }
  }
  EXPECT_EQ(WorseTcb(TcbStatus::kConfigurationNeeded, TcbStatus::kOutOfDate), TcbStatus::kOutOfDateConfigurationNeeded);
  EXPECT_EQ(WorseTcb(TcbStatus::kSwHardeningNeeded, TcbStatus::kOutOfDate), TcbStatus::kOutOfDate);
  EXPECT_EQ(WorseTcb(TcbStatus::kSwHardeningNeeded, TcbStatus::kConfigurationNeeded),
            TcbStatus::kConfigurationAndSwHardeningNeeded);
}

TEST(TdxTcb, LevelsNeedEveryComponent) {
  const TdxWorld w;
  const Bytes& svn = w.quote.body.tee_tcb_svn;
  EXPECT_EQ(PlatformLevel(w.tcb_info, w.pck, svn), &w.tcb_info.levels[0]);
  for (size_t i = 0; i < 16; ++i) {
    if (w.tcb_info.levels[2].sgx[i] == 0) continue;
    evidence::PckExtensions low = w.pck;
    low.components[i] = static_cast<uint8_t>(w.tcb_info.levels[2].sgx[i] - 1);
    low.components[(i + 1) % 16] = 255;
    EXPECT_EQ(PlatformLevel(w.tcb_info, low, svn), nullptr) << i;
  }
  // One component a level lower: the next level, not the first.
  evidence::PckExtensions second = w.pck;
  second.components[0] = 6;
  EXPECT_EQ(PlatformLevel(w.tcb_info, second, svn), &w.tcb_info.levels[1]);
}

TEST(TdxTcb, FirstTwoComponentsAreTheModulesWhenItHasAVersion) {
  TdxWorld w;
  Bytes svn = w.quote.body.tee_tcb_svn;
  svn[0] = 3;  // below the platform levels' 5
  EXPECT_EQ(PlatformLevel(w.tcb_info, w.pck, svn), &w.tcb_info.levels[0]);
  svn[1] = 0;
  EXPECT_EQ(PlatformLevel(w.tcb_info, w.pck, svn), nullptr);
  svn[0] = 5;
  EXPECT_EQ(PlatformLevel(w.tcb_info, w.pck, svn), &w.tcb_info.levels[0]);
  auto standing = EvaluateTcb(w.tcb_info, w.qe_identity, w.pck, svn, 4);
  ASSERT_TRUE(standing.ok());
  EXPECT_FALSE(standing->module.has_value());
  EXPECT_EQ(standing->status, TcbStatus::kUpToDate);
}

TEST(TdxTcb, ModuleIdsAreTwoHexDigits) {
  Bytes svn(16);
  EXPECT_EQ(ModuleId(svn), "");
  svn[1] = 1;
  EXPECT_EQ(ModuleId(svn), "TDX_01");
  svn[1] = 0xab;
  EXPECT_EQ(ModuleId(svn), "TDX_ab");
  TdxWorld w;
  w.tcb_info.modules[0].id = "TDX_AB";
  EXPECT_EQ(ModuleIdentity(w.tcb_info, svn), &w.tcb_info.modules[0]);
}

TEST(TdxTcb, AdvisoriesOfAllPartsAreNamedOnce) {
  TdxWorld w;
  w.qe_identity.levels[0].verdict.advisories = {"INTEL-SA-2", "INTEL-SA-1"};
  w.tcb_info.modules[0].levels[0].verdict.advisories = {"INTEL-SA-1"};
  auto standing = EvaluateTcb(w.tcb_info, w.qe_identity, w.pck, w.quote.body.tee_tcb_svn, 4);
  ASSERT_TRUE(standing.ok());
  EXPECT_EQ(standing->advisories, (std::vector<std::string>{"INTEL-SA-1", "INTEL-SA-2"}));
}

}  // namespace
}  // namespace ccgpu::verify
