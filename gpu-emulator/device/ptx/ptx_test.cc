// The engine against known answers: single instructions, kernels as clang makes them, and everything that must be
// refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <thread>

#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "gpu-emulator/device/ptx/test_memory.h"

namespace ccgpu::ptx {
namespace {

using testing::HasSubstr;

struct Engine_ {
  ArenaMemory memory;
  std::unique_ptr<Engine> engine = MakeInterpreter();

  Result<std::unique_ptr<Module>> Load(const std::string& text) { return engine->Load({text}, memory); }
  Status Run(const std::string& text, const std::string& kernel, Dim3 grid, Dim3 block,
             const std::vector<uint64_t>& params, uint32_t shared = 0) {
    ASSIGN_OR_RETURN(std::unique_ptr<Module> module, Load(text));
    LaunchSpec spec{grid, block, shared, AsBytes({reinterpret_cast<const char*>(params.data()), params.size() * 8}),
                    nullptr};
    return engine->Launch(*module, kernel, spec, memory);
  }
};

const std::string kHeader = ".version 7.8\n.target sm_80\n.address_size 64\n";

// A kernel of one thread: out[0..] of 64-bit slots; `body` may use %a, %b, %c (b64: in[0..2]), %f.. and must st.global
// to [%o].
std::string Single(const std::string& body) {
  return kHeader + R"(.visible .entry k(.param .u64 out, .param .u64 in) {
  .reg .b64 %o, %i, %a, %b, %c, %d, %e; .reg .b32 %ra, %rb, %rc, %rd, %re; .reg .b16 %ha, %hb, %hc; .reg .f32 %fa, %fb, %fc, %fd; .reg .f64 %da, %db, %dc, %dd; .reg .pred %p, %q;
  ld.param.u64 %o, [out]; ld.param.u64 %i, [in];
  ld.global.u64 %a, [%i]; ld.global.u64 %b, [%i+8]; ld.global.u64 %c, [%i+16];
  cvt.u32.u64 %ra, %a; cvt.u32.u64 %rb, %b; cvt.u32.u64 %rc, %c; cvt.u16.u64 %ha, %a; cvt.u16.u64 %hb, %b;
  mov.b32 %fa, %ra; mov.b32 %fb, %rb; mov.b32 %fc, %rc; mov.b64 %da, %a; mov.b64 %db, %b; mov.b64 %dc, %c;
  )" + body +
         "\n ret; }\n";
}

uint64_t Eval(const std::string& body, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0) {
  Engine_ e;
  const uint64_t in = e.memory.Put<uint64_t>({a, b, c}), out = e.memory.Put<uint64_t>({0xdeadbeefdeadbeef});
  Status status = e.Run(Single(body), "k", {}, {}, {out, in});
  EXPECT_TRUE(status.ok()) << body << "\n" << (status.ok() ? "" : status.error().ToString());
  return e.memory.Get<uint64_t>(out, 1)[0];
}
uint64_t Eval32(const std::string& instruction, uint64_t a, uint64_t b = 0, uint64_t c = 0) {
  return Eval(instruction + " st.global.u32 [%o], %rd; mov.u32 %rd, 0; st.global.u32 [%o+4], %rd;", a, b, c);
}
uint64_t Eval64(const std::string& instruction, uint64_t a, uint64_t b = 0, uint64_t c = 0) {
  return Eval(instruction + " st.global.u64 [%o], %d;", a, b, c);
}
float EvalF(const std::string& instruction, float a, float b = 0, float c = 0) {
  const uint64_t bits = Eval(instruction + " mov.b32 %rd, %fd; cvt.u64.u32 %d, %rd; st.global.u64 [%o], %d;",
                             std::bit_cast<uint32_t>(a), std::bit_cast<uint32_t>(b), std::bit_cast<uint32_t>(c));
  return std::bit_cast<float>(static_cast<uint32_t>(bits));
}
double EvalD(const std::string& instruction, double a, double b = 0, double c = 0) {
  return std::bit_cast<double>(Eval(instruction + " mov.b64 %d, %dd; st.global.u64 [%o], %d;",
                                    std::bit_cast<uint64_t>(a), std::bit_cast<uint64_t>(b),
                                    std::bit_cast<uint64_t>(c)));
}

TEST(Integer, ArithmeticWrapsAndKeepsSigns) {
  EXPECT_EQ(Eval32("add.s32 %rd, %ra, %rb;", 0xffffffff, 2), 1u);
  EXPECT_EQ(Eval32("sub.u32 %rd, %ra, %rb;", 1, 2), 0xffffffffu);
  EXPECT_EQ(Eval64("sub.s64 %d, %a, %b;", 0, 1), ~0ull);
  EXPECT_EQ(Eval32("mul.lo.s32 %rd, %ra, %rb;", 0x10001, 0x10001), 0x20001u);
  EXPECT_EQ(Eval32("mul.hi.u32 %rd, %ra, %rb;", 0xffffffff, 0xffffffff), 0xfffffffeu);
  EXPECT_EQ(Eval32("mul.hi.s32 %rd, %ra, %rb;", 0xffffffff, 2), 0xffffffffu);
  EXPECT_EQ(Eval64("mul.wide.s32 %d, %ra, %rb;", 0xffffffff, 3), static_cast<uint64_t>(-3));
  EXPECT_EQ(Eval64("mul.wide.u32 %d, %ra, %rb;", 0xffffffff, 3), 0x2fffffffdull);
  EXPECT_EQ(Eval64("mad.wide.s32 %d, %ra, 4, %c;", 0xfffffffe, 0, 100), 92u);
  EXPECT_EQ(Eval32("mad.lo.s32 %rd, %ra, %rb, %rc;", 5, 6, 7), 37u);
  EXPECT_EQ(Eval64("mul.hi.u64 %d, %a, %b;", ~0ull, ~0ull), ~1ull);
  EXPECT_EQ(Eval32("abs.s32 %rd, %ra;", 0x80000000), 0x80000000u);
  EXPECT_EQ(Eval32("neg.s32 %rd, %ra;", 5), static_cast<uint32_t>(-5));
  EXPECT_EQ(Eval32("sad.s32 %rd, %ra, %rb, %rc;", static_cast<uint32_t>(-3), 4, 10), 17u);
}

TEST(Integer, DivisionByZeroAndOverflowAreDefined) {
  EXPECT_EQ(Eval32("div.u32 %rd, %ra, %rb;", 7, 0), 0xffffffffu);
  EXPECT_EQ(Eval32("rem.u32 %rd, %ra, %rb;", 7, 0), 7u);
  EXPECT_EQ(Eval32("div.s32 %rd, %ra, %rb;", 0x80000000, 0xffffffff), 0x80000000u);
  EXPECT_EQ(Eval32("rem.s32 %rd, %ra, %rb;", 0x80000000, 0xffffffff), 0u);
  EXPECT_EQ(Eval64("div.s64 %d, %a, %b;", static_cast<uint64_t>(-7), 2), static_cast<uint64_t>(-3));
  EXPECT_EQ(Eval64("rem.s64 %d, %a, %b;", static_cast<uint64_t>(-7), 2), static_cast<uint64_t>(-1));
}

TEST(Integer, CarryChainsAddAndSubtract128Bits) {
  EXPECT_EQ(Eval64("add.cc.u64 %e, %a, %b; addc.u64 %d, %c, 0;", ~0ull, 1, 5), 6u);
  EXPECT_EQ(Eval64("sub.cc.u64 %e, %a, %b; subc.u64 %d, %c, 0;", 0, 1, 5), 4u);
  EXPECT_EQ(
      Eval32("mad.lo.cc.u32 %re, %ra, %rb, %rc; madc.hi.u32 %rd, %ra, %rb, 1;", 0xffffffff, 0xffffffff, 0xffffffff),
      0u);
  EXPECT_EQ(Eval32("add.cc.u32 %re, %ra, %rb; addc.cc.u32 %re, %re, %rb; addc.u32 %rd, 0, 0;", 0xffffffff, 0xffffffff),
            1u);
}

TEST(Integer, ShiftsBitFieldsAndPermutations) {
  EXPECT_EQ(Eval32("shl.b32 %rd, %ra, %rb;", 1, 31), 0x80000000u);
  EXPECT_EQ(Eval32("shl.b32 %rd, %ra, %rb;", 1, 32), 0u);
  EXPECT_EQ(Eval32("shr.s32 %rd, %ra, %rb;", 0x80000000, 40), 0xffffffffu);
  EXPECT_EQ(Eval32("shr.u32 %rd, %ra, %rb;", 0x80000000, 31), 1u);
  EXPECT_EQ(Eval32("shf.l.wrap.b32 %rd, %ra, %ra, %rb;", 0x80000001, 1), 3u);
  EXPECT_EQ(Eval32("popc.b32 %rd, %ra;", 0xf0f0), 8u);
  EXPECT_EQ(Eval32("clz.b64 %rd, %a;", 1), 63u);
  EXPECT_EQ(Eval32("brev.b32 %rd, %ra;", 1), 0x80000000u);
  EXPECT_EQ(Eval32("bfind.u32 %rd, %ra;", 0x00010000), 16u);
  EXPECT_EQ(Eval32("bfind.s32 %rd, %ra;", 0xffffffff), 0xffffffffu);
  EXPECT_EQ(Eval32("bfind.shiftamt.u32 %rd, %ra;", 0x00010000), 15u);
  EXPECT_EQ(Eval32("bfe.u32 %rd, %ra, 4, 8;", 0xabcd), 0xbcu);
  EXPECT_EQ(Eval32("bfe.s32 %rd, %ra, 4, 8;", 0xabcd), 0xffffffbcu);
  EXPECT_EQ(Eval64("bfi.b64 %d, %a, %b, 32, 32;", 0x12345678, 0x9abcdef0), 0x123456789abcdef0u);
  EXPECT_EQ(Eval32("prmt.b32 %rd, %ra, %rb, 0x7531;", 0x33221100, 0x77665544), 0x77553311u);
  EXPECT_EQ(Eval32("lop3.b32 %rd, %ra, %rb, %rc, 0x96;", 0xff00, 0x0ff0, 0x00ff), 0xff00u ^ 0x0ff0 ^ 0x00ff);
}

TEST(Compare, SetpSelpAndPredicates) {
  const std::string tail = " selp.u32 %rd, 1, 0, %p;";
  EXPECT_EQ(Eval32("setp.lt.s32 %p, %ra, %rb;" + tail, 0xffffffff, 1), 1u);
  EXPECT_EQ(Eval32("setp.lt.u32 %p, %ra, %rb;" + tail, 0xffffffff, 1), 0u);
  EXPECT_EQ(Eval32("setp.hi.u32 %p, %ra, %rb;" + tail, 0xffffffff, 1), 1u);
  EXPECT_EQ(Eval32("setp.eq.s32 %p|%q, %ra, %rb; not.pred %p, %q;" + tail, 4, 4), 1u);
  EXPECT_EQ(Eval32("setp.eq.s32 %q, %ra, %ra; setp.lt.and.s32 %p, %ra, %rb, !%q;" + tail, 1, 2), 0u);
  EXPECT_EQ(Eval32("setp.eq.s32 %q, %ra, %ra; setp.gt.or.s32 %p, %ra, %rb, %q;" + tail, 1, 2), 1u);
  EXPECT_EQ(Eval32("setp.eq.s32 %p, %ra, %rb; mov.u32 %rd, 7; @%p mov.u32 %rd, 8; @!%p add.u32 %rd, %rd, 90;", 1, 2),
            97u);
  EXPECT_EQ(Eval32("set.lt.u32.s32 %rd, %ra, %rb;", 1, 2), 0xffffffffu);
  EXPECT_EQ(Eval32("slct.u32.s32 %rd, %ra, %rb, %rc;", 1, 2, 0x80000000), 2u);
}

TEST(Float, ComparisonKnowsNaN) {
  const uint32_t nan = 0x7fc00000, one = 0x3f800000;
  const std::string tail = " selp.u32 %rd, 1, 0, %p;";
  const std::pair<const char*, unsigned> cases[] = {{"eq", 0},  {"ne", 0},  {"lt", 0},  {"equ", 1},
                                                    {"neu", 1}, {"ltu", 1}, {"num", 0}, {"nan", 1}};
  for (auto [name, expected] : cases)
    EXPECT_EQ(Eval32("setp." + std::string(name) + ".f32 %p, %fa, %fb;" + tail, nan, one), expected) << name;
  EXPECT_EQ(Eval32("setp.neu.f32 %p, %fa, %fb;" + tail, one, one), 0u);
}

TEST(Float, RoundingModesDiffer) {
  EXPECT_EQ(EvalF("add.rn.f32 %fd, %fa, %fb;", 1.0f, 0x1p-24f), 1.0f);
  EXPECT_EQ(EvalF("add.rp.f32 %fd, %fa, %fb;", 1.0f, 0x1p-24f), std::nextafter(1.0f, 2.0f));
  EXPECT_EQ(EvalF("add.rz.f32 %fd, %fa, %fb;", -1.0f, -0x1p-24f), -1.0f);
  EXPECT_EQ(EvalF("add.rm.f32 %fd, %fa, %fb;", -1.0f, -0x1p-24f), std::nextafter(-1.0f, -2.0f));
  EXPECT_EQ(EvalF("fma.rn.f32 %fd, %fa, %fb, %fc;", 1 + 0x1p-12f, 1 - 0x1p-12f, -1.0f), -0x1p-24f);
  EXPECT_EQ(EvalF("mul.ftz.f32 %fd, %fa, %fb;", 0x1p-126f, 0.5f), 0.0f);
  EXPECT_EQ(EvalF("mul.f32 %fd, %fa, %fb;", 0x1p-126f, 0.5f), 0x1p-127f);
  EXPECT_EQ(EvalF("add.sat.f32 %fd, %fa, %fb;", 1.0f, 1.0f), 1.0f);
  EXPECT_EQ(EvalF("min.f32 %fd, %fa, %fb;", std::nanf(""), 2.0f), 2.0f);
  EXPECT_EQ(EvalF("div.rn.f32 %fd, %fa, %fb;", 1.0f, 3.0f), 1.0f / 3.0f);
  EXPECT_EQ(EvalF("sqrt.rn.f32 %fd, %fa;", 2.0f), std::sqrt(2.0f));
  EXPECT_NEAR(EvalF("ex2.approx.ftz.f32 %fd, %fa;", 3.5f), std::exp2(3.5f), 1e-5);
  EXPECT_NEAR(EvalF("lg2.approx.f32 %fd, %fa;", 10.0f), std::log2(10.0f), 1e-6);
  EXPECT_NEAR(EvalF("rsqrt.approx.f32 %fd, %fa;", 4.0f), 0.5f, 1e-7);
  EXPECT_EQ(EvalD("fma.rn.f64 %dd, %da, %db, %dc;", 3, 4, 5), 17.0);
  EXPECT_EQ(EvalD("rcp.rn.f64 %dd, %da;", 8), 0.125);
  EXPECT_EQ(EvalD("mov.f64 %dd, 0d3FF8000000000000;", 0), 1.5);
  EXPECT_EQ(EvalF("mov.f32 %fd, 0fC0000000;", 0), -2.0f);
  EXPECT_EQ(EvalF("neg.f32 %fd, %fa;", 0.0f), -0.0f);
}

TEST(Float, HalvesConvertAndCompute) {
  EXPECT_EQ(
      Eval("cvt.rn.f16.f32 %ha, %fa; cvt.u64.u16 %d, %ha; st.global.u64 [%o], %d;", std::bit_cast<uint32_t>(1.0f)),
      0x3c00u);
  EXPECT_EQ(
      Eval("cvt.rn.f16.f32 %ha, %fa; cvt.u64.u16 %d, %ha; st.global.u64 [%o], %d;", std::bit_cast<uint32_t>(65520.0f)),
      0x7c00u);
  EXPECT_EQ(
      Eval("cvt.rn.f16.f32 %ha, %fa; cvt.u64.u16 %d, %ha; st.global.u64 [%o], %d;", std::bit_cast<uint32_t>(0x1p-24f)),
      1u);
  EXPECT_EQ(Eval("add.f16 %ha, %ha, %hb; cvt.u64.u16 %d, %ha; st.global.u64 [%o], %d;", 0x3c00, 0x4000), 0x4200u);
  EXPECT_EQ(Eval("fma.rn.f16 %ha, %ha, %hb, %hb; cvt.u64.u16 %d, %ha; st.global.u64 [%o], %d;", 0x4000, 0x4200),
            0x4880u);
}

TEST(Convert, RoundsSaturatesAndExtends) {
  EXPECT_EQ(Eval32("cvt.rzi.s32.f32 %rd, %fa;", std::bit_cast<uint32_t>(-2.7f)), static_cast<uint32_t>(-2));
  EXPECT_EQ(Eval32("cvt.rni.s32.f32 %rd, %fa;", std::bit_cast<uint32_t>(2.5f)), 2u);
  EXPECT_EQ(Eval32("cvt.rpi.s32.f32 %rd, %fa;", std::bit_cast<uint32_t>(2.1f)), 3u);
  EXPECT_EQ(Eval32("cvt.rzi.s32.f32 %rd, %fa;", std::bit_cast<uint32_t>(1e20f)), 0x7fffffffu);
  EXPECT_EQ(Eval32("cvt.rzi.u32.f32 %rd, %fa;", std::bit_cast<uint32_t>(-1.0f)), 0u);
  EXPECT_EQ(Eval32("cvt.rzi.s32.f32 %rd, %fa;", 0x7fc00000), 0u);
  EXPECT_EQ(Eval64("cvt.s64.s32 %d, %ra;", 0xfffffffe), static_cast<uint64_t>(-2));
  EXPECT_EQ(Eval64("cvt.s64.s8 %d, %ra;", 0x80), static_cast<uint64_t>(-128));
  EXPECT_EQ(Eval32("cvt.sat.u8.s32 %rd, %ra;", 300), 255u);
  EXPECT_EQ(Eval32("cvt.sat.s8.s32 %rd, %ra;", static_cast<uint32_t>(-300)) & 0xff, 0x80u);
  EXPECT_EQ(EvalD("cvt.rn.f64.u64 %dd, %a;", std::bit_cast<double>(~0ull)), 18446744073709551616.0);
  EXPECT_EQ(EvalF("cvt.rn.f32.s32 %fd, %ra;", std::bit_cast<float>(0xfffffff9)), -7.0f);
  EXPECT_EQ(EvalF("cvt.rmi.f32.f32 %fd, %fa;", -1.5f), -2.0f);
}

TEST(Memory, VectorsAtomicsLocalsAndSpaces) {
  EXPECT_EQ(Eval64("st.global.v2.u32 [%o], {%ra, %rb}; ld.global.u64 %d, [%o];", 1, 2), 0x200000001u);
  EXPECT_EQ(Eval32("ld.global.v2.u32 {%re, %rd}, [%i+8];", 0, 0x700000003), 7u);
  EXPECT_EQ(Eval64("mov.b64 %d, {%ra, %rb};", 1, 2), 0x200000001u);
  EXPECT_EQ(Eval32("mov.b64 {%re, %rd}, %a;", 0x500000001), 5u);
  EXPECT_EQ(Eval32(".local .align 8 .b8 depot[16]; mov.u64 %d, depot; cvta.local.u64 %e, %d; st.u32 [%e+4], %ra; "
                   "ld.local.u32 %rd, [%d+4];",
                   77),
            77u);
  EXPECT_EQ(Eval32(".shared .align 4 .b8 tile[64]; mov.u64 %d, tile; st.shared.u32 [tile+8], %ra; cvta.shared.u64 %e, "
                   "%d; ld.u32 %rd, [%e+8];",
                   88),
            88u);
  EXPECT_EQ(Eval32("atom.global.add.u32 %rd, [%i], 5; ld.global.u32 %rd, [%i];", 10), 15u);
  EXPECT_EQ(Eval32("atom.global.cas.b32 %rd, [%i], 10, 99; ld.global.u32 %rd, [%i];", 10), 99u);
  EXPECT_EQ(Eval32("atom.global.max.s32 %rd, [%i], -1; ld.global.u32 %rd, [%i];", 0xfffffff0), 0xffffffffu);
  EXPECT_EQ(Eval32("atom.global.inc.u32 %rd, [%i], 10; ld.global.u32 %rd, [%i];", 10), 0u);
  EXPECT_EQ(Eval32("atom.global.exch.b32 %rd, [%i], 3;", 12), 12u);
  EXPECT_EQ(Eval32("red.global.xor.b32 [%i], 3; ld.volatile.global.u32 %rd, [%i];", 12), 15u);
  EXPECT_EQ(Eval64("ld.global.s8 %d, [%i];", 0x80), static_cast<uint64_t>(-128));
}

TEST(Control, LoopsJumpTablesAndCallsWithScopes) {
  EXPECT_EQ(
      Eval32("mov.u32 %rd, 0; LOOP: add.u32 %rd, %rd, %ra; sub.u32 %ra, %ra, 1; setp.ne.u32 %p, %ra, 0; @%p bra LOOP;",
             100),
      5050u);
  EXPECT_EQ(Eval32("T: .branchtargets A, B, C; brx.idx %ra, T; A: mov.u32 %rd, 10; bra E; B: mov.u32 %rd, 20; bra E; "
                   "C: mov.u32 %rd, 30; E: add.u32 %rd, %rd, 1;",
                   2),
            31u);
  Engine_ e;
  const std::string text = kHeader + R"(
.func (.param .b32 r) fib(.param .b32 n) { .reg .b32 %a<6>; .reg .pred %p;
  ld.param.u32 %a0, [n]; setp.lt.u32 %p, %a0, 2; @%p bra DONE;
  sub.u32 %a1, %a0, 1; { .param .b32 param0; st.param.b32 [param0+0], %a1; .param .b32 retval0; call.uni (retval0), fib, (param0); ld.param.b32 %a2, [retval0+0]; }
  sub.u32 %a1, %a0, 2; { .param .b32 param0; st.param.b32 [param0+0], %a1; .param .b32 retval0; call.uni (retval0), fib, (param0); ld.param.b32 %a3, [retval0+0]; }
  add.u32 %a0, %a2, %a3;
DONE: st.param.b32 [r+0], %a0; ret; }
.visible .entry k(.param .u64 out) { .reg .b64 %o; .reg .b32 %r<3>; ld.param.u64 %o, [out]; mov.u32 %r0, 15;
  { .param .b32 param0; st.param.b32 [param0+0], %r0; .param .b32 retval0; call.uni (retval0), fib, (param0); ld.param.b32 %r1, [retval0+0]; }
  st.global.u32 [%o], %r1; ret; })";
  const uint64_t out = e.memory.Put<uint32_t>({0});
  Status status = e.Run(text, "k", {}, {}, {out});
  ASSERT_TRUE(status.ok()) << status.error().ToString();
  EXPECT_EQ(e.memory.Get<uint32_t>(out, 1)[0], 610u);
}

