#include <algorithm>
#include <set>

#include "gpu-emulator/device/ptx/lexer.h"
#include "gpu-emulator/device/ptx/linkage.h"
#include "gpu-emulator/device/ptx/ops.h"

namespace ccgpu::ptx {
namespace {

constexpr uint32_t kMaxFrame = 256u << 10;

struct SpecialName {
  std::string_view name;
  SpecialRegister index;
};
constexpr SpecialName kSpecials[] = {{"%tid.x", kTidX},
                                     {"%tid.y", kTidY},
                                     {"%tid.z", kTidZ},
                                     {"%ntid.x", kNtidX},
                                     {"%ntid.y", kNtidY},
                                     {"%ntid.z", kNtidZ},
                                     {"%ctaid.x", kCtaidX},
                                     {"%ctaid.y", kCtaidY},
                                     {"%ctaid.z", kCtaidZ},
                                     {"%nctaid.x", kNctaidX},
                                     {"%nctaid.y", kNctaidY},
                                     {"%nctaid.z", kNctaidZ},
                                     {"%laneid", kLaneId},
                                     {"%warpid", kWarpId},
                                     {"%nwarpid", kNwarpId},
                                     {"WARP_SZ", kWarpSize},
                                     {"%lanemask_eq", kLaneMaskEq},
                                     {"%lanemask_lt", kLaneMaskLt},
                                     {"%lanemask_le", kLaneMaskLe},
                                     {"%lanemask_gt", kLaneMaskGt},
                                     {"%lanemask_ge", kLaneMaskGe},
                                     {"%dynamic_smem_size", kDynamicShared},
                                     {"%total_smem_size", kTotalShared},
                                     {"%gridid", kGridId},
                                     {"%smid", kSmId},
                                     {"%nsmid", kNsmId}};

uint32_t AlignUp(uint32_t value, uint32_t align) { return (value + align - 1) & ~(align - 1); }

class Decoder final : public FunctionDecoder {
 public:
  Decoder(const FunctionSyntax& syntax, const Linkage& linkage, const Program& program, Function& out)
      : syntax_(syntax), linkage_(linkage), program_(program), out_(out) {}

  Status Run() {
    out_.name = syntax_.name;
    out_.entry = syntax_.entry;
    RETURN_IF_ERROR(LayOutVariables());
    out_.registers = kSpecialCount;
    for (const auto& [name, type] : syntax_.registers) registers_[name] = static_cast<int32_t>(out_.registers++);
    for (size_t k = 0; k < syntax_.statements.size(); ++k) RETURN_IF_ERROR(DecodeOne(syntax_.statements[k], k));
    Instruction end;  // falling off the end returns
    Statement ret;
    ret.opcode = ret.text = "ret";
    Status status = Ok();
    DecodeControl(ret, *this, end, &status);
    out_.lines.emplace_back(syntax_.line, "end of function");
    out_.code.push_back(end);
    return Ok();
  }

  Result<int32_t> Source(const Operand& operand, Type type) override {
    if (operand.kind == Operand::Kind::kImmediate) return Constant(ImmediateBits(operand, type));
    if (operand.kind == Operand::Kind::kSink) return Fail("_ cannot be read");
    if (operand.kind != Operand::Kind::kName) return Fail("this operand cannot be a source here");
    if (auto reg = registers_.find(operand.name); reg != registers_.end()) return reg->second;
    for (const auto& special : kSpecials) {
      if (special.name == operand.name) return special.index;
    }
    if (operand.name.starts_with("%clock") || operand.name.starts_with("%globaltimer"))
      return static_cast<int32_t>(kZero);  // time stands still
    ASSIGN_OR_RETURN(Symbol symbol, Find(operand.name));
    return Constant(symbol.address + static_cast<uint64_t>(operand.offset));
  }

  Result<int32_t> Register(const Operand& operand) override {
    if (operand.kind == Operand::Kind::kSink) return -1;
    if (operand.kind != Operand::Kind::kName) return Fail("the destination must be a register");
    return Predicate(operand.name);
  }

