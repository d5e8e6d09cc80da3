// The model at rest: nonce (12) || AES-256-GCM ciphertext || tag (16), with the associated data "digits-model-v1".
#pragma once

#include <string>

#include "base/bytes.h"

namespace digits {

inline constexpr std::string_view kModelAad = "digits-model-v1";

ccgpu::Bytes Seal(ccgpu::ByteView key, std::string_view model);
ccgpu::Result<std::string> Open(ccgpu::ByteView key, ccgpu::ByteView sealed);

// The body of GET http://127.0.0.1:8006/cdh/resource/<path>: what the pod's agent gives us. Errors carry the agent's
// answer.
ccgpu::Result<ccgpu::Bytes> FetchResource(const std::string& path);

}  // namespace digits
