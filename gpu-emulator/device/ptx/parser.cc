#include <algorithm>
#include <array>
#include <set>

#include "base/encoding.h"
#include "gpu-emulator/device/ptx/lexer.h"
#include "gpu-emulator/device/ptx/syntax.h"

namespace ccgpu::ptx {
namespace {

using Kind = Token::Kind;

// Limits against text that is made to exhaust memory.
constexpr uint64_t kMaxVariable = 1ull << 32;
constexpr size_t kMaxRegisters = 1u << 16;
constexpr int kMaxScopes = 64;

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}

  Result<ModuleSyntax> Module() {
    while (Peek().kind != Kind::kEnd) RETURN_IF_ERROR(TopLevel());
    return std::move(module_);
  }

 private:
  const Token& Peek() const { return lexer_.Peek(); }
  Token Next() { return lexer_.Next(); }
  bool Accept(std::string_view text) {
    if (!Peek().Is(text)) return false;
    Next();
    return true;
  }
  Error Fail(std::string text) const { return InvalidPtx(Peek().line, std::move(text)); }
  Error Unexpected(std::string_view wanted) const {
    return Fail("expected " + std::string(wanted) + ", found " +
                (Peek().kind == Kind::kEnd ? "the end of the text" : "\"" + std::string(Peek().text) + "\""));
  }
  Status Expect(std::string_view text) {
    return Accept(text) ? Ok() : Status(Unexpected("\"" + std::string(text) + "\""));
  }
  Result<std::string> Name(std::string_view what) {
    if (Peek().kind != Kind::kWord) return Unexpected(what);
    return std::string(Next().text);
  }

  void SkipLine(int line) {
    while (Peek().kind != Kind::kEnd && Peek().line == line) Next();
  }

  // Debug information and hints, which change nothing that a kernel computes. True when one was skipped.
  bool SkipDebug() {
    const Token token = Peek();
    if (token.Is(".loc") || token.Is(".file")) {
      SkipLine(token.line);
      return true;
    }
    if (token.Is(".pragma")) {
      while (Peek().kind != Kind::kEnd && !Accept(";")) Next();
      return true;
    }
    if (token.Is(".section") || token.Is("@@DWARF")) {
      while (Peek().kind != Kind::kEnd && !Peek().Is("{")) Next();
      while (Peek().kind != Kind::kEnd && !Accept("}")) Next();
      return true;
    }
    return false;
  }

  Status TopLevel() {
    const Token token = Peek();
    if (SkipDebug()) return Ok();
    if (token.Is(".version") || token.Is(".target") || token.Is(".address_size")) {
      SkipLine(token.line);
      return Ok();
    }
    bool external = false, weak = false;
    for (;;) {
      if (Accept(".extern")) external = true;
      else if (Accept(".weak") || Accept(".common")) weak = true;
      else if (!Accept(".visible")) break;
    }
    if (Accept(".entry")) return Function(true, weak);
    if (Accept(".func")) return Function(false, weak);
    Space space;
    if (!SpaceOf(Peek(), &space) || space == Space::kLocal || space == Space::kParam)
      return Unexpected("a module directive (.entry, .func, .global, .const, .shared)");
    Next();
    ASSIGN_OR_RETURN(std::vector<Variable> variables, Variables(space, external));
    for (auto& variable : variables) module_.variables.push_back(std::move(variable));
    return Ok();
  }

  static bool SpaceOf(const Token& token, Space* space) {
    const std::pair<std::string_view, Space> names[] = {{".global", Space::kGlobal},
                                                        {".shared", Space::kShared},
                                                        {".local", Space::kLocal},
                                                        {".const", Space::kConst},
                                                        {".param", Space::kParam}};
    for (auto [name, value] : names) {
      if (token.Is(name)) {
        *space = value;
        return true;
      }
    }
    return false;
  }