  Result<int32_t> Predicate(const std::string& name) override {
    if (auto reg = registers_.find(name); reg != registers_.end()) return reg->second;
    return Fail("the register " + name + " is not declared");
  }

  Result<uint32_t> Label(const Operand& operand) override {
    auto label = syntax_.labels.find(operand.name);
    if (operand.kind != Operand::Kind::kName || label == syntax_.labels.end())
      return Fail("the label " + operand.name + " is not there");
    return label->second;
  }

  Result<uint32_t> JumpTable(const std::string& name) override {
    auto targets = syntax_.branch_targets.find(name);
    if (targets == syntax_.branch_targets.end()) return Fail("the branch targets " + name + " are not there");
    std::vector<uint32_t> table;
    for (const std::string& target : targets->second) {
      auto label = syntax_.labels.find(target);
      if (label == syntax_.labels.end()) return Fail("the label " + target + " is not there");
      table.push_back(label->second);
    }
    out_.jump_tables.push_back(std::move(table));
    return static_cast<uint32_t>(out_.jump_tables.size() - 1);
  }

  int32_t Constant(uint64_t bits) override {
    auto [at, made] = constants_.emplace(bits, 0);
    if (made) {
      at->second = static_cast<int32_t>(out_.registers++);
      out_.constants.emplace_back(at->second, bits);
    }
    return at->second;
  }

  Result<int32_t> LocalAddress(const Operand& operand, uint64_t* frame_offset) override {
    if (operand.kind != Operand::Kind::kName) return -1;
    auto variable = frame_.find(operand.name);
    if (variable == frame_.end()) return -1;
    if (!variable->second.local) return Fail("the address of the parameter " + operand.name + " cannot be taken");
    *frame_offset = variable->second.offset + static_cast<uint64_t>(operand.offset);
    return 0;
  }

  Status Address(const Operand& operand, Space space, bool given, Instruction& out) override {
    out.space = space;
    out.offset = operand.offset;
    if (operand.name.empty()) return Ok();  // an absolute address
    if (auto reg = registers_.find(operand.name); reg != registers_.end()) {
      if (space == Space::kParam) return Fail("parameters are read by name");
      out.a = reg->second;
      return Ok();
    }
    if (auto variable = frame_.find(operand.name); variable != frame_.end()) {
      const Slot& slot = variable->second;
      if (operand.offset < 0 ||
          static_cast<uint64_t>(operand.offset) + static_cast<uint64_t>(out.width) * out.lanes > slot.size)
        return Fail("reaches past the end of " + operand.name);
      out.offset += static_cast<int64_t>(slot.offset);
      if (slot.kernel_param) {
        if (space != Space::kParam) return Fail(operand.name + " is a parameter: ld.param reads it");
        return Ok();
      }
      // A slot of this frame: local memory, relative to the frame's base.
      out.space = Space::kLocal;
      out.a = kFrameBase;
      return Ok();
    }
    ASSIGN_OR_RETURN(Symbol symbol, Find(operand.name));
    if (given && space != Space::kGeneric && symbol.space != space)
      return Fail(operand.name + " is not in that state space");
    out.space = symbol.space;
    out.a = Constant(symbol.address);
    return Ok();
  }