TEST(Control, EndlessRecursionFailsInsteadOfFillingMemory) {
  Engine_ e;
  Status status =
      e.Run(kHeader + ".func f() { .local .b8 big[1024]; call.uni f; ret; } .visible .entry k() { call.uni f; ret; }",
            "k", {}, {}, {});
  EXPECT_EQ(status.error().code, "cuda.launch-failed");
}

TEST(Warp, ShuffleVoteMatchAndReduce) {
  Engine_ e;
  const std::string text =
      kHeader + R"(.visible .entry k(.param .u64 out) { .reg .b64 %o<3>; .reg .b32 %r<12>; .reg .pred %p, %q;
  ld.param.u64 %o0, [out]; mov.u32 %r0, %tid.x; mul.wide.u32 %o1, %r0, 32; add.s64 %o2, %o0, %o1;
  shfl.sync.down.b32 %r1|%p, %r0, 1, 31, -1; st.global.u32 [%o2], %r1; selp.u32 %r2, 1, 0, %p; st.global.u32 [%o2+4], %r2;
  shfl.sync.bfly.b32 %r1, %r0, 16, 31, 0xffffffff; st.global.u32 [%o2+8], %r1;
  and.b32 %r3, %r0, 1; setp.eq.u32 %q, %r3, 0; vote.sync.ballot.b32 %r4, %q, -1; st.global.u32 [%o2+12], %r4;
  shr.u32 %r5, %r0, 3; match.any.sync.b32 %r6, %r5, -1; st.global.u32 [%o2+16], %r6;
  redux.sync.add.u32 %r7, %r0, -1; st.global.u32 [%o2+20], %r7;
  shfl.sync.idx.b32 %r8, %r0, 3, 31, -1; st.global.u32 [%o2+24], %r8; bar.warp.sync -1; mov.u32 %r9, %lanemask_lt; st.global.u32 [%o2+28], %r9; ret; })";
  const uint64_t out = e.memory.Put(std::vector<uint32_t>(8 * 32));
  Status status = e.Run(text, "k", {}, {32, 1, 1}, {out});
  ASSERT_TRUE(status.ok()) << status.error().ToString();
  const auto got = e.memory.Get<uint32_t>(out, 8 * 32);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(got[lane * 8], lane < 31 ? lane + 1 : 31);
    EXPECT_EQ(got[lane * 8 + 1], lane < 31 ? 1u : 0u);
    EXPECT_EQ(got[lane * 8 + 2], lane ^ 16);
    EXPECT_EQ(got[lane * 8 + 3], 0x55555555u);
    EXPECT_EQ(got[lane * 8 + 4], 0xffu << (lane / 8 * 8));
    EXPECT_EQ(got[lane * 8 + 5], 496u);
    EXPECT_EQ(got[lane * 8 + 6], 3u);
    EXPECT_EQ(got[lane * 8 + 7], (1u << lane) - 1);
  }
}

