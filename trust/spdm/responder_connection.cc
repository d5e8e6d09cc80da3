// The responder outside sessions: negotiation, certificates, measurements.
#include <algorithm>

#include "trust/spdm/responder.h"

namespace ccgpu::spdm {
namespace {

// Which flags a requester may set together (DSP0274 "Flag fields definitions for Requester").
bool FlagsMakeSense(uint32_t flags) {
  const uint32_t psk = (flags & kCapPskMask) >> 10;
  const bool session = (flags & kCapKeyEx) || psk != 0;
  const bool protection = flags & (kCapEncrypt | kCapMac);
  if (psk > 1) return false;
  if (session != protection) return false;
  if (!session && (flags & (kCapHeartbeat | kCapKeyUpdate))) return false;
  if ((flags & kCapHandshakeInClear) && !(flags & kCapKeyEx)) return false;
  if ((flags & kCapMutAuth) && !(flags & kCapEncap)) return false;
  return !((flags & kCapPublicKeyId) && (flags & kCapCert));
}

bool SizesMakeSense(const Capabilities& request) {
  if (request.version < kVersion12) return true;
  if (request.data_transfer_size < kMinDataTransferSize) return false;
  return (request.flags & kCapChunk) ? request.data_transfer_size <= request.max_message_size
                                     : request.data_transfer_size == request.max_message_size;
}

// The one bit that we speak, if it was offered.
std::optional<uint16_t> Select(const std::optional<uint16_t>& offered, uint16_t ours) {
  if (!offered) return std::nullopt;
  return static_cast<uint16_t>(*offered & ours);
}

}  // namespace

Bytes Responder::OnGetVersion(ByteView message) {
  Result<Header> header = DecodeHeaderOnly(&message, kGetVersion, "GET_VERSION");
  if (!header.ok()) return Fail(kInvalidRequest);
  if (header->version != kVersion10) return Fail(kVersionMismatch);
  Reset();
  const Bytes response = Encode(VersionMessage{{kVersion11 << 8, kVersion12 << 8}});
  vca_ = Concat({message, response});
  state_ = State::kVersion;
  return response;
}

Bytes Responder::OnGetCapabilities(ByteView message) {
  const uint8_t version = message[0];
  if (version != kVersion11 && version != kVersion12) return Fail(kVersionMismatch);
  // From here on errors speak the version that the request chose; only success keeps it.
  Result<Capabilities> request = DecodeCapabilities(&message, kGetCapabilities);
  if (!request.ok() || !FlagsMakeSense(request->flags) || !SizesMakeSense(*request)) {
    return Encode(ErrorMessage{version, kInvalidRequest, 0, {}});
  }
  version_ = version;
  peer_flags_ = request->flags;
  if (version >= kVersion12) peer_max_size_ = std::min<size_t>(request->data_transfer_size, config_.max_message_size);
  Capabilities response;
  response.version = version;
  response.code = kCapabilities;
  response.ct_exponent = kH100CtExponent;
  response.flags = kH100ResponderFlags;
  response.data_transfer_size = response.max_message_size = static_cast<uint32_t>(config_.max_message_size);
  const Bytes bytes = Encode(response);
  vca_ = Concat({vca_, message, bytes});
  state_ = State::kCapabilities;
  return bytes;
}

Bytes Responder::OnNegotiateAlgorithms(ByteView message) {
  Result<Algorithms> request = DecodeAlgorithms(&message, /*response=*/false);
  if (!request.ok()) return Fail(kInvalidRequest);
  Algorithms response;
  response.version = version_;
  response.response = true;
  response.measurement_spec = request->measurement_spec & kMeasurementSpecDmtf;
  response.measurement_hash = kMeasurementHashSha384;
  response.base_asym = request->base_asym & kAsymEcdsaP384;
  response.base_hash = request->base_hash & kHashSha384;
  if (version_ >= kVersion12) response.other_params = request->other_params & kOpaqueFormat1;
  response.dhe = Select(request->dhe, kDheSecp384r1);
  response.aead = Select(request->aead, kAeadAes256Gcm);
  response.req_base_asym = Select(request->req_base_asym, kReqAsymRsaPss3072);
  response.key_schedule = Select(request->key_schedule, kKeyScheduleSpdm);
  if (response.measurement_spec == 0 || response.base_asym == 0 || response.base_hash == 0)
    return Fail(kInvalidRequest);
  const bool opaque = version_ < kVersion12 || response.other_params != 0;
  key_exchange_negotiated_ = (peer_flags_ & kCapKeyEx) && (peer_flags_ & kCapEncrypt) && (peer_flags_ & kCapMac) &&
                             response.dhe.value_or(0) && response.aead.value_or(0) &&
                             response.key_schedule.value_or(0) && opaque;
  // Who says KEY_EX but offers nothing that we speak would otherwise find out only at KEY_EXCHANGE.
  if ((peer_flags_ & kCapKeyEx) && !key_exchange_negotiated_) return Fail(kInvalidRequest);
  requester_signature_negotiated_ = response.req_base_asym.value_or(0) != 0;
  const Bytes bytes = Encode(response);
  vca_ = Concat({vca_, message, bytes});
  state_ = State::kNegotiated;
  return bytes;
}

Bytes Responder::OnGetDigests(ByteView message) {
  if (!DecodeHeaderOnly(&message, kGetDigests, "GET_DIGESTS").ok()) return Fail(kInvalidRequest);
  return Encode(Digests{version_, 0x01, {chain_hash_}});
}

Bytes Responder::OnGetCertificate(ByteView message) {
  Result<GetCertificate> request = DecodeGetCertificate(&message);
  if (!request.ok()) return Fail(kInvalidRequest);
  const std::optional<CertificatePortion> portion = PortionOf(chain_, *request, peer_max_size_);
  return portion ? Encode(*portion) : Fail(kInvalidRequest);
}

Bytes Responder::OnGetMeasurements(ByteView message, MeasurementTranscript& transcript) {
  Result<GetMeasurements> request = DecodeGetMeasurements(&message);
  if (!request.ok() || request->slot != 0) {
    transcript.Reset();
    return Fail(kInvalidRequest);
  }
  std::vector<MeasurementBlock> blocks = config_.measurements->Blocks();
  Measurements response;
  response.version = version_;
  if (request->operation == kMeasurementCount) {
    response.param1 = static_cast<uint8_t>(blocks.size());
    blocks.clear();
  } else if (request->operation != kAllMeasurements) {
    std::erase_if(blocks, [&](const MeasurementBlock& block) { return block.index != request->operation; });
    if (blocks.empty()) {
      transcript.Reset();
      return Fail(kInvalidRequest);
    }
  }
  response.block_count = static_cast<uint8_t>(blocks.size());
  response.record = EncodeRecord(blocks);
  response.nonce = config_.random->Take(kNonceSize);
  response.opaque = config_.measurements->OpaqueData();
  const Bytes unsigned_bytes = Encode(response);
  const size_t final_size = unsigned_bytes.size() + (request->want_signature ? kSignatureSize : 0);
  if (final_size > peer_max_size_ || !transcript.Add(message) || !transcript.Add(unsigned_bytes)) {
    transcript.Reset();
    return final_size > peer_max_size_ ? FitToPeer(Bytes(final_size)) : Fail(kUnspecified);
  }
  if (!request->want_signature) return unsigned_bytes;
  response.signature =
      SignTranscript(config_.key, version_, SigningContext::kMeasurements, transcript.ToSign(version_, vca_));
  transcript.Reset();
  return Encode(response);
}

}  // namespace ccgpu::spdm
