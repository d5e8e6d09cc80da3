#include "key-broker/protocol/roles.h"

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/file.h"

namespace ccgpu::broker {
namespace {

constexpr size_t kTokenBytes = 32;
constexpr size_t kMinTokenText = 32;

}  // namespace

Roles::Roles(std::string_view admin_token, std::string_view auditor_token)
    : admin_(crypto::Sha256(AsBytes(admin_token))), auditor_(crypto::Sha256(AsBytes(auditor_token))) {}

Role Roles::Of(std::string_view token) const {
  const Bytes digest = crypto::Sha256(AsBytes(token));
  const bool admin = EqualConstantTime(digest, admin_);
  const bool auditor = EqualConstantTime(digest, auditor_);
  if (token.size() < kMinTokenText) return Role::kNone;  // an empty token file must not open anything
  if (admin) return Role::kAdmin;
  return auditor ? Role::kAuditor : Role::kNone;
}

std::string_view BearerToken(std::string_view authorization) {
  static constexpr std::string_view kScheme = "Bearer ";
  return authorization.starts_with(kScheme) ? authorization.substr(kScheme.size()) : std::string_view();
}

Result<std::string> LoadOrMakeToken(const std::string& path) {
  if (!Exists(path)) {
    crypto::SystemRandom random;
    RETURN_IF_ERROR(WriteFileAtomic(path, Base64UrlEncode(random.Take(kTokenBytes)) + "\n", 0600));
  }
  return LoadToken(path);
}

Result<std::string> LoadToken(const std::string& path) {
  ASSIGN_OR_RETURN(std::string token, ReadFile(path, 4096));
  while (token.ends_with('\n') || token.ends_with('\r')) token.pop_back();
  if (token.size() < kMinTokenText)
    return Err("admin.bad-token-file", path,
               "must hold one token of 32 characters or more; remove the file to get a new one");
  return token;
}

}  // namespace ccgpu::broker
