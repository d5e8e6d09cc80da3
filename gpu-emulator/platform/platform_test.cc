#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include "base/encoding.h"
#include "base/file.h"
#include "gpu-emulator/platform/snp_reporter.h"
#include "gpu-emulator/platform/test_machine.h"
#include "trust/verify/verify.h"

namespace ccgpu::emulator::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class PlatformTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "NOT RUN: launching guests needs root (namespaces, mounts)";
    parts_.gpus = &gpus_;
    parts_.cpu = &cpu_;
    parts_.random = &random_;
    auto server = PlatformServer::Listen(dir_ / "platform.sock", parts_);
    ASSERT_TRUE(server.ok()) << server.error().ToString();
    server_ = std::move(*server);
  }
  std::string socket_path() { return dir_ / "platform.sock"; }

  static Bytes ReportBytes(const std::string& answer) {
    const size_t end = answer.find(' ', 7);
    return answer.starts_with("report ") ? HexDecode(answer.substr(7, end - 7)).value() : Bytes();
  }
  static Bytes Range(const Bytes& report, size_t offset, size_t size) {
    return Bytes(report.begin() + static_cast<ptrdiff_t>(offset),
                 report.begin() + static_cast<ptrdiff_t>(offset + size));
  }

  TempDir dir_;
  FakeGpus gpus_;
  crypto::SystemRandom random_;
  SnpPlatform cpu_{TestChip()};
  PlatformParts parts_;
  std::unique_ptr<PlatformServer> server_;
};

TEST_F(PlatformTest, GuestGetsAReportAboutItself) {
  Client shim(socket_path());
  const std::string other = dir_ / "agent";
  ASSERT_TRUE(WriteFileAtomic(other, std::string(5000, 'a')).ok());
  shim.images.push_back({"agent", other});
  shim.request.add_gpu_uuids("g0");
  auto launched = shim.Launch();
  ASSERT_TRUE(launched.ok()) << launched.error().ToString();
  ASSERT_TRUE(launched->has_launched()) << launched->failure().text();
  EXPECT_EQ(launched->launched().collateral(0).id(), "g0");
  EXPECT_EQ(gpus_.HolderOf("g0"), "s1");

  const std::string data(128, 'a');  // 64 bytes of 0xaa in hex
  const Bytes report = ReportBytes(shim.Tell("report " + data + " 0"));
  ASSERT_EQ(report.size(), evidence::kSnpReportSize);
  EXPECT_EQ(Range(report, 0x50, 64), Bytes(64, 0xaa));
  EXPECT_EQ(Range(report, 0xc0, 32), Bytes(32, 0x11));
  // The measurement is what anyone computes from the image files.
  const std::string guest = ReadFile(Client::TestGuest().path).value(), agent = ReadFile(other).value();
  const Bytes expected = evidence::MeasureLaunch(
      {evidence::MeasureFile("guestd", AsBytes(guest)), evidence::MeasureFile("agent", AsBytes(agent))});
  EXPECT_EQ(Range(report, 0x90, 48), expected);
  EXPECT_EQ(launched->launched().measurement(), ToText(expected));
  // Signed by the chip, and only what was signed verifies.
  const auto parsed = evidence::ParseSnpReport(report);
  ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
  EXPECT_EQ(parsed->version, 3u);
  EXPECT_EQ(parsed->policy & evidence::snp_policy::kDebug, 0u);
  const auto key = TestChip().vcek.key();
  EXPECT_TRUE(
      key.VerifyRaw(crypto::Hash::kSha384, ByteView(report).first(evidence::kSnpSignedSize), parsed->RawSignature()));
  Bytes flipped = report;
  flipped[0xc0] ^= 1;
  EXPECT_FALSE(
      key.VerifyRaw(crypto::Hash::kSha384, ByteView(flipped).first(evidence::kSnpSignedSize), parsed->RawSignature()));

  EXPECT_EQ(shim.Tell("report 00 0"), "failure platform.bad-report-request");
  EXPECT_EQ(shim.Tell("report " + data + " 4"), "failure platform.bad-report-request");
  EXPECT_EQ(shim.Tell("launch"), "failure platform.unexpected-frame");
}

