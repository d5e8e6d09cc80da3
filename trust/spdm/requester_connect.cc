// The requester until a session stands: negotiation, certificate chain, KEY_EXCHANGE and FINISH.
#include <algorithm>

#include "trust/spdm/certificate_chain.h"
#include "trust/spdm/ephemeral.h"
#include "trust/spdm/opaque.h"
#include "trust/spdm/requester.h"

namespace ccgpu::spdm {
namespace {

std::string Hex(uint32_t value) {
  char text[16];
  (void)std::snprintf(text, sizeof text, "0x%X", value);
  return text;
}

}  // namespace

Status Requester::Connect() {
  session_.reset();
  connected_ = false;
  version_ = kVersion10;
  vca_.clear();
  chain_.clear();
  chain_hash_.clear();
  leaf_key_ = {};
  heartbeat_period_s_ = 0;
  peer_max_size_ = config_.max_message_size;
  RETURN_IF_ERROR(NegotiateVersion());
  RETURN_IF_ERROR(NegotiateCapabilities());
  RETURN_IF_ERROR(NegotiateAlgorithms());
  RETURN_IF_ERROR(FetchChain());
  connected_ = true;
  return Ok();
}

Status Requester::NegotiateVersion() {
  const Bytes request = EncodeHeader({kVersion10, kGetVersion, 0, 0});
  ASSIGN_OR_RETURN(const Bytes response, Ask(request, kVersion));
  ByteView exact = response;
  ASSIGN_OR_RETURN(const VersionMessage offered, DecodeVersion(&exact));
  uint8_t best = 0;
  for (uint16_t entry : offered.entries) {
    const uint8_t version = entry >> 8;  // update and alpha do not matter for the wire format
    const bool known = version == kVersion11 || version == kVersion12;
    if (known && (entry & 0xF) == 0 && version >= config_.min_version && version <= config_.max_version)
      best = std::max(best, version);
  }
  if (best == 0) {
    return Err("spdm.version", "device",
               "speaks no SPDM version between " + Hex(config_.min_version) + " and " + Hex(config_.max_version));
  }
  version_ = best;
  vca_ = Concat({request, exact});
  return Ok();
}

Status Requester::NegotiateCapabilities() {
  Capabilities request;
  request.version = version_;
  request.code = kGetCapabilities;
  request.ct_exponent = config_.ct_exponent;
  request.flags = kRequesterFlags | (config_.identity ? kCapMutAuth : 0);
  request.data_transfer_size = request.max_message_size = static_cast<uint32_t>(config_.max_message_size);
  const Bytes bytes = Encode(request);
  ASSIGN_OR_RETURN(const Bytes response, Ask(bytes, kCapabilities));
  ByteView exact = response;
  ASSIGN_OR_RETURN(const Capabilities device, DecodeCapabilities(&exact, kCapabilities));
  if (device.flags != config_.responder_flags) {
    return Err("spdm.capabilities", "device",
               "its capability flags are " + Hex(device.flags) + ", expected exactly " + Hex(config_.responder_flags));
  }
  if (device.ct_exponent != config_.responder_ct_exponent) {
    return Err("spdm.capabilities", "device",
               "its CTExponent is " + Hex(device.ct_exponent) + ", expected " + Hex(config_.responder_ct_exponent));
  }
  if (version_ >= kVersion12 &&
      (device.data_transfer_size < kMinDataTransferSize || device.max_message_size < device.data_transfer_size)) {
    return Err("spdm.capabilities", "device",
               "its transfer sizes contradict each other or are below the minimum of 42");
  }
  if (version_ >= kVersion12) peer_max_size_ = std::min<size_t>(peer_max_size_, device.data_transfer_size);
  Append(vca_, bytes);
  Append(vca_, exact);
  return Ok();
}

Status Requester::NegotiateAlgorithms() {
  Algorithms offer;
  offer.version = version_;
  offer.measurement_spec = kMeasurementSpecDmtf;
  offer.other_params = version_ >= kVersion12 ? kOpaqueFormat1 : 0;
  offer.base_asym = kAsymEcdsaP384;
  offer.base_hash = kHashSha384;
  offer.dhe = kDheSecp384r1;
  offer.aead = kAeadAes256Gcm;
  // Offered as NVIDIA's driver does, with an identity or without.
  offer.req_base_asym = kReqAsymRsaPss3072;
  offer.key_schedule = kKeyScheduleSpdm;
  const Bytes bytes = Encode(offer);
  ASSIGN_OR_RETURN(const Bytes response, Ask(bytes, kAlgorithms));
  ByteView exact = response;
  ASSIGN_OR_RETURN(const Algorithms chosen, DecodeAlgorithms(&exact, /*response=*/true));
  // One of each was offered, so each must come back; only the requester's own signature algorithm may stay unselected.
  const uint16_t req_asym = chosen.req_base_asym.value_or(0);
  if (chosen.measurement_spec != offer.measurement_spec || chosen.other_params != offer.other_params ||
      chosen.measurement_hash != kMeasurementHashSha384 || chosen.base_asym != offer.base_asym ||
      chosen.base_hash != offer.base_hash || chosen.dhe != offer.dhe || chosen.aead != offer.aead ||
      chosen.key_schedule != offer.key_schedule || (req_asym != 0 && req_asym != *offer.req_base_asym)) {
    return Err("spdm.algorithms", "device",
               "chose algorithms other than the offered suite (ECDSA P-384, SHA-384, secp384r1, AES-256-GCM, DMTF "
               "measurements)");
  }
  requester_signature_negotiated_ = req_asym != 0;
  Append(vca_, bytes);
  Append(vca_, exact);
  return Ok();
}

Status Requester::FetchChain() {
  ASSIGN_OR_RETURN(const Bytes digests_bytes, Ask(EncodeHeader({version_, kGetDigests, 0, 0}), kDigests));
  ByteView exact = digests_bytes;
  ASSIGN_OR_RETURN(const Digests digests, DecodeDigests(&exact));
  if (!(digests.slot_mask & 1)) return Err("spdm.certificate", "device", "has no certificate chain in slot 0");

  constexpr size_t kPortionHeader = 8;
  ChainReader reader(version_, config_.max_message_size - kPortionHeader);
  do {
    ASSIGN_OR_RETURN(const Bytes response, Ask(Encode(reader.Next()), kCertificate));
    ByteView view = response;
    ASSIGN_OR_RETURN(const CertificatePortion portion, DecodeCertificate(&view));
    if (Status added = reader.Add(portion); !added.ok()) return added.error().In("device");
  } while (!reader.done());

  chain_hash_ = crypto::Sha384(reader.chain());
  if (!EqualConstantTime(chain_hash_, digests.digests.front())) {
    return Err("spdm.certificate", "device", "its certificate chain is not the one that DIGESTS named");
  }
  Result<std::vector<crypto::Certificate>> chain = DecodeChain(reader.chain());
  if (!chain.ok()) return chain.error().In("device");
  chain_ = *std::move(chain);
  leaf_key_ = chain_.back().key();
  if (!leaf_key_.valid() || leaf_key_.type() != crypto::KeyType::kP384) {
    return Err("spdm.certificate", "device", "its leaf key is not on P-384, the curve that was negotiated");
  }
  return Ok();
}

Status Requester::StartSession() {
  if (!connected_) return Err("spdm.state", "requester", "a session needs Connect() first");
  if (session_) return Err("spdm.state", "requester", "a session is open already; end it first");
  Result<uint8_t> period = KeyExchangeAndFinish();
  if (!period.ok()) return Lose(period.error());
  heartbeat_period_s_ = *period;
  return Ok();
}

Result<uint8_t> Requester::KeyExchangeAndFinish() {
  const crypto::PrivateKey ephemeral = MakeEphemeralKey(*config_.random);
  KeyExchange request;
  request.version = version_;
  request.summary_type = kSummaryNone;
  const Bytes id = config_.random->Take(2);
  request.session_id = static_cast<uint16_t>(id[0] | id[1] << 8);
  request.random = config_.random->Take(kNonceSize);
  request.exchange = ephemeral.public_key().Point();
  request.opaque = EncodeSupportedVersions(version_);
  const Bytes request_bytes = Encode(request);
  ASSIGN_OR_RETURN(const Bytes response_bytes, Ask(request_bytes, kKeyExchangeRsp));
  ByteView exact = response_bytes;
  ASSIGN_OR_RETURN(const KeyExchangeRsp response, DecodeKeyExchangeRsp(&exact, /*with_summary=*/false));
  if (Result<uint16_t> secured = DecodeSelectedVersion(version_, response.opaque); !secured.ok())
    return secured.error();
  const Bytes before = Concat({vca_, chain_hash_, request_bytes});
  const size_t unsigned_size = exact.size() - kHashSize - kSignatureSize;
  if (!VerifyTranscript(leaf_key_, version_, SigningContext::kKeyExchangeRsp,
                        Concat({before, exact.first(unsigned_size)}), response.signature)) {
    return Err("spdm.signature", "KEY_EXCHANGE_RSP",
               "its signature does not verify with the key of the device's leaf certificate");
  }
  const auto mutual_auth = static_cast<MutualAuth>(response.mutual_auth);
  const bool authenticate = mutual_auth != MutualAuth::kNone;
  if (authenticate && !config_.identity) {
    return Err("spdm.mutual-auth", "device",
               "asks the requester to authenticate, which it does not support and did not offer");
  }
  if (authenticate && (!requester_signature_negotiated_ || response.request_slot != 0 ||
                       (mutual_auth != MutualAuth::kEncapsulated && mutual_auth != MutualAuth::kImplicitGetDigests))) {
    return Err("spdm.mutual-auth", "device",
               "asks for mutual authentication of kind " + Hex(response.mutual_auth) + ", slot " +
                   Hex(response.request_slot) + ": only 2 and 4 with slot 0, after RSAPSS_3072 was chosen, are known");
  }
  Result<crypto::PublicKey> peer = crypto::PublicKey::FromPoint(crypto::KeyType::kP384, response.exchange);
  if (!peer.ok()) return peer.error().In("KEY_EXCHANGE_RSP");
  ASSIGN_OR_RETURN(Bytes secret, ephemeral.Agree(*peer));
  const Bytes th1 = Concat({before, exact.first(exact.size() - kHashSize)});
  const uint32_t session_id = uint32_t{response.session_id} << 16 | request.session_id;
  session_ = std::make_unique<Session>(Session::Role::kRequester, version_, session_id, secret, crypto::Sha384(th1));
  Wipe(secret);
  if (!EqualConstantTime(response.verify_data, session_->ResponderVerifyData(th1))) {
    return Err("spdm.verify-data", "KEY_EXCHANGE_RSP", "its VerifyData is not what the handshake's keys give");
  }

  if (authenticate) RETURN_IF_ERROR(Authenticate(mutual_auth));
  Bytes transcript = Concat({before, exact});
  Finish finish = MakeFinish(authenticate, &transcript);
  finish.verify_data = session_->RequesterVerifyData(transcript);
  Append(transcript, finish.verify_data);
  ASSIGN_OR_RETURN(const Bytes finish_response, AskSealed(Encode(finish), kFinishRsp));
  ByteView finish_exact = finish_response;
  if (Result<Header> header = DecodeHeaderOnly(&finish_exact, kFinishRsp, "FINISH_RSP"); !header.ok())
    return header.error();
  Append(transcript, finish_exact);
  session_->Establish(crypto::Sha384(transcript));
  return response.heartbeat_period;
}

}  // namespace ccgpu::spdm
