#include "trust/evidence/cbor.h"

#include <algorithm>
#include <limits>
#include <set>

namespace ccgpu::evidence::cbor {
namespace {

constexpr uint8_t kFalseByte = 0xf4, kTrueByte = 0xf5, kNullByte = 0xf6;

// Shortest forms only, no surrogates, nothing above U+10FFFF (RFC 3629).
bool IsUtf8(ByteView text) {
  for (size_t i = 0; i < text.size();) {
    const uint8_t first = text[i];
    size_t more = 0;
    uint32_t point = 0, least = 0;
    if (first < 0x80) {
      ++i;
      continue;
    }
    if ((first & 0xe0) == 0xc0) more = 1, point = first & 0x1fu, least = 0x80;
    else if ((first & 0xf0) == 0xe0) more = 2, point = first & 0x0fu, least = 0x800;
    else if ((first & 0xf8) == 0xf0) more = 3, point = first & 0x07u, least = 0x10000;
    else return false;
    if (more >= text.size() - i) return false;
    for (size_t k = 1; k <= more; ++k) {
      if ((text[i + k] & 0xc0) != 0x80) return false;
      point = point << 6 | (text[i + k] & 0x3fu);
    }
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    i += more + 1;
  }
  return true;
}

class Decoder {
 public:
  Decoder(ByteView document, bool deterministic, const Limits& limits)
      : document_(document), reader_(document), deterministic_(deterministic), limits_(limits) {}

  Result<Value> Document() {
    if (document_.size() > limits_.bytes) return Bad(0, "is larger than " + std::to_string(limits_.bytes) + " bytes");
    ASSIGN_OR_RETURN(Value value, Item(0));
    if (!reader_.AtEnd())
      return Bad(reader_.offset(), "has " + std::to_string(reader_.remaining()) + " bytes after its end");
    return value;
  }

 private:
  Error Bad(size_t offset, const std::string& text) const {
    return Err("cbor.malformed", "byte " + std::to_string(offset), text);
  }

  Result<Value> Item(int depth) {
    const size_t start = reader_.offset();
    if (depth > limits_.depth) return Bad(start, "is nested deeper than " + std::to_string(limits_.depth) + " levels");
    if (++items_ > limits_.items) return Bad(start, "has more than " + std::to_string(limits_.items) + " items");
    const uint8_t first = reader_.U8();
    if (!reader_.ok()) return Bad(start, "ends where an item must begin");
    const uint8_t major = first >> 5;
    Value value;
    value.offset = start;
    if (major == 7) {
      if (first == kFalseByte) value.kind = Kind::kFalse;
      else if (first == kTrueByte) value.kind = Kind::kTrue;
      else if (first == kNullByte) value.kind = Kind::kNull;
      else return Bad(start, "is a float or a simple value that no format here has");
    } else {
      ASSIGN_OR_RETURN(value.number, Argument(first & 31, start));
      RETURN_IF_ERROR(Body(major, depth, value));
    }
    value.length = reader_.offset() - start;
    return value;
  }

  Result<uint64_t> Argument(uint8_t info, size_t start) {
    if (info < 24) return static_cast<uint64_t>(info);
    if (info > 27) return Bad(start, info == 31 ? "has an indefinite length" : "has a reserved head");
    const int width = 1 << (info - 24);
    const ByteView bytes = reader_.Take(static_cast<size_t>(width));
    if (!reader_.ok()) return Bad(start, "ends inside a head");
    uint64_t value = 0;
    for (uint8_t byte : bytes) value = value << 8 | byte;
    const uint64_t least = width == 1 ? 24 : uint64_t{1} << (width * 4);
    if (value < least) return Bad(start, "writes a number longer than needed");
    return value;
  }

  Status Body(uint8_t major, int depth, Value& value) {
    const size_t start = value.offset;
    switch (major) {
      case 0: value.kind = Kind::kUnsigned; return Ok();
      case 1: value.kind = Kind::kNegative; return Ok();
      case 2:
      case 3:
        value.kind = major == 2 ? Kind::kBytes : Kind::kText;
        if (value.number > reader_.remaining()) return Bad(start, "is a string that is longer than the document");
        value.content = reader_.Take(static_cast<size_t>(value.number));
        if (major == 3 && !IsUtf8(value.content)) return Bad(start, "is text that is not UTF-8");
        return Ok();
      case 4: value.kind = Kind::kArray; return Items(value, value.number, 1, depth);
      case 5:
        value.kind = Kind::kMap;
        RETURN_IF_ERROR(Items(value, value.number, 2, depth));
        return Keys(value);
      default: value.kind = Kind::kTag; return Items(value, 1, 1, depth);
    }
  }