TEST_F(PlatformTest, GuestIsAloneWithWhatItWasGiven) {
  Client shim(socket_path());
  shim.request.add_gpu_uuids("g0");
  shim.request.set_hostname("pod-a");
  ASSERT_TRUE(shim.Launch()->has_launched());
  const std::string facts = shim.Tell("facts");
  EXPECT_THAT(facts, StartsWith("pid=1 host=pod-a "));
  // 0-2, platform channel 3, task 4, guestd's image 5, the GPU's link (received, 6).
  EXPECT_THAT(facts, HasSubstr(" fds=0,1,2,3,4,5,6 "));
  EXPECT_THAT(facts, HasSubstr(" gpus=1 image=sealed"));
  for (const char* kind : {"pid", "mnt", "ipc", "uts"}) {
    char ours[64] = {};
    ASSERT_GT(readlink((std::string("/proc/self/ns/") + kind).c_str(), ours, sizeof ours - 1), 0);
    EXPECT_THAT(facts, ::testing::Not(HasSubstr(ours))) << kind;
  }
  EXPECT_EQ(shim.Tell("env CCGPU_SANDBOX_ID"), "s1");
  EXPECT_EQ(shim.Tell("env HOME"), "unset");
}

TEST_F(PlatformTest, GuestEntersTheGivenNetworkNamespace) {
  Fd made;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) == 0) made = Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }).join();
  ASSERT_TRUE(made.valid());
  struct stat st {};
  ASSERT_EQ(fstat(made.get(), &st), 0);
  Client shim(socket_path());
  shim.network_namespace = made.get();
  ASSERT_TRUE(shim.Launch()->has_launched());
  EXPECT_THAT(shim.Tell("facts"), HasSubstr("net:[" + std::to_string(st.st_ino) + "]"));
}

TEST_F(PlatformTest, AVerifierAcceptsTheReportForThisSandboxOnly) {
  Client shim(socket_path());
  auto launched = shim.Launch();
  ASSERT_TRUE(launched->has_launched());
  evidence::SnpEvidence evidence{ReportBytes(shim.Tell("report " + std::string(128, 'a') + " 0")),
                                 evidence::ParseCertTable(TestChip().cert_table).value()};
  verify::Anchors anchors;
  anchors.amd_roots = {TestChip().ark};
  anchors.insecure_accept_emulated = true;
  verify::SnpOptions options;
  options.report_data = Bytes(64, 0xaa);
  options.host_data = Bytes(32, 0x11);
  options.measurement = ToBytes(AsBytes(launched->launched().measurement()));
  const auto code = [&] {
    auto verdict = verify::VerifySnp(evidence::Unverified<evidence::SnpEvidence>(evidence), {}, anchors, options,
                                     SystemClock().Now());
    return verdict.accepted ? "accepted as " + verdict.environment : verdict.FirstFailure()->reason.code;
  };
  EXPECT_EQ(code(), "accepted as emulated");
  options.host_data = Bytes(32, 0x12);
  EXPECT_EQ(code(), "snp.host-data-mismatch");
  options.host_data = Bytes(32, 0x11);
  options.report_data = Bytes(64, 0xab);
  EXPECT_EQ(code(), "snp.report-data-mismatch");
  options.report_data = Bytes(64, 0xaa);
  options.measurement->at(0) ^= 1;
  EXPECT_EQ(code(), "snp.measurement-mismatch");
  options.measurement->at(0) ^= 1;
  anchors.insecure_accept_emulated = false;
  EXPECT_EQ(code(), "environment.emulated");
}

