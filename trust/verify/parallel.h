// Independent pieces of one call on several cores. Included by trust/verify's own sources only.
#pragma once

#include <cstddef>
#include <functional>

namespace ccgpu::verify {

// work(0) .. work(count - 1), each once, on up to `threads` threads (0: one a core) including the caller's; returns
// when all are done. The pieces may share nothing that is not safe for several threads.
void ForEachPiece(size_t count, unsigned threads, const std::function<void(size_t)>& work);

}  // namespace ccgpu::verify
