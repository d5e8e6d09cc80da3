// Every request code in every state, well formed and malformed in each way, against the table of docs/formats/spdm.md.
// The errors of one state are all provoked on one connection, and then what the state does take is still taken: no
// error changes a state.
#include "base/file.h"
#include "trust/spdm/test_conformance.h"

namespace ccgpu::spdm {
namespace {

// Where the message meets the responder. The last five are messages sealed in the session.
enum State { kStart, kVersioned, kCapable, kReady, kOpening, kAsking, kAsked, kOpen, kRekeying, kStates };
constexpr std::string_view kStateNames[] = {"start",
                                            "after VERSION",
                                            "after CAPABILITIES",
                                            "after ALGORITHMS",
                                            "sealed, in the handshake",
                                            "sealed, while the requester has to authenticate",
                                            "sealed, after the requester showed its chain",
                                            "sealed, in the session",
                                            "sealed, after KEY_UPDATE"};

// + taken   u UnexpectedRequest   s SessionRequired (1.1: UnexpectedRequest)   f RequestInFlight
// What is not in the table is UnsupportedRequest everywhere.
struct Row {
  uint8_t code;
  std::string_view cells;  // one a state
  std::string_view name;
};
constexpr Row kTable[] = {
    {kGetVersion, "++++ufuuu", "GET_VERSION"},
    {kGetCapabilities, "u+uuufuuu", "GET_CAPABILITIES"},
    {kNegotiateAlgorithms, "uu+uufuuu", "NEGOTIATE_ALGORITHMS"},
    {kGetDigests, "uuu+ufuuu", "GET_DIGESTS"},
    {kGetCertificate, "uuu+ufuuu", "GET_CERTIFICATE"},
    {kGetMeasurements, "uuu+ufu+u", "GET_MEASUREMENTS"},
    {kKeyExchange, "uuu+ufuuu", "KEY_EXCHANGE"},
    {kFinish, "uuus+f+uu", "FINISH"},
    {kHeartbeat, "uuusufu+u", "HEARTBEAT"},
    {kKeyUpdate, "uuusufu++", "KEY_UPDATE"},
    {kGetEncapsulatedRequest, "uuuuu+uuu", "GET_ENCAPSULATED_REQUEST"},
    {kDeliverEncapsulatedResponse, "uuuuu+uuu", "DELIVER_ENCAPSULATED_RESPONSE"},
    {kEndSession, "uuusufu+u", "END_SESSION"},
    {kVendorDefinedRequest, "uuusufu+u", "VENDOR_DEFINED_REQUEST"},
};

char Cell(uint8_t code, State state) {
  for (const Row& row : kTable) {
    if (row.code == code) return row.cells[state];
  }
  return 'x';
}

class Table : public test::Conformance {
 protected:
  bool sealed(State state) const { return state >= kOpening; }

  void GoTo(State state) {
    device_.responder->Reset();
    session_.reset();
    mutual_ = state == kAsking || state == kAsked;
    if (state == kVersioned) Version();
    if (state == kCapable) ToCapabilities();
    if (state >= kReady) ToNegotiated();
    if (state == kOpening || mutual_) ToHandshake();
    if (mutual_) asked_ = SendSealed(Plain(kGetEncapsulatedRequest));
    if (state == kAsking) return;
    if (state == kAsked) {
      ASSERT_EQ(SendSealed(Deliver(1, DigestsOfOurs()))[1], kEncapsulatedResponseAck);
      ASSERT_EQ(SendSealed(Deliver(2, Encode(CertificatePortion{version(), 0, own_chain_, 0})))[1],
                kEncapsulatedResponseAck);
    }
    if (state == kOpen || state == kRekeying) {
      ToHandshake();
      FinishIt();
    }
    if (state == kRekeying) {
      ASSERT_EQ(SendSealed(Plain(kKeyUpdate, 1, 7)), Plain(kKeyUpdateAck, 1, 7));
      session_->UpdateRequestKey();
    }
  }
  void FinishIt() {
    const Bytes finish = GoodFinish();
    const Bytes response = SendSealed(finish);
    ASSERT_EQ(response, Plain(kFinishRsp));
    session_->Establish(crypto::Sha384(Concat({session_->transcript, finish, response})));
  }

  Bytes Deliver(uint8_t id, const Bytes& response) const {
    return Encode(DeliverEncapsulatedResponse{version(), id, response});
  }
  Bytes DigestsOfOurs() const { return Encode(Digests{version(), 1, {crypto::Sha384(own_chain_)}}); }
  Bytes SignedFinish() const {
    Finish finish;
    finish.version = version();
    finish.signature_included = true;
    Bytes covered = Concat({session_->transcript, crypto::Sha384(own_chain_), Encode(finish)});
    finish.signature = SignTranscript(test::TestIdentity().key, version(), SigningContext::kFinish, covered);
    finish.verify_data = session_->RequesterVerifyData(Concat({covered, finish.signature}));
    return Encode(finish);
  }

