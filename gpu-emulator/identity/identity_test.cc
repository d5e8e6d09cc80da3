#include <gtest/gtest.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/encoding.h"
#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "gpu-emulator/identity/board_measurements.h"
#include "gpu-emulator/identity/snp_identity.h"
#include "trust/evidence/gpu_certs.h"
#include "trust/evidence/h100_components.h"
#include "trust/evidence/rim.h"

namespace ccgpu::emulator {
namespace {

class IdentityTest : public ::testing::Test {
 protected:
  DevicePki Pki() { return LoadOrMakeDevicePki(dir_ / "vendor", "GH100", now_).value(); }
  const Profile profile_ = LoadProfile("h100-ncc-v5").value();
  const TimePoint now_ = SystemClock().Now();
  const TempDir dir_;
};

// OpenSSL's own judgement of a chain, leaf first, under its last certificate.
int OpensslVerdict(const std::vector<crypto::Certificate>& chain,
                   unsigned long flags = X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE) {
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, chain.back().raw());
  STACK_OF(X509)* untrusted = sk_X509_new_null();
  for (size_t i = 1; i + 1 < chain.size(); ++i) sk_X509_push(untrusted, chain[i].raw());
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, chain[0].raw(), untrusted);
  X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context), flags);
  X509_verify_cert(context);
  const int verdict = X509_STORE_CTX_get_error(context);
  X509_STORE_CTX_free(context);
  sk_X509_free(untrusted);
  X509_STORE_free(store);
  return verdict;
}

TEST_F(IdentityTest, BoardChainIsNvidiasProfile) {
  const DevicePki pki = Pki();
  const BoardIdentity board = LoadOrMakeBoard(dir_.path(), 0, pki, profile_, now_).value();
  ASSERT_EQ(board.chain.size(), evidence::kGpuChainLength);
  EXPECT_EQ(OpensslVerdict(board.chain), X509_V_OK);
  for (const auto& certificate : board.chain) {
    EXPECT_EQ(certificate.key().type(), crypto::KeyType::kP384);
    EXPECT_NE(certificate.SubjectName().find("EMULATED"), std::string::npos) << certificate.SubjectName();
    EXPECT_EQ(FormatTime(certificate.NotAfter()), "9999-12-31T23:59:59Z");
  }
  EXPECT_EQ(board.chain[4].SubjectCommonName(), "EMULATED, NOT NVIDIA: ccgpu Device Identity CA");
  EXPECT_FALSE(board.attestation.IsCa());
  EXPECT_TRUE(board.attestation.MayDigitalSign());
  EXPECT_TRUE(board.identity.IsCa());
  EXPECT_EQ(evidence::LeafFwid(board.attestation).value(), board.fwid);
  EXPECT_EQ(evidence::DevicePdi(board.identity).value(), board.pdi);
  EXPECT_EQ(board.identity.SerialNumber()[0], 0x41);
  EXPECT_LE(evidence::ChainPem(board.chain).size(), 0x1400u);  // what NVML has room for
  EXPECT_TRUE(board.attestation_key.public_key() == board.attestation.key());
  EXPECT_EQ(board.uuid.size(), 40u);
}

TEST_F(IdentityTest, BoardsAreStableAndDistinct) {
  const DevicePki pki = Pki();
  const BoardIdentity a = LoadOrMakeBoard(dir_.path(), 0, pki, profile_, now_).value();
  const BoardIdentity b = LoadOrMakeBoard(dir_.path(), 1, pki, profile_, now_).value();
  const DevicePki pki_again = Pki();
  const BoardIdentity a_again =
      LoadOrMakeBoard(dir_.path(), 0, pki_again, profile_, now_ + std::chrono::hours(1)).value();
  EXPECT_EQ(a.uuid, a_again.uuid);
  EXPECT_EQ(a.attestation.Der(), a_again.attestation.Der());
  EXPECT_NE(a.uuid, b.uuid);
  EXPECT_NE(a.pdi, b.pdi);
  const BoardIdentity swapped = MakeSwappedBoard(a, pki, profile_, now_).value();
  EXPECT_EQ(swapped.uuid, a.uuid);
  EXPECT_NE(swapped.pdi, a.pdi);
  EXPECT_NE(swapped.attestation.Der(), a.attestation.Der());
  EXPECT_EQ(OpensslVerdict(swapped.chain), X509_V_OK);
  EXPECT_EQ(swapped.chain.back().Der(), a.chain.back().Der());
}