  // What follows ".global": [.align N] .type name [N][M] [= init] {, name ...} ;
  Result<std::vector<Variable>> Variables(Space space, bool external) {
    std::vector<Variable> out;
    ASSIGN_OR_RETURN(Variable base, Declarator(space));
    base.external = external;
    for (;;) {
      Variable variable = base;
      RETURN_IF_ERROR(NameAndBounds(variable));
      if (Accept("=")) RETURN_IF_ERROR(Initializer(variable));
      out.push_back(std::move(variable));
      if (Accept(";")) return out;
      RETURN_IF_ERROR(Expect(","));
    }
  }

  // [.align N] [.v2|.v4] .type [.ptr ...]
  Result<Variable> Declarator(Space space) {
    Variable out;
    out.space = space;
    out.line = Peek().line;
    uint32_t align = 0, lanes = 1;
    for (;;) {
      if (Accept(".align")) {
        ASSIGN_OR_RETURN(uint64_t value, Integer());
        if (value == 0 || value > 4096 || (value & (value - 1)))
          return Fail(".align must be a power of two up to 4096");
        align = static_cast<uint32_t>(value);
      } else if (Accept(".v2")) {
        lanes = 2;
      } else if (Accept(".v4")) {
        lanes = 4;
      } else if (Accept(".attribute")) {
        while (Peek().kind != Kind::kEnd && !Accept(")")) Next();
      } else {
        break;
      }
    }
    const Token token = Next();
    if (token.kind != Kind::kWord || !token.text.starts_with(".") || !ParseType(token.text.substr(1), &out.type)) {
      return InvalidPtx(token.line, "\"" + std::string(token.text) + "\" is not a type that is understood here");
    }
    out.size = static_cast<uint64_t>(SizeOf(out.type)) * lanes;
    out.align = align ? align : static_cast<uint32_t>(out.size);
    // Parameter attributes of pointers: hints only.
    if (Accept(".ptr")) {
      for (;;) {
        if (Accept(".align")) {
          ASSIGN_OR_RETURN(uint64_t ignored, Integer());
          (void)ignored;
        } else if (!Accept(".global") && !Accept(".shared") && !Accept(".const") && !Accept(".local") &&
                   !Accept(".generic")) {
          break;
        }
      }
    }
    return out;
  }

  Status NameAndBounds(Variable& variable) {
    ASSIGN_OR_RETURN(variable.name, Name("a variable's name"));
    while (Accept("[")) {
      if (Accept("]")) {
        variable.size = 0;
        continue;
      }
      ASSIGN_OR_RETURN(uint64_t count, Integer());
      RETURN_IF_ERROR(Expect("]"));
      if (count == 0 || count > kMaxVariable || variable.size * count > kMaxVariable)
        return Fail("the array " + variable.name + " is too large or empty");
      variable.size *= count;
    }
    return Ok();
  }

  Result<uint64_t> Integer() {
    bool negative = Accept("-");
    if (Peek().kind != Kind::kNumber) return Unexpected("a number");
    Operand::Literal literal;
    ASSIGN_OR_RETURN(uint64_t value, Number(Next(), &literal));
    return negative ? ~value + 1 : value;
  }

  Result<uint64_t> Number(const Token& token, Operand::Literal* literal) {
    std::string text(token.text);
    *literal = Operand::Literal::kInteger;
    if (text.size() == 10 && (text.starts_with("0f") || text.starts_with("0F"))) *literal = Operand::Literal::kF32;
    if (text.size() == 18 && (text.starts_with("0d") || text.starts_with("0D"))) *literal = Operand::Literal::kF64;
    int base = 10;
    size_t skip = 0;
    if (*literal != Operand::Literal::kInteger || text.starts_with("0x") || text.starts_with("0X")) base = 16, skip = 2;
    else if (text.starts_with("0b") || text.starts_with("0B")) base = 2, skip = 2;
    else if (text.size() > 1 && text[0] == '0' && text != "0U") base = 8, skip = 1;
    if (*literal == Operand::Literal::kInteger && text.ends_with('U')) text.pop_back();
    uint64_t value = 0;
    bool any = skip == 1;
    for (char c : std::string_view(text).substr(std::min(skip, text.size()))) {
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : 99;
      if (digit >= base || value > (UINT64_MAX - static_cast<uint64_t>(digit)) / static_cast<uint64_t>(base)) {
        return InvalidPtx(token.line, "\"" + std::string(token.text) + "\" is not a number that is understood here");
      }
      value = value * static_cast<uint64_t>(base) + static_cast<uint64_t>(digit);
      any = true;
    }
    if (!any) return InvalidPtx(token.line, "\"" + std::string(token.text) + "\" is not a number");
    return value;
  }

