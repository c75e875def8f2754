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
  if (have) kept = TRY(security::head_from_json(TRY(context.fs.read_file(head_path, 1 << 20))));
  json::value answer;
  auto client = connect(context);
  if (client.ok()) {
    json::value body = json::object();
    if (have) body.as_object()["head"] = TRY(json_file(context, head_path));
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
  auto* ledger = app.add_subcommand("ledger", "the append-only log: verify, head, prove, export");
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
Result<int> export_evidence(const Context& context, const std::string& to) {
  auto client = TRY(connect(context));
  json::value body = json::object();
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
  evidence->footer("example: holdfast evidence export --to evidence && scripts/verify-evidence evidence");
  evidence->require_subcommand(1);
  auto to = std::make_shared<std::string>();
  auto* ctx = &context;
  auto* out = evidence->add_subcommand("export", "entries, heads, proofs, receipts, key and digests, into a folder");
  out->add_option("--to", *to, "where to (default: STATE/evidence of the site)");
  out->footer("example: holdfast evidence export --to /media/stick/evidence");
  out->callback([=, &work] { work = [=] { return export_evidence(*ctx, *to); }; });
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