TEST_F(IdentityTest, PrivateKeysAreTheOwnersOnly) {
  const DevicePki pki = Pki();
  ASSERT_TRUE(LoadOrMakeBoard(dir_.path(), 0, pki, profile_, now_).ok());
  int keys = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
    struct stat st {};
    ASSERT_EQ(stat(entry.path().c_str(), &st), 0);
    if (entry.path().extension() == ".key") {
      ++keys;
      EXPECT_EQ(st.st_mode & 0777, 0600u) << entry.path();
    }
  }
  EXPECT_GT(keys, 10);
}

TEST_F(IdentityTest, GoesOnAfterAKillBetweenKeyAndCertificate) {
  const Bytes root = Pki().root.authority.certificate.key().Der();
  ASSERT_EQ(unlink((dir_ / "vendor/GH100-rim-signer.pem").c_str()), 0);  // the last certificate that was written
  const DevicePki again = Pki();
  EXPECT_EQ(again.root.authority.certificate.key().Der(), root);
  EXPECT_TRUE(again.rim_signer.certificate.IsSignedBy(again.rim_intermediate.authority.certificate));
}

TEST_F(IdentityTest, NeverReplacesWhatIsDamaged) {
  (void)Pki();
  const std::string key = dir_ / "vendor/device-root.key", certificate = dir_ / "vendor/device-root.pem";
  const std::string good = ReadFile(key).value();
  const std::string other = crypto::PrivateKey::Generate(crypto::KeyType::kP384).Pem();
  for (const std::string& bad : {std::string("garbage"), other}) {
    ASSERT_TRUE(WriteFileAtomic(key, bad, 0600).ok());
    auto loaded = LoadOrMakeDevicePki(dir_ / "vendor", "GH100", now_);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, "identity.damaged");
  }
  ASSERT_EQ(unlink(key.c_str()), 0);
  EXPECT_EQ(LoadOrMakeDevicePki(dir_ / "vendor", "GH100", now_).error().code, "identity.damaged");
  ASSERT_TRUE(WriteFileAtomic(key, good, 0600).ok());
  EXPECT_TRUE(LoadOrMakeDevicePki(dir_ / "vendor", "GH100", now_).ok());
  // A child that another root signed.
  const std::string family = dir_ / "vendor/GH100-identity.pem";
  ASSERT_TRUE(WriteFileAtomic(family, ReadFile(certificate).value()).ok());
  EXPECT_EQ(LoadOrMakeDevicePki(dir_ / "vendor", "GH100", now_).error().code, "identity.damaged");
}

TEST_F(IdentityTest, MeasurementsFollowModeAndFaults) {
  BoardMeasurements board(profile_, Bytes(48, 1), "hopper-cc");
  const auto healthy = board.Blocks();
  ASSERT_EQ(healthy.size(), 64u);
  for (size_t i = 0; i < healthy.size(); ++i) {
    EXPECT_EQ(healthy[i].index, i + 1);
    EXPECT_EQ(healthy[i].value.size(), 48u);
  }
  const auto changed = [&] {
    std::vector<size_t> indexes;
    const auto blocks = board.Blocks();
    for (size_t i = 0; i < blocks.size(); ++i) {
      if (blocks[i].value != healthy[i].value) indexes.push_back(i);
    }
    return indexes;
  };
  EXPECT_EQ(changed(), (std::vector<size_t>{}));
  board.SetMode("off");
  EXPECT_EQ(changed(), (std::vector<size_t>{evidence::kIndexCcMode}));
  EXPECT_EQ(board.Blocks()[evidence::kIndexCcMode].value, evidence::CcModeMeasurement("off"));
  board.SetMode("hopper-cc");
  board.SetDebugEnabled(true);
  EXPECT_EQ(changed(), (std::vector<size_t>{evidence::kIndexDebugFuse}));
  board.SetDebugEnabled(false);
  board.SetFirmwareChanged(true);
  EXPECT_EQ(changed(), (std::vector<size_t>{evidence::kIndexGspRm}));
  board.SetFirmwareChanged(false);
  EXPECT_EQ(changed(), (std::vector<size_t>{}));
}