  Status Initializer(Variable& variable) {
    variable.initial.assign(variable.size, 0);
    uint64_t at = 0;
    return InitialValue(variable, &at, 0);
  }

  Status InitialValue(Variable& variable, uint64_t* at, int depth) {
    if (depth > 16) return Fail("the initialiser is nested too deeply");
    if (Accept("{")) {
      while (!Accept("}")) {
        RETURN_IF_ERROR(InitialValue(variable, at, depth + 1));
        if (!Accept(",") && !Peek().Is("}")) return Unexpected("\",\" or \"}\"");
      }
      return Ok();
    }
    const uint32_t size = SizeOf(variable.type);
    if (*at + size > variable.initial.size())
      return Fail("the initialiser of " + variable.name + " has more values than the variable");
    if (Peek().kind == Kind::kWord) {
      Relocation relocation{static_cast<uint32_t>(*at), "", 0, false};
      std::string name(Next().text);
      if (name == "generic") {
        RETURN_IF_ERROR(Expect("("));
        ASSIGN_OR_RETURN(name, Name("a symbol"));
        RETURN_IF_ERROR(Expect(")"));
        relocation.generic = true;
      }
      relocation.symbol = name;
      if (Accept("+")) {
        ASSIGN_OR_RETURN(uint64_t addend, Integer());
        relocation.addend = static_cast<int64_t>(addend);
      }
      if (size != 8) return Fail("an address needs a 64-bit variable");
      variable.relocations.push_back(relocation);
      *at += 8;
      return Ok();
    }
    ASSIGN_OR_RETURN(uint64_t value, Integer());
    for (uint32_t i = 0; i < size; ++i) variable.initial[*at + i] = static_cast<uint8_t>(value >> (8 * i));
    *at += size;
    return Ok();
  }

  // After ".entry" or ".func".
  Status Function(bool entry, bool weak) {
    FunctionSyntax function;
    function.entry = entry;
    function.weak = weak;
    function.line = Peek().line;
    if (!entry && Peek().Is("(")) {
      ASSIGN_OR_RETURN(function.results, Parameters());
    }
    ASSIGN_OR_RETURN(function.name, Name("the function's name"));
    if (Peek().Is("(")) {
      ASSIGN_OR_RETURN(function.params, Parameters());
    }
    RETURN_IF_ERROR(Tuning(function));
    if (Accept(";")) {
      function.declaration = true;
    } else {
      RETURN_IF_ERROR(Expect("{"));
      scopes_.assign(1, {});
      scope_count_ = 0;
      RETURN_IF_ERROR(Body(function, 0));
    }
    module_.functions.push_back(std::move(function));
    return Ok();
  }

  Result<std::vector<Variable>> Parameters() {
    std::vector<Variable> out;
    RETURN_IF_ERROR(Expect("("));
    while (!Accept(")")) {
      if (!Accept(".param")) return Unexpected(".param (register parameters are not supported)");
      ASSIGN_OR_RETURN(Variable variable, Declarator(Space::kParam));
      RETURN_IF_ERROR(NameAndBounds(variable));
      if (variable.size == 0 || variable.size > 4096)
        return Fail("the parameter " + variable.name + " is empty or larger than 4096 bytes");
      out.push_back(std::move(variable));
      if (!Accept(",") && !Peek().Is(")")) return Unexpected("\",\" or \")\"");
    }
    return out;
  }

