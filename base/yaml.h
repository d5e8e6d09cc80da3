// YAML documents that people write, read so that each error carries file:line:column, and so that a field nobody asked
// for is an error instead of being ignored.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ccgpu {

// Collects the errors of one document, so that a person sees all of them at once.
class YamlErrors {
 public:
  explicit YamlErrors(std::string file) : file_(std::move(file)) {}
  const std::string& file() const { return file_; }
  void Add(Reason code, const YAML::Node& at, std::string_view path, std::string text);
  bool empty() const { return errors_.empty(); }
  const std::vector<Error>& errors() const { return errors_; }
  // Ok, or the first error (subject "file:line:column: path").
  Status status() const;

 private:
  std::string file_;
  std::vector<Error> errors_;
};

// One mapping of a document. Ask for each field once; then Done() reports every field that was not asked for.
// `path` is dotted ("spec.gpus"). Copies share nothing; the errors object must outlive it.
class YamlMap {
 public:
  YamlMap(YAML::Node node, std::string path, YamlErrors& errors);

  bool Has(const std::string& key) const;
  std::string String(const std::string& key, bool required = false, std::string fallback = "");
  int64_t Int(const std::string& key, bool required = false, int64_t fallback = 0);
  bool Bool(const std::string& key, bool fallback = false);
  std::vector<std::string> Strings(const std::string& key, bool required = false);
  std::map<std::string, std::string> StringMap(const std::string& key);
  // A string out of a closed set; the error lists the set and names the field's position.
  std::string OneOf(const std::string& key, const std::vector<std::string>& allowed, bool required = false,
                    std::string fallback = "");
  YamlMap Map(const std::string& key, bool required = false);                // an empty map when absent
  std::vector<YamlMap> Maps(const std::string& key, bool required = false);  // a list of mappings
  YAML::Node Raw(const std::string& key);                                    // marks it as asked for

  const YAML::Node& node() const { return node_; }
  const std::string& path() const { return path_; }
  YamlErrors& errors() { return *errors_; }
  // An error at this field (or at the map itself when the field is absent).
  void Fail(Reason code, const std::string& key, std::string text);
  void Done();

 private:
  YAML::Node Field(const std::string& key, bool required, const char* what, bool (*fits)(const YAML::Node&));
  std::string PathOf(const std::string& key) const;
  YAML::Node node_;
  std::string path_;
  YamlErrors* errors_;
  std::set<std::string> asked_;
};

// All documents of a file. Duplicate keys in a mapping, anchors and aliases are refused: they let one text mean two
// things.
Result<std::vector<YAML::Node>> ParseYaml(const std::string& text, const std::string& file);

// A text that is exactly one document: how each of our own configurations and policies is read.
//
//   ASSIGN_OR_RETURN(YamlDocument document, YamlDocument::OfKind("NodeConfig", text, file));
//   YamlMap spec = document->Map("spec", true);
//   ...
//   spec.Done();
//   RETURN_IF_ERROR(document.Done());
//
// Maps that came out of it must not outlive it.
class YamlDocument {
 public:
  // Fails with "input.bad-yaml" when the text is no YAML or holds another number of documents than one.
  static Result<YamlDocument> Parse(const std::string& text, const std::string& file);
  // With apiVersion: ccgpu.dev/v1alpha1 and this kind; others are among Done()'s errors.
  static Result<YamlDocument> OfKind(const std::string& kind, const std::string& text, const std::string& file);

  YamlMap& operator*() { return root_; }
  YamlMap* operator->() { return &root_; }
  // Reports the top's unknown fields; then Ok, or the document's first error.
  Status Done();

 private:
  YamlDocument(YAML::Node root, const std::string& file)
      : errors_(std::make_unique<YamlErrors>(file)), root_(std::move(root), "", *errors_) {}
  std::unique_ptr<YamlErrors> errors_;  // root_ points to it, wherever we are moved
  YamlMap root_;
};

}  // namespace ccgpu
