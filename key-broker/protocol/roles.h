// Who may call what. Bearer tokens of two roles; everything else in this program is granted by evidence only.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ccgpu::broker {

enum class Role { kNone, kAuditor, kAdmin };

// Only the tokens' digests are kept.
class Roles {
 public:
  Roles(std::string_view admin_token, std::string_view auditor_token);
  // kNone for everything that is not exactly one of the tokens. Takes the same time whichever it is.
  Role Of(std::string_view token) const;

 private:
  Bytes admin_, auditor_;
};

// The token of "Authorization: Bearer <token>"; empty when the header is not of that form.
std::string_view BearerToken(std::string_view authorization);
// Reads DIR/<name>, or makes it there (0600) with 32 random bytes in base64url.
Result<std::string> LoadOrMakeToken(const std::string& path);
// The same of a file that must be there. "admin.bad-token-file".
Result<std::string> LoadToken(const std::string& path);

}  // namespace ccgpu::broker
