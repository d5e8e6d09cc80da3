// The example's own parts: the model file is the one that train.py made of the data, sealing holds, the CPU path is
// right.
#include <gtest/gtest.h>

#include "base/file.h"
#include "examples/digits/model.h"
#include "examples/digits/sealed_model.h"

namespace digits {
namespace {

const std::string kData = std::string(CCGPU_SOURCE_DIR) + "/examples/digits/data";

TEST(Model, ClassifiesTheHeldOutDigits) {
  const Model model = ParseModel(*ccgpu::ReadFile(kData + "/model.txt"));
  const Images images = LoadImages(kData + "/optdigits-test.csv", 898);
  EXPECT_EQ(images.labels.size(), 899u);
  EXPECT_GT(Accuracy(ClassifyOnCpu(model, images), images.labels), 90.0);
}

TEST(SealedModel, OpensOnlyWithItsKeyAndUnchanged) {
  const ccgpu::Bytes key(32, 5);
  const ccgpu::Bytes sealed = Seal(key, "weights");
  EXPECT_EQ(*Open(key, sealed), "weights");
  EXPECT_NE(Seal(key, "weights"), sealed);  // a nonce of its own
  EXPECT_FALSE(Open(ccgpu::Bytes(32, 6), sealed).ok());
  EXPECT_FALSE(Open(ccgpu::Bytes(31, 5), sealed).ok());
  for (size_t i = 0; i < sealed.size(); ++i) {
    ccgpu::Bytes changed = sealed;
    changed[i] ^= 1;
    EXPECT_FALSE(Open(key, changed).ok()) << i;
  }
  EXPECT_FALSE(Open(key, ccgpu::ByteView(sealed).first(11)).ok());
}

}  // namespace
}  // namespace digits
