// The network, its test images, and what the CPU makes of them.
#pragma once

#include <string>
#include <vector>

namespace digits {

struct Model {
  int inputs = 0, hidden = 0, classes = 0;
  std::vector<float> weight1, bias1, weight2, bias2;  // weights [input][unit]
};
struct Images {
  std::vector<float> pixels;  // [image][64], 0 to 1
  std::vector<int> labels;
};

// Ends the program with a message when the text is not what it should be.
Model ParseModel(const std::string& text);
// The images after the first `skip` (those the model was trained on).
Images LoadImages(const std::string& csv_path, size_t skip);

// The same arithmetic in the same order as the kernels.
std::vector<int> ClassifyOnCpu(const Model& model, const Images& images);
double Accuracy(const std::vector<int>& predictions, const std::vector<int>& labels);

}  // namespace digits
