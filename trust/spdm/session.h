// One secure session as either end holds it: its secrets, the cipher of each direction, and the table of what may
// happen in which phase. Not for several threads. Secrets are wiped when it goes.
//
//   KEY_EXCHANGE_RSP -> kHandshake -> FINISH_RSP -> kEstablished -> (any refused record, END_SESSION, timeout) ->
//   destroyed
#pragma once

#include "trust/spdm/secured.h"
#include "trust/spdm/transcript.h"

namespace ccgpu::spdm {

class Session {
 public:
  enum class Role { kRequester, kResponder };
  enum class Phase { kHandshake, kEstablished };

  // th1_hash: the hash of A || Ct || KEY_EXCHANGE || KEY_EXCHANGE_RSP including its signature, without VerifyData.
  Session(Role role, uint8_t version, uint32_t id, ByteView dhe_secret, ByteView th1_hash);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  uint32_t id() const { return id_; }
  Phase phase() const { return phase_; }

  // VerifyData over the hash of the transcript so far.
  Bytes ResponderVerifyData(ByteView transcript) const;
  Bytes RequesterVerifyData(ByteView transcript) const;
  // From the handshake's keys to the session's. th2_hash: the hash of everything, FINISH_RSP included.
  void Establish(ByteView th2_hash);

  // Under the keys of the moment. Once Open fails the session must be dropped.
  Result<Bytes> Seal(ByteView message) { return outgoing_.Seal(id_, message); }
  Result<Bytes> Open(ByteView record) { return incoming_.Open(id_, record); }

  // KEY_UPDATE: the direction's next secret; its counter starts at 0. The old key is gone at once (stricter than
  // DSP0274, which lets the old request key live until VerifyNewKey for transports that lose messages; DOE loses none).
  void UpdateRequestKey();
  void UpdateResponseKey();

  const Bytes& export_master_secret() const { return export_master_; }  // 48 bytes; empty before Establish
  const HandshakeSecrets& handshake_secrets() const { return handshake_; }
  const DataSecrets& data_secrets() const { return data_; }  // kept for updates; master is wiped
  MeasurementTranscript& measurements() { return measurements_; }

  // A || Ct || K ..., kept by the owner until Establish.
  Bytes transcript;

 private:
  void SetRequestCipher(ByteView secret);
  void SetResponseCipher(ByteView secret);

  Role role_;
  uint8_t version_;
  uint32_t id_;
  Phase phase_ = Phase::kHandshake;
  HandshakeSecrets handshake_;
  DataSecrets data_;
  Bytes export_master_;
  RecordCipher outgoing_, incoming_;
  MeasurementTranscript measurements_;
};

}  // namespace ccgpu::spdm
