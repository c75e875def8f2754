#include "app/quickstart/dataset.h"

#include <boost/json.hpp>
#include <utility>

#include "app/quickstart/tickets.h"
#include "base/text.h"

namespace hf::app {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDumpBytes = 256u << 20, kMaxRecords = 1'000'000;
constexpr size_t kMaxLineBytes = 64 << 10, kMaxLines = 4'000'000;
constexpr uint64_t kHeldOutOneIn = 40;

Result<json::value> parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = 64;
  json::error_code error;
  auto value = json::parse({text.data(), text.size()}, error, {}, options);
  if (error) return fail(Code::invalid, "not JSON: " + error.message());
  return value;
}

std::string quote(std::string_view text) { return json::serialize(json::string(text)); }

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

// ---- packages

struct Record {
  std::string_view source, section, description;
  std::string tags;
};

std::string first_tag(std::string_view tags, std::string_view kind) {
  for (auto tag : split(tags, ',')) {
    tag = trim(tag);
    if (tag.starts_with(kind) && tag.substr(kind.size()).starts_with("::")) {
      return std::string(tag.substr(kind.size() + 2));
    }
  }
  return "none";
}

void add_record(const Record& record, size_t max_train, size_t max_held_out, Dataset& data) {
  if (record.description.empty() || record.section.empty()) return;
  if (!valid_utf8(record.description) || !valid_utf8(record.section) || !valid_utf8(record.tags)) return;
  bool held = fnv1a(record.source) % kHeldOutOneIn == 0;
  auto& side = held ? data.held_out : data.train;
  if (side.size() >= (held ? max_held_out : max_train)) return;
  std::string completion = "{\"section\":" + quote(record.section) +
                           ",\"role\":" + quote(first_tag(record.tags, "role")) +
                           ",\"interface\":" + quote(first_tag(record.tags, "interface")) + "}";
  side.push_back({std::string(record.description), std::move(completion)});
}

void read_record_line(std::string_view line, bool& in_tags, Record& record) {
  auto value_of = [&](std::string_view name) { return trim(line.substr(name.size())); };
  if (line[0] == ' ' || line[0] == '\t') {
    if (in_tags) record.tags += line;
    return;
  }
  in_tags = line.starts_with("Tag:");
  if (in_tags) record.tags = value_of("Tag:");
  if (line.starts_with("Package:") && record.source.empty()) record.source = value_of("Package:");
  if (line.starts_with("Source:")) record.source = split(value_of("Source:"), ' ')[0];  // "name (version)"
  if (line.starts_with("Section:")) {
    record.section = value_of("Section:");
    if (auto slash = record.section.rfind('/'); slash != std::string_view::npos)
      record.section.remove_prefix(slash + 1);
  }
  for (std::string_view name : {"Description:", "Description-en:"}) {
    if (line.starts_with(name)) record.description = value_of(name);
  }
}

// ---- a user's lines

Status read_lines(const std::string& name, std::string_view text, std::vector<Example>& out) {
  size_t number = 0;
  for (auto line : split(text, '\n')) {
    auto wrong = [&](const std::string& what) {
      return fail(Code::invalid, name + " line " + std::to_string(number) + ": " + what);
    };
    if (++number > kMaxLines) return wrong("over " + std::to_string(kMaxLines) + " lines");
    line = trim(line);
    if (line.empty()) continue;
    if (line.size() > kMaxLineBytes) {
      return wrong(std::to_string(line.size()) + " bytes: at most " + std::to_string(kMaxLineBytes));
    }
    auto value = parse_json(line);
    if (!value.ok()) return wrong(value.error().message);
    if (!value->is_object()) return wrong("expected an object of \"prompt\" and \"completion\"");
    Example example;
    for (const auto& member : value->get_object()) {
      std::string_view key(member.key().data(), member.key().size());
      if (key != "prompt" && key != "completion") return wrong("unknown member " + quote(key));
      if (!member.value().is_string() || member.value().get_string().empty()) {
        return wrong(quote(key) + ": expected text that is not empty");
      }
      (key == "prompt" ? example.prompt : example.completion) = std::string_view(member.value().get_string());
    }
    if (example.prompt.empty()) return wrong("\"prompt\" is missing");
    if (example.completion.empty()) return wrong("\"completion\" is missing");
    out.push_back(std::move(example));
  }
  return {};
}