TEST_F(PlatformTest, OneIdIsOneSandbox) {
  Client first(socket_path());
  first.request.add_gpu_uuids("g0");
  ASSERT_TRUE(first.Launch()->has_launched());
  Client second(socket_path());
  auto refused = second.Launch();
  ASSERT_TRUE(refused.ok() && refused->has_failure());
  EXPECT_EQ(refused->failure().code(), "platform.sandbox-exists");
  EXPECT_EQ(gpus_.HolderOf("g0"), "s1");
  EXPECT_EQ(first.Tell("exit 0"), "gone");
  ASSERT_TRUE(first.Next()->has_exited());
  Client third(socket_path());
  EXPECT_TRUE(third.Launch()->has_launched());
}

TEST_F(PlatformTest, ChangedImageIsAnotherMeasurement) {
  const std::string copy = dir_ / "guestd";
  std::string image = ReadFile(Client::TestGuest().path).value();
  image.push_back('\0');  // runs all the same
  ASSERT_TRUE(WriteFileAtomic(copy, image, 0755).ok());
  Client good(socket_path()), changed(socket_path()), again(socket_path());
  changed.images[0].path = copy;
  good.request.set_sandbox_id("a");
  changed.request.set_sandbox_id("b");
  again.request.set_sandbox_id("c");
  auto first = good.Launch(), second = changed.Launch(), third = again.Launch();
  ASSERT_TRUE(first->has_launched() && second->has_launched() && third->has_launched());
  EXPECT_NE(first->launched().measurement(), second->launched().measurement());
  EXPECT_EQ(first->launched().measurement(), third->launched().measurement());
  EXPECT_EQ(changed.Tell("env CCGPU_SANDBOX_ID"), "b");
}

TEST_F(PlatformTest, ExitIsReportedAfterTheGpusAreFree) {
  Client shim(socket_path());
  shim.request.add_gpu_uuids("g0");
  ASSERT_TRUE(shim.Launch()->has_launched());
  EXPECT_EQ(shim.Tell("exit 7"), "gone");
  auto exited = shim.Next();
  ASSERT_TRUE(exited.ok() && exited->has_exited());
  EXPECT_EQ(exited->exited().status(), 7);
  EXPECT_FALSE(exited->exited().signaled());
  EXPECT_EQ(gpus_.HolderOf("g0"), "");
}

TEST_F(PlatformTest, KilledGuestGivesItsGpusBack) {
  Client shim(socket_path());
  shim.request.add_gpu_uuids("g0");
  shim.request.add_gpu_uuids("g1");
  auto launched = shim.Launch();
  ASSERT_TRUE(launched->has_launched());
  ASSERT_EQ(kill(launched->launched().guest_pid(), SIGKILL), 0);
  auto exited = shim.Next();
  ASSERT_TRUE(exited.ok() && exited->has_exited());
  EXPECT_EQ(exited->exited().status(), SIGKILL);
  EXPECT_TRUE(exited->exited().signaled());
  EXPECT_EQ(gpus_.HolderOf("g0") + gpus_.HolderOf("g1"), "");
}

