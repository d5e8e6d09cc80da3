// CBOR (RFC 8949), the strict part that evidence formats need: definite lengths, shortest heads, no key twice.
//
// Because only the shortest form of each head is read, a document has exactly one encoding per order of its map keys:
// Encode(Decode(x)) == x for everything that is accepted. Floats, undefined and unassigned simple values are refused:
// no format that we read has them.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace ccgpu::evidence::cbor {

enum class Kind { kUnsigned, kNegative, kBytes, kText, kArray, kMap, kTag, kFalse, kTrue, kNull };

// One data item. `content` points into the document, which must outlive it.
struct Value {
  Kind kind = Kind::kNull;
  uint64_t number = 0;            // kUnsigned: the value; kNegative: -1 - value; kTag: the tag
  ByteView content;               // kBytes, kText
  std::vector<Value> items;       // kArray: the elements; kMap: key, value, key, value..; kTag: the one tagged item
  size_t offset = 0, length = 0;  // of the whole item in the document

  bool Is(Kind k) const { return kind == k; }
  bool IsTag(uint64_t tag) const { return kind == Kind::kTag && number == tag; }
  std::optional<int64_t> Integer() const;  // kUnsigned and kNegative within int64
  std::string_view Text() const { return AsText(content); }
  size_t MapSize() const { return items.size() / 2; }
  // Of a map; nullptr when there is no such key or this is no map.
  const Value* Find(int64_t key) const;
  const Value* Find(std::string_view key) const;
};

struct Limits {
  size_t bytes = 16u << 20;  // of the document
  size_t items = 1u << 16;
  int depth = 32;
};

// The one item that the document is; bytes behind it are an error. `deterministic`: map keys must also be in the
// bytewise order of RFC 8949 4.2.1. Errors: cbor.malformed, with the byte.
Result<Value> Decode(ByteView document, bool deterministic = false, const Limits& limits = {});
// The item as it would be written; for what Decode gave, the same bytes.
Bytes Encode(const Value& value);

// Writes items front to back; who opens an array or map says how many items follow.
class Writer {
 public:
  Writer& Unsigned(uint64_t value) { return Head(0, value); }
  Writer& Integer(int64_t value);
  Writer& ByteString(ByteView value);
  Writer& Text(std::string_view value);
  Writer& Array(size_t count) { return Head(4, count); }
  Writer& Map(size_t pairs) { return Head(5, pairs); }
  Writer& Tag(uint64_t tag) { return Head(6, tag); }
  Writer& Bool(bool value);
  Writer& Null();
  Writer& Raw(ByteView item);                 // an item that is already encoded
  Bytes Finish() { return std::move(out_); }  // once

 private:
  friend Bytes Encode(const Value& value);
  Writer& Head(uint8_t major, uint64_t argument);
  Bytes out_;
};

}  // namespace ccgpu::evidence::cbor
