#include "trust/spdm/requester.h"

#include <algorithm>

#include "trust/spdm/certificate_chain.h"

namespace ccgpu::spdm {
namespace {

std::string Hex(uint32_t value) {
  char text[16];
  (void)std::snprintf(text, sizeof text, "0x%X", value);
  return text;
}

std::string VersionName(uint8_t version) { return std::to_string(version >> 4) + "." + std::to_string(version & 0xF); }

// A vendor-defined ERROR of our own responder: vendor id, code, zero byte, text.
std::optional<Error> HandlerError(const ErrorMessage& error) {
  if (error.code != kVendorError || error.data != kStandardPciSig) return std::nullopt;
  Reader in(error.extended);
  const VendorDefined ours;
  const size_t vendor_size = in.U8();
  if (!Equal(in.Take(vendor_size), ours.vendor)) return std::nullopt;
  const std::string rest = ToText(in.Rest());
  const size_t zero = rest.find('\0');
  if (!in.ok() || zero == std::string::npos || zero == 0) return std::nullopt;
  std::string text = rest.substr(zero + 1);
  text.resize(std::min(text.find_last_not_of('\0') + 1, text.size()));
  return Error::FromWire(rest.substr(0, zero), "device", std::move(text));
}

}  // namespace

Requester::Requester(RequesterConfig config)
    : config_(config),
      peer_max_size_(config_.max_message_size),
      own_chain_(config_.identity ? EncodeChain(config_.identity->chain_der) : Bytes()) {}

Requester::~Requester() = default;

Bytes Requester::export_master_secret() const { return session_ ? session_->export_master_secret() : Bytes{}; }

Error Requester::Lose(Error why) {
  session_.reset();
  return why;
}

Result<Bytes> Requester::CheckResponse(Bytes response, uint8_t code) const {
  const std::optional<Header> header = PeekHeader(response);
  if (!header) return Err("spdm.malformed", "response", "shorter than the 4-byte header");
  if (header->code == kError) {
    ByteView view = response;
    ASSIGN_OR_RETURN(const ErrorMessage error, DecodeError(&view));
    if (std::optional<Error> from_handler = HandlerError(error)) return *from_handler;
    return Err("spdm.peer-error", "device",
               "answered ERROR " + Hex(error.code) + " (" + std::string(ErrorCodeName(error.code)) + "), data " +
                   Hex(error.data));
  }
  if (header->code != code) {
    return Err("spdm.malformed", "response", "message code is " + Hex(header->code) + ", not " + Hex(code));
  }
  const uint8_t expected = code == kVersion ? kVersion10 : version_;
  if (header->version != expected) {
    return Err("spdm.version", "response",
               "says version " + VersionName(header->version) + ", not " + VersionName(expected));
  }
  return response;
}

Result<Bytes> Requester::Ask(ByteView request, uint8_t code) {
  ASSIGN_OR_RETURN(Packet response, config_.transport->Exchange({false, ToBytes(request)}));
  if (response.secured) return Err("spdm.malformed", "response", "a secured record answers a plain request");
  return CheckResponse(std::move(response.bytes), code);
}

Result<Bytes> Requester::AskSealed(ByteView request, uint8_t code) {
  Result<Bytes> record = session_->Seal(request);
  if (!record.ok()) return Lose(record.error());
  Result<Packet> response = config_.transport->Exchange({true, *std::move(record)});
  if (!response.ok()) return Lose(response.error());
  if (!response->secured) {
    const std::optional<Header> header = PeekHeader(response->bytes);
    const bool error = header && header->code == kError;
    return Lose(
        Err("spdm.session-lost", "device",
            "answered outside the session" +
                (error ? " with ERROR " + Hex(header->param1) + " (" + std::string(ErrorCodeName(header->param1)) + ")"
                       : "") +
                "; it no longer holds the session, or the link was tampered with. Start a new session"));
  }
  Result<Bytes> message = session_->Open(response->bytes);
  if (!message.ok()) return Lose(message.error());
  const std::optional<Header> header = PeekHeader(*message);
  Result<Bytes> checked = CheckResponse(*std::move(message), code);
  // The device ends its session when it says DecryptError; any other proper ERROR leaves it.
  const bool survives = header && header->code == kError && header->version == version_ &&
                        header->param1 != kDecryptError && session_->phase() == Session::Phase::kEstablished;
  if (!checked.ok() && !survives) return Lose(checked.error());
  return checked;
}

Result<Bytes> Requester::GetMeasurements(ByteView nonce32) {
  if (!connected_) return Err("spdm.state", "requester", "measurements need Connect() first");
  if (nonce32.size() != kNonceSize) return Err("spdm.state", "requester", "the nonce must have 32 bytes");
  spdm::GetMeasurements request;
  request.version = version_;
  request.want_signature = true;
  request.operation = kAllMeasurements;
  request.nonce = ToBytes(nonce32);
  const Bytes request_bytes = Encode(request);
  const bool sealed = in_session();
  Result<Bytes> response = sealed ? AskSealed(request_bytes, kMeasurements) : Ask(request_bytes, kMeasurements);
  if (!response.ok()) return response.error();

  ByteView exact = *response;
  Result<Measurements> message = DecodeMeasurements(&exact, /*with_signature=*/true);
  if (!message.ok()) return sealed ? Lose(message.error()) : message.error();
  const Bytes report = Concat({request_bytes, exact});
  MeasurementTranscript transcript;
  const bool fits = transcript.Add(ByteView(report).first(report.size() - kSignatureSize));
  if (!fits || (message->param2 & 0xF) != 0 ||
      !VerifyTranscript(leaf_key_, version_, SigningContext::kMeasurements, transcript.ToSign(version_, vca_),
                        message->signature)) {
    const Error error = Err("spdm.signature", "MEASUREMENTS",
                            "its signature does not verify with the key of the device's leaf certificate");
    return sealed ? Lose(error) : error;
  }
  return report;
}

Result<Bytes> Requester::Vendor(ByteView payload) {
  if (!in_session()) return Err("spdm.state", "requester", "vendor messages need a session");
  VendorDefined request;
  request.version = version_;
  request.payload = ToBytes(payload);
  const Bytes bytes = Encode(request);
  if (bytes.size() > peer_max_size_) {
    return Err("spdm.state", "requester",
               "a vendor message may have at most " + std::to_string(peer_max_size_) + " bytes");
  }
  ASSIGN_OR_RETURN(const Bytes response, AskSealed(bytes, kVendorDefinedResponse));
  ByteView view = response;
  Result<VendorDefined> message = DecodeVendorDefined(&view, /*response=*/true);
  if (!message.ok()) return Lose(message.error());
  if (message->standard != request.standard || message->vendor != request.vendor) {
    return Lose(Err("spdm.malformed", "VENDOR_DEFINED_RESPONSE", "it is another vendor's"));
  }
  return std::move(message->payload);
}

Status Requester::Heartbeat() {
  if (!in_session()) return Err("spdm.state", "requester", "a heartbeat needs a session");
  ASSIGN_OR_RETURN(const Bytes response, AskSealed(EncodeHeader({version_, kHeartbeat, 0, 0}), kHeartbeatAck));
  ByteView view = response;
  Result<Header> ack = DecodeHeaderOnly(&view, kHeartbeatAck, "HEARTBEAT_ACK");
  return ack.ok() ? Ok() : Status(Lose(ack.error()));
}

Status Requester::UpdateKeys(KeyUpdateOp operation) {
  if (!in_session()) return Err("spdm.state", "requester", "a key update needs a session");
  if (operation == KeyUpdateOp::kVerifyNewKey) return Err("spdm.state", "requester", "VerifyNewKey is not an update");
  // Each step's acknowledgement must echo operation and tag; a broken update leaves no keys that both ends agree on.
  auto step = [&](KeyUpdateOp op, bool response_key_first) -> Status {
    const uint8_t tag = config_.random->Take(1)[0];
    const Bytes request = EncodeHeader({version_, kKeyUpdate, static_cast<uint8_t>(op), tag});
    Result<Bytes> record = session_->Seal(request);
    if (!record.ok()) return record.error();
    if (response_key_first) session_->UpdateResponseKey();  // the acknowledgement already travels under the new key
    ASSIGN_OR_RETURN(const Packet response, config_.transport->Exchange({true, *std::move(record)}));
    if (!response.secured) return Err("spdm.session-lost", "device", "answered a key update outside the session");
    ASSIGN_OR_RETURN(Bytes opened, session_->Open(response.bytes));
    ASSIGN_OR_RETURN(const Bytes message, CheckResponse(std::move(opened), kKeyUpdateAck));
    ByteView view = message;
    ASSIGN_OR_RETURN(const Header ack, DecodeHeaderOnly(&view, kKeyUpdateAck, "KEY_UPDATE_ACK"));
    if (ack.param1 != static_cast<uint8_t>(op) || ack.param2 != tag) {
      return Err("spdm.key-update", "KEY_UPDATE_ACK", "it does not echo the request's operation and tag");
    }
    return Ok();
  };
  if (Status status = step(operation, operation == KeyUpdateOp::kUpdateAllKeys); !status.ok())
    return Lose(status.error());
  session_->UpdateRequestKey();
  if (Status status = step(KeyUpdateOp::kVerifyNewKey, false); !status.ok()) return Lose(status.error());
  return Ok();
}

Status Requester::EndSession() {
  if (!in_session()) return Err("spdm.state", "requester", "there is no session to end");
  Result<Bytes> response = AskSealed(EncodeHeader({version_, kEndSession, 0, 0}), kEndSessionAck);
  session_.reset();
  if (!response.ok()) return response.error();
  return Ok();
}

}  // namespace ccgpu::spdm
