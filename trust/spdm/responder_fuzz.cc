// A hostile requester: the input is a way into the protocol and then messages, sealed properly where a session stands.
// The responder must always answer with a well-formed message and never open a session without FINISH.
//
//   way u8: bits 0-1 start (0 power-on, 1 negotiated, 2 handshake, 3 session), bit 2 SPDM 1.2, bit 3 the requester must
//           authenticate (then not further than the handshake), bit 4 and begins with its DIGESTS
//   then messages: kind u8 (0 plain, 1 raw secured, 2 sealed), length u16, bytes
#include <cstdlib>

#include "trust/spdm/ephemeral.h"
#include "trust/spdm/opaque.h"
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
  std::vector<MeasurementBlock> Blocks() override { return {{1, 0, Bytes(48, 1)}, {2, 0x85, {1, 2, 3}}}; }
  Bytes OpaqueData() override { return {4, 5}; }
};

struct World {
  Counter random;
  Source source;
  std::unique_ptr<Responder> responder;
  std::unique_ptr<Session> session;  // the requester's end
  Bytes vca;
  bool established = false;
  uint8_t version;
  TimePoint now{};

  const bool mutual;
  World(uint8_t v, bool must_authenticate, bool implicit) : version(v), mutual(must_authenticate) {
    static const crypto::PrivateKey key = *crypto::PrivateKey::FromScalar(crypto::KeyType::kP384, Bytes(48, 5));
    ResponderConfig config;
    config.chain_der = {chain};
    config.key = key;
    config.measurements = &source;
    config.random = &random;
    if (implicit) config.mutual_auth = MutualAuth::kImplicitGetDigests;
    config.vendor_in_session = [](ByteView in) -> Result<Bytes> {
      if (!in.empty() && in[0] == 1) return Err("spdm.state", "", "refused");
      return ToBytes(in);
    };
    config.on_session = [this](const Bytes&) { established = true; };
    responder = std::make_unique<Responder>(std::move(config));
  }
  const Bytes chain = Bytes(300, 9);

  Bytes Plain(const Bytes& message) { return responder->Handle({false, message}, now).bytes; }
  void Add(const Bytes& message) { vca = Concat({vca, message, Plain(message)}); }
  void Negotiate() {
    Add({0x10, kGetVersion, 0, 0});
    Capabilities capabilities;
    capabilities.version = version;
    capabilities.code = kGetCapabilities;
    capabilities.flags = kRequesterFlags | (mutual ? kCapMutAuth : 0);
    capabilities.data_transfer_size = capabilities.max_message_size = kMaxMessageSize;
    Add(Encode(capabilities));
    Algorithms algorithms;
    algorithms.version = version;
    algorithms.measurement_spec = 1;
    algorithms.other_params = version >= kVersion12 ? kOpaqueFormat1 : 0;
    algorithms.base_asym = kAsymEcdsaP384;
    algorithms.base_hash = kHashSha384;
    algorithms.dhe = kDheSecp384r1;
    algorithms.aead = kAeadAes256Gcm;
    algorithms.req_base_asym = kReqAsymRsaPss3072;
    algorithms.key_schedule = kKeyScheduleSpdm;
    Add(Encode(algorithms));
  }
  void Exchange() {
    const crypto::PrivateKey ephemeral = MakeEphemeralKey(random);
    KeyExchange request;
    request.version = version;
    request.random = Bytes(32);
    request.exchange = ephemeral.public_key().Point();
    request.opaque = EncodeSupportedVersions(version);
    const Bytes bytes = Encode(request);
    const Bytes answer = Plain(bytes);
    ByteView view = answer;
    auto response = DecodeKeyExchangeRsp(&view, false);
    if (!response.ok()) std::abort();
    Writer structure;
    structure.U16(4 + 48 + chain.size()).U16(0).Raw(crypto::Sha384(chain)).Raw(chain);
    const Bytes before = Concat({vca, crypto::Sha384(structure.bytes()), bytes});
    auto peer = crypto::PublicKey::FromPoint(crypto::KeyType::kP384, response->exchange);
    session = std::make_unique<Session>(Session::Role::kRequester, version, uint32_t{response->session_id} << 16,
                                        *ephemeral.Agree(*peer),
                                        crypto::Sha384(Concat({before, view.first(view.size() - 48)})));
    session->transcript = Concat({before, view});
  }
  void Finish_() {
    Finish finish;
    finish.version = version;
    finish.verify_data = session->RequesterVerifyData(Concat({session->transcript, Encode(finish)}));
    const Bytes bytes = Encode(finish);
    const Packet answer = responder->Handle({true, *session->Seal(bytes)}, now);
    const Bytes response = *session->Open(answer.bytes);
    session->Establish(crypto::Sha384(Concat({session->transcript, bytes, response})));
    if (!established) std::abort();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Reader in({data, size});
  const uint8_t way = in.U8();
  World world(way & 4 ? kVersion12 : kVersion11, way & 8, way & 16);
  if ((way & 3) >= 1) world.Negotiate();
  if ((way & 3) >= 2) world.Exchange();
  if ((way & 3) >= 3 && !world.mutual) world.Finish_();
  const bool was = world.established;
  for (int messages = 0; in.ok() && in.remaining() > 0 && messages < 16; ++messages) {
    const uint8_t kind = in.U8() % 3;
    const size_t length = std::min<size_t>(in.U16(), in.remaining());
    const Bytes message = ToBytes(in.Take(length));
    Packet request{kind != 0, message};
    if (kind == 2) {
      if (!world.session) continue;
      request.bytes = *world.session->Seal(message);
    }
    const Packet answer = world.responder->Handle(request, world.now);
    if (answer.bytes.size() < 4 || answer.bytes.size() > kMaxMessageSize + 64) std::abort();
    if (answer.secured && !request.secured) std::abort();
    if (!was && world.established) std::abort();  // nobody can guess VerifyData
  }
  return 0;
}
