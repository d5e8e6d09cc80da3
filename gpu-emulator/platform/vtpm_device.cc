#include "gpu-emulator/platform/vtpm_device.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <filesystem>

#include "base/encoding.h"
#include "base/file.h"

extern char** environ;

namespace ccgpu::emulator {
namespace {

constexpr int kTheirEnd = 3, kAnswerDeadlineMs = 20'000;
constexpr size_t kHeaderSize = 10, kMaxAnswer = 8192;
constexpr int kMaxRetries = 64;
constexpr uint32_t kRetry = 0x922;  // TPM_RC_RETRY

Error Failed(const std::string& text) { return Err("vtpm.command-failed", "vTPM", text); }

// The descriptor becomes number 3 of the child; everything else of ours closes at exec.
Result<pid_t> Spawn(const std::string& folder, int their_end) {
  const std::string state = "dir=" + folder, number = std::to_string(kTheirEnd), log = "file=" + folder + "/log";
  const char* argv[] = {"swtpm",
                        "socket",
                        "--tpm2",
                        "--fd",
                        number.c_str(),
                        "--tpmstate",
                        state.c_str(),
                        "--log",
                        log.c_str(),
                        "--flags",
                        "not-need-init,startup-clear",
                        nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, their_end, kTheirEnd);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, "swtpm", &actions, nullptr, const_cast<char**>(argv), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    errno = failed;
    return ErrnoError("vtpm.start-failed", "cannot start (Debian package swtpm)", "swtpm");
  }
  return pid;
}

// One authorization by an empty password.
void PutPassword(Writer& out) { out.BigU32(9).BigU32(0x40000009).BigU16(0).U8(0).BigU16(0); }

Bytes Command(uint16_t tag, uint32_t code, const Writer& body) {
  Writer out;
  out.BigU16(tag).BigU32(kHeaderSize + body.size()).BigU32(code).Raw(const_cast<Writer&>(body).bytes());
  return out.Finish();
}

void PutSelections(Writer& out, const std::vector<evidence::TpmPcrSelection>& selections) {
  out.BigU32(selections.size());
  for (const auto& s : selections) out.BigU16(s.hash).U8(s.bitmap.size()).Raw(s.bitmap);
}

constexpr uint16_t kNoSessions = 0x8001, kSessions = 0x8002;
constexpr uint32_t kCreatePrimary = 0x131, kPcrRead = 0x17e, kPcrExtend = 0x182, kQuote = 0x158,
                   kEndorsement = 0x4000000b;

}  // namespace

