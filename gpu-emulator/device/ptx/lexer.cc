#include "gpu-emulator/device/ptx/lexer.h"

#include <algorithm>
#include <cctype>

namespace ccgpu::ptx {
namespace {

bool IsWordStart(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.';
}
bool IsWordPart(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.';
}

}  // namespace

std::vector<std::string> Split(std::string_view text, char at) {
  std::vector<std::string> out;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find(at, start), text.size());
    out.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  return out;
}

Error InvalidPtx(int line, std::string text) {
  return Err("cuda.invalid-ptx", "line:" + std::to_string(line), std::move(text));
}

void Lexer::SkipBlanks() {
  while (at_ < source_.size()) {
    const char c = source_[at_];
    if (c == '\n') ++line_, ++at_;
    else if (std::isspace(static_cast<unsigned char>(c)) || c == '\0') ++at_;
    else if (source_.substr(at_).starts_with("//")) {
      while (at_ < source_.size() && source_[at_] != '\n') ++at_;
    } else if (source_.substr(at_).starts_with("/*")) {
      const size_t end = source_.find("*/", at_ + 2);
      const size_t stop = end == std::string_view::npos ? source_.size() : end + 2;
      for (; at_ < stop; ++at_) line_ += source_[at_] == '\n';
    } else {
      return;
    }
  }
}

void Lexer::Advance() {
  SkipBlanks();
  current_ = Token{Token::Kind::kEnd, {}, line_};
  if (at_ >= source_.size()) return;
  const size_t start = at_;
  const char c = source_[at_];
  if (c == '"') {
    const size_t end = source_.find('"', at_ + 1);
    const size_t stop = end == std::string_view::npos ? source_.size() : end;
    current_ = {Token::Kind::kString, source_.substr(start + 1, stop - start - 1), line_};
    for (; at_ < stop; ++at_) line_ += source_[at_] == '\n';
    if (at_ < source_.size()) ++at_;
    return;
  }
  if (IsWordStart(c)) {
    // "::" belongs to a word (ld.global.L1::evict_last), a single ':' ends a label.
    while (at_ < source_.size() && (IsWordPart(source_[at_]) || source_.substr(at_).starts_with("::")))
      at_ += source_[at_] == ':' ? 2 : 1;
    at_ = std::min(at_, source_.size());
    current_ = {Token::Kind::kWord, source_.substr(start, at_ - start), line_};
    return;
  }
  if (std::isdigit(static_cast<unsigned char>(c))) {
    while (at_ < source_.size() && (std::isalnum(static_cast<unsigned char>(source_[at_])) || source_[at_] == '.'))
      ++at_;
    current_ = {Token::Kind::kNumber, source_.substr(start, at_ - start), line_};
    return;
  }
  ++at_;
  current_ = {Token::Kind::kPunctuation, source_.substr(start, 1), line_};
}

}  // namespace ccgpu::ptx
