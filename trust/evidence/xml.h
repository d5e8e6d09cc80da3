// The little of libxml2 that RIMs need: strict parsing, looking at elements, and canonical XML 1.1 (W3C xml-c14n11).
// Included by rim's sources only.
#pragma once

#include <libxml/tree.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace ccgpu::evidence::xml {

using DocPtr = std::unique_ptr<xmlDoc, decltype(&xmlFreeDoc)>;

// UTF-8, no DOCTYPE, no processing instructions or entities, nothing fetched. Error: rim.malformed with the line.
Result<DocPtr> Parse(std::string_view text);

bool Is(const xmlNode* node, std::string_view name, std::string_view ns);
// The child elements (text between them is not looked at).
std::vector<xmlNode*> Elements(const xmlNode* parent);
std::string Text(const xmlNode* node);  // all text below, joined
// An attribute's value by name and namespace ("" for none); "" when absent.
std::string Attribute(const xmlNode* node, std::string_view name, std::string_view ns = "");
size_t AttributeCount(const xmlNode* node);

// Canonical form without comments: of the whole document, or of one element's subtree in its context.
Result<Bytes> Canonical(xmlDoc* doc, xmlNode* only_below = nullptr);

}  // namespace ccgpu::evidence::xml
