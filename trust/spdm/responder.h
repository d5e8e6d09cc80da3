// The device's side of SPDM: one connection, one certificate slot (0), one session, the H100's capabilities and
// algorithms.
//
// A table of what is answered when (anything else is an ERROR, and never ends the process or throws):
//   any time                      GET_VERSION: forgets everything, a session included
//   after VERSION                 GET_CAPABILITIES, once
//   after CAPABILITIES            NEGOTIATE_ALGORITHMS, once
//   after ALGORITHMS              GET_DIGESTS, GET_CERTIFICATE, GET_MEASUREMENTS, KEY_EXCHANGE
//   after KEY_EXCHANGE, secured   FINISH; where the requester must authenticate, before it GET_ENCAPSULATED_REQUEST and
//                                 DELIVER_ENCAPSULATED_RESPONSE (requester_authentication.h)
//   after FINISH, secured         GET_MEASUREMENTS, HEARTBEAT, KEY_UPDATE, VENDOR_DEFINED, END_SESSION
//
// A record that does not open, a wrong VerifyData and a missed heartbeat end the session; ERRORs for well-sealed but
// wrong messages leave it, as DMTF's conformance cases want. A new KEY_EXCHANGE replaces a handshake that was not
// finished; while a session is established it gets SessionLimitExceeded.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/crypto/digest.h"
#include "base/crypto/key.h"
#include "trust/spdm/doe.h"
#include "trust/spdm/measurements.h"
#include "trust/spdm/messages.h"
#include "trust/spdm/requester_authentication.h"
#include "trust/spdm/session.h"

namespace ccgpu::spdm {

struct ResponderConfig {
  std::vector<Bytes> chain_der;  // root first, leaf last (certificate DER); at least one, under 64 KiB in all
  crypto::PrivateKey key;        // of the leaf, P-384
  MeasurementSource* measurements = nullptr;  // not owned
  crypto::Random* random = nullptr;           // not owned
  uint8_t heartbeat_period_s = 4;
  // The largest message taken and made, and the transfer size that 1.2 announces. A transport with less room says less.
  size_t max_message_size = kMaxMessageSize;
  // Mutual authentication: with nobody, with requesters that say MUT_AUTH (an H100 and its driver), or as a condition
  // of any session (KEY_EXCHANGE of a requester that cannot is UnsupportedRequest).
  enum class RequesterAuth { kNever, kIfOffered, kRequired } requester_auth = RequesterAuth::kIfOffered;
  MutualAuth mutual_auth = MutualAuth::kEncapsulated;  // how it is asked for; not kNone
  AcceptRequester accept_requester;
  // VENDOR_DEFINED payloads inside a session (after FINISH). An error crosses as a vendor-defined ERROR that carries
  // its code and text, so that Requester::Vendor returns it. May call Reset() on the responder.
  std::function<Result<Bytes>(ByteView request)> vendor_in_session;
  std::function<void(const Bytes& export_master_secret)> on_session;  // after FINISH; 48 bytes
  // An established session is over: END_SESSION, decrypt error, heartbeat timeout, reset. Not for broken handshakes.
  std::function<void(std::string_view why)> on_session_end;
};

// Not for several threads. Callbacks run inside the call that causes them.
class Responder {
 public:
  // Precondition: a valid config; a chain that is empty or too long ends the program.
  explicit Responder(ResponderConfig config);
  ~Responder();

  // Always an answer, ERROR messages included. `now` feeds the heartbeat.
  Packet Handle(const Packet& request, TimePoint now);
  // Ends the session when more than two heartbeat periods passed without a good record (time has a resolution of 1 s,
  // so "more than": never early). Call it about once a second.
  void CheckHeartbeat(TimePoint now);
  bool in_session() const { return session_ && session_->phase() == Session::Phase::kEstablished; }
  // Back to power-on state.
  void Reset();

 private:
  enum class State { kStart, kVersion, kCapabilities, kNegotiated };

  Bytes HandlePlain(ByteView message);
  Packet HandleSecured(ByteView record, TimePoint now);
  Bytes InHandshake(const Header& header, ByteView message);
  Bytes InSession(const Header& header, ByteView message);

  Bytes OnGetVersion(ByteView message);
  Bytes OnGetCapabilities(ByteView message);
  Bytes OnNegotiateAlgorithms(ByteView message);
  Bytes OnGetDigests(ByteView message);
  Bytes OnGetCertificate(ByteView message);
  Bytes OnGetMeasurements(ByteView message, MeasurementTranscript& transcript);
  Bytes OnKeyExchange(ByteView message);
  Bytes OnFinish(ByteView message);
  Bytes OnKeyUpdate(ByteView message);
  Bytes OnVendor(ByteView message);

  bool PeerCanAuthenticate() const;
  Bytes Ending(RequesterAuthentication::Answer answer);
  Bytes Fail(uint8_t code, uint8_t data = 0) const;
  Bytes FitToPeer(Bytes response) const;
  void EndSession(std::string_view why);

  ResponderConfig config_;
  Bytes chain_;  // the SPDM certificate chain structure
  Bytes chain_hash_;
  State state_ = State::kStart;
  uint8_t version_ = kVersion10;
  uint32_t peer_flags_ = 0;
  size_t peer_max_size_;
  bool key_exchange_negotiated_ = false;
  bool requester_signature_negotiated_ = false;
  Bytes vca_;
  MeasurementTranscript measurements_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<RequesterAuthentication> requester_;  // of a handshake with mutual authentication
  bool must_verify_key_ = false;                        // KEY_UPDATE was acknowledged, VerifyNewKey is due
  // What to do once the answer in hand is sealed with the keys it belongs to.
  enum class After { kNothing, kEstablish, kDrop } after_ = After::kNothing;
  std::string drop_reason_;
  TimePoint last_traffic_{};
};

// A DOE mailbox in front of a responder: discovery and both SPDM types. Fails only for what is not a DOE object.
Result<Bytes> HandleDoe(Responder& responder, ByteView object, TimePoint now);

}  // namespace ccgpu::spdm