  Status Call(const Statement& s, Instruction& out) override {
    // call[.uni] [(results),] function[, (arguments)]
    size_t at = 0;
    const Operand none;
    const Operand& results =
        at < s.operands.size() && s.operands[at].kind == Operand::Kind::kList ? s.operands[at++] : none;
    if (at >= s.operands.size() || s.operands[at].kind != Operand::Kind::kName) return Unsupported(s);
    const std::string& name = s.operands[at++].name;
    const Operand& arguments =
        at < s.operands.size() && s.operands[at].kind == Operand::Kind::kList ? s.operands[at++] : none;
    if (at != s.operands.size()) return Fail("indirect calls are not supported");
    auto callee = linkage_.functions.find(name);
    if (callee == linkage_.functions.end()) return Fail("the function " + name + " is not defined in this module");
    CallSite call;
    call.callee = program_.function_index.find(name)->second;
    RETURN_IF_ERROR(Copies(arguments, callee->second->params, *callee->second, true, call.arguments));
    RETURN_IF_ERROR(Copies(results, callee->second->results, *callee->second, false, call.results));
    out.extra = static_cast<uint32_t>(out_.calls.size());
    out_.calls.push_back(std::move(call));
    return Ok();
  }

  // Where a function's parameters and results lie in its frame: first the results, then the parameters.
  static std::vector<uint32_t> FormalOffsets(const FunctionSyntax& function, bool params, uint32_t* end) {
    std::vector<uint32_t> out;
    uint32_t at = 0;
    for (const Variable& variable : function.results) {
      at = AlignUp(at, variable.align);
      if (!params) out.push_back(at);
      at += static_cast<uint32_t>(variable.size);
    }
    for (const Variable& variable : function.params) {
      at = AlignUp(at, variable.align);
      if (params) out.push_back(at);
      at += static_cast<uint32_t>(variable.size);
    }
    *end = at;
    return out;
  }

 private:
  struct Slot {
    uint32_t offset;
    uint64_t size;
    bool local, kernel_param;
  };

  Error Fail(std::string text) const { return InvalidPtx(line_, "in \"" + statement_text_ + "\": " + std::move(text)); }

  Result<Symbol> Find(const std::string& name) const {
    if (auto own = own_shared_.find(name); own != own_shared_.end()) return own->second;
    auto symbol = linkage_.symbols.find(name);
    if (symbol == linkage_.symbols.end()) return Fail(name + " is not declared");
    return symbol->second;
  }

  Status LayOutVariables() {
    uint32_t at = 0;
    if (syntax_.entry) {
      uint32_t offset = 0;
      for (const Variable& param : syntax_.params) {
        offset = AlignUp(offset, param.align);
        frame_[param.name] = {offset, param.size, false, true};
        out_.info.params.push_back({param.name, static_cast<uint32_t>(param.size), param.align, offset});
        offset += static_cast<uint32_t>(param.size);
      }
      out_.info.params_size = offset;
    } else {
      const auto results = FormalOffsets(syntax_, false, &at), params = FormalOffsets(syntax_, true, &at);
      for (size_t k = 0; k < results.size(); ++k)
        frame_[syntax_.results[k].name] = {results[k], syntax_.results[k].size, false, false};
      for (size_t k = 0; k < params.size(); ++k)
        frame_[syntax_.params[k].name] = {params[k], syntax_.params[k].size, false, false};
    }
    for (const Variable& variable : syntax_.locals) {
      if (variable.space == Space::kShared) {
        auto symbol = linkage_.symbols.find(syntax_.name + "::" + variable.name);
        if (symbol != linkage_.symbols.end()) own_shared_[variable.name] = symbol->second;
        continue;
      }
      at = AlignUp(at, variable.align);
      frame_[variable.name] = {at, variable.size, variable.space == Space::kLocal, false};
      if (variable.size > kMaxFrame || at + variable.size > kMaxFrame)
        return InvalidPtx(variable.line, "the function " + syntax_.name + " needs more than 256 KiB of local memory");
      at += static_cast<uint32_t>(variable.size);
    }
    out_.frame_size = AlignUp(at, 16);
    out_.info.name = syntax_.name;
    out_.info.local_bytes = out_.frame_size;
    out_.info.max_threads = syntax_.max_threads;
    return Ok();
  }

