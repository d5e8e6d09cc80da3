// The symbols of linked modules: what the linker finds and the decoder of each function uses.
#pragma once

#include "gpu-emulator/device/ptx/ir.h"

namespace ccgpu::ptx {

// What a symbol of the module stands for.
struct Symbol {
  Space space;
  uint64_t address, size;
};

// The linked module: symbols of all texts in one table.
struct Linkage {
  std::map<std::string, Symbol, std::less<>> symbols;
  std::map<std::string, const FunctionSyntax*, std::less<>> functions;  // definitions
};

// Decodes one function. `program` must hold the index of every function and the shared memory's end.
Status DecodeFunction(const FunctionSyntax& syntax, const Linkage& linkage, const Program& program, Function& out);

}  // namespace ccgpu::ptx