TEST(Barrier, AThreadThatLeftIsNotWaitedForAndADeadlockIsFound) {
  Engine_ e;
  const std::string leave = kHeader +
                            ".visible .entry k() { .reg .b32 %r; .reg .pred %p; mov.u32 %r, %tid.x; setp.gt.u32 %p, "
                            "%r, 3; @%p ret; bar.sync 0; ret; }";
  EXPECT_TRUE(e.Run(leave, "k", {}, {64, 1, 1}, {}).ok());
  const std::string stuck = kHeader +
                            ".visible .entry k() { .reg .b32 %r; .reg .pred %p; mov.u32 %r, %tid.x; setp.gt.u32 %p, "
                            "%r, 3; @%p bra B; bar.sync 0; ret; B: bar.sync 1; ret; }";
  EXPECT_TRUE(e.Run(stuck, "k", {}, {4, 1, 1}, {}).ok());
  EXPECT_EQ(e.Run(stuck, "k", {}, {8, 1, 1}, {}).error().code, "cuda.launch-failed");
}

TEST(Refusal, NamesLineAndInstruction) {
  Engine_ e;
  const std::pair<const char*, const char*> cases[] = {
      {"wgmma.mma_async.sync.aligned %ra;", "wgmma.mma_async.sync.aligned"},
      {"add.q32 %ra, %rb, %rc;", "add.q32"},
      {"add.s32 %ra, %rb;", "takes 3 operands"},
      {"mul.s32 %ra, %rb, %rc;", "mul.s32"},
      {"add.s32 %ra, %zz, %rb;", "%zz"},
      {"bra NOWHERE;", "NOWHERE"},
      {"ld.texture.u32 %ra, [%o];", "ld.texture.u32"},
      {"atom.global.min.f32 %fa, [%o], %fb;", "atom.global.min.f32"},
      {"call.uni missing;", "missing"},
      {"ld.param.u32 %ra, [out+6];", "past the end"},
      {"setp.lo.f32 %p, %fa, %fb;", "setp.lo.f32"},
      {"mov.u32 %ra, undefined;", "undefined"}};
  for (auto [body, word] : cases) {
    auto module = e.Load(Single("\n\n" + std::string(body)));
    ASSERT_FALSE(module.ok()) << body;
    EXPECT_EQ(module.error().code, "cuda.invalid-ptx");
    EXPECT_EQ(module.error().subject, "line:12") << body;
    EXPECT_THAT(module.error().text, HasSubstr(word));
  }
  for (const char* text : {"", ".visible .entry k( {", ".visible .entry k() { add.s32 ", ".global .align 3 .b8 x[4];",
                           ".global .u32 x[99999999999];", "hello", ".entry k() { @%p: ; }"}) {
    auto module = e.Load(kHeader + text);
    if (std::string(text).empty()) EXPECT_TRUE(module.ok());
    else EXPECT_FALSE(module.ok()) << text;
  }
}

