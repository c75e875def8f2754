// ledger, receipt, evidence, coverage: what happened, and the proof.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "api/gate.h"
#include "app/cli.h"
#include "app/state.h"
#include "app/term.h"
#include "app/training.h"
#include "base/bytes.h"
#include "base/text.h"
#include "security/evidence.h"
#include "security/ledger.h"
#include "store/db.h"

namespace hf::app {
namespace json = boost::json;
namespace {

Result<json::value> json_file(const Context& context, const std::string& path) {
  boost::system::error_code ec;
  json::value v = json::parse(TRY(context.fs.read_file(path, 64 << 20)), ec);
  if (ec) return fail(Code::invalid, path + ": expected JSON: " + ec.message());
  return v;
}

// ---- ledger

json::object report_json(const security::Ledger::Report& report) {
  json::object o{{"ok", report.ok}, {"entries", report.entries}, {"head", {{"root", hex(report.head.root)}}}};
  if (!report.ok) o["problem"] = report.problem;
  return o;
}

// Of a folder on which no site runs: straight from the file, so that a site that refuses to start can be looked at.
Result<json::value> verify_offline(const Context& context, const security::Head* kept) {
  if (!context.fs.exists(context.state + "/db/site.db"))
    return fail(Code::not_found, "no ledger in '" + context.state + "': expected db/site.db there");
  auto lock = TRY(lock_state(context.fs, context.state, "check"));
  StateKeys keys = TRY(prepare_state(context.fs, context.random, context.state));
  auto bad = [](const Error& e) { return json::value(json::object{{"ok", false}, {"problem", e.message}}); };
  auto db = store::Db::open(context.fs, context.random, context.state + "/db/site.db");
  if (!db.ok()) return bad(db.error());
  auto ledger = security::Ledger::open(**db, context.clock, keys.signing_key, keys.site_id);
  if (!ledger.ok()) return bad(ledger.error());
  return json::value(report_json(TRY((*ledger)->verify(kept))));
}

Result<int> verify(const Context& context, const std::string& head_path) {
  security::Head kept;
  const bool have = !head_path.empty();
  std::string kept_line;
  if (have) {
    // One head, or a witness's file: its last line is the newest.
    std::string text = TRY(context.fs.read_file(head_path, 256 << 20));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    kept_line = text.find("\n{") == text.npos ? text : text.substr(text.rfind('\n') + 1);
    kept = TRY(security::head_from_json(kept_line));
  }
  json::value answer;
  auto client = connect(context);
  if (client.ok()) {
    json::value body = json::object();
    if (have) {
      json::value head = json::parse(kept_line);
      head.as_object().erase("public_key");
      body.as_object()["head"] = head;
    }
    answer = TRY(
        waiting_for(context.clock, "verifying", [&] { return (*client)->holdfast("POST", "/ledger/verify", &body); }));
  } else {
    answer =
        TRY(waiting_for(context.clock, "verifying", [&] { return verify_offline(context, have ? &kept : nullptr); }));
  }
  const bool ok = member(answer, "ok") == "true";
  if (context.json)
    print_json(answer);
  else if (ok)
    print("the ledger is whole: " + member(answer, "entries") + " entries, root " + member(answer.at("head"), "root"));
  else
    print("THE LEDGER IS NOT WHAT WAS WRITTEN: " + member(answer, "problem"));
  return ok ? kDone : kFailed;
}

Result<int> show_head(const Context& context, const std::string& to) {
  auto client = TRY(connect(context));
  json::value head = TRY(client->holdfast("GET", "/ledger/head")).at("head");
  if (!to.empty()) TRY(context.fs.write_file_atomic(to, json::serialize(head) + "\n", 0644));
  if (context.json || to.empty()) print_json(head);
  return kDone;
}

Result<std::vector<std::string>> hashes_of(const json::value& list) {
  std::vector<std::string> out;
  for (const json::value& h : list.as_array()) out.push_back(TRY(unhex(std::string(h.as_string()))));
  return out;
}

// SubjectPublicKeyInfo of Ed25519 (RFC 8410): 12 bytes that are always the same, then the key.
Result<std::string> raw_key(const std::string& pem) {
  std::string body;
  for (std::string_view line : split(pem, '\n'))
    if (!line.starts_with("-----")) body += line;
  std::string der = TRY(unbase64(body));
  if (der.size() != 44) return fail(Code::invalid, "expected an Ed25519 public key in PEM");
  return der.substr(12);
}

struct Kept {
  security::Head head;
  std::string site, key;  // key: PEM
};

Result<Kept> kept_of(const std::string& line, const std::string& where) {
  auto head = security::head_from_json(line);
  if (!head.ok()) return fail(Code::invalid, where + ": " + head.error().message);
  json::value value = json::parse(line);
  Kept kept{*head, member(value, "site"), member(value, "public_key")};
  const std::string key = TRY(raw_key(kept.key));
  if (!crypto::verify_ed25519(key, security::head_message(kept.site, kept.head), kept.head.signature))
    return fail(Code::corrupt, where + ": the signature of this head does not verify");
  return kept;
}

// The lines of a witness's file, each checked.
Result<std::vector<Kept>> witnessed(const Context& context, const std::string& path, std::string& text) {
  std::vector<Kept> out;
  if (!context.fs.exists(path)) return out;
  text = TRY(context.fs.read_file(path, 256 << 20));
  if (!text.empty() && text.back() != '\n') return fail(Code::corrupt, path + ": its last line is cut off");
  for (std::string_view line : split(text, '\n'))
    if (!line.empty()) out.push_back(TRY(kept_of(std::string(line), path + ":" + std::to_string(out.size() + 1))));
  return out;
}

int disagree(const Context& context, const Kept& last, const Kept& now, const std::string& why) {
  auto line = [](const Kept& k) { return security::head_json(k.site, k.head); };
  if (context.json)
    print_json(json::object{
        {"ok", false}, {"problem", why}, {"kept", json::parse(line(last))}, {"found", json::parse(line(now))}});
  else
    print("THE LEDGER IS NOT AN EXTENSION OF WHAT WAS KEPT: " + why + "\nkept:  " + line(last) +
          "\nfound: " + line(now));
  return kFailed;
}

// A witness: on another host, or with a file on removable media. Needs GetLedgerHead and GetLedgerConsistency only.
// A head is added after the site has proven that its log extends the one before; the key is that of the first line.
Result<int> witness(const Context& context, const std::string& path) {
  std::string text;
  const std::vector<Kept> before = TRY(witnessed(context, path, text));
  auto client = TRY(connect(context));
  json::value answer = TRY(client->holdfast("GET", "/ledger/head"));
  json::value line = answer.at("head");
  line.as_object()["public_key"] = member(answer, "public_key");
  const Kept now = TRY(kept_of(json::serialize(line), "the site's newest head"));
  if (!before.empty()) {
    const Kept& last = before.back();
    if (now.site != last.site || now.key != last.key)
      return disagree(context, last, now, "another site, or another key");
    if (now.head.size < last.head.size)
      return disagree(
          context, last, now,
          "there are " + std::to_string(now.head.size) + " entries, and there were " + std::to_string(last.head.size));
    std::vector<std::string> proof;
    if (last.head.size > 0 && now.head.size > last.head.size) {
      const std::string range = "from=" + std::to_string(last.head.size) + "&to=" + std::to_string(now.head.size);
      json::value found = TRY(client->holdfast("GET", "/ledger/consistency", nullptr, range));
      proof = TRY(hashes_of(found.at("proof")));
    }
    const bool extends = last.head.size == now.head.size ? last.head.root == now.head.root
                         : last.head.size == 0           ? true
                                                         : security::verify_consistency(last.head.size, last.head.root,
                                                                                        now.head.size, now.head.root, proof);
    if (!extends)
      return disagree(context, last, now, "its first " + std::to_string(last.head.size) + " entries are others");
  }
  const bool news = before.empty() || now.head.size > before.back().head.size;
  if (news) TRY(context.fs.write_file_atomic(path, text + json::serialize(line) + "\n", 0644));
  if (context.json)
    print_json(json::object{{"ok", true}, {"heads", before.size() + news}, {"entries", now.head.size}, {"file", path}});
  else
    print(path + ": " + std::to_string(now.head.size) + " entries, an extension of all " +
          std::to_string(before.size()) + " heads kept before");
  return kDone;
}

Result<int> prove(const Context& context, int64_t index) {
  auto client = TRY(connect(context));
  print_json(TRY(client->holdfast("GET", "/ledger/proof", nullptr, "index=" + std::to_string(index))));
  return kDone;
}

// Entries as JSON lines, exactly the bytes that were hashed; with --json on standard output the same in one array.
Result<int> export_entries(const Context& context, const std::string& to) {
  auto client = TRY(connect(context));
  std::string lines;
  const bool array = context.json && to.empty();
  int64_t from = 0;
  for (;;) {
    json::value answer =
        TRY(client->holdfast("GET", "/ledger/entries", nullptr, "from=" + std::to_string(from) + "&limit=1000"));
    const json::object* o = answer.if_object();
    const json::value* entries = o ? o->if_contains("lines") : nullptr;
    if (!entries || !entries->is_array()) return fail(Code::internal, "/ledger/entries: expected a list of lines");
    for (const json::value& e : entries->as_array()) lines += std::string(e.as_string()) + (array ? ",\n" : "\n");
    from += static_cast<int64_t>(entries->as_array().size());
    if (entries->as_array().size() < 1000) break;
  }
  if (array) {
    if (!lines.empty()) lines.resize(lines.size() - 2);
    print("[" + lines + "]");
  } else if (to.empty()) {
    print(lines);
  } else {
    TRY(context.fs.write_file_atomic(to, lines, 0600));
    if (context.json) print_json(json::object{{"entries", from}, {"file", to}});
  }
  return kDone;
}

void add_ledger(CLI::App& app, Context& context, Work& work) {
  auto* ledger = app.add_subcommand("ledger", "the append-only log: verify, head, witness, prove, export");
  ledger->footer("example: holdfast ledger verify");
  ledger->require_subcommand(1);
  auto path = std::make_shared<std::string>();
  auto index = std::make_shared<int64_t>(0);
  auto* ctx = &context;
  auto add = [&](const char* name, const char* help, const char* example, Work act) {
    auto* sub = ledger->add_subcommand(name, help);
    sub->footer(std::string("example: ") + example);
    sub->callback([&work, act = std::move(act)] { work = act; });
    return sub;
  };
  add("verify", "recompute every entry, node and head; works on a stopped site too",
      "holdfast ledger verify --head kept-head.json", [=] { return verify(*ctx, *path); })
      ->add_option("--head", *path, "a head that was kept off the machine: the log must extend it");
  add("head", "the newest signed head: keep it off the machine", "holdfast ledger head --to kept-head.json", [=] {
    return show_head(*ctx, *path);
  })->add_option("--to", *path, "a file");
  add("witness", "keep heads elsewhere: adds the newest to a file, if the log extends those in it",
      "holdfast ledger witness /media/stick/heads.jsonl", [=] { return witness(*ctx, *path); })
      ->add_option("file", *path, "heads as JSON lines; made if it is not there")
      ->required();
  add("prove", "the proof that an entry is in the log", "holdfast ledger prove 42", [=] { return prove(*ctx, *index); })
      ->add_option("index", *index, "the entry's index, from 0")
      ->required();
  add("export", "all entries, as JSON lines", "holdfast ledger export --to ledger.jsonl", [=] {
    return export_entries(*ctx, *path);
  })->add_option("--to", *path, "a file (default: standard output)");
}

// ---- receipt

Result<int> replay(const Context& context, const std::string& which, const std::string& request_path) {
  std::string id = which;
  if (context.fs.exists(which)) {
    id = member(TRY(json_file(context, which)), "id");
    if (id.empty()) return fail(Code::invalid, which + ": expected a receipt with an id");
  }
  json::value body = json::object{{"request", TRY(json_file(context, request_path))}};
  auto client = TRY(connect(context));
  json::value answer = TRY(client->holdfast("POST", "/receipts/" + percent_encode(id) + "/replay", &body));
  const bool same = member(answer, "replayed") == "true";
  if (context.json)
    print_json(answer);
  else
    print(same ? "replayed, bit-equal: " + id : "NOT THE SAME: " + member(answer, "differences"));
  return same ? kDone : kFailed;
}

void add_receipt(CLI::App& app, Context& context, Work& work) {
  auto* receipt = app.add_subcommand("receipt", "what an answer was made of: show, replay");
  receipt->footer("example: holdfast receipt replay rcpt-0123 --request request.json");
  receipt->require_subcommand(1);
  auto id = std::make_shared<std::string>(), request = std::make_shared<std::string>();
  auto* ctx = &context;
  auto* show = receipt->add_subcommand("show", "one receipt, as JSON");
  show->add_option("id", *id, "as in the answer's header x-holdfast-receipt")->required();
  show->footer("example: holdfast receipt show rcpt-0123 > receipt.json");
  show->callback([=, &work] {
    work = [=]() -> Result<int> {
      auto client = TRY(connect(*ctx));
      print_json(TRY(client->holdfast("GET", "/receipts/" + percent_encode(*id))).at("receipt"));
      return kDone;
    };
  });
  auto* again = receipt->add_subcommand("replay", "run the request again and compare every digest");
  again->add_option("receipt", *id, "its id, or a file that holds it")->required();
  again->add_option("--request", *request, "the request's body, JSON, as it was sent")->required();
  again->footer("example: holdfast receipt replay receipt.json --request request.json");
  again->callback([=, &work] { work = [=] { return replay(*ctx, *id, *request); }; });
}

// ---- evidence, coverage

// The site writes STATE/evidence; --to fetches a copy of each file, wherever the site is.
struct ExportOptions {
  std::string out, from, to;  // a folder, and times
};

Result<Micros> time_option(const std::string& name, const std::string& text) {
  auto time = parse_iso8601(text);
  if (time.ok()) return time;
  return fail(Code::invalid, name + ": expected a time such as 2026-11-26T08:00:00Z, found '" + text +
                                 "' (the folder to write to is --out)");
}

Result<int> export_evidence(const Context& context, const ExportOptions& options) {
  const std::string& to = options.out;
  json::value body = json::object();
  if (!options.from.empty()) body.as_object()["from"] = TRY(time_option("--from", options.from));
  if (!options.to.empty()) body.as_object()["to"] = TRY(time_option("--to", options.to));
  auto client = TRY(connect(context));
  json::value answer =
      TRY(waiting_for(context.clock, "exporting", [&] { return client->holdfast("POST", "/evidence", &body); }));
  std::string folder = member(answer, "folder");
  if (!to.empty()) {
    TRY(context.fs.make_dirs(to, 0755));
    for (const json::value& name : answer.at("files").as_array()) {
      ApiClient::Request request;
      request.path = "/holdfast/v1/evidence/" + std::string(name.as_string());
      request.service = "holdfast";
      TRY(fetch(context, *client, request, to + "/" + std::string(name.as_string())));
    }
    folder = to;
  }
  if (context.json) {
    answer.as_object()["folder"] = folder;
    print_json(answer);
  } else {
    print(folder + ": " + member(answer, "entries") + " entries, " + member(answer, "receipts") +
          " receipts\ncheck it with: scripts/verify-evidence " + folder);
  }
  return kDone;
}

void add_evidence(CLI::App& app, Context& context, Work& work) {
  auto* evidence = app.add_subcommand("evidence", "export what an auditor checks without our code");
  evidence->footer("example: holdfast evidence export --out evidence && scripts/verify-evidence evidence");
  evidence->require_subcommand(1);
  auto options = std::make_shared<ExportOptions>();
  auto* ctx = &context;
  auto* out = evidence->add_subcommand("export", "entries, heads, proofs, receipts, key and digests, into a folder");
  out->add_option("--out", options->out, "a folder (default: STATE/evidence of the site)");
  out->add_option("--from", options->from, "a time: only the entries from then on, each with its proof");
  out->add_option("--to", options->to, "a time: only the entries until then");
  out->footer("example: holdfast evidence export --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --out november");
  out->callback([=, &work] { work = [=] { return export_evidence(*ctx, *options); }; });
}

void add_coverage(CLI::App& app, Context& context, Work& work) {
  auto* command = app.add_subcommand("coverage", "every known operation of the services we serve, and if we have it");
  command->footer("example: holdfast coverage --json");
  auto* ctx = &context;
  command->callback([=, &work] {
    work = [=]() -> Result<int> {
      auto rows = api::coverage(api::all_services());
      if (ctx->json) {
        json::array all;
        for (const auto& r : rows)
          all.push_back(json::object{{"service", r.service}, {"operation", r.operation}, {"status", r.status}});
        print_json(all);
        return kDone;
      }
      std::vector<std::vector<std::string>> lines = {{"SERVICE", "OPERATION", "STATUS"}};
      for (const auto& r : rows) lines.push_back({r.service, r.operation, r.status});
      print(table(lines));
      return kDone;
    };
  });
}

}  // namespace

void add_evidence_commands(CLI::App& app, Context& context, Work& work) {
  add_ledger(app, context, work);
  add_receipt(app, context, work);
  add_evidence(app, context, work);
  add_coverage(app, context, work);
}

}  // namespace hf::app