  // A message that the state takes if it takes the code at all; just a header for codes without more.
  Bytes Good(uint8_t code, State state) {
    switch (code) {
      case kGetVersion: return get_version_;
      case kGetCapabilities: return Encode(GoodCapabilities());
      case kNegotiateAlgorithms: return Encode(GoodAlgorithms());
      case kGetCertificate: return Encode(GetCertificate{version(), 0, 0, 0x400});
      case kGetMeasurements: return Encode(GetMeasurements{version(), true, false, 1, Bytes(32, 1), 0});
      case kKeyExchange: return Encode(GoodKeyExchange());
      case kFinish:
        return state == kAsked     ? SignedFinish()
               : state == kOpening ? GoodFinish()
                                   : Concat({Plain(kFinish), Bytes(48)});
      case kKeyUpdate: return Plain(kKeyUpdate, state == kRekeying ? 3 : 1, 9);
      case kDeliverEncapsulatedResponse: return Deliver(1, DigestsOfOurs());
      case kVendorDefinedRequest: {
        VendorDefined request;
        request.version = version();
        request.payload = {1, 2};
        return Encode(request);
      }
      default: return Plain(code);
    }
  }
  Bytes Exchange(State state, const Bytes& message) { return sealed(state) ? SendSealed(message) : Send(message); }

  // The version in an ERROR's header: the negotiated one, once there is one.
  uint8_t ErrorVersion(State state) const { return state == kStart || state == kVersioned ? kVersion10 : version(); }
  void ExpectCell(const Bytes& answer, char cell, uint8_t code, State state) {
    switch (cell) {
      case 'u': return ExpectError(answer, kUnexpectedRequest, 0, ErrorVersion(state));
      case 'x': return ExpectError(answer, kUnsupportedRequest, code, ErrorVersion(state));
      case 'f': return ExpectError(answer, kRequestInFlight, 0, ErrorVersion(state));
      case 's': return ExpectError(answer, v12() ? kSessionRequired : kUnexpectedRequest, 0, ErrorVersion(state));
      default: FAIL() << "no such cell: " << cell;
    }
  }