// The members that all completions share; empty if one of them is not an object or has others.
std::vector<std::string> common_fields(const std::vector<Example>& examples) {
  std::vector<std::string> fields, values;
  for (const auto& example : examples) {
    if (fields.empty()) {
      auto first = parse_json(example.completion);
      if (!first.ok() || !first->is_object()) return {};
      for (const auto& member : first->get_object()) fields.emplace_back(member.key());
    }
    if (!read_fields(example.completion, fields, values)) return {};
  }
  return fields;
}

}  // namespace

bool read_fields(std::string_view completion, const std::vector<std::string>& fields,
                 std::vector<std::string>& values) {
  auto value = parse_json(completion);
  if (!value.ok() || !value->is_object() || value->get_object().size() != fields.size()) return false;
  values.clear();
  for (const auto& field : fields) {
    const auto* member = value->get_object().if_contains(field);
    if (!member) return false;
    values.push_back(member->is_string() ? std::string(std::string_view(member->get_string()))
                                         : json::serialize(*member));
  }
  return true;
}

Dataset ticket_dataset(uint64_t seed, uint64_t train, uint64_t held_out) {
  Dataset data;
  data.name = "tickets";
  data.fields.assign(kFieldNames.begin(), kFieldNames.end());
  data.decided = kDecidedFields;
  auto fill = [&](Split split, uint64_t count, std::vector<Example>& out) {
    for (uint64_t i = 0; i < count; i++) {
      auto ticket = make_ticket(seed, split, i);
      std::string json = completion(ticket.labels);
      out.push_back({std::move(ticket.text), std::move(json)});
    }
  };
  fill(Split::train, train, data.train);
  fill(Split::held_out, held_out, data.held_out);
  return data;
}

Result<Dataset> package_dataset(std::string_view dumpavail, size_t max_train, size_t max_held_out) {
  if (dumpavail.size() > kMaxDumpBytes) {
    return fail(Code::invalid,
                "the package index has " + human_bytes(dumpavail.size()) + ": at most " + human_bytes(kMaxDumpBytes));
  }
  Dataset data;
  data.name = "packages";
  data.fields = {"section", "role", "interface"};
  data.decided = data.fields.size();
  Record record;
  bool in_tags = false;
  size_t records = 0;
  for (size_t at = 0; at < dumpavail.size();) {
    size_t end = std::min(dumpavail.find('\n', at), dumpavail.size());
    std::string_view line = dumpavail.substr(at, end - at);
    at = end + 1;
    if (!line.empty()) read_record_line(line, in_tags, record);
    if (line.empty() || at >= dumpavail.size()) {
      if (++records > kMaxRecords) return fail(Code::invalid, "the package index has over 1000000 records");
      add_record(record, max_train, max_held_out, data);
      record = {};
      in_tags = false;
    }
  }
  if (data.train.empty() || data.held_out.empty()) {
    return fail(Code::invalid, "the package index holds too few records with a description and a section (" +
                                   std::to_string(data.train.size() + data.held_out.size()) +
                                   "): is it the output of `apt-cache dumpavail` after `apt-get update`?");
  }
  return data;
}

Result<Dataset> user_dataset(const std::string& name, std::string_view lines, const std::string& validation_name,
                             std::string_view validation) {
  Dataset data;
  data.name = name;
  TRY(read_lines(name, lines, data.train));
  if (validation_name.empty()) {
    size_t held = data.train.size() / 10;
    if (held == 0)
      return fail(Code::invalid, name + ": expected at least 10 lines, found " + std::to_string(data.train.size()));
    data.held_out.assign(std::make_move_iterator(data.train.end() - static_cast<std::ptrdiff_t>(held)),
                         std::make_move_iterator(data.train.end()));
    data.train.resize(data.train.size() - held);
  } else {
    TRY(read_lines(validation_name, validation, data.held_out));
    if (data.train.empty()) return fail(Code::invalid, name + ": expected at least one line, found none");
    if (data.held_out.empty()) return fail(Code::invalid, validation_name + ": expected at least one line, found none");
  }
  data.fields = common_fields(data.train);
  auto held_fields = common_fields(data.held_out);
  std::vector<std::string> values;
  if (!data.fields.empty() && !read_fields(data.held_out[0].completion, data.fields, values)) data.fields.clear();
  if (held_fields.empty()) data.fields.clear();
  data.decided = data.fields.size();
  return data;
}

std::string to_lines(const std::vector<Example>& examples) {
  std::string out;
  for (const auto& example : examples) {
    out += "{\"prompt\":" + quote(example.prompt) + ",\"completion\":" + quote(example.completion) + "}\n";
  }
  return out;
}

}  // namespace hf::app
