// Links modules: one table of symbols, global variables placed and filled, shared memory laid out; then decodes every
// function.
#include <cstring>
#include <set>

#include "gpu-emulator/device/ptx/lexer.h"
#include "gpu-emulator/device/ptx/linkage.h"

namespace ccgpu::ptx {
namespace {

constexpr uint64_t kMaxGlobals = 4ull << 30;

// Names that a function mentions, for finding the shared memory it needs.
void Mentioned(const Operand& operand, std::set<std::string>& out) {
  if (!operand.name.empty()) out.insert(operand.name);
  for (const Operand& part : operand.parts) Mentioned(part, out);
}

class Linker {
 public:
  Linker(const std::vector<ModuleSyntax>& modules, Memory& memory) : modules_(modules), memory_(memory) {}

  Result<Program> Link() {
    Result<Program> program = Steps();
    if (!program.ok()) {
      for (uint64_t address : allocated_) memory_.Free(address);
    }
    return program;
  }

 private:
  Result<Program> Steps() {
    RETURN_IF_ERROR(CollectFunctions());
    RETURN_IF_ERROR(PlaceShared());
    RETURN_IF_ERROR(PlaceGlobals());
    RETURN_IF_ERROR(FillGlobals());
    for (const auto& [name, syntax] : linkage_.functions) {
      program_.function_index[name] = static_cast<uint32_t>(program_.functions.size());
      program_.functions.emplace_back();
    }
    for (const auto& [name, syntax] : linkage_.functions) {
      Function& function = program_.functions[program_.function_index[name]];
      RETURN_IF_ERROR(DecodeFunction(*syntax, linkage_, program_, function));
      std::set<std::string> seen;
      function.info.static_shared = SharedOf(name, seen);
    }
    return std::move(program_);
  }

  Status CollectFunctions() {
    for (const ModuleSyntax& module : modules_) {
      for (const FunctionSyntax& function : module.functions) {
        if (function.declaration) continue;
        auto [at, made] = linkage_.functions.emplace(function.name, &function);
        if (!made && !function.weak && !at->second->weak)
          return InvalidPtx(function.line, "the function " + function.name + " is defined twice");
        if (!made && !function.weak) at->second = &function;
      }
    }
    return Ok();
  }

  // Module-level variables lie one after the other; those of functions follow. What has no size is the dynamic memory
  // behind all.
  Status PlaceShared() {
    uint64_t at = 0;
    std::vector<const Variable*> dynamic;
    auto place = [&](const Variable& variable, const std::string& name) -> Status {
      if (variable.size == 0) {
        dynamic.push_back(&variable);
        return Ok();
      }
      at = (at + variable.align - 1) & ~static_cast<uint64_t>(variable.align - 1);
      linkage_.symbols[name] = {Space::kShared, at, variable.size};
      at += variable.size;
      if (at > 1u << 20) return InvalidPtx(variable.line, "the module declares more than 1 MiB of shared memory");
      return Ok();
    };
    for (const ModuleSyntax& module : modules_) {
      for (const Variable& variable : module.variables) {
        if (variable.space == Space::kShared && !(variable.external && variable.size != 0))
          RETURN_IF_ERROR(place(variable, variable.name));
      }
    }
    for (const auto& [name, function] : linkage_.functions) {
      for (const Variable& variable : function->locals) {
        if (variable.space == Space::kShared) RETURN_IF_ERROR(place(variable, name + "::" + variable.name));
      }
    }
    program_.shared_static_end = static_cast<uint32_t>((at + 15) & ~15ull);
    for (const Variable* variable : dynamic)
      linkage_.symbols[variable->name] = {Space::kShared, program_.shared_static_end, 0};
    return Ok();
  }

  Status PlaceGlobals() {
    uint64_t total = 0;
    for (const ModuleSyntax& module : modules_) {
      for (const Variable& variable : module.variables) {
        if ((variable.space != Space::kGlobal && variable.space != Space::kConst) || variable.external) continue;
        if (linkage_.symbols.contains(variable.name)) continue;  // .weak and .common: the first one counts
        total += variable.size;
        if (variable.size == 0 || total > kMaxGlobals)
          return InvalidPtx(variable.line, "the variable " + variable.name +
                                               " has no size, or the module's variables are larger than 4 GiB");
        ASSIGN_OR_RETURN(uint64_t address, memory_.Allocate(variable.size, std::max<uint32_t>(variable.align, 16)));
        allocated_.push_back(address);
        linkage_.symbols[variable.name] = {variable.space, address, variable.size};
        program_.globals[variable.name] = {variable.name, address, variable.size, variable.space == Space::kConst};
        uint8_t* memory = memory_.Translate(address, variable.size, true);
        if (!memory) return InvalidPtx(variable.line, "the variable " + variable.name + " cannot be placed");
        if (variable.initial.empty()) std::memset(memory, 0, variable.size);
        else std::memcpy(memory, variable.initial.data(), variable.size);
      }
    }
    return Ok();
  }

  Status FillGlobals() {
    for (const ModuleSyntax& module : modules_) {
      for (const Variable& variable : module.variables) {
        for (const Relocation& relocation : variable.relocations) {
          auto to = linkage_.symbols.find(relocation.symbol);
          auto self = linkage_.symbols.find(variable.name);
          if (to == linkage_.symbols.end() || self == linkage_.symbols.end())
            return InvalidPtx(variable.line, "the initialiser names " + relocation.symbol + ", which is not declared");
          const uint64_t value = to->second.address + static_cast<uint64_t>(relocation.addend);
          if (uint8_t* memory = memory_.Translate(self->second.address + relocation.offset, 8, true))
            std::memcpy(memory, &value, 8);
        }
      }
    }
    return Ok();
  }

  // Bytes of shared memory that a function and all it calls need: up to the last variable they mention.
  uint32_t SharedOf(const std::string& name, std::set<std::string>& seen) {
    auto function = linkage_.functions.find(name);
    if (function == linkage_.functions.end() || !seen.insert(name).second) return 0;
    std::set<std::string> mentioned;
    for (const Statement& statement : function->second->statements) {
      for (const Operand& operand : statement.operands) Mentioned(operand, mentioned);
    }
    uint32_t bytes = 0;
    for (const std::string& one : mentioned) {
      for (const std::string& key : {one, name + "::" + one}) {
        auto symbol = linkage_.symbols.find(key);
        if (symbol != linkage_.symbols.end() && symbol->second.space == Space::kShared)
          bytes += static_cast<uint32_t>(symbol->second.size);
      }
      bytes += SharedOf(one, seen);
    }
    return bytes;
  }

  const std::vector<ModuleSyntax>& modules_;
  Memory& memory_;
  Linkage linkage_;
  Program program_;
  std::vector<uint64_t> allocated_;
};

}  // namespace

Result<Program> Decode(const std::vector<ModuleSyntax>& modules, Memory& memory) {
  return Linker(modules, memory).Link();
}

}  // namespace ccgpu::ptx