  Bytes asked_;
  const Bytes own_chain_ = EncodeChain(test::TestIdentity().chain_der);
};

// rule 16: spdm
TEST_P(Table, EveryCodeInEveryState) {
  int cells = 0;
  for (int s = 0; s < kStates; ++s) {
    const State state = static_cast<State>(s);
    SCOPED_TRACE(kStateNames[state]);
    GoTo(state);
    for (int c = 0; c < 256 && !HasFailure(); ++c) {
      const uint8_t code = static_cast<uint8_t>(c);
      SCOPED_TRACE("request code " + std::to_string(c));
      const char cell = Cell(code, state);
      const bool taken = cell == '+';
      const Bytes good = Good(code, state);
      ++cells;
      if (!taken) ExpectCell(Exchange(state, good), cell, code, state);

      ExpectError(Exchange(state, Bytes(good.begin(), good.begin() + 3)), kInvalidRequest, 0, ErrorVersion(state));

      // A version that was not negotiated. Before there is one, only GET_CAPABILITIES chooses.
      for (int delta : {-1, 1}) {
        if (code == kGetVersion) continue;  // always says 1.0; Connection.VersionMessage_1 has the rest
        Bytes other = good;
        other[0] = static_cast<uint8_t>((version() == kVersion11 ? 0x11 : 0x12) + delta);
        const bool any_version = state == kStart || state == kVersioned || cell == 'x';
        if (state == kVersioned && taken) {
          other[0] = static_cast<uint8_t>(delta < 0 ? kVersion10 : 0x13);
          ExpectError(Exchange(state, other), kVersionMismatch, 0, ErrorVersion(state));
        } else if (any_version) {
          ExpectCell(Exchange(state, other), cell, code, state);
        } else {
          ExpectError(Exchange(state, other), kVersionMismatch);
        }
      }

      // Bytes behind the end, or missing before it.
      const bool encapsulated = code == kDeliverEncapsulatedResponse;  // its payload's length is the message's
      if (taken && !encapsulated) {
        const std::optional<uint8_t> header =
            state == kVersioned && code == kGetCapabilities ? version() : ErrorVersion(state);
        ExpectError(Exchange(state, Concat({good, Bytes{1}})), kInvalidRequest, 0, header);
        ExpectError(Exchange(state, Concat({good, Bytes(4)})), kInvalidRequest, 0, header);
        if (good.size() > 4)
          ExpectError(Exchange(state, Bytes(good.begin(), good.end() - 1)), kInvalidRequest, 0, header);
      }
      if (state >= kCapable && code != kGetVersion) {
        Bytes large = good;
        large.resize(kMaxMessageSize + 1);
        const Bytes answer = Exchange(state, large);
        if (cell == 'x') ExpectCell(answer, cell, code, state);
        else ExpectError(answer, v12() ? kRequestTooLarge : kInvalidRequest);
      }
    }
    for (const Row& row : kTable) {
      if (row.cells[state] != '+') continue;
      if (row.code == kGetEncapsulatedRequest) continue;  // GoTo did it
      SCOPED_TRACE("taken: request code " + std::to_string(row.code));
      EXPECT_NE(Exchange(state, Good(row.code, state))[1], kError);
      GoTo(state);
    }
  }
  EXPECT_EQ(cells, 256 * kStates);
}

// The page's table is this one.
TEST(ErrorTable, IsTheDocumentedOne) {
  const Result<std::string> page = ReadFile(std::string(CCGPU_SOURCE_DIR) + "/docs/formats/spdm.md");
  ASSERT_TRUE(page.ok());
  for (const Row& row : kTable) {
    std::string line = "| `" + std::string(row.name) + "` |";
    for (char cell : row.cells) line += std::string(" ") + cell + " |";
    EXPECT_NE(page->find(line + "\n"), std::string::npos) << line;
  }
}

// What comes in clear while a session stands is answered as without one, but for a second session.
TEST_P(Table, InClearBesideASession) {
  GoTo(kOpen);
  for (const Row& row : kTable) {
    SCOPED_TRACE("request code " + std::to_string(row.code));
    if (row.code == kGetVersion) continue;  // ends everything
    const Bytes answer = Send(Good(row.code, kReady));
    if (row.code == kKeyExchange) ExpectError(answer, kSessionLimitExceeded);
    else if (row.cells[kReady] == '+') EXPECT_NE(answer[1], kError);
    else ExpectCell(answer, row.cells[kReady], row.code, kReady);
  }
  EXPECT_EQ(SendSealed(Plain(kHeartbeat)), Plain(kHeartbeatAck)) << "the session stands";
}

// libspdm before 2.3.1 took PSK_FINISH after KEY_EXCHANGE, and the requester never had to authenticate.
// advisory: CVE-2023-31127
// rule 16: spdm
TEST_P(Table, PskFinishAfterKeyExchange) {
  for (const State state : {kOpening, kAsking, kAsked}) {
    GoTo(state);
    const Bytes covered = Concat({session_->transcript, Plain(kPskFinish)});
    const Bytes psk_finish = Concat({Plain(kPskFinish), session_->RequesterVerifyData(covered)});
    ExpectError(SendSealed(psk_finish), kUnsupportedRequest, kPskFinish);
    EXPECT_FALSE(device_.responder->in_session());
  }
  EXPECT_TRUE(device_.session_secrets.empty());
}

// FINISH without the signature that was asked for, although its HMAC is right for such a FINISH.
// advisory: CVE-2023-31127
TEST_P(Table, UnsignedFinishWhereOneMustSign) {
  GoTo(kAsked);
  ExpectError(SendSealed(GoodFinish()), kInvalidRequest);
  EXPECT_FALSE(device_.responder->in_session());
  Bytes bad = SignedFinish();
  bad[4 + 100] ^= 1;
  ExpectError(SendSealed(bad), kDecryptError);
  EXPECT_TRUE(device_.session_secrets.empty());
}

// A flipped signature, with the HMAC made anew over it.
TEST_P(Table, EachByteOfTheSignatureCounts) {
  for (size_t byte : {0, 1, 191, 382, 383}) {
    GoTo(kAsked);
    Finish finish;
    finish.version = version();
    finish.signature_included = true;
    Bytes covered = Concat({session_->transcript, crypto::Sha384(own_chain_), Encode(finish)});
    finish.signature = SignTranscript(test::TestIdentity().key, version(), SigningContext::kFinish, covered);
    finish.signature[byte] ^= 0x10;
    finish.verify_data = session_->RequesterVerifyData(Concat({covered, finish.signature}));
    ExpectError(SendSealed(Encode(finish)), kDecryptError);
    EXPECT_FALSE(device_.responder->in_session());
  }
}

// A requester that did not say ENCAP_CAP cannot be asked anything, so its encapsulated messages are unsupported.
TEST_P(Table, EncapsulatedWithoutTheCapability) {
  Version();
  Capabilities request = GoodCapabilities();
  request.flags &= ~kCapEncap;
  const Bytes bytes = Encode(request);
  vca_ = Concat({vca_, bytes, Send(bytes)});
  const Bytes algorithms = Encode(GoodAlgorithms());
  vca_ = Concat({vca_, algorithms, Send(algorithms)});
  for (uint8_t code : {kGetEncapsulatedRequest, kDeliverEncapsulatedResponse})
    ExpectError(Send(Plain(code)), kUnsupportedRequest, code);
  ToHandshake();
  for (uint8_t code : {kGetEncapsulatedRequest, kDeliverEncapsulatedResponse})
    ExpectError(SendSealed(Plain(code)), kUnsupportedRequest, code);
  FinishIt();
  for (uint8_t code : {kGetEncapsulatedRequest, kDeliverEncapsulatedResponse})
    ExpectError(SendSealed(Plain(code)), kUnsupportedRequest, code);
}

INSTANTIATE_TEST_SUITE_P(Versions, Table, testing::Values(kVersion11, kVersion12),
                         [](const auto& info) { return info.param == kVersion11 ? "Spdm11" : "Spdm12"; });

}  // namespace
}  // namespace ccgpu::spdm