  Status Tuning(FunctionSyntax& function) {
    for (;;) {
      if (Accept(".maxntid") || Accept(".reqntid")) {
        uint64_t product = 1;
        do {
          ASSIGN_OR_RETURN(uint64_t value, Integer());
          product *= std::min<uint64_t>(value, 1025);
        } while (Accept(","));
        function.max_threads = static_cast<uint32_t>(std::min<uint64_t>(product, 1024));
      } else if (Accept(".minnctapersm") || Accept(".maxnctapersm") || Accept(".maxnreg")) {
        ASSIGN_OR_RETURN(uint64_t ignored, Integer());
        (void)ignored;
      } else if (!Accept(".noreturn") && !SkipDebug()) {
        return Ok();
      }
    }
  }

  // Statements up to the closing brace. Inner scopes may reuse names, which are made unique here.
  Status Body(FunctionSyntax& function, int depth) {
    if (depth > kMaxScopes) return Fail("scopes are nested too deeply");
    for (;;) {
      if (Accept("}")) return Ok();
      if (Peek().kind == Kind::kEnd) return Unexpected("\"}\"");
      if (SkipDebug() || Accept(";")) continue;
      if (Accept("{")) {
        scopes_.emplace_back();
        ++scope_count_;
        RETURN_IF_ERROR(Body(function, depth + 1));
        scopes_.pop_back();
        continue;
      }
      Space space;
      if (Accept(".reg")) {
        RETURN_IF_ERROR(Registers(function));
      } else if (SpaceOf(Peek(), &space)) {
        Next();
        ASSIGN_OR_RETURN(std::vector<Variable> variables, Variables(space, false));
        for (auto& variable : variables) {
          variable.name = Declare(variable.name);
          if (space == Space::kGlobal || space == Space::kConst) module_.variables.push_back(variable);
          else function.locals.push_back(variable);
        }
      } else {
        RETURN_IF_ERROR(LabelOrInstruction(function));
      }
    }
  }

