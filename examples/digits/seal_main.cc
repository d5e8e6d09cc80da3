// digits-seal MODEL KEY-FILE OUT: encrypts the model; makes KEY-FILE (32 random bytes) if it is not there.
#include <cstdio>
#include <string_view>

#include "base/crypto/digest.h"
#include "base/file.h"
#include "examples/digits/sealed_model.h"

int main(int argc, char** argv) {
  using namespace ccgpu;
  constexpr char kUsage[] =
      "usage: digits-seal MODEL KEY-FILE OUT\n  encrypts MODEL into OUT with the 32 bytes of KEY-FILE, which is made "
      "if it is not there\n";
  const std::string_view first = argc == 2 ? argv[1] : "";
  if (first == "--help") return std::fputs(kUsage, stdout), 0;
  if (first == "--version") return std::printf("digits-seal %s\n", CCGPU_VERSION), 0;
  if (argc != 4) return std::fputs(kUsage, stderr), 2;
  auto seal = [&]() -> Status {
    const std::string key_file = argv[2];
    if (!Exists(key_file)) RETURN_IF_ERROR(WriteFileAtomic(key_file, AsText(crypto::SystemRandom().Take(32)), 0600));
    ASSIGN_OR_RETURN(std::string key, ReadFile(key_file));
    if (key.size() != 32) return Err("digits.key-size", key_file, "must hold exactly 32 bytes");
    ASSIGN_OR_RETURN(std::string model, ReadFile(argv[1]));
    return WriteFileAtomic(argv[3], AsText(digits::Seal(AsBytes(key), model)));
  };
  const Status status = seal();
  if (!status.ok()) std::fprintf(stderr, "digits-seal: %s\n", status.error().ToString().c_str());
  return status.ok() ? 0 : 1;
}
