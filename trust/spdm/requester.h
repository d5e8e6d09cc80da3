// The other end: drives one device through a Transport, blocking. It checks everything that the protocol itself binds
// (signatures by the leaf's key, VerifyData, lengths, versions, selections against offers, the device's capability
// flags, record order). Whether the chain is to be believed is trust/verify's question, to be asked before the answers
// are used.
//
// Errors (Result codes): spdm.transport (from the Transport, passed on as it came), spdm.malformed, spdm.version,
// spdm.capabilities, spdm.algorithms, spdm.certificate, spdm.signature, spdm.verify-data, spdm.mutual-auth,
// spdm.peer-error, spdm.session-lost, spdm.record-rejected, spdm.key-update, spdm.state; from Vendor also what the
// device's handler said.
#pragma once

#include <memory>

#include "base/crypto/digest.h"
#include "base/crypto/x509.h"
#include "trust/spdm/doe.h"
#include "trust/spdm/messages.h"
#include "trust/spdm/session.h"

namespace ccgpu::spdm {

class Transport {
 public:
  virtual ~Transport() = default;
  // One request, its response. May block; an error means that no response will come.
  virtual Result<Packet> Exchange(const Packet& request) = 0;
};

// What a requester shows of itself when a device asks for mutual authentication. NVIDIA's driver has a fixed one.
struct RequesterIdentity {
  std::vector<Bytes> chain_der;  // root first, leaf last
  crypto::PrivateKey key;        // of the leaf: RSA, 3072 bits
};

struct RequesterConfig {
  Transport* transport = nullptr;                              // not owned
  crypto::Random* random = nullptr;                            // not owned
  uint8_t min_version = kVersion11, max_version = kVersion12;  // the highest common one is used
  // The device must say exactly this, as NVIDIA's driver demands of an H100.
  uint32_t responder_flags = kH100ResponderFlags;
  uint8_t responder_ct_exponent = kH100CtExponent;
  uint8_t ct_exponent = kH100CtExponent;  // what NVIDIA's driver says of itself: it waits for ever
  // Not owned. Null: MUT_AUTH is not offered, and a device that asks for it all the same is refused.
  const RequesterIdentity* identity = nullptr;
  // The largest message taken and sent; as in ResponderConfig.
  size_t max_message_size = kMaxMessageSize;
};

// Not for several threads. After any failure in a session the session is gone (the device's side then times out) and
// StartSession may be tried again; after a failed Connect, Connect again.
class Requester {
 public:
  explicit Requester(RequesterConfig config);
  ~Requester();

  // Version, capabilities, algorithms, digests, certificate chain of slot 0. Forgets an earlier connection and session.
  Status Connect();
  const std::vector<crypto::Certificate>& chain() const { return chain_; }  // as on the wire: root first, leaf last
  // KEY_EXCHANGE (signature checked with the leaf's key), FINISH.
  Status StartSession();
  // Signed measurements, all blocks, with a nonce of 32 bytes; in the session when one is open. The bytes are
  // GET_MEASUREMENTS || MEASUREMENTS: with SPDM 1.1 NVIDIA's attestation report. 1.2 signs vca() in front of them.
  Result<Bytes> GetMeasurements(ByteView nonce32);
  // VENDOR_DEFINED in the session.
  Result<Bytes> Vendor(ByteView payload);
  Status Heartbeat();
  // New keys for both directions (or the request direction alone), then proof that they work.
  Status UpdateKeys(KeyUpdateOp operation = KeyUpdateOp::kUpdateAllKeys);
  Status EndSession();

  bool in_session() const { return session_ && session_->phase() == Session::Phase::kEstablished; }
  Bytes export_master_secret() const;  // 48 bytes after StartSession, else empty
  uint8_t version() const { return version_; }
  // Seconds between heartbeats that the device asks for; 0: none.
  uint8_t heartbeat_period_s() const { return heartbeat_period_s_; }
  ByteView vca() const { return vca_; }

 private:
  // Sends outside a session; `code` is the expected response, anything else an error.
  Result<Bytes> Ask(ByteView request, uint8_t code);
  // Sends a sealed message; every failure but a proper ERROR message drops the session.
  Result<Bytes> AskSealed(ByteView request, uint8_t code);
  Result<Bytes> CheckResponse(Bytes response, uint8_t code) const;
  Error Lose(Error why);

  Status NegotiateVersion();
  Status NegotiateCapabilities();
  Status NegotiateAlgorithms();
  Status FetchChain();
  Result<uint8_t> KeyExchangeAndFinish();
  // Answers the device's encapsulated requests until it has what it wants.
  Status Authenticate(MutualAuth how);
  Bytes AnswerEncapsulated(ByteView request) const;
  // What mutual authentication adds before FINISH's VerifyData: the transcript grows by the chain's hash, FINISH's
  // header and signature.
  Finish MakeFinish(bool signed_by_us, Bytes* transcript) const;

  RequesterConfig config_;
  uint8_t version_ = kVersion10;
  bool connected_ = false;
  bool requester_signature_negotiated_ = false;
  Bytes vca_;
  size_t peer_max_size_;  // what the device takes
  Bytes own_chain_;       // the SPDM certificate chain of the identity, if there is one
  Bytes chain_hash_;
  std::vector<crypto::Certificate> chain_;
  crypto::PublicKey leaf_key_;
  uint8_t heartbeat_period_s_ = 0;
  std::unique_ptr<Session> session_;
};

}  // namespace ccgpu::spdm