  // The outermost scope keeps the names as they are.
  std::string Declare(const std::string& name) {
    const std::string unique = scopes_.size() == 1 ? name : name + "#" + std::to_string(scope_count_);
    scopes_.back()[name] = unique;
    return unique;
  }
  std::string Resolve(const std::string& name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (auto found = scope->find(name); found != scope->end()) return found->second;
    }
    return name;
  }

  Status Registers(FunctionSyntax& function) {
    const Token token = Next();
    Type type;
    if (!token.text.starts_with(".") || !ParseType(token.text.substr(1), &type))
      return InvalidPtx(token.line, "registers of type \"" + std::string(token.text) + "\" are not supported");
    do {
      ASSIGN_OR_RETURN(std::string name, Name("a register's name"));
      uint64_t count = 0;
      if (Accept("<")) {
        ASSIGN_OR_RETURN(count, Integer());
        RETURN_IF_ERROR(Expect(">"));
        if (count == 0) return Fail("a register range of zero");
      }
      if (count > kMaxRegisters || function.registers.size() + count > kMaxRegisters)
        return Fail("more than " + std::to_string(kMaxRegisters) + " registers");
      if (count == 0) function.registers[Declare(name)] = type;
      for (uint64_t i = 0; i < count; ++i) function.registers[Declare(name + std::to_string(i))] = type;
    } while (Accept(","));
    return Expect(";");
  }

  Status LabelOrInstruction(FunctionSyntax& function) {
    Statement statement;
    statement.line = Peek().line;
    if (Accept("@")) {
      statement.guard_negated = Accept("!");
      ASSIGN_OR_RETURN(std::string guard, Name("a predicate register"));
      statement.guard = Resolve(guard);
    }
    ASSIGN_OR_RETURN(statement.text, Name("an instruction"));
    if (statement.guard.empty() && Accept(":")) return Label(function, statement);
    auto parts = Split(statement.text, '.');
    statement.opcode = parts[0];
    statement.mods.assign(parts.begin() + 1, parts.end());
    if (!Accept(";")) {
      do {
        ASSIGN_OR_RETURN(Operand operand, ParseOperand(0));
        statement.operands.push_back(std::move(operand));
      } while (Accept(","));
      RETURN_IF_ERROR(Expect(";"));
    }
    function.statements.push_back(std::move(statement));
    return Ok();
  }

  Status Label(FunctionSyntax& function, const Statement& statement) {
    if (Accept(".branchtargets")) {
      auto& targets = function.branch_targets[statement.text];
      do {
        ASSIGN_OR_RETURN(std::string target, Name("a label"));
        targets.push_back(target);
      } while (Accept(","));
      return Expect(";");
    }
    if (Peek().Is(".callprototype") || Peek().Is(".calltargets"))
      return Fail("indirect calls (" + std::string(Peek().text) + ") are not supported");
    if (!function.labels.emplace(statement.text, static_cast<uint32_t>(function.statements.size())).second) {
      return InvalidPtx(statement.line, "the label " + statement.text + " stands twice");
    }
    return Ok();
  }

  Result<Operand> ParseOperand(int depth) {
    if (depth > 4) return Fail("operands are nested too deeply");
    Operand out;
    if (Accept("(")) {
      out.kind = Operand::Kind::kList;
      return Parts(std::move(out), ")", depth);
    }
    if (Accept("{")) {
      out.kind = Operand::Kind::kVector;
      return Parts(std::move(out), "}", depth);
    }
    if (Accept("[")) {
      ASSIGN_OR_RETURN(out, ParseOperand(depth + 1));
      if (out.kind == Operand::Kind::kImmediate) {
        out.offset = static_cast<int64_t>(out.immediate);
        out.name.clear();
      } else if (out.kind != Operand::Kind::kName) {
        return Fail("an address must be a register or symbol, with an offset");
      }
      out.kind = Operand::Kind::kAddress;
      RETURN_IF_ERROR(Expect("]"));
      return out;
    }
    if (Accept("!")) out.negated = true;
    if (Peek().kind == Kind::kNumber || Peek().Is("-")) {
      const bool negative = Accept("-");
      if (Peek().kind != Kind::kNumber) return Unexpected("a number");
      out.kind = Operand::Kind::kImmediate;
      ASSIGN_OR_RETURN(out.immediate, Number(Next(), &out.literal));
      if (negative && out.literal == Operand::Literal::kInteger) out.immediate = ~out.immediate + 1;
      else if (negative) out.immediate ^= out.literal == Operand::Literal::kF32 ? 0x80000000ull : 1ull << 63;
      return out;
    }
    ASSIGN_OR_RETURN(std::string name, Name("an operand"));
    if (name == "_") return out;
    out.kind = Operand::Kind::kName;
    out.name = Resolve(name);
    if (Accept("|")) {
      ASSIGN_OR_RETURN(std::string predicate, Name("a predicate register"));
      out.predicate = Resolve(predicate);
    }
    while (Peek().Is("+") || Peek().Is("-")) {
      const bool minus = Next().Is("-");
      ASSIGN_OR_RETURN(uint64_t value, Integer());
      out.offset += static_cast<int64_t>(minus ? ~value + 1 : value);
    }
    return out;
  }

  Result<Operand> Parts(Operand out, std::string_view close, int depth) {
    while (!Accept(close)) {
      ASSIGN_OR_RETURN(Operand part, ParseOperand(depth + 1));
      out.parts.push_back(std::move(part));
      if (!Accept(",") && !Peek().Is(close)) return Unexpected("\",\" or \"" + std::string(close) + "\"");
    }
    return out;
  }

  Lexer lexer_;
  ModuleSyntax module_;
  std::vector<std::map<std::string, std::string>> scopes_;
  int scope_count_ = 0;
};

}  // namespace

Result<ModuleSyntax> ParseModule(std::string_view text) { return Parser(text).Module(); }

}  // namespace ccgpu::ptx