TEST(Refusal, BadAddressesStopTheLaunchAndSayWhere) {
  Engine_ e;
  Status status = e.Run(Single("mov.u64 %d, 16; \n st.global.u32 [%d], %ra;"), "k", {}, {},
                        {e.memory.Put<uint64_t>({0}), e.memory.Put<uint64_t>({1, 2, 3})});
  EXPECT_EQ(status.error().code, "cuda.illegal-address");
  EXPECT_THAT(status.error().text, HasSubstr("st.global.u32"));
  for (const char* body :
       {"st.shared.u32 [4096], %ra;", "mov.u64 %d, 0x0300000000001000; ld.u32 %rd, [%d];",
        "mov.u64 %d, 0x0200000000800000; ld.u32 %rd, [%d];", "mov.u64 %d, -8; ld.global.u64 %e, [%d];"}) {
    EXPECT_EQ(
        e.Run(Single(body), "k", {}, {}, {e.memory.Put<uint64_t>({0}), e.memory.Put<uint64_t>({1, 2, 3})}).error().code,
        "cuda.illegal-address")
        << body;
  }
  EXPECT_EQ(e.Run(Single("add.u64 %o, %o, 1; ld.global.u32 %rd, [%o];"), "k", {}, {},
                  {e.memory.Put<uint64_t>({0}), e.memory.Put<uint64_t>({1, 2, 3})})
                .error()
                .code,
            "cuda.misaligned-address");
}

