// The requester until a session stands: negotiation, certificate chain, KEY_EXCHANGE and FINISH.
#include <algorithm>

#include "trust/spdm/ephemeral.h"
#include "trust/spdm/opaque.h"
#include "trust/spdm/requester.h"

namespace ccgpu::spdm {
namespace {

constexpr size_t kMaxCertificates = 16;

std::string Hex(uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%X", value);
  return text;
}

// The length of the first DER element of `bytes`, which must be a SEQUENCE; 0 when it is not one or does not fit.
size_t DerSequenceSize(ByteView bytes) {
  Reader in(bytes);
  if (in.U8() != 0x30) return 0;
  size_t length = in.U8();
  if (length & 0x80) {
    const size_t count = length & 0x7F;
    if (count == 0 || count > 3) return 0;
    length = 0;
    for (size_t i = 0; i < count; ++i) length = length << 8 | in.U8();
  }
  return in.ok() && length <= in.remaining() ? in.offset() + length : 0;
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
  request.flags = kRequesterFlags;
  request.data_transfer_size = request.max_message_size = kMaxMessageSize;
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
  offer.req_base_asym =
      kReqAsymRsaPss3072;  // offered as NVIDIA's driver does; never used without mutual authentication
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
  Append(vca_, bytes);
  Append(vca_, exact);
  return Ok();
}

Status Requester::FetchChain() {
  ASSIGN_OR_RETURN(const Bytes digests_bytes, Ask(EncodeHeader({version_, kGetDigests, 0, 0}), kDigests));
  ByteView exact = digests_bytes;
  ASSIGN_OR_RETURN(const Digests digests, DecodeDigests(&exact));
  if (!(digests.slot_mask & 1)) return Err("spdm.certificate", "device", "has no certificate chain in slot 0");

  Bytes chain;
  size_t total = 0;
  do {
    constexpr size_t kPortionHeader = 8;
    GetCertificate request;
    request.version = version_;
    request.offset = static_cast<uint16_t>(chain.size());
    request.length = static_cast<uint16_t>(kMaxMessageSize - kPortionHeader);
    ASSIGN_OR_RETURN(const Bytes response, Ask(Encode(request), kCertificate));
    ByteView view = response;
    ASSIGN_OR_RETURN(const CertificatePortion portion, DecodeCertificate(&view));
    if (portion.slot != 0 || portion.portion.empty() || portion.portion.size() > request.length) {
      return Err("spdm.certificate", "device", "answered GET_CERTIFICATE with a portion that was not asked for");
    }
    Append(chain, portion.portion);
    const size_t says = chain.size() + portion.remainder;
    if (total != 0 && says != total)
      return Err("spdm.certificate", "device", "the chain's length changed while it was read");
    total = says;
    if (total > 0xFFFF) return Err("spdm.certificate", "device", "its certificate chain is longer than 64 KiB");
  } while (chain.size() < total);

  chain_hash_ = crypto::Sha384(chain);
  if (!EqualConstantTime(chain_hash_, digests.digests.front())) {
    return Err("spdm.certificate", "device", "its certificate chain is not the one that DIGESTS named");
  }
  return ParseChain(chain);
}

Status Requester::ParseChain(ByteView structure) {
  Reader in(structure);
  const size_t length = in.U16();
  in.Skip(2);
  const ByteView root_hash = in.Take(kHashSize);
  if (!in.ok() || length != structure.size())
    return Err("spdm.certificate", "device", "its chain's length field does not fit");
  while (in.remaining() > 0) {
    const size_t size = DerSequenceSize(structure.subspan(in.offset()));
    if (size == 0 || chain_.size() == kMaxCertificates) {
      return Err("spdm.certificate", "device", "its chain is not a row of 1 to 16 DER certificates");
    }
    const ByteView der = in.Take(size);
    Result<crypto::Certificate> certificate = crypto::Certificate::FromDer(der);
    if (!certificate.ok()) return certificate.error().In("device certificate " + std::to_string(chain_.size() + 1));
    // A chain may leave its root out and only name it; when it begins with one, the hash must be that root's.
    const bool self_issued = certificate->SubjectName() == certificate->IssuerName();
    if (chain_.empty() && self_issued && !EqualConstantTime(crypto::Sha384(der), root_hash)) {
      return Err("spdm.certificate", "device", "its chain's root hash is not the hash of its root");
    }
    chain_.push_back(*std::move(certificate));
  }
  if (chain_.empty()) return Err("spdm.certificate", "device", "its chain holds no certificate");
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
  if (response.mutual_auth != 0) {
    return Err("spdm.mutual-auth", "device",
               "asks the requester to authenticate, which it does not support and did not offer");
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

  Bytes transcript = Concat({before, exact});
  Finish finish;
  finish.version = version_;
  Append(transcript, Encode(finish));  // the header alone: what its VerifyData covers
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
