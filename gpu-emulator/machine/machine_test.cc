// The machine's slots with a real guest driver on the link, and what a verifier says about each fault.
#include "gpu-emulator/machine/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "gpu-emulator/guest/driver/driver.h"
#include "trust/verify/verify.h"

namespace ccgpu::emulator {
namespace {

using ::testing::HasSubstr;

// One emulator without its sockets.
struct World {
  explicit World(const std::string& profile_name = "h100-ncc-v5", uint32_t gpus = 2)
      : profile(LoadProfile(profile_name).value()) {
    Start(gpus);
  }
  void Start(uint32_t gpus) {
    machine.reset();
    pki = LoadOrMakeDevicePki(dir / "vendor", profile.chip, clock.Now()).value();
    endorsements = std::make_unique<Endorsements>(pki, MakeReferenceManifests(profile, pki).value(), clock);
    machine = Machine::Create({dir / "boards", dir.path(), gpus}, profile, pki, *endorsements, clock, random).value();
  }
  verify::Anchors Anchors() const {
    verify::Anchors out;
    out.device_roots = {pki.root.authority.certificate};
    out.rim_roots = {pki.rim_root.authority.certificate};
    out.insecure_accept_emulated = true;
    return out;
  }
  evidence::Collateral Collateral(const std::string& uuid) {
    evidence::Collateral collateral;
    for (const auto& item : machine->Collateral({uuid})) {
      if (item.kind == "rim") collateral.rims[item.id] = ToText(item.data);
      if (item.kind == "ocsp") collateral.ocsp_responses.push_back(item.data);
    }
    return collateral;
  }

  const TempDir dir;
  SystemClock clock;
  crypto::SystemRandom random;
  const Profile profile;
  DevicePki pki;
  std::unique_ptr<Endorsements> endorsements;
  std::unique_ptr<Machine> machine;
};

class MachineTest : public ::testing::Test {
 protected:
  std::string Uuid(uint32_t index) { return world_.machine->List()[index].uuid; }

  // A guest's driver on GPU 0, locked to "s1"; fault_after_lock goes in between.
  Result<std::unique_ptr<driver::GuestDriver>> Guest(const std::string& fault_after_lock = "") {
    ASSIGN_OR_RETURN(auto locked, world_.machine->Lock("s1", {Uuid(0)}));
    if (!fault_after_lock.empty()) (void)world_.machine->Inject(0, fault_after_lock);
    driver::Options options;
    options.accepted_modes = {link::Mode::kHopperCc, link::Mode::kDevtools};
    options.exchange_timeout_ms = 2000;
    LockedGpu& gpu = locked[0];
    return driver::GuestDriver::Open(std::move(gpu.link), {gpu.index, gpu.uuid, gpu.lock_nonce, gpu.device_cert_sha384},
                                     options);
  }

  // What a verifier says about GPU 0 now.
  verify::Verdict Judge(const verify::Anchors& anchors) {
    auto guest = Guest();
    EXPECT_TRUE(guest.ok()) << guest.error().ToString();
    if (!guest.ok()) return {};
    const Bytes nonce = world_.random.Take(32);
    auto attested = (*guest)->Attest(nonce);
    EXPECT_TRUE(attested.ok()) << attested.error().ToString();
    if (!attested.ok()) return {};
    evidence::GpuEvidence evidence{"HOPPER", Uuid(0), attested->report, attested->chain_pem};
    verify::GpuOptions options;
    options.nonce = nonce;
    auto verdict = verify::VerifyGpu(evidence::Unverified<evidence::GpuEvidence>(std::move(evidence)),
                                     world_.Collateral(Uuid(0)), anchors, options, world_.clock.Now());
    guest->reset();
    world_.machine->Release("s1");
    return verdict;
  }
  std::string Refusal() {
    const auto verdict = Judge(world_.Anchors());
    return verdict.accepted         ? "accepted"
           : verdict.FirstFailure() ? verdict.FirstFailure()->reason.code
                                    : "no check ran";
  }