VtpmDevice::VtpmDevice(VtpmDevice&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      connection_(std::move(other.connection_)),
      folder_(std::exchange(other.folder_, "")) {}

VtpmDevice::~VtpmDevice() {
  connection_.Close();
  if (pid_ > 0) {
    kill(pid_, SIGKILL);  // it holds nothing that is worth keeping
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
  }
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

Result<VtpmDevice> VtpmDevice::Start(const std::string& folder) {
  RETURN_IF_ERROR(MakeDirs(folder, 0700));
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return ErrnoError("vtpm.start-failed", "cannot make", "a socket pair");
  Fd ours(ends[0]);
  // dup2 of a descriptor onto its own number would keep its close-on-exec: theirs gets a high one.
  const Fd low(ends[1]);
  const Fd theirs(fcntl(low.get(), F_DUPFD_CLOEXEC, kTheirEnd + 1));
  if (!theirs.valid()) return ErrnoError("vtpm.start-failed", "cannot duplicate", "a socket");
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(folder, theirs.get()));
  VtpmDevice device(pid, std::move(ours), folder);
  auto first = device.ReadRegister(0, evidence::tpm_alg::kSha256);
  if (!first.ok()) {
    const auto log = ReadFile(folder + "/log");
    return Err("vtpm.start-failed", "swtpm", first.error().text + (log.ok() ? "; its log: " + *log : ""));
  }
  return device;
}

Result<Bytes> VtpmDevice::Transmit(ByteView command) {
  // "Send it again" is an answer of its own (part 2, 6.6.3); a TPM that never says anything else is broken.
  for (int again = 0; again < kMaxRetries; ++again) {
    uint32_t code = 0;
    ASSIGN_OR_RETURN(Bytes answer, Exchange(command, code));
    if (code == 0) return answer;
    if (code != kRetry)
      return Failed("the TPM refused with response code 0x" + HexEncode(Writer().BigU32(code).bytes()));
  }
  return Failed("the TPM asks for the same command again and again");
}

Result<Bytes> VtpmDevice::Exchange(ByteView command, uint32_t& code) {
  for (size_t sent = 0; sent < command.size();) {
    const ssize_t n = send(connection_.get(), command.data() + sent, command.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Failed("the TPM is gone");
    sent += static_cast<size_t>(n);
  }
  Bytes answer;
  size_t wanted = kHeaderSize;
  while (answer.size() < wanted) {
    pollfd p{connection_.get(), POLLIN, 0};
    const int ready = poll(&p, 1, kAnswerDeadlineMs);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return Failed("the TPM does not answer");
    uint8_t part[kMaxAnswer];
    const ssize_t n = read(connection_.get(), part, wanted - answer.size());
    if (n <= 0) return Failed("the TPM is gone");
    Append(answer, ByteView(part, static_cast<size_t>(n)));
    if (answer.size() == kHeaderSize) {
      Reader header(answer);
      header.Skip(2);
      wanted = header.BigU32();
      if (wanted < kHeaderSize || wanted > kMaxAnswer)
        return Failed("an answer of " + std::to_string(wanted) + " bytes");
    }
  }
  Reader header(answer);
  header.Skip(6);
  code = header.BigU32();
  return answer;
}

Result<VtpmDevice::Key> VtpmDevice::MakeAttestationKey() {
  namespace bits = evidence::tpm_attribute;
  evidence::TpmPublic wanted;
  wanted.type = evidence::tpm_alg::kEcc;
  wanted.attributes = bits::kFixedTpm | bits::kFixedParent | bits::kSensitiveDataOrigin | bits::kUserWithAuth |
                      bits::kRestricted | bits::kSign;
  wanted.scheme = evidence::tpm_alg::kEcDsa;
  wanted.curve = evidence::tpm_curve::kP256;
  const Bytes area = evidence::EncodeTpmPublic(wanted);
  Writer body;
  body.BigU32(kEndorsement);
  PutPassword(body);
  body.BigU16(4).BigU16(0).BigU16(0);  // no password, no secret of ours
  body.BigU16(area.size()).Raw(area);
  body.BigU16(0).BigU32(0);  // no outside information, no registers
  ASSIGN_OR_RETURN(const Bytes answer, Transmit(Command(kSessions, kCreatePrimary, body)));
  Reader in(answer);
  in.Skip(kHeaderSize);
  Key key;
  key.handle = in.BigU32();
  in.Skip(4);
  ASSIGN_OR_RETURN(key.area, evidence::ParseTpmPublic(in.Take(in.BigU16())));
  return key;
}

Status VtpmDevice::Extend(uint32_t index, uint16_t bank, ByteView digest) {
  Writer body;
  body.BigU32(index);
  PutPassword(body);
  body.BigU32(1).BigU16(bank).Raw(digest);
  ASSIGN_OR_RETURN(const Bytes answer, Transmit(Command(kSessions, kPcrExtend, body)));
  return Ok();
}

Result<Bytes> VtpmDevice::ReadRegister(uint32_t index, uint16_t bank) {
  Writer body;
  PutSelections(body, {evidence::TpmPcrSelection::Of(bank, {index})});
  ASSIGN_OR_RETURN(const Bytes answer, Transmit(Command(kNoSessions, kPcrRead, body)));
  Reader in(answer);
  in.Skip(kHeaderSize + 4);
  for (uint32_t i = in.BigU32(); i > 0 && in.ok(); --i) {
    in.Skip(2);
    in.Skip(in.U8());
  }
  const uint32_t count = in.BigU32();
  Bytes value = ToBytes(in.Take(in.BigU16()));
  if (count != 1 || !in.AtEnd()) return Failed("PCR " + std::to_string(index) + " cannot be read");
  return value;
}

Result<VtpmDevice::Quoted> VtpmDevice::Quote(const Key& key, ByteView nonce,
                                             const std::vector<evidence::TpmPcrSelection>& selections) {
  Writer body;
  body.BigU32(key.handle);
  PutPassword(body);
  body.BigU16(nonce.size()).Raw(nonce).BigU16(evidence::tpm_alg::kNull);
  PutSelections(body, selections);
  ASSIGN_OR_RETURN(const Bytes answer, Transmit(Command(kSessions, kQuote, body)));
  Reader in(answer);
  in.Skip(kHeaderSize);
  Reader parameters(in.Take(in.BigU32()));
  Quoted out;
  out.attest = ToBytes(parameters.Take(parameters.BigU16()));
  out.signature = ToBytes(parameters.Rest());
  if (!parameters.ok() || !in.ok()) return Failed("an answer to Quote that cannot be read");
  return out;
}

}  // namespace ccgpu::emulator