  // `count` times `each` items. An item takes at least one byte, so a count that cannot be true ends here.
  Status Items(Value& value, uint64_t count, size_t each, int depth) {
    if (count > reader_.remaining() / each) return Bad(value.offset, "counts more items than the document has bytes");
    value.items.reserve(std::min<size_t>(static_cast<size_t>(count) * each, 64));
    for (uint64_t i = 0; i < count * each; ++i) {
      ASSIGN_OR_RETURN(Value item, Item(depth + 1));
      value.items.push_back(std::move(item));
    }
    return Ok();
  }

  Status Keys(const Value& map) {
    std::set<std::string_view> seen;
    std::string_view last;
    for (size_t i = 0; i < map.items.size(); i += 2) {
      const Value& key = map.items[i];
      if (!key.Is(Kind::kUnsigned) && !key.Is(Kind::kNegative) && !key.Is(Kind::kText) && !key.Is(Kind::kBytes))
        return Bad(key.offset, "is a map key that is neither a number nor a string");
      const std::string_view encoded = AsText(document_.subspan(key.offset, key.length));
      if (!seen.insert(encoded).second) return Bad(key.offset, "is a map key that is there twice");
      // Compared as unsigned bytes, which std::string_view does.
      if (deterministic_ && i > 0 && encoded < last) return Bad(key.offset, "is a map key out of order");
      last = encoded;
    }
    return Ok();
  }

  ByteView document_;
  Reader reader_;
  bool deterministic_;
  Limits limits_;
  size_t items_ = 0;
};

}  // namespace

std::optional<int64_t> Value::Integer() const {
  if ((kind != Kind::kUnsigned && kind != Kind::kNegative) ||
      number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return std::nullopt;
  const auto value = static_cast<int64_t>(number);
  return kind == Kind::kUnsigned ? value : -1 - value;
}

const Value* Value::Find(int64_t key) const {
  for (size_t i = 0; kind == Kind::kMap && i + 1 < items.size(); i += 2) {
    if (items[i].Integer() == key) return &items[i + 1];
  }
  return nullptr;
}

const Value* Value::Find(std::string_view key) const {
  for (size_t i = 0; kind == Kind::kMap && i + 1 < items.size(); i += 2) {
    if (items[i].Is(Kind::kText) && items[i].Text() == key) return &items[i + 1];
  }
  return nullptr;
}

Result<Value> Decode(ByteView document, bool deterministic, const Limits& limits) {
  return Decoder(document, deterministic, limits).Document();
}

Bytes Encode(const Value& value) {
  Writer out;
  switch (value.kind) {
    case Kind::kUnsigned: out.Head(0, value.number); break;
    case Kind::kNegative: out.Head(1, value.number); break;
    case Kind::kBytes: out.ByteString(value.content); break;
    case Kind::kText: out.Text(value.Text()); break;
    case Kind::kArray: out.Array(value.items.size()); break;
    case Kind::kMap: out.Map(value.MapSize()); break;
    case Kind::kTag: out.Tag(value.number); break;
    case Kind::kFalse: out.Bool(false); break;
    case Kind::kTrue: out.Bool(true); break;
    case Kind::kNull: out.Null(); break;
  }
  for (const Value& item : value.items) out.Raw(Encode(item));
  return out.Finish();
}

Writer& Writer::Head(uint8_t major, uint64_t argument) {
  const auto top = static_cast<uint8_t>(major << 5);
  const int width = argument < 24 ? 0 : argument <= 0xff ? 1 : argument <= 0xffff ? 2 : argument <= 0xffffffff ? 4 : 8;
  static constexpr uint8_t kInfo[] = {0, 24, 25, 0, 26, 0, 0, 0, 27};
  out_.push_back(static_cast<uint8_t>(top | (width == 0 ? argument : kInfo[width])));
  for (int i = width - 1; i >= 0; --i) out_.push_back(static_cast<uint8_t>(argument >> (8 * i)));
  return *this;
}

Writer& Writer::Integer(int64_t value) {
  return value >= 0 ? Head(0, static_cast<uint64_t>(value)) : Head(1, static_cast<uint64_t>(-1 - value));
}
Writer& Writer::ByteString(ByteView value) { return Head(2, value.size()).Raw(value); }
Writer& Writer::Text(std::string_view value) { return Head(3, value.size()).Raw(AsBytes(value)); }
Writer& Writer::Bool(bool value) {
  out_.push_back(value ? kTrueByte : kFalseByte);
  return *this;
}
Writer& Writer::Null() {
  out_.push_back(kNullByte);
  return *this;
}
Writer& Writer::Raw(ByteView item) {
  Append(out_, item);
  return *this;
}

}  // namespace ccgpu::evidence::cbor
