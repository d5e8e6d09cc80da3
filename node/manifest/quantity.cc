#include "node/manifest/quantity.h"

#include <array>
#include <limits>
#include <utility>

namespace ccgpu::node {
namespace {

__extension__ using Wide = unsigned __int128;

}  // namespace

std::optional<int64_t> ParseQuantity(std::string_view text, int64_t scale) {
  Wide digits = 0;
  int decimals = 0;
  size_t at = 0;
  bool any = false, point = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9') {
      if (digits > (Wide(1) << 80)) return std::nullopt;
      digits = digits * 10 + static_cast<unsigned>(c - '0');
      decimals += point;
      any = true;
    } else {
      break;
    }
  }
  if (!any || decimals > 18) return std::nullopt;
  const std::string_view suffix = text.substr(at);
  Wide multiplier = 1, divisor = 1;
  static constexpr std::array<std::pair<std::string_view, uint64_t>, 14> kSuffixes = {{{"", 1},
                                                                                       {"k", 1000ull},
                                                                                       {"M", 1000000ull},
                                                                                       {"G", 1000000000ull},
                                                                                       {"T", 1000000000000ull},
                                                                                       {"P", 1000000000000000ull},
                                                                                       {"E", 1000000000000000000ull},
                                                                                       {"Ki", 1ull << 10},
                                                                                       {"Mi", 1ull << 20},
                                                                                       {"Gi", 1ull << 30},
                                                                                       {"Ti", 1ull << 40},
                                                                                       {"Pi", 1ull << 50},
                                                                                       {"Ei", 1ull << 60},
                                                                                       {"m", 0}}};
  bool known = false;
  for (const auto& [name, factor] : kSuffixes) {
    if (suffix != name) continue;
    known = true;
    if (factor == 0) {
      divisor = 1000;
    } else {
      multiplier = factor;
    }
  }
  if (!known && (suffix[0] == 'e' || suffix[0] == 'E')) {  // decimal exponent, 1e3
    std::string_view exponent = suffix.substr(1);
    if (!exponent.empty() && exponent[0] == '+') exponent.remove_prefix(1);
    if (exponent.empty() || exponent.size() > 2) return std::nullopt;
    int power = 0;
    for (char c : exponent) {
      if (c < '0' || c > '9') return std::nullopt;
      power = power * 10 + (c - '0');
    }
    if (power > 18) return std::nullopt;
    for (int i = 0; i < power; ++i) multiplier *= 10;
    known = true;
  }
  if (!known) return std::nullopt;
  for (int i = 0; i < decimals; ++i) divisor *= 10;
  const Wide limit = static_cast<Wide>(std::numeric_limits<int64_t>::max());
  const Wide factor = multiplier * static_cast<Wide>(scale);
  if (digits != 0 && factor > (~Wide(0)) / digits) return std::nullopt;
  const Wide product = digits * factor;
  const Wide value = product / divisor + (product % divisor != 0 ? 1 : 0);
  if (value > limit) return std::nullopt;
  return static_cast<int64_t>(value);
}

}  // namespace ccgpu::node
