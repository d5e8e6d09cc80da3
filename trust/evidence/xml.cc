#include "trust/evidence/xml.h"

#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <libxml/xmlIO.h>

#include <mutex>

namespace ccgpu::evidence::xml {
namespace {

Error Bad(std::string text) { return Err("rim.malformed", "RIM", std::move(text)); }

const char* Chars(const xmlChar* text) { return text ? reinterpret_cast<const char*>(text) : ""; }

// What must not be in the tree: it would be digested but could make readers see something else.
bool OnlyPlainNodes(const xmlNode* node) {
  for (; node; node = node->next) {
    if (node->type == XML_ENTITY_REF_NODE || node->type == XML_PI_NODE || node->type == XML_DTD_NODE) return false;
    if (node->type == XML_ELEMENT_NODE && !OnlyPlainNodes(node->children)) return false;
  }
  return true;
}

// For xmlC14NExecute: attributes and namespaces are judged by their element.
int IsBelow(void* root, xmlNode* node, xmlNode* parent) {
  for (const xmlNode* at = node->type == XML_NAMESPACE_DECL ? parent : node; at; at = at->parent) {
    if (at == root) return 1;
  }
  return 0;
}

// libxml2 prints errors of canonicalisation on standard error unless this thread has a handler.
class QuietErrors {
 public:
  QuietErrors() : context_(xmlStructuredErrorContext), handler_(xmlStructuredError) {
    xmlSetStructuredErrorFunc(nullptr, [](void*, xmlErrorPtr) {});
  }
  ~QuietErrors() { xmlSetStructuredErrorFunc(context_, handler_); }
  QuietErrors(const QuietErrors&) = delete;

 private:
  void* context_;
  xmlStructuredErrorFunc handler_;
};

}  // namespace

Result<DocPtr> Parse(std::string_view text) {
  static std::once_flag once;
  std::call_once(once, xmlInitParser);
  if (text.find('\0') != std::string_view::npos || text.find("<!DOCTYPE") != std::string_view::npos)
    return Bad("has a DOCTYPE or NUL bytes");
  const std::unique_ptr<xmlParserCtxt, decltype(&xmlFreeParserCtxt)> context(xmlNewParserCtxt(), xmlFreeParserCtxt);
  DocPtr doc(xmlCtxtReadMemory(context.get(), text.data(), static_cast<int>(text.size()), nullptr, "UTF-8",
                               XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA),
             xmlFreeDoc);
  if (!doc) {
    const xmlError* error = xmlCtxtGetLastError(context.get());
    std::string what = error && error->message ? error->message : "is not XML";
    while (!what.empty() && what.back() == '\n') what.pop_back();
    return Bad("line " + std::to_string(error ? error->line : 0) + ": " + what);
  }
  if (doc->intSubset || doc->extSubset || !OnlyPlainNodes(doc->children))
    return Bad("has a DOCTYPE, entities or processing instructions");
  if (!xmlDocGetRootElement(doc.get())) return Bad("has no root element");
  return doc;
}

bool Is(const xmlNode* node, std::string_view name, std::string_view ns) {
  return node && node->type == XML_ELEMENT_NODE && name == Chars(node->name) && node->ns && ns == Chars(node->ns->href);
}

std::vector<xmlNode*> Elements(const xmlNode* parent) {
  std::vector<xmlNode*> out;
  for (xmlNode* child = parent->children; child; child = child->next) {
    if (child->type == XML_ELEMENT_NODE) out.push_back(child);
  }
  return out;
}

std::string Text(const xmlNode* node) {
  xmlChar* content = xmlNodeGetContent(node);
  std::string out = Chars(content);
  xmlFree(content);
  return out;
}

std::string Attribute(const xmlNode* node, std::string_view name, std::string_view ns) {
  for (const xmlAttr* at = node->properties; at; at = at->next) {
    if (name == Chars(at->name) && ns == (at->ns ? Chars(at->ns->href) : ""))
      return Text(reinterpret_cast<const xmlNode*>(at));
  }
  return "";
}

size_t AttributeCount(const xmlNode* node) {
  size_t count = 0;
  for (const xmlAttr* at = node->properties; at; at = at->next) ++count;
  return count;
}

Result<Bytes> Canonical(xmlDoc* doc, xmlNode* only_below) {
  const std::unique_ptr<xmlOutputBuffer, decltype(&xmlOutputBufferClose)> out(xmlAllocOutputBuffer(nullptr),
                                                                              xmlOutputBufferClose);
  const QuietErrors quiet;
  if (!out ||
      xmlC14NExecute(doc, only_below ? IsBelow : nullptr, only_below, XML_C14N_1_1, nullptr, 0, out.get()) < 0) {
    return Bad("has no canonical form");
  }
  xmlOutputBufferFlush(out.get());
  const auto* data = xmlOutputBufferGetContent(out.get());
  return Bytes(data, data + xmlOutputBufferGetSize(out.get()));
}

}  // namespace ccgpu::evidence::xml
