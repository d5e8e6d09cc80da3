#include "base/yaml.h"

#include <yaml-cpp/eventhandler.h>

#include <sstream>

namespace ccgpu {
namespace {

bool IsScalar(const YAML::Node& n) { return n.IsScalar(); }
bool IsList(const YAML::Node& n) { return n.IsSequence(); }
bool IsMap(const YAML::Node& n) { return n.IsMap(); }
bool Any(const YAML::Node&) { return true; }

// Sees the document's events and keeps the place of the first anchor or alias.
class AnchorFinder final : public YAML::EventHandler {
 public:
  bool found = false;
  YAML::Mark where;
  int document_at = -1;  // where the document began
  YAML::Mark document_mark;

 private:
  void See(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor == 0 || found) return;
    found = true;
    where = mark;
  }
  void OnDocumentStart(const YAML::Mark& mark) override {
    document_at = mark.pos;
    document_mark = mark;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { See(mark, anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override { See(mark, anchor); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, const std::string&) override {
    See(mark, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    See(mark, anchor);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    See(mark, anchor);
  }
  void OnMapEnd() override {}
};

Status RefuseAnchors(const std::string& text, const std::string& file) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  AnchorFinder finder;
  // yaml-cpp reads some malformed texts as documents without end that all begin at one token: stop at the second.
  for (int last = -1; parser.HandleNextDocument(finder); last = finder.document_at) {
    if (finder.document_at != last) continue;
    return Err("input.bad-yaml",
               file + ":" + std::to_string(finder.document_mark.line + 1) + ":" +
                   std::to_string(finder.document_mark.column + 1),
               "the text goes on here with something that belongs to no document; check indentation and brackets");
  }
  if (!finder.found) return Ok();
  return Err("input.bad-yaml",
             file + ":" + std::to_string(finder.where.line + 1) + ":" + std::to_string(finder.where.column + 1),
             "anchors and aliases (&name, *name) are refused: write the value out");
}

Status RefuseDuplicateKeys(const YAML::Node& node, const std::string& file) {
  if (node.IsMap()) {
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) continue;
      if (!seen.insert(entry.first.Scalar()).second) {
        YamlErrors errors(file);
        errors.Add("input.bad-yaml", entry.first, entry.first.Scalar(), "stands twice in one mapping");
        return errors.status();
      }
      RETURN_IF_ERROR(RefuseDuplicateKeys(entry.second, file));
    }
  } else if (node.IsSequence()) {
    for (const auto& item : node) RETURN_IF_ERROR(RefuseDuplicateKeys(item, file));
  }
  return Ok();
}

}  // namespace

void YamlErrors::Add(Reason code, const YAML::Node& at, std::string_view path, std::string text) {
  std::string subject = file_;
  if (at.IsDefined() && !at.Mark().is_null()) {
    subject += ":" + std::to_string(at.Mark().line + 1) + ":" + std::to_string(at.Mark().column + 1);
  }
  if (!path.empty()) subject += ": " + std::string(path);
  errors_.push_back(Err(code, std::move(subject), std::move(text)));
}

Status YamlErrors::status() const { return errors_.empty() ? Ok() : Status(errors_.front()); }

YamlMap::YamlMap(YAML::Node node, std::string path, YamlErrors& errors)
    : node_(node), path_(std::move(path)), errors_(&errors) {
  if (node_.IsDefined() && !node_.IsNull() && !node_.IsMap()) {
    errors_->Add("input.bad-yaml", node_, path_, "must be a mapping (key: value)");
    node_ = YAML::Node();
  }
}

std::string YamlMap::PathOf(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

bool YamlMap::Has(const std::string& key) const {
  return node_.IsMap() && node_[key].IsDefined() && !node_[key].IsNull();
}

YAML::Node YamlMap::Field(const std::string& key, bool required, const char* what, bool (*fits)(const YAML::Node&)) {
  asked_.insert(key);
  if (!Has(key)) {
    if (required)
      errors_->Add("input.missing-field", node_, PathOf(key), std::string("is missing; it must be ") + what);
    return YAML::Node(YAML::NodeType::Undefined);
  }
  YAML::Node field = node_[key];
  if (!fits(field)) {
    errors_->Add("input.bad-yaml", field, PathOf(key), std::string("must be ") + what);
    return YAML::Node(YAML::NodeType::Undefined);
  }
  return field;
}

std::string YamlMap::String(const std::string& key, bool required, std::string fallback) {
  YAML::Node field = Field(key, required, "a string", IsScalar);
  return field.IsDefined() ? field.Scalar() : fallback;
}

int64_t YamlMap::Int(const std::string& key, bool required, int64_t fallback) {
  YAML::Node field = Field(key, required, "an integer", IsScalar);
  if (!field.IsDefined()) return fallback;
  int64_t value = 0;
  if (!YAML::convert<int64_t>::decode(field, value)) {
    errors_->Add("input.bad-yaml", field, PathOf(key), "\"" + field.Scalar() + "\" is not an integer");
    return fallback;
  }
  return value;
}

bool YamlMap::Bool(const std::string& key, bool fallback) {
  YAML::Node field = Field(key, false, "true or false", IsScalar);
  if (!field.IsDefined()) return fallback;
  if (field.Scalar() == "true") return true;
  if (field.Scalar() == "false") return false;
  errors_->Add("input.bad-yaml", field, PathOf(key), "\"" + field.Scalar() + "\" is not true or false");
  return fallback;
}

std::vector<std::string> YamlMap::Strings(const std::string& key, bool required) {
  std::vector<std::string> out;
  YAML::Node field = Field(key, required, "a list of strings", IsList);
  if (!field.IsDefined()) return out;
  for (const auto& item : field) {
    if (item.IsScalar()) out.push_back(item.Scalar());
    else errors_->Add("input.bad-yaml", item, PathOf(key), "must be a list of strings");
  }
  return out;
}

std::map<std::string, std::string> YamlMap::StringMap(const std::string& key) {
  std::map<std::string, std::string> out;
  YAML::Node field = Field(key, false, "a mapping of strings", IsMap);
  if (!field.IsDefined()) return out;
  for (const auto& entry : field) {
    if (entry.second.IsScalar()) out[entry.first.Scalar()] = entry.second.Scalar();
    else errors_->Add("input.bad-yaml", entry.second, PathOf(key) + "." + entry.first.Scalar(), "must be a string");
  }
  return out;
}

std::string YamlMap::OneOf(const std::string& key, const std::vector<std::string>& allowed, bool required,
                           std::string fallback) {
  YAML::Node field = Field(key, required, "a string", IsScalar);
  if (!field.IsDefined()) return fallback;
  std::string list;
  for (const auto& one : allowed) {
    if (field.Scalar() == one) return one;
    list += (list.empty() ? "" : ", ") + one;
  }
  errors_->Add("input.bad-value", field, PathOf(key), "\"" + field.Scalar() + "\" is not one of " + list);
  return fallback;
}

YamlMap YamlMap::Map(const std::string& key, bool required) {
  YAML::Node field = Field(key, required, "a mapping", IsMap);
  return YamlMap(field.IsDefined() ? field : YAML::Node(), PathOf(key), *errors_);
}

std::vector<YamlMap> YamlMap::Maps(const std::string& key, bool required) {
  std::vector<YamlMap> out;
  YAML::Node field = Field(key, required, "a list", IsList);
  if (!field.IsDefined()) return out;
  size_t index = 0;
  for (const auto& item : field) out.emplace_back(item, PathOf(key) + "[" + std::to_string(index++) + "]", *errors_);
  return out;
}

YAML::Node YamlMap::Raw(const std::string& key) { return Field(key, false, "", Any); }

void YamlMap::Fail(Reason code, const std::string& key, std::string text) {
  errors_->Add(code, Has(key) ? node_[key] : node_, PathOf(key), std::move(text));
}

void YamlMap::Done() {
  if (!node_.IsMap()) return;
  for (const auto& entry : node_) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
    if (!asked_.contains(key))
      errors_->Add("input.unknown-field", entry.first, PathOf(key), "is not a known field here");
  }
}

Result<std::vector<YAML::Node>> ParseYaml(const std::string& text, const std::string& file) {
  try {
    RETURN_IF_ERROR(RefuseAnchors(text, file));
    std::vector<YAML::Node> documents = YAML::LoadAll(text);
    for (const auto& document : documents) RETURN_IF_ERROR(RefuseDuplicateKeys(document, file));
    return documents;
  } catch (const YAML::Exception& e) {
    std::string subject = file;
    if (!e.mark.is_null()) subject += ":" + std::to_string(e.mark.line + 1) + ":" + std::to_string(e.mark.column + 1);
    return Err("input.bad-yaml", subject, e.msg);
  }
}

Result<YamlDocument> YamlDocument::Parse(const std::string& text, const std::string& file) {
  ASSIGN_OR_RETURN(const auto documents, ParseYaml(text, file));
  if (documents.size() == 1) return YamlDocument(documents[0], file);
  return Err("input.bad-yaml", file, "must hold exactly one document, not " + std::to_string(documents.size()));
}

Result<YamlDocument> YamlDocument::OfKind(const std::string& kind, const std::string& text, const std::string& file) {
  ASSIGN_OR_RETURN(YamlDocument document, Parse(text, file));
  document->OneOf("apiVersion", {"ccgpu.dev/v1alpha1"}, true);
  document->OneOf("kind", {kind}, true);
  return document;
}

Status YamlDocument::Done() {
  root_.Done();
  return errors_->status();
}

}  // namespace ccgpu