TEST(Refusal, AnEndlessLoopIsCancelled) {
  Engine_ e;
  auto module = e.Load(kHeader + ".visible .entry k() { L: bra L; }");
  ASSERT_TRUE(module.ok());
  std::atomic<bool> cancel{false};
  std::thread stopper([&] { cancel = true; });
  LaunchSpec spec;
  spec.cancel = &cancel;
  EXPECT_EQ(e.engine->Launch(**module, "k", spec, e.memory).error().code, "cuda.launch-timeout");
  stopper.join();
}

TEST(Refusal, LaunchSizes) {
  Engine_ e;
  const std::string text = kHeader + ".visible .entry k(.param .u64 p) .maxntid 64, 1, 1 { ret; }";
  EXPECT_TRUE(e.Run(text, "k", {}, {64, 1, 1}, {0}).ok());
  EXPECT_EQ(e.Run(text, "k", {}, {65, 1, 1}, {0}).error().code, "cuda.invalid-value");
  EXPECT_EQ(e.Run(text, "k", {}, {}, {}).error().code, "cuda.invalid-value");
  EXPECT_EQ(e.Run(text, "k", {0, 1, 1}, {}, {0}).error().code, "cuda.invalid-value");
  EXPECT_EQ(e.Run(text, "k", {}, {}, {0}, 300 << 10).error().code, "cuda.invalid-value");
  EXPECT_EQ(e.Run(text, "nope", {}, {}, {0}).error().code, "cuda.not-found");
}

