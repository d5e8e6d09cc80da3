// Our responder behind the socket protocol of DMTF's spdm-emu, so that its requester and its conformance tests can be
// run against it (docs/formats/spdm.md). One connection at a time, on 127.0.0.1; ends after the first SHUTDOWN.
//
//   foreign-spdm-responder TRUST_FOLDER     prints "port N"; writes into the folder what spdm_requester_emu reads there
//
//   message, both ways: command u32 | transport u32 (2: PCI DOE) | size u32, all big-endian | payload
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "base/clock.h"
#include "base/crypto/key.h"
#include "base/crypto/x509.h"
#include "base/file.h"
#include "trust/spdm/responder.h"

namespace ccgpu::spdm {
namespace {

enum Command : uint32_t { kNormal = 1, kContinue = 0xFFFD, kShutdown = 0xFFFE, kUnknown = 0xFFFF, kTest = 0xDEAD };
constexpr uint32_t kPciDoe = 2;
constexpr uint32_t kLargest = 1 << 16;
constexpr int kMeasurements = 64;

class Source final : public MeasurementSource {
 public:
  std::vector<MeasurementBlock> Blocks() override {
    std::vector<MeasurementBlock> blocks;
    for (uint8_t i = 1; i <= kMeasurements; ++i) blocks.push_back({i, 1, crypto::Sha384(Bytes{i})});
    return blocks;
  }
  Bytes OpaqueData() override { return {}; }
};

bool Receive(int socket, std::span<uint8_t> out) {
  for (size_t have = 0; have < out.size();) {
    const ssize_t got = ::recv(socket, out.data() + have, out.size() - have, 0);
    if (got <= 0) return false;
    have += static_cast<size_t>(got);
  }
  return true;
}

bool Send(int socket, uint32_t command, ByteView payload) {
  Writer out;
  for (uint32_t value : {command, kPciDoe, static_cast<uint32_t>(payload.size())}) out.BigU32(value);
  out.Raw(payload);
  return ::send(socket, out.bytes().data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size());
}

// False when the connection is over; *stop when it asked for the end of all.
bool ServeOne(int socket, Responder& responder, bool* stop) {
  uint8_t header[12];
  if (!Receive(socket, header)) return false;
  Reader in(header);
  const uint32_t command = in.BigU32(), transport = in.BigU32(), size = in.BigU32();
  if (size > kLargest) return false;
  Bytes payload(size);
  if (!Receive(socket, payload)) return false;
  if (transport != kPciDoe && command != kShutdown) return Send(socket, kUnknown, {});
  switch (command) {
    case kTest: return Send(socket, kTest, AsBytes(std::string_view("Server Hello!\0", 14)));
    case kNormal: {
      const Result<Bytes> answer = HandleDoe(responder, payload, SystemClock().Now());
      return Send(socket, answer.ok() ? kNormal : kUnknown, answer.ok() ? ByteView(*answer) : ByteView());
    }
    case kContinue: Send(socket, kContinue, {}); return false;
    case kShutdown:
      *stop = true;
      Send(socket, kShutdown, {});
      return false;
    default: return Send(socket, kUnknown, {});
  }
}

int Run(const std::filesystem::path& folder) {
  const TimePoint now = SystemClock().Now();
  const crypto::PrivateKey root_key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  const crypto::PrivateKey leaf_key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  const auto make = [&](const char* name, const crypto::PrivateKey& key, bool ca, const crypto::Certificate* issuer) {
    crypto::CertificateSpec spec;
    spec.subject = {{"CN", name}};
    spec.key = key.public_key();
    spec.not_before = now - std::chrono::hours(24);
    spec.not_after = now + std::chrono::hours(24);
    spec.ca = spec.key_cert_sign = ca;
    spec.digital_signature = !ca;
    return crypto::MakeCertificate(spec, root_key, issuer).value();
  };
  const crypto::Certificate root = make("EMULATED, NOT NVIDIA: root for spdm-emu", root_key, true, nullptr);
  const crypto::Certificate leaf = make("EMULATED, NOT NVIDIA: GPU for spdm-emu", leaf_key, false, &root);
  const std::vector<Bytes> chain = {root.Der(), leaf.Der()};
  std::filesystem::create_directories(folder / "ecp384");
  std::filesystem::create_directories(folder / "rsa3072");
  for (const auto& [name, bytes] : {std::pair<const char*, Bytes>{"ecp384/ca.cert.der", root.Der()},
                                    {"ecp384/ca1.cert.der", root.Der()},
                                    {"ecp384/bundle_responder.certchain.der", Concat({chain[0], chain[1]})},
                                    {"rsa3072/bundle_requester.certchain.der", Concat({chain[0], chain[1]})}}) {
    if (const Status written = WriteFileAtomic(folder / name, AsText(bytes)); !written.ok()) {
      std::fprintf(stderr, "foreign-spdm-responder: %s\n", written.error().ToString().c_str());
      return 1;
    }
  }

  Source source;
  crypto::SystemRandom random;
  ResponderConfig config;
  config.chain_der = chain;
  config.key = leaf_key;
  config.measurements = &source;
  config.random = &random;
  Responder responder(std::move(config));

  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, raw, size) != 0 || ::listen(listener, 1) != 0 || ::getsockname(listener, raw, &size) != 0) {
    std::perror("foreign-spdm-responder: listen on 127.0.0.1");
    return 1;
  }
  std::printf("port %d\n", ntohs(address.sin_port));
  (void)std::fflush(stdout);
  for (bool stop = false; !stop;) {
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return 1;
    while (ServeOne(socket, responder, &stop)) {}
    ::close(socket);
  }
  ::close(listener);
  return 0;
}

}  // namespace
}  // namespace ccgpu::spdm

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: foreign-spdm-responder TRUST_FOLDER\n");
    return 2;
  }
  return ccgpu::spdm::Run(argv[1]);
}
