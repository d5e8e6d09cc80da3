// Event logs: real ones parse, encode back and replay to the values that a quote or TD report vouched for; what is not
// in the form is refused; data that no digest covers is not believed.
#include "trust/evidence/tcg_log.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "trust/evidence/tcg_log_efi.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::evidence {
namespace {

constexpr uint16_t k256 = tpm_alg::kSha256;

TcgEvent Event(uint32_t index, uint32_t type, ByteView data) {
  TcgEvent event;
  event.index = index;
  event.type = type;
  event.digests = {{k256, TpmDigest(k256, data)}};
  event.data = ToBytes(data);
  return event;
}

TcgLog SmallLog() {
  TcgLog log;
  log.crypto_agile = true;
  log.algorithms = {{k256, 32}};
  log.events = {Event(0, tcg_event::kCrtmVersion, AsBytes("v1")), Event(7, tcg_event::kSeparator, Bytes(4))};
  return log;
}

std::string CodeOf(ByteView log) {
  const auto parsed = ParseTcgLog(log);
  return parsed.ok() ? "" : parsed.error().code;
}

TEST(TcgLog, EncodesWhatItParses) {
  const Bytes bytes = EncodeTcgLog(SmallLog());
  const auto log = ParseTcgLog(bytes);
  ASSERT_TRUE(log.ok()) << log.error().ToString();
  EXPECT_EQ(log->size, bytes.size());
  EXPECT_EQ(EncodeTcgLog(*log), bytes);
  ASSERT_EQ(log->events.size(), 2u);
  EXPECT_EQ(log->events[0].data_offset - log->events[0].offset, 4 + 4 + 4 + 2 + 32 + 4u);
}

TEST(TcgLog, ReplaysAsATpmExtends) {
  const auto registers = ReplayTcgLog(SmallLog(), k256);
  ASSERT_TRUE(registers.ok());
  ASSERT_EQ(registers->size(), 2u);
  EXPECT_EQ(registers->at(0), TpmDigest(k256, Concat({Bytes(32), TpmDigest(k256, AsBytes("v1"))})));
}

TEST(TcgLog, NoActionEventsNeverExtend) {
  TcgLog log = SmallLog();
  const auto before = ReplayTcgLog(log, k256).value();
  log.events.insert(log.events.begin(), Event(0, tcg_event::kNoAction, AsBytes("something")));
  log.events.push_back(Event(3, tcg_event::kNoAction, AsBytes("something")));
  EXPECT_EQ(ReplayTcgLog(log, k256).value(), before);
}

TEST(TcgLog, StartupLocality) {
  const auto locality = [](uint8_t value, size_t place) {
    TcgLog log = SmallLog();
    Bytes data = ToBytes(AsBytes(std::string_view("StartupLocality\0", 16)));
    data.push_back(value);
    log.events.insert(log.events.begin() + static_cast<long>(place), Event(0, tcg_event::kNoAction, data));
    return ReplayTcgLog(log, k256);
  };
  Bytes start(32);
  start.back() = 3;
  ASSERT_TRUE(locality(3, 0).ok());
  EXPECT_EQ(locality(3, 0)->at(0), TpmExtend(k256, start, TpmDigest(k256, AsBytes("v1"))));
  EXPECT_EQ(locality(0, 0).value(), ReplayTcgLog(SmallLog(), k256).value());
  EXPECT_EQ(locality(5, 0).error().code, "tcg-log.startup-locality");
  EXPECT_EQ(locality(3, 1).error().code, "tcg-log.startup-locality");
}

TEST(TcgLog, OtherBanksAreMissing) {
  EXPECT_EQ(ReplayTcgLog(SmallLog(), tpm_alg::kSha1).error().code, "tcg-log.bank-missing");
  TcgLog log = SmallLog();
  log.algorithms.push_back({tpm_alg::kSha384, 48});
  EXPECT_EQ(ReplayTcgLog(log, tpm_alg::kSha384).error().code, "tcg-log.bank-missing");
  log.algorithms = {{0x12, 32}};  // SM3 is declared, and not computed here
  EXPECT_EQ(ReplayTcgLog(log, 0x12).error().code, "tcg-log.bank-missing");
}

// rule 15: tpm
TEST(TcgLog, RefusesWhatIsNotInTheForm) {
  TcgLog log = SmallLog();
  log.events[0].index = 1;  // no event begins with a zero, which would look like padding where the log is cut
  const Bytes good = EncodeTcgLog(log);
  EXPECT_EQ(CodeOf({}), "tcg-log.malformed");
  const auto ends = ParseTcgLog(good).value().events;
  for (size_t size = 0; size < good.size(); ++size) {
    const auto cut = ParseTcgLog(ByteView(good).first(size));
    const bool boundary = size == ends[0].offset || size == ends[1].offset;
    EXPECT_EQ(cut.ok(), boundary) << size;
  }
  const auto changed = [&](const std::function<void(TcgLog&)>& change) {
    TcgLog log = SmallLog();
    change(log);
    return CodeOf(EncodeTcgLog(log));
  };
  EXPECT_EQ(changed([](TcgLog& l) { l.events[0].digests.push_back(l.events[0].digests[0]); }), "tcg-log.malformed");
  EXPECT_EQ(changed([](TcgLog& l) { l.events[0].digests[0].algorithm = tpm_alg::kSha384; }), "tcg-log.malformed");
  EXPECT_EQ(changed([](TcgLog& l) { l.algorithms.clear(); }), "tcg-log.malformed");
  EXPECT_EQ(changed([](TcgLog& l) { l.algorithms.push_back({k256, 32}); }), "tcg-log.malformed");
  EXPECT_EQ(changed([](TcgLog& l) { l.algorithms[0].second = 20; }), "tcg-log.malformed");
  EXPECT_EQ(changed([](TcgLog& l) { l.algorithms.push_back({0x12, 4096}); }), "tcg-log.malformed");
  EXPECT_EQ(changed([](TcgLog& l) { l.events[0].index = 32; }), "tcg-log.malformed");
  EXPECT_EQ(changed([](TcgLog& l) { l.events[0].data.resize(kMaxTcgEventData + 1); }), "tcg-log.malformed");
  EXPECT_EQ(CodeOf(Bytes(kMaxTcgLogSize + 1)), "tcg-log.malformed");
}

TEST(TcgLog, PaddingIsOneRepeatedByte) {
  Bytes padded = EncodeTcgLog(SmallLog());
  const size_t size = padded.size();
  padded.resize(size + 100, 0xff);
  ASSERT_TRUE(ParseTcgLog(padded).ok());
  EXPECT_EQ(ParseTcgLog(padded)->size, size);
  padded.back() = 0;
  EXPECT_EQ(CodeOf(padded), "tcg-log.malformed");
}

// rule 10: tpm
TEST(TcgLog, DataIsBelievedOnlyWhenItsDigestCoversIt) {
  TcgEvent event = Event(5, tcg_event::kEfiAction, AsBytes("Exit Boot Services Invocation"));
  EXPECT_TRUE(DataIsMeasured(event, k256));
  EXPECT_FALSE(DataIsMeasured(event, tpm_alg::kSha384));
  TcgEvent other_type = event;
  other_type.type = 0x12345;
  EXPECT_FALSE(DataIsMeasured(other_type, k256));
  event.data[0] ^= 1;
  EXPECT_FALSE(DataIsMeasured(event, k256));

  TcgEvent grub = Event(8, tcg_event::kIpl, AsBytes("linux /vmlinuz ro"));
  grub.data = ToBytes(AsBytes(std::string_view("grub_cmd: linux /vmlinuz ro\0", 28)));
  EXPECT_EQ(MeasuredText(grub, k256), "linux /vmlinuz ro");
  grub.data[20] ^= 1;
  EXPECT_EQ(MeasuredText(grub, k256), std::nullopt);
}

Bytes SignatureList(ByteView type, ByteView header, std::initializer_list<ByteView> signatures) {
  Writer out;
  const size_t each = 16 + (signatures.size() ? signatures.begin()->size() : 0);
  out.Raw(type).U32(28 + header.size() + each * signatures.size()).U32(header.size()).U32(each).Raw(header);
  for (ByteView signature : signatures) out.Raw(Bytes(16, 0xee)).Raw(signature);
  return out.Finish();
}
const Bytes kSha256Guid = HexDecode("2616c4c14c509240aca941f936934328").value();

TEST(EfiSignatureLists, KnownKinds) {
  const Bytes one(32, 1), two(32, 2);
  const auto list = ParseEfiSignatureLists(SignatureList(kSha256Guid, {}, {one, two}));
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ((*list)[1].data, two);
  EXPECT_EQ((*list)[1].kind, EfiSignature::Kind::kSha256);
}

// A list's header, which nothing checks, must never be read as signatures. advisory: GHSA-9r4w-jg96-92mv
// advisory: GHSA-9r4w-jg96-92mv
TEST(EfiSignatureLists, AHeaderIsNoSignature) {
  const Bytes trusted(32, 1), planted(48, 0x66);
  const Bytes list = SignatureList(kSha256Guid, planted, {trusted});
  EXPECT_EQ(ParseEfiSignatureLists(list).error().code, "tcg-log.efi-malformed");
  // Of a kind that we do not know a header is allowed, and skipped.
  const auto other = ParseEfiSignatureLists(SignatureList(Bytes(16, 9), planted, {trusted}));
  ASSERT_TRUE(other.ok());
  ASSERT_EQ(other->size(), 1u);
  EXPECT_EQ((*other)[0].data, trusted);
  EXPECT_EQ((*other)[0].kind, EfiSignature::Kind::kOther);
}

// rule 15: tpm
TEST(EfiSignatureLists, SizesMustAddUp) {
  const Bytes one(32, 1);
  const Bytes good = SignatureList(kSha256Guid, {}, {one});
  for (const auto& [at, value] :
       {std::pair<size_t, uint8_t>{16, 27}, {16, 200}, {20, 1}, {24, 47}, {24, 0}, {24, 15}}) {
    Bytes bad = good;
    bad[at] = value;
    EXPECT_FALSE(ParseEfiSignatureLists(bad).ok()) << at << " " << int{value};
  }
  for (size_t size = 1; size < good.size(); ++size)
    EXPECT_FALSE(ParseEfiSignatureLists(ByteView(good).first(size)).ok());
}

EfiVariable SecureBootVariable(uint8_t value) {
  return {HexDecode("61dfe48bca93d211aa0d00e098032b8c").value(), "SecureBoot", {value}};
}

TEST(SecureBoot, RefusesWhatPcr7DoesNotVouchFor) {
  const auto with = [](const std::vector<TcgEvent>& events) {
    TcgLog log = SmallLog();
    log.events = events;
    return ReadSecureBoot(log, k256);
  };
  const TcgEvent on = Event(7, tcg_event::kEfiVariableDriverConfig, EncodeEfiVariable(SecureBootVariable(1)));
  const TcgEvent off = Event(7, tcg_event::kEfiVariableDriverConfig, EncodeEfiVariable(SecureBootVariable(0)));
  const TcgEvent separator = Event(7, tcg_event::kSeparator, Bytes(4));
  ASSERT_TRUE(with({on, separator}).ok());
  EXPECT_TRUE(with({on, separator})->enabled);
  EXPECT_FALSE(with({off, separator})->enabled);
  EXPECT_FALSE(with({off, separator, on})->enabled);  // written after the firmware was done
  for (const auto& events : std::vector<std::vector<TcgEvent>>{
           {on},
           {separator},
           {on, on, separator},
           {on, separator, separator},
           {on, Event(7, tcg_event::kSeparator, AsBytes("\xff\xff\xff\xff"))},
           {separator, on},
       }) {
    const auto facts = with(events);
    ASSERT_FALSE(facts.ok());
    EXPECT_EQ(facts.error().code, "tcg-log.secure-boot");
  }
  TcgEvent forged = off;  // the digest that was measured, and a text that says something better
  forged.data = on.data;
  EXPECT_EQ(with({forged, separator}).error().code, "tcg-log.secure-boot");
}

// -- real logs --

struct RealLog {
  const char* file;
  size_t events;
  bool secure_boot;
};
class RealLogs : public ::testing::TestWithParam<RealLog> {};

TEST_P(RealLogs, ParseEncodeReplayAndSaySecureBoot) {
  SKIP_WITHOUT_VECTORS();
  const Bytes bytes = test::VectorBytes(GetParam().file);
  const auto log = ParseTcgLog(bytes);
  ASSERT_TRUE(log.ok()) << log.error().ToString();
  EXPECT_EQ(log->events.size(), GetParam().events);
  EXPECT_TRUE(Equal(EncodeTcgLog(*log), ByteView(bytes).first(log->size)));
  for (const auto& [algorithm, size] : log->algorithms) {
    const auto registers = ReplayTcgLog(*log, algorithm);
    ASSERT_TRUE(registers.ok()) << registers.error().ToString();
    for (const auto& [index, value] : *registers) EXPECT_EQ(value.size(), size);
    const auto boot = ReadSecureBoot(*log, algorithm);
    ASSERT_TRUE(boot.ok()) << boot.error().ToString();
    EXPECT_EQ(boot->enabled, GetParam().secure_boot);
    EXPECT_FALSE(boot->permitted.empty());
  }
}
INSTANTIATE_TEST_SUITE_P(Tpm, RealLogs,
                         ::testing::Values(RealLog{"tpm/goeventlog_rhel8-uefi.bin", 82, true},
                                           RealLog{"tpm/goeventlog_ubuntu-2104-no-secure-boot.bin", 105, false},
                                           RealLog{"tpm/gotpmtools_eventlogwithsp800155.bin", 53, true}),
                         [](const auto& i) { return "log" + std::to_string(i.index); });

TEST(RealLog, LegacyLogOfWindowsReplaysToTheQuotedRegisters) {
  SKIP_WITHOUT_VECTORS();
  const Json document = ParseJson(test::VectorText("tpm/goeventlog_windows_gcp_shielded_vm.json"), "vector").value();
  const auto log = ParseTcgLog(Base64Decode(document["Log"]["Raw"].get<std::string>()).value());
  ASSERT_TRUE(log.ok()) << log.error().ToString();
  EXPECT_FALSE(log->crypto_agile);
  const auto registers = ReplayTcgLog(*log, tpm_alg::kSha1).value();
  size_t compared = 0;
  for (const Json& pcr : document["Log"]["PCRs"]) {
    const auto found = registers.find(pcr["Index"].get<uint32_t>());
    if (found == registers.end()) continue;
    EXPECT_EQ(found->second, Base64Decode(pcr["Digest"].get<std::string>()).value()) << found->first;
    ++compared;
  }
  EXPECT_EQ(compared, registers.size());
  EXPECT_EQ(compared, 8u);
  EXPECT_TRUE(ReadSecureBoot(*log, tpm_alg::kSha1)->enabled);
}

TEST(RealLog, CcelReplaysToTheRegistersOfItsTdxQuote) {
  SKIP_WITHOUT_VECTORS();
  const auto log = ParseTcgLog(test::VectorBytes("tdx/gotdx_ccel_data.dat"));
  ASSERT_TRUE(log.ok()) << log.error().ToString();
  EXPECT_EQ(log->events.size(), 43u);
  const auto registers = ReplayTcgLog(*log, tpm_alg::kSha384).value();
  const Bytes quote = test::VectorBytes("tdx/gotdx_cos-113-tdx-quote.dat");
  ASSERT_EQ(registers.size(), 4u - (registers.contains(4) ? 0 : 1));
  for (const auto& [index, value] : registers) {
    const size_t offset = 48 + 0x148 + 48 * (index - 1);
    EXPECT_TRUE(Equal(value, ByteView(quote).subspan(offset, 48))) << index;
  }
  size_t commands = 0;
  for (const TcgEvent& event : log->events) commands += MeasuredText(event, tpm_alg::kSha384).has_value();
  EXPECT_GT(commands, 10u);
}

}  // namespace
}  // namespace ccgpu::evidence