TEST_F(PlatformTest, GuestDiesWithTheShim) {
  Client shim(socket_path());
  shim.request.add_gpu_uuids("g0");
  auto launched = shim.Launch();
  ASSERT_TRUE(launched->has_launched());
  const pid_t pid = launched->launched().guest_pid();
  ASSERT_EQ(kill(pid, 0), 0);
  shim.Close();
  ASSERT_TRUE(gpus_.WaitUntilFree("g0"));
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(PlatformTest, GuestDiesWithTheEmulator) {
  Client shim(socket_path());
  auto launched = shim.Launch();
  ASSERT_TRUE(launched->has_launched());
  server_.reset();
  EXPECT_EQ(kill(launched->launched().guest_pid(), 0), -1);
  EXPECT_FALSE(Exists(socket_path()));
}

TEST_F(PlatformTest, OnlyAGuestGetsReports) {
  // Without a guest's channel: as first frame, and from a shim after its launch (which costs it the sandbox).
  platform::v1::Frame report;
  report.mutable_report()->set_report_data(std::string(64, 'x'));
  Client outsider(socket_path());
  ASSERT_TRUE(outsider.stream().Send(report).ok());
  auto answer = outsider.Next();
  ASSERT_TRUE(answer.ok() && answer->has_failure());
  EXPECT_EQ(answer->failure().code(), "platform.unexpected-frame");

  Client shim(socket_path());
  ASSERT_TRUE(shim.Launch()->has_launched());
  ASSERT_TRUE(shim.stream().Send(report).ok());
  answer = shim.Next();
  ASSERT_TRUE(answer.ok() && answer->has_failure());
  EXPECT_EQ(answer->failure().code(), "platform.unexpected-frame");
  answer = shim.Next();
  ASSERT_TRUE(answer.ok() && answer->has_exited());
  EXPECT_TRUE(answer->exited().signaled());
}

TEST_F(PlatformTest, RefusesBadLaunches) {
  struct Case {
    const char* field;
    std::function<void(Client&)> change;
  };
  const Case kCases[] = {
      {"sandbox_id", [](Client& c) { c.request.set_sandbox_id("../x"); }},
      {"sandbox_id", [](Client& c) { c.request.set_sandbox_id(""); }},
      {"host_data", [](Client& c) { c.request.set_host_data("short"); }},
      {"image_files", [](Client& c) { c.images[0].name = "agent"; }},
      {"image_files", [](Client& c) { c.images.clear(); }},
      {"image_files", [](Client& c) { c.images.push_back(c.images[0]); }},
      {"channels", [](Client& c) { c.channels.push_back("a/b"); }},
      {"channels", [](Client& c) { c.channels.push_back("task"); }},
      {"hostname", [](Client& c) { c.request.set_hostname("a b"); }},
  };
  for (const Case& bad : kCases) {
    Client shim(socket_path());
    bad.change(shim);
    auto answer = shim.Launch();
    ASSERT_TRUE(answer.ok()) << bad.field << ": " << answer.error().ToString();
    ASSERT_TRUE(answer->has_failure()) << bad.field;
    EXPECT_EQ(answer->failure().code(), "platform.bad-launch") << bad.field;
    EXPECT_EQ(answer->failure().subject(), bad.field);
  }
}

TEST_F(PlatformTest, GpusAreLockedAllOrNone) {
  Client first(socket_path());
  first.request.add_gpu_uuids("g1");
  ASSERT_TRUE(first.Launch()->has_launched());
  Client second(socket_path());
  second.request.set_sandbox_id("s2");
  second.request.add_gpu_uuids("g0");
  second.request.add_gpu_uuids("g1");
  auto refused = second.Launch();
  ASSERT_TRUE(refused.ok() && refused->has_failure());
  EXPECT_EQ(refused->failure().code(), "gpu.already-locked");
  EXPECT_EQ(gpus_.HolderOf("g0"), "");
  EXPECT_EQ(gpus_.HolderOf("g1"), "s1");
}

TEST_F(PlatformTest, WhatCannotRunIsRefusedAndLeavesNothing) {
  const std::string text = dir_ / "text";
  ASSERT_TRUE(WriteFileAtomic(text, "no program", 0755).ok());
  Client shim(socket_path());
  shim.images[0].path = text;
  shim.request.add_gpu_uuids("g0");
  auto refused = shim.Launch();
  ASSERT_TRUE(refused.ok() && refused->has_failure());
  EXPECT_EQ(refused->failure().code(), "platform.exec-failed");
  EXPECT_TRUE(gpus_.WaitUntilFree("g0"));

  Client folder(socket_path());
  folder.images[0].path = dir_.path();
  refused = folder.Launch();
  ASSERT_TRUE(refused.ok() && refused->has_failure());
  EXPECT_EQ(refused->failure().code(), "platform.bad-image");
}

TEST_F(PlatformTest, SocketOfADeadEmulatorIsReplacedAndOfALivingOneIsNot) {
  PlatformParts parts;
  auto second = PlatformServer::Listen(socket_path(), parts);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, "platform.socket-in-use");
  const std::string stale = dir_ / "stale.sock";
  {
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    stale.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  auto replaced = PlatformServer::Listen(stale, parts_);
  ASSERT_TRUE(replaced.ok()) << replaced.error().ToString();
  struct stat st {};
  ASSERT_EQ(stat(stale.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(PlatformTest, TsmFilesBehaveAsLinuxDoes) {
  if (!Exists("/dev/fuse")) GTEST_SKIP() << "NOT RUN: this machine has no /dev/fuse";
  Client shim(socket_path());
  ASSERT_TRUE(shim.Launch()->has_launched());
  const std::string root = dir_ / "tsm";
  ASSERT_TRUE(MakeDirs(root).ok());
  ASSERT_EQ(shim.Tell("tsm " + root), "ready");
  EXPECT_EQ(shim.Tell("list " + root), ". .. report ");
  const std::string a = root + "/report/a";
  EXPECT_EQ(shim.Tell("mkdir " + root + "/elsewhere"), "EPERM");
  ASSERT_EQ(shim.Tell("mkdir " + a), "ok");
  EXPECT_EQ(shim.Tell("mkdir " + a), "EEXIST");
  EXPECT_EQ(shim.Tell("list " + a), ". .. auxblob generation inblob outblob privlevel privlevel_floor provider ");
  const auto text = [](std::string_view t) { return HexEncode(AsBytes(t)); };
  EXPECT_EQ(shim.Tell("read " + a + "/provider"), text("sev_guest\n"));
  EXPECT_EQ(shim.Tell("read " + a + "/privlevel_floor"), text("0\n"));
  EXPECT_EQ(shim.Tell("read " + a + "/generation"), text("0\n"));
  EXPECT_EQ(shim.Tell("read " + a + "/outblob"), "EINVAL");  // nothing asked yet
  EXPECT_EQ(shim.Tell("write " + a + "/inblob " + std::string(130, '1')), "EFBIG");
  ASSERT_EQ(shim.Tell("write " + a + "/inblob " + std::string(126, '1')), "ok");  // 63 bytes
  EXPECT_EQ(shim.Tell("read " + a + "/outblob"), "EINVAL");
  ASSERT_EQ(shim.Tell("write " + a + "/inblob " + std::string(128, 'b')), "ok");
  ASSERT_EQ(shim.Tell("write " + a + "/privlevel " + text("2\n")), "ok");
  EXPECT_EQ(shim.Tell("write " + a + "/privlevel " + text("4")), "EINVAL");
  EXPECT_EQ(shim.Tell("read " + a + "/generation"), text("3\n"));
  const Bytes report = HexDecode(shim.Tell("read " + a + "/outblob")).value();
  ASSERT_EQ(report.size(), evidence::kSnpReportSize);
  EXPECT_EQ(Range(report, 0x50, 64), Bytes(64, 0xbb));
  EXPECT_EQ(report[0x30], 2);
  EXPECT_EQ(HexDecode(shim.Tell("read " + a + "/auxblob")).value(), TestChip().cert_table);
  // The same generation is the same report: it is not signed again.
  EXPECT_EQ(HexDecode(shim.Tell("read " + a + "/outblob")).value(), report);
  EXPECT_EQ(shim.Tell("rmdir " + a), "ok");
  EXPECT_EQ(shim.Tell("read " + a + "/outblob"), "ENOENT");
  EXPECT_THAT(shim.Tell("tsm " + root), StartsWith("failure platform.bad-fuse"));  // served once
}

}  // namespace
}  // namespace ccgpu::emulator::test
