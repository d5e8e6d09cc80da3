// The interpreter behind ptx::Engine: parse, decode once, execute.
#include "gpu-emulator/device/ptx/executor.h"

namespace ccgpu::ptx {
namespace {

class InterpretedModule final : public Module {
 public:
  InterpretedModule(Program program, Memory& memory) : program_(std::move(program)), memory_(memory) {}
  ~InterpretedModule() override {
    for (const auto& [name, global] : program_.globals) memory_.Free(global.address);
  }

  const KernelInfo* Find(std::string_view kernel) const override {
    const Function* function = FindFunction(kernel);
    return function && function->entry ? &function->info : nullptr;
  }
  const GlobalInfo* FindGlobal(std::string_view name) const override {
    auto global = program_.globals.find(name);
    return global == program_.globals.end() ? nullptr : &global->second;
  }
  std::vector<std::string> kernels() const override {
    std::vector<std::string> out;
    for (const Function& function : program_.functions) {
      if (function.entry) out.push_back(function.name);
    }
    return out;
  }

  const Function* FindFunction(std::string_view name) const {
    auto index = program_.function_index.find(name);
    return index == program_.function_index.end() ? nullptr : &program_.functions[index->second];
  }
  const Program& program() const { return program_; }

 private:
  Program program_;
  Memory& memory_;
};

class Interpreter final : public Engine {
 public:
  Result<std::unique_ptr<Module>> Load(const std::vector<std::string>& ptx_texts, Memory& memory) override {
    std::vector<ModuleSyntax> modules;
    for (const std::string& text : ptx_texts) {
      ASSIGN_OR_RETURN(ModuleSyntax module, ParseModule(text));
      modules.push_back(std::move(module));
    }
    ASSIGN_OR_RETURN(Program program, Decode(modules, memory));
    return std::unique_ptr<Module>(std::make_unique<InterpretedModule>(std::move(program), memory));
  }

  Status Launch(Module& module, std::string_view kernel, const LaunchSpec& spec, Memory& memory) override {
    const auto& interpreted = static_cast<const InterpretedModule&>(module);  // modules of an engine are made by it
    const Function* function = interpreted.FindFunction(kernel);
    if (!function || !function->entry)
      return Err("cuda.not-found", std::string(kernel), "is not a kernel of this module");
    return Execute(interpreted.program(), *function, spec, memory);
  }
};

}  // namespace

std::unique_ptr<Engine> MakeInterpreter() { return std::make_unique<Interpreter>(); }

}  // namespace ccgpu::ptx
