// PTX text into tokens. A word keeps its dots ("ld.global.f32", "%tid.x", ".reg").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ccgpu::ptx {

struct Token {
  enum class Kind { kEnd, kWord, kNumber, kString, kPunctuation };
  Kind kind = Kind::kEnd;
  std::string_view text;  // into the source; a string without its quotes
  int line = 1;
  bool Is(std::string_view t) const { return kind != Kind::kString && text == t; }
};

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) { Advance(); }
  const Token& Peek() const { return current_; }
  Token Next() {
    Token token = current_;
    Advance();
    return token;
  }

 private:
  void Advance();
  void SkipBlanks();
  std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  Token current_;
};

// The parts between the separators, of a word such as "ld.global.f32"; always at least one.
std::vector<std::string> Split(std::string_view text, char at);

Error InvalidPtx(int line, std::string text);

}  // namespace ccgpu::ptx