TEST_F(IdentityTest, ManifestsAreForTheHealthyValuesOnly) {
  const DevicePki pki = Pki();
  const auto rims = MakeReferenceManifests(profile_, pki);
  ASSERT_TRUE(rims.ok()) << rims.error().ToString();
  ASSERT_EQ(rims->size(), 2u);
  EXPECT_TRUE(rims->contains("NV_GPU_DRIVER_GH100_550.90.07"));
  EXPECT_TRUE(rims->contains("NV_GPU_VBIOS_1010_0200_882_96009F0001"));
  BoardMeasurements board(profile_, Bytes(48, 1), "hopper-cc");
  const auto blocks = board.Blocks();
  size_t active = 0;
  for (const auto& [id, xml] : *rims) {
    const auto rim = evidence::ParseRim(xml);
    ASSERT_TRUE(rim.ok()) << rim.error().ToString();
    EXPECT_TRUE(evidence::VerifyRimSignature(*rim));
    EXPECT_EQ(OpensslVerdict(rim->chain), X509_V_OK);
    EXPECT_EQ(rim->chain.back().SubjectCommonName(), "EMULATED, NOT NVIDIA: ccgpu CoRIM signing Root CA");
    for (const auto& measurement : rim->measurements) {
      if (!measurement.active) continue;
      ++active;
      EXPECT_EQ(measurement.alternatives, (std::vector<Bytes>{blocks[measurement.index].value}))
          << int{measurement.index};
    }
  }
  EXPECT_EQ(active, 35u);
  EXPECT_TRUE(MakeReferenceManifests(LoadProfile("a100-nc").value(), pki)->empty());
}

TEST_F(IdentityTest, ProtectedA100HasManifestsForModeApm) {
  const Profile profile = LoadProfile("a100-ncc-v4").value();
  const auto rims = MakeReferenceManifests(profile, LoadOrMakeDevicePki(dir_ / "vendor", profile.chip, now_).value());
  ASSERT_TRUE(rims.ok()) << rims.error().ToString();
  ASSERT_EQ(rims->size(), 2u);
  EXPECT_TRUE(rims->contains("NV_GPU_DRIVER_GA100_550.90.07"));
  ASSERT_TRUE(rims->contains("NV_GPU_VBIOS_1001_0230_895_92006B0001"));
  const auto vbios = evidence::ParseRim(rims->at("NV_GPU_VBIOS_1001_0230_895_92006B0001"));
  ASSERT_TRUE(vbios.ok()) << vbios.error().ToString();
  EXPECT_EQ(vbios->product, "GA100");
  EXPECT_EQ(vbios->Find(evidence::kIndexCcMode)->alternatives,
            (std::vector<Bytes>{evidence::CcModeMeasurement("apm")}));
}

TEST_F(IdentityTest, ChipIsAmdsProfileAndStable) {
  const SnpIdentity chip = LoadOrMakeSnpIdentity(dir_ / "amd", now_).value();
  // As AMD's own VCEKs it names no authority key, which strictness would ask for.
  EXPECT_EQ(OpensslVerdict({chip.vcek, chip.ask, chip.ark}, X509_V_FLAG_CHECK_SS_SIGNATURE), X509_V_OK);
  EXPECT_EQ(OpensslVerdict({chip.vcek, chip.ask, chip.ark}), X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER);
  EXPECT_EQ(chip.ark.key().type(), crypto::KeyType::kRsa4096);
  EXPECT_EQ(chip.ask.key().type(), crypto::KeyType::kRsa4096);
  EXPECT_EQ(chip.vcek.key().type(), crypto::KeyType::kP384);
  for (const auto* certificate : {&chip.ark, &chip.ask, &chip.vcek}) {
    EXPECT_NE(certificate->SubjectName().find("EMULATED"), std::string::npos);
  }
  const auto facts = evidence::ReadVcekExtensions(chip.vcek);
  ASSERT_TRUE(facts.ok()) << facts.error().ToString();
  EXPECT_EQ(facts->hardware_id, chip.chip_id);
  EXPECT_EQ(facts->tcb, chip.tcb);
  const auto table = evidence::ParseCertTable(chip.cert_table);
  ASSERT_TRUE(table.ok());
  ASSERT_EQ(table->size(), 3u);
  EXPECT_EQ((*table)[0].type, "VCEK");
  EXPECT_EQ((*table)[0].der, chip.vcek.Der());
  const SnpIdentity again = LoadOrMakeSnpIdentity(dir_ / "amd", now_).value();
  EXPECT_EQ(again.vcek.Der(), chip.vcek.Der());
  EXPECT_EQ(again.chip_id, chip.chip_id);
}

}  // namespace
}  // namespace ccgpu::emulator
