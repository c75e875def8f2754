// models, train, jobs, chat.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <cstdio>
#include <iostream>
#include <optional>

#include "app/cli.h"
#include "app/term.h"
#include "app/training.h"
#include "base/bytes.h"
#include "base/text.h"
#include "engine/loaded_model.h"
#include "wire/eventstream.h"

namespace hf::app {
namespace json = boost::json;
namespace {

const json::array& array_of(const json::value& v, std::string_view name) {
  static const json::array empty;
  const json::object* o = v.if_object();
  const json::value* found = o ? o->if_contains({name.data(), name.size()}) : nullptr;
  return found && found->is_array() ? found->as_array() : empty;
}

// ---- models

Result<int> list_models(const Context& context) {
  auto client = TRY(connect(context));
  json::value answer = TRY(client->holdfast("GET", "/models"));
  if (context.json) {
    print_json(answer);
    return kDone;
  }
  std::vector<std::vector<std::string>> rows = {{"NAME", "SOURCE", "PARAMETERS", "CREATED", "DIGEST"}};
  for (const json::value& m : array_of(answer, "models"))
    rows.push_back({member(m, "name"), member(m, "source"), member(m, "parameters"), member(m, "created"),
                    member(m, "digest").substr(0, 16)});
  print(table(rows));
  return kDone;
}

Result<int> show_model(const Context& context, const std::string& name) {
  auto client = TRY(connect(context));
  print_json(TRY(client->holdfast("GET", "/models/" + percent_encode(name))));
  return kDone;
}

Result<int> remove_model(const Context& context, const std::string& name) {
  auto client = TRY(connect(context));
  json::value answer = TRY(client->rest("bedrock", "DELETE", "/custom-models/" + percent_encode(name)));
  if (context.json) print_json(answer);
  return kDone;
}

Result<int> import_model(const Context& context, const std::string& folder, const std::string& name, bool shared) {
  auto client = TRY(connect(context));
  json::value body = json::object{{"path", TRY(absolute_path(folder))}, {"name", name}, {"shared", shared}};
  json::value answer = TRY(waiting_for(context.clock, "importing " + folder,
                                       [&] { return client->holdfast("POST", "/models/import", &body); }));
  if (context.json)
    print_json(answer);
  else
    print(member(answer, "arn") + "\ndigest " + member(answer, "digest"));
  return kDone;
}

struct ExportArguments {
  std::string to, format = "folder", type;  // type "": as it is
};

using Files = std::vector<std::pair<std::string, uint64_t>>;  // where, bytes

std::string name_in(const json::value& file) {
  return file.is_string() ? std::string(file.as_string()) : member(file, "name");
}

Result<uint64_t> fetch_model_file(const Context& context, ApiClient& client, const std::string& model,
                                  const std::string& file, const std::string& to) {
  ApiClient::Request request;
  request.path = "/holdfast/v1/models/" + percent_encode(model) + "/files/" + percent_encode(file);
  request.service = "holdfast";
  return fetch(context, client, request, to);
}

Result<Files> export_folder(const Context& context, ApiClient& client, const std::string& name,
                            const json::array& files, const std::string& to) {
  TRY(context.fs.make_dirs(to, 0755));
  Files written;
  for (const json::value& f : files) {
    const std::string path = to + "/" + name_in(f);
    written.emplace_back(path, TRY(fetch_model_file(context, client, name, name_in(f), path)));
  }
  return written;
}

// The model folder's files, fetched, as one GGUF file; beside its place until it is whole.
Result<uint64_t> fold(const Context& context, const std::string& name, const Files& fetched, const ExportArguments& a) {
  std::vector<engine::ModelFile> files;
  for (const auto& [path, bytes] : fetched) {
    auto file = TRY(context.fs.open(path, os::Open::read));
    files.push_back({path.substr(path.rfind('/') + 1), TRY(os::Mapping::of_file(*file, engine::kMaxModelFile, path))});
  }
  std::optional<tensor::DType> type;
  for (const auto known : {tensor::DType::f32, tensor::DType::bf16, tensor::DType::q8_0})
    if (a.type == lower(tensor::name_of(known))) type = known;
  const std::string part = a.to + ".part";
  auto out = TRY(context.fs.open(part, os::Open::create, 0644));
  const auto write = [&]() -> Result<uint64_t> {
    TRY(out->truncate(0));
    TRY(engine::write_gguf_of(name, std::move(files), type, *out));
    TRY(out->sync());
    TRY(context.fs.rename(part, a.to));
    return TRY(context.fs.stat(a.to)).size;
  };
  auto written = write();
  if (!written.ok()) (void)context.fs.remove(part);
  return written;
}

Result<Files> export_gguf(const Context& context, ApiClient& client, const std::string& name, const json::array& files,
                          const ExportArguments& a) {
  for (const json::value& f : files) {
    if (!name_in(f).ends_with(".gguf")) continue;  // imported as one: as it came
    if (!a.type.empty())
      return fail(Code::invalid, "'" + name + "' is a GGUF file: it goes out as it came, without --type");
    return Files{{a.to, TRY(fetch_model_file(context, client, name, name_in(f), a.to))}};
  }
  const std::string folder = a.to + ".files";
  if (context.fs.exists(folder))
    return fail(Code::conflict, folder + " is there already: its place is needed for a while");
  auto fetched = export_folder(context, client, name, files, folder);
  Result<uint64_t> bytes = fetched.ok() ? fold(context, name, *fetched, a) : Result<uint64_t>(fetched.error());
  Status removed = context.fs.remove_tree(folder);
  if (!bytes.ok()) return bytes.error();
  TRY(std::move(removed));
  return Files{{a.to, *bytes}};
}

Result<int> export_model(const Context& context, const std::string& name, const ExportArguments& a) {
  if (a.format != "gguf" && !a.type.empty()) return fail(Code::invalid, "--type is for --format gguf");
  auto client = TRY(connect(context));
  json::value answer = TRY(client->holdfast("GET", "/models/" + percent_encode(name) + "/files"));
  const json::array& files = array_of(answer, "files");
  const Files written = a.format == "gguf" ? TRY(export_gguf(context, *client, name, files, a))
                                           : TRY(export_folder(context, *client, name, files, a.to));
  json::array shown;
  for (const auto& [path, bytes] : written) {
    shown.push_back(json::object{{"file", path}, {"bytes", bytes}});
    if (!context.json) print(path);
  }
  if (context.json) print_json(json::object{{"files", shown}});
  return kDone;
}

void add_models(CLI::App& app, Context& context, Work& work) {
  auto* models = app.add_subcommand("models", "models of this account: list, show, import, export, remove");
  models->footer("example: holdfast models import ./Llama-3.2-1B --name llama-1b");
  auto name = std::make_shared<std::string>(), path = std::make_shared<std::string>();
  auto shared = std::make_shared<bool>(false);
  auto* ctx = &context;
  auto add = [&](const char* command, const char* help, const char* example, Work act) {
    auto* sub = models->add_subcommand(command, help);
    sub->footer(std::string("example: ") + example);
    sub->callback([&work, act = std::move(act)] { work = act; });
    return sub;
  };
  models->require_subcommand(0, 1);
  models->callback([&work, models, ctx] {
    if (models->get_subcommands().empty()) work = [ctx] { return list_models(*ctx); };
  });
  add("list", "list them", "holdfast models list", [ctx] { return list_models(*ctx); });
  add("show", "card, lineage and digest of one, as JSON", "holdfast models show tickets",
      [=] { return show_model(*ctx, *name); })
      ->add_option("name", *name, "the model")
      ->required();
  add("remove", "forget one", "holdfast models remove tickets", [=] { return remove_model(*ctx, *name); })
      ->add_option("name", *name, "the model")
      ->required();
  auto* import = add(
      "import", "take a Llama-shaped Hugging Face folder or a GGUF file; it is parsed in a worker, never in the site",
      "holdfast models import ./Llama-3.2-1B --name llama-1b",
      [=] { return import_model(*ctx, *path, *name, *shared); });
  import->add_option("path", *path, "a folder with config.json, *.safetensors and tokenizer.json, or a .gguf file")
      ->required();
  import->add_option("--name", *name, "what to call it")->required();
  import->add_flag("--shared", *shared, "offer it to all accounts, as a foundation model");
  auto exported = std::make_shared<ExportArguments>();
  auto* out = add("export", "write a model's files into a folder, or as one GGUF file",
                  "holdfast models export tickets --format gguf --to tickets.gguf",
                  [=] { return export_model(*ctx, *name, *exported); });
  out->add_option("name", *name, "the model")->required();
  out->add_option("--to", exported->to, "the folder, or the file")->required();
  out->add_option("--format", exported->format, "folder: as it is kept; gguf: one file for llama.cpp and others")
      ->check(CLI::IsMember({"folder", "gguf"}));
  out->add_option("--type", exported->type, "of a GGUF file's matrices; without it as they are")
      ->check(CLI::IsMember({"f32", "bf16", "q8_0"}));
}

// ---- train

struct TrainArguments {
  std::string file, validation, name;
  std::vector<std::string> set;
  bool no_wait = false;
};

// A job that ended before its last step.
int unfinished(const json::value& job) {
  const std::string status = member(job, "TrainingJobStatus"), why = member(job, "FailureReason");
  say("training " + status + (why.empty() ? "" : ": " + why) +
      (status == "Stopped" ? " before its last step; the model is what was learnt until then" : ""));
  return kFailed;
}

Result<int> train(const Context& context, const TrainArguments& a) {
  TrainingRequest request;
  request.name = a.name;
  request.train_path = a.file;
  request.validation_path = a.validation;
  for (const std::string& pair : a.set) {
    size_t equals = pair.find('=');
    if (equals == pair.npos) return fail(Code::invalid, "--set: expected NAME=VALUE, found '" + pair + "'");
    request.hyperparameters[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  auto client = TRY(connect(context));
  std::string arn = TRY(start_training(context, *client, request));
  if (a.no_wait) {
    if (context.json)
      print_json(json::object{{"TrainingJobArn", arn}});
    else
      print(arn);
    return kDone;
  }
  json::value job = TRY(follow_training(context, *client, a.name));
  if (context.json) print_json(job);
  const std::string status = member(job, "TrainingJobStatus");
  if (status == "Completed") {
    say("model '" + a.name + "' is ready: " + context.program + " chat " + a.name + " \"...\"");
    return kDone;
  }
  return unfinished(job);
}

void add_train(CLI::App& app, Context& context, Work& work) {
  auto* command = app.add_subcommand("train", "train a model from scratch on lines of {\"prompt\", \"completion\"}");
  auto a = std::make_shared<TrainArguments>();
  command->add_option("file", a->file, "the data, JSON lines")->required();
  command->add_option("--name", a->name, "the job's and the model's name")->required();
  command->add_option("--validation", a->validation, "lines to measure the loss on");
  command->add_option("--set", a->set, "a hyperparameter, NAME=VALUE (docs/training.md)");
  command->add_flag("--no-wait", a->no_wait, "start it and return");
  command->footer("example: holdfast train tickets.jsonl --name tickets --set steps=800");
  command->callback([&context, &work, a] { work = [&context, a] { return train(context, *a); }; });
}

// ---- jobs

Result<int> list_jobs(const Context& context) {
  auto client = TRY(connect(context));
  json::array all;
  json::object body{{"MaxResults", 100}};
  for (;;) {
    json::value answer = TRY(client->aws_json("sagemaker", "SageMaker.ListTrainingJobs", body));
    for (const json::value& j : array_of(answer, "TrainingJobSummaries")) all.push_back(j);
    std::string next = member(answer, "NextToken");
    if (next.empty()) break;
    body["NextToken"] = next;
  }
  if (context.json) {
    print_json(all);
    return kDone;
  }
  std::vector<std::vector<std::string>> rows = {{"NAME", "STATUS", "CREATED"}};
  for (const json::value& j : all) {
    auto created = parse_double(member(j, "CreationTime"));
    rows.push_back({member(j, "TrainingJobName"), member(j, "TrainingJobStatus"),
                    created.ok() ? iso8601(static_cast<Micros>(*created * 1e6)) : ""});
  }
  print(table(rows));
  return kDone;
}

Result<int> job_call(const Context& context, const std::string& operation, const std::string& name) {
  auto client = TRY(connect(context));
  json::value answer =
      TRY(client->aws_json("sagemaker", "SageMaker." + operation, json::object{{"TrainingJobName", name}}));
  print_json(answer);
  return kDone;
}

void add_jobs(CLI::App& app, Context& context, Work& work) {
  auto* jobs = app.add_subcommand(
      "jobs", "training jobs: list, show, follow, stop; and a program of your own, tried in a job's sandbox");
  jobs->footer("example: holdfast jobs follow tickets");
  jobs->require_subcommand(0, 1);
  auto name = std::make_shared<std::string>();
  auto* ctx = &context;
  jobs->callback([&work, jobs, ctx] {
    if (jobs->get_subcommands().empty()) work = [ctx] { return list_jobs(*ctx); };
  });
  auto add = [&](const char* command, const char* help, Work act) {
    auto* sub = jobs->add_subcommand(command, help);
    sub->footer(std::string("example: holdfast jobs ") + command + (std::string(command) == "list" ? "" : " tickets"));
    sub->callback([&work, act = std::move(act)] { work = act; });
    return sub;
  };
  add_try_command(*jobs, context, work);
  add("list", "list them", [ctx] { return list_jobs(*ctx); });
  add("show", "all of one, as JSON", [=] { return job_call(*ctx, "DescribeTrainingJob", *name); })
      ->add_option("name", *name, "the job")
      ->required();
  add("stop", "stop one; what it learnt is kept", [=] { return job_call(*ctx, "StopTrainingJob", *name); })
      ->add_option("name", *name, "the job")
      ->required();
  add("follow", "watch its loss until it ends",
      [=]() -> Result<int> {
        auto client = TRY(connect(*ctx));
        json::value job = TRY(follow_training(*ctx, *client, *name));
        if (ctx->json) print_json(job);
        return member(job, "TrainingJobStatus") == "Completed" ? kDone : unfinished(job);
      })
      ->add_option("name", *name, "the job")
      ->required();
}

// ---- chat

struct ChatArguments {
  std::string model, text, system;
  int max_tokens = 512;
  double temperature = 0;
};

json::object turn(const char* role, const std::string& text) {
  return json::object{{"role", role}, {"content", json::array{json::object{{"text", text}}}}};
}

// One ConverseStream: prints the text as it comes; the answer's text, and its receipt on standard error.
Result<std::string> ask(const Context& context, ApiClient& client, const ChatArguments& a, const json::array& messages,
                        json::object& result) {
  json::object body{{"messages", messages},
                    {"inferenceConfig", {{"maxTokens", a.max_tokens}, {"temperature", a.temperature}}}};
  if (!a.system.empty()) body["system"] = json::array{json::object{{"text", a.system}}};
  ApiClient::Request request;
  request.method = "POST";
  request.path = "/model/" + percent_encode(a.model) + "/converse-stream";
  request.service = "bedrock";
  request.headers.set("content-type", "application/json");
  request.body = json::serialize(body);
  wire::EventDecoder decoder;
  std::string text, raw;
  Status failed;
  auto on_message = [&](const wire::EventFrame& message) {
    const std::string type(message.header(":event-type"));
    boost::system::error_code ec;
    json::value v = json::parse(message.payload, ec);
    if (message.header(":message-type") != "event") {
      failed = fail(Code::unavailable, std::string(message.header(":exception-type")), member(v, "message"));
    } else if (type == "contentBlockDelta" && !ec) {
      std::string piece = member(v.as_object()["delta"], "text");
      text += piece;
      if (!context.json) {
        std::fwrite(piece.data(), 1, piece.size(), stdout);
        std::fflush(stdout);
      }
    } else if (type == "messageStop" && !ec) {
      result["stopReason"] = member(v, "stopReason");
    } else if (type == "metadata" && !ec) {
      result["usage"] = v.as_object()["usage"];
    }
  };
  auto response = TRY(client.stream(request, [&](std::string_view piece) {
    raw += raw.size() < (1 << 16) ? std::string(piece) : std::string();
    if (!failed.ok()) return false;
    failed = decoder.feed(piece);
    while (failed.ok()) {
      auto frame = decoder.next();
      if (!frame.ok()) failed = frame.error();
      if (!frame.ok() || !*frame) break;
      on_message(**frame);
    }
    return true;
  }));
  if (response.status >= 300) {
    response.body = raw;
    return error_of(response);
  }
  TRY(std::move(failed));
  result["text"] = text;
  result["receipt"] = std::string(response.headers.get("x-holdfast-receipt"));
  return text;
}

Result<int> chat(const Context& context, const ChatArguments& a) {
  if (context.json && a.text.empty())
    return fail(Code::invalid,
                "--json prints one value: expected a text to ask, as in 'holdfast chat MODEL TEXT --json'");
  auto client = TRY(connect(context));
  json::array messages;
  std::string line = a.text;
  const bool once = !line.empty();
  for (;;) {
    if (!once) {
      say("> (an empty line ends)");
      if (!std::getline(std::cin, line) || line.empty()) return kDone;
    }
    messages.push_back(turn("user", line));
    json::object result;
    std::string answer = TRY(ask(context, *client, a, messages, result));
    if (context.json)
      print_json(result);
    else
      std::printf("\n");
    say("receipt " + member(json::value(result), "receipt"));
    if (once) return kDone;
    messages.push_back(turn("assistant", answer));
  }
}

void add_chat(CLI::App& app, Context& context, Work& work) {
  auto* command = app.add_subcommand("chat", "ask a model, streamed; without a text, a conversation line by line");
  auto a = std::make_shared<ChatArguments>();
  command->add_option("model", a->model, "the model")->required();
  command->add_option("text", a->text, "what to ask");
  command->add_option("--system", a->system, "a system prompt");
  command->add_option("--max-tokens", a->max_tokens, "longest answer")->check(CLI::Range(1, 1 << 20));
  command->add_option("--temperature", a->temperature, "0: greedy")->check(CLI::Range(0.0, 2.0));
  command->footer("example: holdfast chat tickets \"My router is dead, order 58213.\"");
  command->callback([&context, &work, a] { work = [&context, a] { return chat(context, *a); }; });
}

}  // namespace

void add_model_commands(CLI::App& app, Context& context, Work& work) {
  add_models(app, context, work);
  add_train(app, context, work);
  add_jobs(app, context, work);
  add_chat(app, context, work);
}

}  // namespace hf::app
