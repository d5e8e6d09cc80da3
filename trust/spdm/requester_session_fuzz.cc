// A device that holds its certificate's key and lies inside the session: negotiation and key exchange are good, what it
// seals afterwards comes from the input. The requester must not crash, and must not be in a session that FINISH_RSP
// never opened.
//
//   way u8: bit 0 SPDM 1.2, bits 1-2 MutAuthRequested (0, 2, 4, 6), bit 3 FINISH is answered well, bit 4 the handshake
//           begins with a good encapsulated request
//   then for each sealed request: length u16, the message that answers it
#include <cstdlib>

#include "trust/spdm/certificate_chain.h"
#include "trust/spdm/ephemeral.h"
#include "trust/spdm/opaque.h"
#include "trust/spdm/requester.h"
#include "trust/spdm/responder.h"

namespace {

using namespace ccgpu;
using namespace ccgpu::spdm;

class Counter final : public crypto::Random {
 public:
  void Fill(std::span<uint8_t> out) override {
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(++count_ * 37);
  }

 private:
  uint32_t count_ = 0;
};

class Source final : public MeasurementSource {
 public:
  std::vector<MeasurementBlock> Blocks() override { return {{1, 0, Bytes(48, 1)}}; }
  Bytes OpaqueData() override { return {4, 5}; }
};

RequesterIdentity MakeIdentity(crypto::KeyType type) {
  const crypto::PrivateKey key = crypto::PrivateKey::Generate(type);
  crypto::CertificateSpec spec;
  spec.subject = {{"CN", "EMULATED, NOT NVIDIA: fuzz"}};
  spec.key = key.public_key();
  spec.not_after = TimePoint(std::chrono::seconds(4102444800));
  return {{crypto::MakeCertificate(spec, key, nullptr).value().Der()}, key};
}

struct Liar final : Transport {
  Liar(uint8_t way, Reader* answers) : way(way), answers(answers), version(way & 1 ? kVersion12 : kVersion11) {
    static const RequesterIdentity device = MakeIdentity(crypto::KeyType::kP384);
    identity = &device;
    ResponderConfig config;
    config.chain_der = device.chain_der;
    config.key = device.key;
    config.measurements = &source;
    config.random = &random;
    honest = std::make_unique<Responder>(std::move(config));
  }

  Result<Packet> Exchange(const Packet& request) override {
    if (!request.secured) {
      if (request.bytes[1] == kKeyExchange) return Packet{false, OnKeyExchange(request.bytes)};
      const Packet answer = honest->Handle(request, TimePoint{});
      const uint8_t code = request.bytes[1];
      if (code == kGetVersion) vca.clear();
      if (code == kGetVersion || code == kGetCapabilities || code == kNegotiateAlgorithms)
        vca = Concat({vca, request.bytes, answer.bytes});
      return answer;
    }
    if (!session) return Error::FromWire("link.end", "", "no session");
    Result<Bytes> message = session->Open(request.bytes);
    if (!message.ok()) return Error::FromWire("link.end", "", "not sealed as it must be");
    if ((*message)[1] == kFinish && (way & 8)) {
      const Bytes response = {version, kFinishRsp, 0, 0};
      Result<Bytes> record = session->Seal(response);
      const bool is_signed = (*message)[2] & 1;
      const Bytes chain_hash = is_signed ? crypto::Sha384(EncodeChain(requesters->chain_der)) : Bytes();
      session->Establish(crypto::Sha384(Concat({session->transcript, chain_hash, *message, response})));
      finished = true;
      return Packet{true, *record};
    }
    if ((*message)[1] == kGetEncapsulatedRequest && (way & 16))
      return Packet{true, *session->Seal(Bytes{version, kEncapsulatedRequest, 1, 0, version, kGetDigests, 0, 0})};
    const size_t length = std::min<size_t>(answers->U16(), answers->remaining());
    if (!answers->ok()) return Error::FromWire("link.end", "", "no more input");
    return Packet{true, *session->Seal(answers->Take(length))};
  }

  Bytes OnKeyExchange(ByteView bytes) {
    Result<KeyExchange> request = DecodeKeyExchange(&bytes);
    if (!request.ok()) std::abort();
    const crypto::PrivateKey ephemeral = MakeEphemeralKey(random);
    KeyExchangeRsp response;
    response.version = version;
    response.session_id = 7;
    response.mutual_auth = way & 6;
    response.random = Bytes(32);
    response.exchange = ephemeral.public_key().Point();
    response.opaque = EncodeSelectedVersion(version, 0x1100);
    const Bytes before = Concat({vca, crypto::Sha384(EncodeChain(identity->chain_der)), bytes});
    response.signature =
        SignTranscript(identity->key, version, SigningContext::kKeyExchangeRsp, Concat({before, Encode(response)}));
    const Bytes th1 = Concat({before, Encode(response)});
    const auto peer = crypto::PublicKey::FromPoint(crypto::KeyType::kP384, request->exchange);
    session = std::make_unique<Session>(Session::Role::kResponder, version, 7u << 16 | request->session_id,
                                        *ephemeral.Agree(*peer), crypto::Sha384(th1));
    response.verify_data = session->ResponderVerifyData(th1);
    session->transcript = Concat({before, Encode(response)});
    return Encode(response);
  }

  const uint8_t way;
  Reader* answers;
  const uint8_t version;
  const RequesterIdentity* identity;
  const RequesterIdentity* requesters = nullptr;
  Counter random;
  Source source;
  std::unique_ptr<Responder> honest;
  std::unique_ptr<Session> session;
  Bytes vca;
  bool finished = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const RequesterIdentity identity = MakeIdentity(crypto::KeyType::kRsa3072);
  Reader in({data, size});
  const uint8_t way = in.U8();
  Liar device(way, &in);
  device.requesters = &identity;
  Counter random;
  Requester requester({.transport = &device,
                       .random = &random,
                       .min_version = device.version,
                       .max_version = device.version,
                       .identity = &identity});
  if (!requester.Connect().ok()) std::abort();
  const bool started = requester.StartSession().ok();
  if (started != requester.in_session()) std::abort();
  if (started && !device.finished) {
    // The input may well be a good FINISH_RSP; then both ends hold different keys, and the first record shows it.
    if (requester.Heartbeat().ok()) std::abort();
    return 0;
  }
  if (requester.in_session()) (void)requester.Vendor(Bytes{1, 2, 3});
  if (requester.in_session()) (void)requester.Heartbeat();
  if (requester.in_session()) (void)requester.GetMeasurements(Bytes(32, 3));
  if (requester.in_session()) (void)requester.UpdateKeys();
  if (requester.in_session()) (void)requester.EndSession();
  return 0;
}
