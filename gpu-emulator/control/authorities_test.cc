// One deployment's authorities on several nodes.
#include "gpu-emulator/control/authorities.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "gpu-emulator/control/emulator.h"
#include "gpu-emulator/platform/test_machine.h"
#include "trust/evidence/ocsp.h"

namespace ccgpu::emulator {
namespace {

namespace fs = std::filesystem;

// Made once: RSA-4096 keys take seconds.
class AuthoritiesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    made_ = new TempDir;
    const Status status = MakeAuthorities(made_->path(), "h100-ncc-v5", SystemClock().Now());
    ASSERT_TRUE(status.ok()) << status.error().ToString();
  }
  static void TearDownTestSuite() { delete made_; }
  // The files as a Secret volume shows them: flat names, links into a hidden folder.
  static void Flatten(const std::string& to) {
    fs::create_directories(to + "/..data");
    for (const char* folder : {"vendor", "amd", "intel", "vtpm"}) {
      for (const auto& file : fs::directory_iterator(*made_ / folder)) {
        const std::string name = std::string(folder) + "__" + file.path().filename().string();
        fs::copy_file(file.path(), to + "/..data/" + name);
        fs::create_symlink("..data/" + name, to + "/" + name);
      }
    }
  }
  Result<std::unique_ptr<Emulator>> Start(const std::string& node, const std::string& authorities) {
    EmulatorOptions options{dir_ / (node + "/state"), dir_ / (node + "/run"), 1};
    options.authorities = authorities;
    return Emulator::Start(options, clock_, random_);
  }
  static TempDir* made_;
  TempDir dir_;
  SystemClock clock_;
  crypto::SystemRandom random_;
};
TempDir* AuthoritiesTest::made_ = nullptr;

TEST_F(AuthoritiesTest, NothingButWhatIsNamedIsMade) {
  std::set<std::string> expected, found;
  for (const std::string& name : BuiltinProfileNames()) {
    for (const std::string& authority : AuthorityNames(LoadProfile(name)->chip)) {
      expected.insert(authority + ".key");
      expected.insert(authority + ".pem");
    }
  }
  for (const char* root : {"device", "rim", "amd", "intel", "tpm"}) {
    expected.insert("roots/" + std::string(root) + "-root.pem");
  }
  for (const auto& file : fs::recursive_directory_iterator(made_->path())) {
    if (!file.is_regular_file()) continue;
    found.insert(fs::relative(file.path(), made_->path()).string());
    struct stat info {};
    ASSERT_EQ(stat(file.path().c_str(), &info), 0);
    EXPECT_TRUE(file.path().extension() != ".key" || (info.st_mode & 077) == 0) << file.path();
  }
  EXPECT_EQ(found, expected);
  for (const char* root : {"device", "rim", "amd", "intel", "tpm"}) {
    const auto pem = ReadFile(*made_ / ("roots/" + std::string(root) + "-root.pem"));
    EXPECT_NE(crypto::Certificate::FromPem(*pem)->SubjectName().find("EMULATED"), std::string::npos) << root;
  }
}

TEST_F(AuthoritiesTest, MakingThemAgainChangesNothing) {
  const std::string key = *made_ / "vendor/device-root.key";
  const std::string before = *ReadFile(key);
  ASSERT_TRUE(MakeAuthorities(made_->path(), "h100-ncc-v5", clock_.Now()).ok());
  EXPECT_EQ(*ReadFile(key), before);
}

TEST_F(AuthoritiesTest, TwoNodesShareRootsAndNothingElseAndKnowEachOthersBoards) {
  Flatten(dir_ / "secret");
  auto one = Start("one", dir_ / "secret"), two = Start("two", dir_ / "secret");
  ASSERT_TRUE(one.ok()) << one.error().ToString();
  ASSERT_TRUE(two.ok()) << two.error().ToString();
  EXPECT_EQ((*one)->pki().root.authority.certificate.Der(), (*two)->pki().root.authority.certificate.Der());
  EXPECT_EQ((*one)->chip().ark.Der(), (*two)->chip().ark.Der());
  EXPECT_TRUE((*two)->chip().vcek.IsSignedBy((*one)->chip().ask));
  EXPECT_NE((*one)->chip().chip_id, (*two)->chip().chip_id);
  EXPECT_NE((*one)->chip().vcek.Der(), (*two)->chip().vcek.Der());
  EXPECT_EQ((*one)->tdx().root.certificate.Der(), (*two)->tdx().root.certificate.Der());
  EXPECT_TRUE((*two)->tdx().pck.certificate.IsSignedBy((*one)->tdx().platform_ca.certificate));
  EXPECT_NE((*one)->tdx().facts.platform_instance, (*two)->tdx().facts.platform_instance);
  EXPECT_EQ((*one)->vtpm().root.certificate.Der(), (*two)->vtpm().root.certificate.Der());
  EXPECT_NE((*one)->machine().List()[0].uuid, (*two)->machine().List()[0].uuid);

  // Each answers for the other's board.
  const Profile profile = LoadProfile("h100-ncc-v5").value();
  for (const auto& [of, asked] : {std::pair(&*one, &*two), std::pair(&*two, &*one)}) {
    const std::string node = of == &*one ? "one" : "two";
    const BoardIdentity board =
        LoadOrMakeBoard(dir_ / (node + "/state/boards"), 0, (*of)->pki(), profile, clock_.Now()).value();
    ASSERT_EQ(board.uuid, (*of)->machine().List()[0].uuid);
    const Bytes request = evidence::MakeOcspRequest(board.chain[1], board.chain[2], Bytes(32, 7));
    const auto response = evidence::ParseOcspResponse((*asked)->endorsements().AnswerOcsp(request));
    ASSERT_TRUE(response.ok()) << response.error().ToString();
    EXPECT_EQ(response->singles[0].status, evidence::CertStatus::kGood);
  }
  // A restart goes on with what is there.
  const std::string uuid = (*one)->machine().List()[0].uuid;
  one->reset();
  auto again = Start("one", dir_ / "secret");
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  EXPECT_EQ((*again)->machine().List()[0].uuid, uuid);
}

TEST_F(AuthoritiesTest, OtherOrMissingAuthoritiesAreRefusedBeforeAnythingIsMade) {
  Flatten(dir_ / "secret");
  fs::create_directories(dir_ / "one/state/vendor");
  fs::copy_file(dir_ / "secret/vendor__rim-root.key", dir_ / "one/state/vendor/device-root.key");
  const auto other = Start("one", dir_ / "secret");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, "identity.other-authority");
  EXPECT_TRUE(other.error().subject.ends_with("vendor/device-root.key")) << other.error().ToString();
  EXPECT_FALSE(Exists(dir_ / "one/state/boards"));
  fs::remove(dir_ / "secret/amd__ask.pem");
  const auto missing = Start("two", dir_ / "secret");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, "identity.no-authority");
  EXPECT_FALSE(Exists(dir_ / "two/state/boards"));
}

}  // namespace
}  // namespace ccgpu::emulator