  static uint64_t ImmediateBits(const Operand& operand, Type type) {
    if (operand.literal == Operand::Literal::kInteger) return operand.immediate;
    if (operand.literal == Operand::Literal::kF32 && type == Type::kF64)
      return std::bit_cast<uint64_t>(
          static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(operand.immediate))));
    if (operand.literal == Operand::Literal::kF64 && type == Type::kF32)
      return std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(operand.immediate)));
    return operand.immediate;
  }

  Status Copies(const Operand& actual, const std::vector<Variable>& formal, const FunctionSyntax& callee, bool params,
                std::vector<CallSite::Copy>& out) {
    if (actual.parts.size() != formal.size())
      return Fail("the function " + callee.name + " takes " + std::to_string(formal.size()) +
                  (params ? " arguments" : " results") + ", not " + std::to_string(actual.parts.size()));
    uint32_t end = 0;
    const auto offsets = FormalOffsets(callee, params, &end);
    for (size_t k = 0; k < formal.size(); ++k) {
      auto slot = frame_.find(actual.parts[k].name);
      if (actual.parts[k].kind != Operand::Kind::kName || slot == frame_.end() || slot->second.kernel_param)
        return Fail("arguments must be .param variables");
      if (slot->second.size < formal[k].size)
        return Fail("the argument " + actual.parts[k].name + " is smaller than the parameter");
      const auto size = static_cast<uint32_t>(formal[k].size);
      out.push_back(params ? CallSite::Copy{slot->second.offset, offsets[k], size}
                           : CallSite::Copy{offsets[k], slot->second.offset, size});
    }
    return Ok();
  }

  Status DecodeOne(const Statement& s, size_t index) {
    line_ = s.line;
    statement_text_ = s.text;
    Instruction out;
    out.statement = static_cast<uint32_t>(index);
    if (!s.guard.empty()) {
      ASSIGN_OR_RETURN(out.guard, Predicate(s.guard));
      out.guard_negated = s.guard_negated;
    }
    Status status = Ok();
    const bool known = DecodeSelectors(s, *this, out, &status) || DecodeInteger(s, *this, out, &status) ||
                       DecodeBits(s, *this, out, &status) || DecodeFloat(s, *this, out, &status) ||
                       DecodeConvert(s, *this, out, &status) || DecodeMemory(s, *this, out, &status) ||
                       DecodeControl(s, *this, out, &status);
    if (!known) return Unsupported(s);
    if (!status.ok()) {
      Error error = status.error();
      if (error.subject.empty()) error.subject = "line:" + std::to_string(s.line);
      return error;
    }
    out_.lines.emplace_back(s.line, s.text);
    out_.code.push_back(out);
    return Ok();
  }

  const FunctionSyntax& syntax_;
  const Linkage& linkage_;
  const Program& program_;
  Function& out_;
  std::map<std::string, int32_t> registers_;
  std::map<std::string, Slot> frame_;
  std::map<std::string, Symbol> own_shared_;
  std::map<uint64_t, int32_t> constants_;
  int line_ = 0;
  std::string statement_text_;
};

}  // namespace

Error Unsupported(const Statement& statement) {
  return InvalidPtx(statement.line, "the instruction " + statement.text + " is not supported");
}

Status WantOperands(const Statement& statement, size_t count) {
  if (statement.operands.size() == count) return Ok();
  return InvalidPtx(statement.line, "the instruction " + statement.text + " takes " + std::to_string(count) +
                                        " operands, not " + std::to_string(statement.operands.size()));
}

Type LastType(const Statement& statement) {
  Type type;
  return !statement.mods.empty() && ParseType(statement.mods.back(), &type) ? type : Type::kNone;
}

bool TakeMod(std::vector<std::string>& mods, std::string_view mod) {
  auto at = std::find(mods.begin(), mods.end(), mod);
  if (at == mods.end()) return false;
  mods.erase(at);
  return true;
}

Status DecodeFunction(const FunctionSyntax& syntax, const Linkage& linkage, const Program& program, Function& out) {
  return Decoder(syntax, linkage, program, out).Run();
}

}  // namespace ccgpu::ptx