// CUDA C compiled by Debian's clang, without an SDK.
std::string Compile(const std::string& source) {
  if (std::system("command -v clang-16 >/dev/null 2>&1") != 0) return "";
  const TempDir dir;
  const std::string stem = dir / "kernel";
  const std::string prelude =
      "#define __global__ __attribute__((global))\n#define __device__ __attribute__((device))\n#define __shared__ "
      "__attribute__((shared))\n#define __constant__ __attribute__((constant))\n"
      "#define TX __nvvm_read_ptx_sreg_tid_x()\n#define BX __nvvm_read_ptx_sreg_ctaid_x()\n#define NX "
      "__nvvm_read_ptx_sreg_ntid_x()\n#define SYNC __syncthreads()\n";
  (void)WriteFileAtomic(stem + ".cu", prelude + source);
  const int failed =
      std::system(("clang-16 -x cuda --cuda-device-only --cuda-gpu-arch=sm_80 -nocudainc -nocudalib -S -O2 -o " + stem +
                   ".ptx " + stem + ".cu 2>" + stem + ".log")
                      .c_str());
  std::string out = failed ? "" : *ReadFile(stem + ".ptx");
  EXPECT_EQ(failed, 0) << *ReadFile(stem + ".log");
  return out;
}

TEST(Clang, ReductionMatmulHistogramAndConstants) {
  const std::string ptx = Compile(R"(
__constant__ float scale[4] = {1, 2, 3, 4};
extern "C" __global__ void sum(const float* in, float* out, int n) {
  __shared__ float tile[256];
  float s = 0; for (int i = BX * NX + TX; i < n; i += NX * 4) s += in[i];
  tile[TX] = s; SYNC;
  for (int w = 128; w > 0; w /= 2) { if (TX < w) tile[TX] += tile[TX + w]; SYNC; }
  if (TX == 0) out[BX] = tile[0] * scale[BX];
}
extern "C" __global__ void matmul(const double* a, const double* b, double* c, int n) {
  int row = BX, col = TX; double s = 0; for (int k = 0; k < n; ++k) s += a[row * n + k] * b[k * n + col]; c[row * n + col] = s;
}
extern "C" __global__ void histogram(const unsigned char* in, unsigned* out, int n) {
  __shared__ unsigned bins[16]; if (TX < 16) bins[TX] = 0; SYNC;
  for (int i = BX * NX + TX; i < n; i += NX * 2) __nvvm_atom_add_gen_i((int*)&bins[in[i] & 15], 1);
  SYNC; if (TX < 16) __nvvm_atom_add_gen_i((int*)&out[TX], bins[TX]);
}
__device__ __attribute__((noinline)) int collatz(int n) { int steps = 0; while (n != 1) { n = n % 2 ? 3 * n + 1 : n / 2; ++steps; } return steps; }
extern "C" __global__ void steps(int* out) { out[TX] = collatz(TX + 1); }
extern "C" __global__ void pick(int* out) { switch (TX) { case 0: out[0] = 5; break; case 1: out[1] = 17; break; case 2: out[2] = -4; break; case 3: out[3] = 99; break; case 4: out[4] = 1; break; default: out[TX] = TX * TX; } }
)");
  if (ptx.empty()) GTEST_SKIP() << "SKIPPED: clang-16 is not installed, kernels cannot be compiled";
  Engine_ e;
  std::vector<float> floats(1000);
  std::iota(floats.begin(), floats.end(), 0.0f);
  const uint64_t in = e.memory.Put(floats), out = e.memory.Put(std::vector<float>(4));
  Status status = e.Run(ptx, "sum", {4, 1, 1}, {256, 1, 1}, {in, out, 1000});
  ASSERT_TRUE(status.ok()) << status.error().ToString();
  const auto sums = e.memory.Get<float>(out, 4);
  EXPECT_FLOAT_EQ(sums[0] + sums[1] / 2 + sums[2] / 3 + sums[3] / 4, 499500.0f);

  const int n = 24;
  std::vector<double> a(n * n), b(n * n), expected(n * n);
  for (int i = 0; i < n * n; ++i) a[i] = i % 7 - 3, b[i] = i % 5 * 0.5;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j)
      for (int k = 0; k < n; ++k) expected[i * n + j] += a[i * n + k] * b[k * n + j];
  const uint64_t pa = e.memory.Put(a), pb = e.memory.Put(b), pc = e.memory.Put(std::vector<double>(n * n));
  status = e.Run(ptx, "matmul", {n, 1, 1}, {n, 1, 1}, {pa, pb, pc, n});
  ASSERT_TRUE(status.ok()) << status.error().ToString();
  EXPECT_EQ(e.memory.Get<double>(pc, n * n), expected);

  std::vector<uint8_t> letters(5000);
  std::vector<uint32_t> bins(16);
  for (size_t i = 0; i < letters.size(); ++i) letters[i] = static_cast<uint8_t>(i * i % 251), ++bins[letters[i] & 15];
  const uint64_t pl = e.memory.Put(letters), ph = e.memory.Put(std::vector<uint32_t>(16));
  status = e.Run(ptx, "histogram", {2, 1, 1}, {128, 1, 1}, {pl, ph, 5000});
  ASSERT_TRUE(status.ok()) << status.error().ToString();
  EXPECT_EQ(e.memory.Get<uint32_t>(ph, 16), bins);

  const uint64_t ps = e.memory.Put(std::vector<int>(27));
  status = e.Run(ptx, "steps", {}, {27, 1, 1}, {ps});
  ASSERT_TRUE(status.ok()) << status.error().ToString();
  EXPECT_EQ(e.memory.Get<int>(ps, 27)[26], 111);
  const uint64_t pp = e.memory.Put(std::vector<int>(8));
  status = e.Run(ptx, "pick", {}, {8, 1, 1}, {pp});
  ASSERT_TRUE(status.ok()) << status.error().ToString();
  EXPECT_EQ(e.memory.Get<int>(pp, 8), (std::vector<int>{5, 17, -4, 99, 1, 25, 36, 49}));
}

}  // namespace
}  // namespace ccgpu::ptx
