// Reason codes survive their way through runtimes as text: "subject: text [code]". This finds them again.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ccgpu::node {

// The last "[area.reason]" in the message with the subject and text before it; what containerd put around it is left
// out.
std::optional<Error> FindReason(std::string_view message);

// Whether a code says "refused" (a policy, attestation or admission decision) and not "could not".
bool IsRefusal(std::string_view code);

}  // namespace ccgpu::node
