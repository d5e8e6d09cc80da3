#include "examples/digits/model.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace digits {
namespace {

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "digits: %s\n", why.c_str());
  std::exit(1);
}

std::vector<float> Layer(const std::vector<float>& in, int images, int inputs, const std::vector<float>& weight,
                         const std::vector<float>& bias, int units, bool relu) {
  std::vector<float> out(static_cast<size_t>(images) * units);
  for (int image = 0; image < images; ++image) {
    for (int unit = 0; unit < units; ++unit) {
      float sum = bias[unit];
      for (int i = 0; i < inputs; ++i) sum = std::fma(in[image * inputs + i], weight[i * units + unit], sum);
      out[image * units + unit] = relu && sum < 0.0f ? 0.0f : sum;
    }
  }
  return out;
}

}  // namespace

Model ParseModel(const std::string& text) {
  std::istringstream in(text);
  Model model;
  in >> model.inputs >> model.hidden >> model.classes;
  if (!in || model.inputs != 64 || model.hidden < 1 || model.hidden > 4096 || model.classes != 10)
    Die("the decrypted model does not start with its sizes");
  auto read = [&](std::vector<float>& to, size_t count) {
    to.resize(count);
    for (float& value : to) in >> value;
  };
  read(model.weight1, static_cast<size_t>(model.inputs) * model.hidden);
  read(model.bias1, static_cast<size_t>(model.hidden));
  read(model.weight2, static_cast<size_t>(model.hidden) * model.classes);
  read(model.bias2, static_cast<size_t>(model.classes));
  if (!in) Die("the decrypted model is cut short");
  return model;
}

Images LoadImages(const std::string& csv_path, size_t skip) {
  std::ifstream in(csv_path);
  if (!in) Die("cannot read " + csv_path);
  Images images;
  size_t number = 0;
  for (std::string line; std::getline(in, line); ++number) {
    if (number < skip) continue;
    for (char& c : line) c = c == ',' ? ' ' : c;
    std::istringstream values(line);
    float pixel = 0;
    for (int i = 0; i < 64 && values >> pixel; ++i) images.pixels.push_back(pixel / 16.0f);
    int label = -1;
    if (!(values >> label)) Die(csv_path + ":" + std::to_string(number + 1) + ": is not 64 pixels and a digit");
    images.labels.push_back(label);
  }
  if (images.labels.empty()) Die(csv_path + " holds no test images");
  return images;
}

std::vector<int> ClassifyOnCpu(const Model& model, const Images& images) {
  const int count = static_cast<int>(images.labels.size());
  const auto hidden = Layer(images.pixels, count, model.inputs, model.weight1, model.bias1, model.hidden, true);
  const auto scores = Layer(hidden, count, model.hidden, model.weight2, model.bias2, model.classes, false);
  std::vector<int> out(static_cast<size_t>(count));
  for (int image = 0; image < count; ++image) {
    int found = 0;
    for (int c = 1; c < model.classes; ++c) {
      if (scores[image * model.classes + c] > scores[image * model.classes + found]) found = c;
    }
    out[image] = found;
  }
  return out;
}

double Accuracy(const std::vector<int>& predictions, const std::vector<int>& labels) {
  size_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) right += predictions[i] == labels[i];
  return 100.0 * static_cast<double>(right) / static_cast<double>(labels.size());
}

}  // namespace digits
