// The templates behind wire/fields.h: one TypeInfo for each member type.
#pragma once

namespace hf::wire {
namespace detail {

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};

template <class T>
TypeInfo make_type_info() {
  TypeInfo t{};
  t.present = [](const void*) { return true; };
  t.emplace = [](void* p) { return p; };
  t.get = [](const void* p) { return p; };
  if constexpr (IsOptional<T>::value) {
    t = *type_info<typename T::value_type>();
    check(!t.optional, "optional of optional");
    t.optional = true;
    t.present = [](const void* p) { return static_cast<const T*>(p)->has_value(); };
    t.emplace = [](void* p) -> void* { return &static_cast<T*>(p)->emplace(); };
    t.get = [](const void* p) -> const void* { return &**static_cast<const T*>(p); };
  } else if constexpr (std::is_same_v<T, bool>) {
    t.kind = Kind::boolean;
  } else if constexpr (std::is_same_v<T, int32_t>) {
    t.kind = Kind::int32;
  } else if constexpr (std::is_same_v<T, int64_t>) {
    t.kind = Kind::int64;
  } else if constexpr (std::is_same_v<T, double>) {
    t.kind = Kind::float64;
  } else if constexpr (std::is_same_v<T, std::string>) {
    t.kind = Kind::string;
  } else if constexpr (std::is_same_v<T, Timestamp>) {
    t.kind = Kind::timestamp;
  } else if constexpr (std::is_same_v<T, Blob>) {
    t.kind = Kind::blob;
  } else if constexpr (std::is_same_v<T, Document>) {
    t.kind = Kind::document;
  } else if constexpr (std::is_same_v<T, Body>) {
    t.kind = Kind::body;
  } else if constexpr (IsVector<T>::value) {
    t.kind = Kind::list;
    t.element = type_info<typename T::value_type>();
    t.size = [](const void* p) { return static_cast<const T*>(p)->size(); };
    t.append = [](void* p) -> void* { return &static_cast<T*>(p)->emplace_back(); };
    t.each = [](const void* p, const std::function<void(const std::string&, const void*)>& fn) {
      for (const auto& e : *static_cast<const T*>(p)) fn({}, &e);
    };
  } else if constexpr (IsMap<T>::value) {
    t.kind = Kind::map;
    t.element = type_info<typename T::mapped_type>();
    t.size = [](const void* p) { return static_cast<const T*>(p)->size(); };
    t.insert = [](void* p, const std::string& key) -> void* { return &(*static_cast<T*>(p))[key]; };
    t.each = [](const void* p, const std::function<void(const std::string&, const void*)>& fn) {
      for (const auto& [k, e] : *static_cast<const T*>(p)) fn(k, &e);
    };
  } else {
    t.kind = Kind::structure;
    t.shape = &shape_of<T>;
  }
  return t;
}

}  // namespace detail

template <class T>
const TypeInfo* type_info() {
  static const TypeInfo info = detail::make_type_info<T>();
  return &info;
}

}  // namespace hf::wire
