// What the SPDM tests share: an emulated device with a throw-away chain, a link that can be listened to and tampered
// with, and DMTF's logs.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/crypto/x509.h"
#include "trust/spdm/requester.h"
#include "trust/spdm/responder.h"

namespace ccgpu::spdm::test {

// A counter hashed: different at each call, the same in each run.
class CountingRandom final : public crypto::Random {
 public:
  explicit CountingRandom(uint64_t seed = 1) : seed_(seed) {}
  void Fill(std::span<uint8_t> out) override;

 private:
  uint64_t seed_, count_ = 0;
};

class FakeMeasurements final : public MeasurementSource {
 public:
  std::vector<MeasurementBlock> Blocks() override { return blocks; }
  Bytes OpaqueData() override { return opaque; }
  std::vector<MeasurementBlock> blocks;
  Bytes opaque = {1, 2, 3};
};

struct Chain {
  std::vector<Bytes> der;
  crypto::PrivateKey leaf_key;
};
const Chain& TestChain();                      // root, intermediate, leaf; made once
const Chain& OtherTestChain();                 // another one
const RequesterIdentity& TestIdentity();       // RSA with 3072 bits: root and leaf; made once
const RequesterIdentity& OtherTestIdentity();  // the same chain with another key

// A device behind a Transport, packets going through DOE objects.
class Device final : public Transport {
 public:
  explicit Device(uint64_t seed = 7, const Chain& chain = TestChain(),
                  const std::function<void(ResponderConfig&)>& change = {});
  Result<Packet> Exchange(const Packet& request) override;

  CountingRandom random;
  FakeMeasurements measurements;
  TimePoint now{std::chrono::seconds(1000)};
  std::unique_ptr<Responder> responder;
  std::function<void(Packet&)> on_request, on_response;  // listen or tamper
  bool bypass_doe = false;                               // straight to the responder, which must cope with anything
  std::vector<Packet> requests, responses;               // as the other side saw them
  std::function<Result<Bytes>(ByteView)> vendor = [](ByteView in) -> Result<Bytes> { return ToBytes(in); };
  std::vector<Bytes> session_secrets;
  std::vector<std::string> session_ends;
};

// One message of a log of DMTF's spdm-emu.
struct LoggedMessage {
  bool request = false;
  uint32_t session_id = 0;
  std::string name;
  Bytes bytes;  // what the log's program received has its DOE padding
};
struct LoggedObject {
  bool request = false;
  Bytes bytes;
};
struct Log {
  std::vector<LoggedMessage> messages;
  std::vector<LoggedObject> objects;
  std::vector<LoggedMessage> All(std::string_view name) const;
};
// From the vectors' folder; nothing when it is absent.
std::optional<std::filesystem::path> Vectors();
Log ReadLog(const std::filesystem::path& path);  // of the requester (.req.log) or the responder (.rsp.log)
std::vector<Bytes> ReadPcap(const std::filesystem::path& path);  // the packets' bytes
std::vector<std::map<std::string, Bytes>> ReadKats(const std::filesystem::path& path);

}  // namespace ccgpu::spdm::test

#define REQUIRE_VECTORS(variable)                     \
  const auto variable = ccgpu::spdm::test::Vectors(); \
  if (!variable) GTEST_SKIP() << "NOT TESTED: no vectors/spdm; set CCGPU_VECTORS to the vectors' folder"
