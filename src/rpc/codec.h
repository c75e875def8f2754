// Bodies of frames: structs of messages.h to bytes and back. decode() takes nothing on trust: every count is held
// against the bytes that are there before anything is allocated, and the body must be used up to its last byte.
// Adding a message: the struct in messages.h, its fields() line and its name in the list at the end of codec.cc.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "rpc/messages.h"

namespace hf::rpc {

inline constexpr size_t kMaxFrame = size_t{64} << 20;  // bytes after the length
inline constexpr size_t kMaxList = size_t{1} << 20;    // entries of a list or map
inline constexpr size_t kMaxDescriptors = 64;          // of one frame

template <class T>
std::string encode(const T& message);

// invalid: which member's bytes were wrong is of no use to anyone, so the message says only the offset and the reason.
template <class T>
Result<T> decode(std::string_view body);

Failed to_failed(const Error& error);
Error to_error(const Failed& failed);  // a code that we do not know: internal

// "generate", ...; "unknown" for a byte that is no Type.
std::string_view type_name(Type type);
bool known_type(uint8_t byte);

}  // namespace hf::rpc
