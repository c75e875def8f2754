// s3: the few operations that one needs beside a real S3 client.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "app/cli.h"
#include "app/term.h"
#include "base/text.h"
#include "os/fs.h"

namespace hf::app {
namespace json = boost::json;
namespace {

struct Location {
  std::string bucket, key;
};

Result<Location> location(const std::string& uri) {
  if (!uri.starts_with("s3://") || uri.size() == 5)
    return fail(Code::invalid, "expected s3://BUCKET[/KEY], found '" + uri + "'");
  std::string rest = uri.substr(5);
  size_t slash = rest.find('/');
  return Location{rest.substr(0, slash), slash == rest.npos ? "" : rest.substr(slash + 1)};
}

// Values of <name>...</name> within `xml`, in order, unescaped. The documents are the site's own.
std::vector<std::string> elements(std::string_view xml, const std::string& name) {
  std::vector<std::string> out;
  const std::string open = "<" + name + ">", close = "</" + name + ">";
  for (size_t at = xml.find(open); at != xml.npos; at = xml.find(open, at)) {
    at += open.size();
    size_t end = xml.find(close, at);
    if (end == xml.npos) break;
    std::string value(xml.substr(at, end - at));
    for (auto [from, to] : {std::pair{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}, {"&amp;", "&"}})
      for (size_t p = value.find(from); p != value.npos; p = value.find(from, p + 1))
        value.replace(p, std::string(from).size(), to);
    out.push_back(value);
    at = end;
  }
  return out;
}

Result<int> list(const Context& context, const std::string& uri) {
  auto client = TRY(connect(context));
  json::array rows;
  std::vector<std::vector<std::string>> lines;
  if (uri.empty()) {
    auto answer = TRY(client->s3("GET", ""));
    auto names = elements(answer.body, "Name"), dates = elements(answer.body, "CreationDate");
    for (size_t i = 0; i < names.size() && i < dates.size(); ++i) {
      rows.push_back(json::object{{"bucket", names[i]}, {"created", dates[i]}});
      lines.push_back({dates[i], names[i]});
    }
  } else {
    Location where = TRY(location(uri));
    std::string token;
    do {
      std::string query = "list-type=2&prefix=" + percent_encode(where.key);
      if (!token.empty()) query = "continuation-token=" + percent_encode(token) + "&" + query;
      auto answer = TRY(client->s3("GET", where.bucket, "", query));
      for (const std::string& item : elements(answer.body, "Contents")) {
        auto key = elements(item, "Key"), size = elements(item, "Size"), modified = elements(item, "LastModified");
        if (key.empty() || size.empty() || modified.empty()) continue;
        rows.push_back(
            json::object{{"key", key[0]}, {"size", TRY(parse_int(size[0], "Size"))}, {"modified", modified[0]}});
        lines.push_back({modified[0], size[0], key[0]});
      }
      auto next = elements(answer.body, "NextContinuationToken");
      token = next.empty() ? "" : next[0];
    } while (!token.empty());
  }
  if (context.json)
    print_json(rows);
  else if (!lines.empty())
    print(table(lines));
  return kDone;
}

Result<int> put(const Context& context, const std::string& file, const std::string& uri) {
  Location where = TRY(location(uri));
  if (where.key.empty() || where.key.ends_with('/')) where.key += file.substr(file.rfind('/') + 1);
  auto client = TRY(connect(context));
  std::string body = TRY(context.fs.read_file(file, 5ull << 30));
  TRY(waiting_for(context.clock, "storing " + file,
                  [&] { return client->s3("PUT", where.bucket, where.key, "", std::move(body)); }));
  if (context.json)
    print_json(json::object{{"bucket", where.bucket}, {"key", where.key}});
  else
    print("s3://" + where.bucket + "/" + where.key);
  return kDone;
}

Result<int> get(const Context& context, const std::string& uri, std::string file) {
  Location where = TRY(location(uri));
  if (file.empty()) file = where.key.substr(where.key.rfind('/') + 1);
  auto client = TRY(connect(context));
  auto answer =
      TRY(waiting_for(context.clock, "fetching " + uri, [&] { return client->s3("GET", where.bucket, where.key); }));
  TRY(context.fs.write_file_atomic(file, answer.body, 0644));
  if (context.json)
    print_json(json::object{{"file", file}, {"bytes", answer.body.size()}});
  else
    print(file + "  " + human_bytes(answer.body.size()));
  return kDone;
}

Result<int> bucket(const Context& context, const char* method, const std::string& uri) {
  Location where = TRY(location(uri));
  auto client = TRY(connect(context));
  TRY(client->s3(method, where.bucket));
  if (context.json) print_json(json::object{{"bucket", where.bucket}});
  return kDone;
}

Result<int> remove(const Context& context, const std::string& uri) {
  Location where = TRY(location(uri));
  if (where.key.empty())
    return fail(Code::invalid, "expected s3://BUCKET/KEY, found '" + uri + "' (rb removes a bucket)");
  auto client = TRY(connect(context));
  TRY(client->s3("DELETE", where.bucket, where.key));
  if (context.json) print_json(json::object{{"bucket", where.bucket}, {"key", where.key}});
  return kDone;
}

}  // namespace

void add_s3_commands(CLI::App& app, Context& context, Work& work) {
  auto* s3 = app.add_subcommand("s3", "buckets and objects: ls, mb, rb, put, get, rm");
  s3->require_subcommand(1);
  s3->footer("example: holdfast s3 put data.jsonl s3://tickets/train/");
  auto first = std::make_shared<std::string>(), second = std::make_shared<std::string>();
  auto add = [&](const char* name, const char* help, const char* example, std::function<Result<int>()> act) {
    auto* command = s3->add_subcommand(name, help);
    command->footer(std::string("example: ") + example);
    command->callback([&work, act = std::move(act)] { work = act; });
    return command;
  };
  auto* ctx = &context;
  add("ls", "list buckets, or a bucket's objects", "holdfast s3 ls s3://tickets/", [ctx, first] {
    return list(*ctx, *first);
  })->add_option("uri", *first, "s3://BUCKET[/PREFIX]");
  add("mb", "make a bucket", "holdfast s3 mb s3://tickets", [ctx, first] { return bucket(*ctx, "PUT", *first); })
      ->add_option("uri", *first, "s3://BUCKET")
      ->required();
  add("rb", "remove an empty bucket", "holdfast s3 rb s3://tickets",
      [ctx, first] { return bucket(*ctx, "DELETE", *first); })
      ->add_option("uri", *first, "s3://BUCKET")
      ->required();
  add("rm", "remove an object", "holdfast s3 rm s3://tickets/a", [ctx, first] { return remove(*ctx, *first); })
      ->add_option("uri", *first, "s3://BUCKET/KEY")
      ->required();
  auto* p = add("put", "store a file", "holdfast s3 put data.jsonl s3://tickets/train/",
                [ctx, first, second] { return put(*ctx, *first, *second); });
  p->add_option("file", *first, "the file")->required();
  p->add_option("uri", *second, "s3://BUCKET[/KEY]")->required();
  auto* g = add("get", "fetch an object", "holdfast s3 get s3://tickets/train/data.jsonl",
                [ctx, first, second] { return get(*ctx, *first, *second); });
  g->add_option("uri", *first, "s3://BUCKET/KEY")->required();
  g->add_option("file", *second, "where to (default: the key's last part)");
}

}  // namespace hf::app