  World world_;
};

TEST_F(MachineTest, HealthyBoardIsAcceptedAsEmulated) {
  auto verdict = Judge(world_.Anchors());
  EXPECT_TRUE(verdict.accepted) << verdict.ToJson();
  EXPECT_EQ(verdict.environment, "emulated");
}

TEST_F(MachineTest, HealthyBoardIsRefusedWithoutTheInsecureOption) {
  verify::Anchors anchors = world_.Anchors();
  anchors.insecure_accept_emulated = false;
  auto verdict = Judge(anchors);
  ASSERT_FALSE(verdict.accepted);
  EXPECT_EQ(verdict.FirstFailure()->reason.code, "environment.emulated");
}

TEST_F(MachineTest, AnotherEmulatorsRootIsRefused) {
  World other("h100-ncc-v5", 0);
  auto verdict = Judge(other.Anchors());
  ASSERT_FALSE(verdict.accepted);
  EXPECT_EQ(verdict.FirstFailure()->reason.code, "gpu.untrusted-root");
}

TEST_F(MachineTest, EachFaultIsRefusedForItsOwnReasonAndGoesAway) {
  const std::pair<const char*, const char*> kFaults[] = {{"firmware", "gpu.measurement-mismatch"},
                                                         {"debug", "gpu.debug-enabled"},
                                                         {"revoke", "gpu.revoked"},
                                                         {"hold", "gpu.revoked"},
                                                         {"rim-revoke", "rim.revoked"},
                                                         {"rim-hold", "rim.revoked"}};
  for (const auto& [fault, code] : kFaults) {
    auto injected = world_.machine->Inject(0, fault);
    ASSERT_TRUE(injected.ok());
    EXPECT_EQ(injected->fault, fault);
    EXPECT_TRUE(injected->healthy) << "a host cannot see " << fault;
    EXPECT_EQ(Refusal(), code);
    ASSERT_TRUE(world_.machine->Inject(0, "none").ok());
    EXPECT_EQ(Refusal(), "accepted") << "after " << fault;
  }
}

TEST_F(MachineTest, FirmwareMismatchNamesTheComponent) {
  ASSERT_TRUE(world_.machine->Inject(0, "firmware").ok());
  auto verdict = Judge(world_.Anchors());
  ASSERT_NE(verdict.FirstFailure(), nullptr);
  EXPECT_THAT(verdict.FirstFailure()->reason.text, HasSubstr("GSP-RM firmware"));
}

TEST_F(MachineTest, DevtoolsIsRefused) {
  ASSERT_TRUE(world_.machine->SetMode(0, "devtools").ok());
  EXPECT_EQ(Refusal(), "gpu.mode-devtools");
  ASSERT_TRUE(world_.machine->SetMode(0, "hopper-cc").ok());
  EXPECT_EQ(Refusal(), "accepted");
}

TEST_F(MachineTest, ABoardSwappedAfterLockIsNoticed) {
  auto guest = Guest("swap");
  ASSERT_FALSE(guest.ok());
  EXPECT_EQ(guest.error().code, "gpu.swapped");
}

TEST_F(MachineTest, ABoardSwappedUnderARunningGuestIsLost) {
  auto guest = Guest();
  ASSERT_TRUE(guest.ok()) << guest.error().ToString();
  EXPECT_EQ(world_.machine->List()[0].state, "RUN");
  ASSERT_TRUE(world_.machine->Inject(0, "swap").ok());
  EXPECT_FALSE((*guest)->Attest(Bytes(32, 1)).ok());
}

TEST_F(MachineTest, ASwappedBoardIsGenuineForTheNextSandbox) {
  ASSERT_TRUE(world_.machine->Inject(0, "swap").ok());
  EXPECT_EQ(Refusal(), "accepted");
}

TEST_F(MachineTest, DroppedAndHangingBoardsAreUnhealthyAndCannotBeLocked) {
  for (const auto& [fault, reason] : {std::pair{"drop", "gpu.link-down"}, std::pair{"hang", "gpu.hang"}}) {
    auto injected = world_.machine->Inject(0, fault);
    ASSERT_TRUE(injected.ok());
    EXPECT_FALSE(injected->healthy);
    EXPECT_EQ(injected->health_reason, reason);
    EXPECT_FALSE(world_.machine->Lock("s1", {Uuid(0)}).ok());
    ASSERT_TRUE(world_.machine->Inject(0, "none").ok());
    EXPECT_TRUE(world_.machine->List()[0].healthy) << fault;
    EXPECT_EQ(Refusal(), "accepted") << "after " << fault;
  }
}

TEST_F(MachineTest, LockIsAllOrNone) {
  ASSERT_TRUE(world_.machine->Lock("a", {Uuid(1)}).ok());
  auto refused = world_.machine->Lock("b", {Uuid(0), Uuid(1)});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "gpu.already-locked");
  EXPECT_EQ(world_.machine->List()[0].sandbox_id, "");
  EXPECT_EQ(world_.machine->Lock("b", {Uuid(0), Uuid(0)}).error().code, "gpu.already-locked");
  EXPECT_EQ(world_.machine->Lock("b", {"GPU-none"}).error().code, "gpu.unknown");
  EXPECT_EQ(world_.machine->Lock("a", {Uuid(0)}).error().code, "gpu.already-locked");  // one id, one launch
  world_.machine->Release("a");
  EXPECT_TRUE(world_.machine->Lock("b", {Uuid(0), Uuid(1)}).ok());
  world_.machine->Release("nobody");
  EXPECT_EQ(world_.machine->List()[0].sandbox_id, "b");
}

TEST_F(MachineTest, ControlIsRefusedWhileHeld) {
  ASSERT_TRUE(world_.machine->Lock("a", {Uuid(0)}).ok());
  EXPECT_EQ(world_.machine->SetMode(0, "off").error().code, "gpu.held");
  EXPECT_EQ(world_.machine->Reset(0).error().code, "gpu.held");
  world_.machine->Release("a");
  EXPECT_TRUE(world_.machine->Reset(0).ok());
  EXPECT_EQ(world_.machine->SetMode(0, "apm").error().code, "gpu.mode-unsupported");
  EXPECT_EQ(world_.machine->SetMode(9, "off").error().code, "gpu.unknown");
  EXPECT_EQ(world_.machine->Inject(0, "melt").error().code, "gpu.unknown-fault");
}

TEST_F(MachineTest, IdentitiesAndModesSurviveARestart) {
  const std::string uuid = Uuid(1);
  ASSERT_TRUE(world_.machine->SetMode(1, "off").ok());
  world_.Start(2);
  EXPECT_EQ(Uuid(1), uuid);
  EXPECT_EQ(world_.machine->List()[1].mode, "off");
  EXPECT_EQ(world_.machine->List()[0].mode, "hopper-cc");
}

TEST_F(MachineTest, ChangesAreSeen) {
  uint64_t seen = 0;
  EXPECT_TRUE(world_.machine->WaitForChange(seen, std::chrono::milliseconds(0)));
  EXPECT_FALSE(world_.machine->WaitForChange(seen, std::chrono::milliseconds(1)));
  ASSERT_TRUE(world_.machine->Lock("a", {Uuid(0)}).ok());
  EXPECT_TRUE(world_.machine->WaitForChange(seen, std::chrono::seconds(5)));
  world_.machine->Release("a");
  EXPECT_TRUE(world_.machine->WaitForChange(seen, std::chrono::seconds(5)));
}

TEST(MachineProfiles, OrdinaryA100HasModeOffOnly) {
  World world("a100-nc", 1);
  EXPECT_EQ(world.machine->List()[0].mode, "off");
  EXPECT_EQ(world.machine->SetMode(0, "hopper-cc").error().code, "gpu.mode-unsupported");
}

}  // namespace
}  // namespace ccgpu::emulator
