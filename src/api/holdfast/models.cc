// The registry of models: list, look, take the files out, import a folder from the site's own disk; and how far a
// training job is, which AWS's API tells only in the end.
#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "api/errors.h"
#include "api/holdfast/files.h"
#include "fleet/fleet.h"
#include "fleet/jobs.h"
#include "fleet/registry.h"
#include "security/json.h"
#include "wire/json.h"

namespace hf::api::holdfast_api {
namespace {

namespace json = boost::json;

constexpr size_t kMaxImportFiles = 512;
constexpr uint64_t kMaxImportBytes = uint64_t{1} << 40;  // of a folder
constexpr const char* kModelName = "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}";

struct ModelView {
  std::string name, arn, digest, source, architecture, chat_format, dtype;
  int64_t parameters = 0, vocabulary = 0, context = 0, layers = 0, width = 0, bytes = 0;
  bool shared = false;
  wire::Timestamp created;
  std::optional<wire::Document> lineage;
  static void fields(wire::Fields<ModelView>& f) {
    f("architecture", &ModelView::architecture);
    f("arn", &ModelView::arn);
    f("bytes", &ModelView::bytes);
    f("chat_format", &ModelView::chat_format);
    f("context", &ModelView::context);
    f("created", &ModelView::created);
    f("digest", &ModelView::digest);
    f("dtype", &ModelView::dtype);
    f("layers", &ModelView::layers);
    f("lineage", &ModelView::lineage);
    f("name", &ModelView::name);
    f("parameters", &ModelView::parameters);
    f("shared", &ModelView::shared);
    f("source", &ModelView::source);
    f("vocabulary", &ModelView::vocabulary);
    f("width", &ModelView::width);
  }
};

wire::Document lineage_of(const fleet::Lineage& l) {
  json::object hyperparameters, metrics;
  for (const auto& [name, value] : l.hyperparameters) hyperparameters[name] = value;
  for (const auto& [name, value] : l.metrics) metrics[name] = value;
  json::array data(l.data.begin(), l.data.end());
  return json::object{{"code_version", l.code_version},
                      {"data", data},
                      {"data_digest", l.data_digest},
                      {"hyperparameters", hyperparameters},
                      {"imported_from", l.imported_from},
                      {"isa", l.isa},
                      {"metrics", metrics},
                      {"seed", l.seed},
                      {"stopped", l.stopped},
                      {"training_job", l.training_job}};
}

ModelView view_of(const fleet::Model& m, bool with_lineage) {
  ModelView v;
  v.name = m.name;
  v.arn = m.arn;
  v.digest = m.digest;
  v.source = m.source;
  v.shared = m.shared;
  v.created.us = m.created;
  v.architecture = m.card.architecture;
  v.chat_format = m.card.chat_format;
  v.dtype = m.card.dtype;
  v.parameters = m.card.parameters;
  v.vocabulary = m.card.vocabulary;
  v.context = m.card.context;
  v.layers = m.card.layers;
  v.width = m.card.width;
  v.bytes = static_cast<int64_t>(m.card.bytes);
  if (with_lineage) v.lineage = lineage_of(m.lineage);
  return v;
}

Result<fleet::Model> find(Call& call, const std::string& name) {
  std::optional<fleet::Model> found;
  TRY(call.read([&](store::Txn& txn) -> Status {
    found = TRY(fleet::find_model(txn, call.account(), name));
    if (!found) found = TRY(fleet::find_shared_model(txn, name));
    return {};
  }));
  if (!found) return not_found("there is no model " + name);
  return *found;
}

struct ListModelsRequest {
  std::optional<std::string> after;
  std::optional<int64_t> limit;
  static void fields(wire::Fields<ListModelsRequest>& f) {
    f("after", &ListModelsRequest::after).query("after").length(0, 64);
    f("limit", &ListModelsRequest::limit).query("limit").range(1, 1000);
  }
};

struct ListModelsResponse {
  std::vector<ModelView> models;
  std::optional<std::string> next;
  static void fields(wire::Fields<ListModelsResponse>& f) {
    f("models", &ListModelsResponse::models);
    f("next", &ListModelsResponse::next);
  }
};

Result<ListModelsResponse> list_models(Call& call, const ListModelsRequest& in) {
  const int64_t limit = in.limit.value_or(1000);
  std::vector<fleet::Model> page, shared;
  TRY(call.read([&](store::Txn& txn) -> Status {
    page = TRY(fleet::models_of(txn, call.account(), in.after.value_or(""), limit));
    shared = TRY(fleet::shared_models(txn));
    return {};
  }));
  ListModelsResponse out;
  for (const auto& m : page) out.models.push_back(view_of(m, false));
  if (static_cast<int64_t>(page.size()) >= limit) out.next = page.back().name;
  if (!in.after)  // other accounts' that are shared with all, once
    for (const auto& m : shared)
      if (m.account != call.account()) out.models.push_back(view_of(m, false));
  return out;
}

struct ModelRequest {
  std::string name;
  static void fields(wire::Fields<ModelRequest>& f) {
    f("name", &ModelRequest::name).path().required().pattern(kModelName);
  }
};

// A model that another account shares is there to be asked: not its files, and not where its data came from.
bool owns(const Call& call, const fleet::Model& model) {
  return model.account == call.account() || call.who().administrator;
}

Result<ModelView> get_model(Call& call, const ModelRequest& in) {
  const fleet::Model model = TRY(find(call, in.name));
  return view_of(model, owns(call, model));
}

struct ModelFile {
  std::string name;
  int64_t bytes = 0;
  static void fields(wire::Fields<ModelFile>& f) {
    f("bytes", &ModelFile::bytes);
    f("name", &ModelFile::name);
  }
};

struct ListFilesResponse {
  std::string digest;
  std::vector<ModelFile> files;
  static void fields(wire::Fields<ListFilesResponse>& f) {
    f("digest", &ListFilesResponse::digest);
    f("files", &ListFilesResponse::files);
  }
};

Result<ListFilesResponse> list_files(Call& call, const ModelRequest& in) {
  ListFilesResponse out;
  out.digest = TRY(find(call, in.name)).digest;
  for (const auto& name : TRY(call.site().models.files(out.digest))) {
    auto file = TRY(call.site().models.open_file(out.digest, name));
    out.files.push_back({name, static_cast<int64_t>(TRY(file->size()))});
  }
  return out;
}

struct FileRequest {
  std::string name, file;
  static void fields(wire::Fields<FileRequest>& f) {
    f("name", &FileRequest::name).path().required().pattern(kModelName);
    f("file", &FileRequest::file).path().required().pattern("[A-Za-z0-9._-]{1,128}");
  }
};

Result<FileResponse> get_file(Call& call, const FileRequest& in) {
  const fleet::Model model = TRY(find(call, in.name));
  if (!owns(call, model))
    return fail(Code::denied, kAccessDenied, "the files of the model " + in.name + " are for its owner alone");
  const std::string& digest = model.digest;
  auto names = TRY(call.site().models.files(digest));
  if (std::find(names.begin(), names.end(), in.file) == names.end())
    return not_found("the model " + in.name + " has no file " + in.file);
  return file_response(TRY(call.site().models.open_file(digest, in.file)), "application/octet-stream");
}

struct ImportRequest {
  std::string path, name;
  std::optional<bool> shared;
  static void fields(wire::Fields<ImportRequest>& f) {
    f("path", &ImportRequest::path).required().length(1, 4096).pattern("/.*");
    f("name", &ImportRequest::name).required().pattern(kModelName);
    f("shared", &ImportRequest::shared);
  }
};

// What a Hugging Face folder holds that a worker reads, or a GGUF file. The rest (README.md, original weights, ...)
// stays behind.
bool wanted(const std::string& name) {
  static const std::set<std::string> kNames = {
      "config.json",           "generation_config.json",  "tokenizer.json",
      "tokenizer_config.json", "special_tokens_map.json", "model.safetensors.index.json"};
  return kNames.count(name) || (name.size() > 12 && name.ends_with(".safetensors")) ||
         (name.size() > 5 && name.ends_with(".gguf"));
}

Status copy(os::File& from, os::File& to, uint64_t& budget) {
  std::string block(1 << 20, '\0');
  for (uint64_t at = 0;;) {
    size_t n = TRY(from.read_at(at, block));
    if (n == 0) return {};
    if (n > budget)
      return fail(Code::too_large, "the model's files are over " + std::to_string(kMaxImportBytes) + " bytes");
    budget -= n;
    TRY(to.write_at(at, std::string_view(block).substr(0, n)));
    at += n;
  }
}

// One GGUF file, under the name that it has where that may be.
Result<std::string> take_in_file(Site& site, const std::string& path) {
  if (!path.ends_with(".gguf"))
    return invalid("path: expected a folder, or a file whose name ends with .gguf, found the file " + path);
  auto from = TRY(site.fs->open(path, os::Open::read));
  auto draft = TRY(site.models.draft());
  auto to = TRY(draft->create("model.gguf"));
  uint64_t budget = kMaxImportBytes;
  TRY(copy(*from, *to, budget));
  return draft->seal();
}

// Copies the folder (or the file) in; its digest. Nothing is parsed here: a worker does that.
Result<std::string> take_in(Site& site, const std::string& path) {
  if (!site.fs) return fail(Code::unavailable, "this site cannot read folders");
  if (TRY(site.fs->stat(path)).kind == os::Stat::Kind::file) return take_in_file(site, path);
  auto names = TRY(site.fs->list(path));
  auto draft = TRY(site.models.draft());
  uint64_t budget = kMaxImportBytes;
  size_t taken = 0;
  for (const auto& name : names) {
    if (!wanted(name)) continue;
    if (++taken > kMaxImportFiles) return invalid("path: expected at most 512 files of a model");
    auto from = TRY(site.fs->open(path + "/" + name, os::Open::read));
    auto to = TRY(draft->create(name));
    TRY(copy(*from, *to, budget));
  }
  const bool gguf = std::any_of(names.begin(), names.end(), [](const auto& name) { return name.ends_with(".gguf"); });
  if (!gguf && std::find(names.begin(), names.end(), "config.json") == names.end())
    return invalid(
        "path: expected a folder with config.json, tokenizer.json and *.safetensors, or with one *.gguf; found neither "
        "in " +
        path);
  return draft->seal();
}

Result<ModelView> import_model(Call& call, const ImportRequest& in) {
  Site& site = call.site();
  bool taken = false;
  TRY(call.read([&](store::Txn& txn) -> Status {
    taken = TRY(fleet::find_model(txn, call.account(), in.name)).has_value();
    return {};
  }));
  if (taken) return fail(Code::conflict, "AlreadyExistsException", "there is a model " + in.name + " already");
  fleet::Model model;
  model.account = call.account();
  model.name = in.name;
  model.digest = TRY(take_in(site, in.path));
  auto card = site.fleet.inspect(model.digest);
  if (!card.ok()) {
    (void)site.models.remove(model.digest);  // what a worker refuses, nobody can have registered
    // Damaged is what the caller named, not what is stored here: the message is for the caller.
    const bool theirs = card.error().code == Code::corrupt;
    return fail(theirs ? Code::invalid : card.error().code, theirs ? "ValidationException" : card.error().name,
                "the model in " + in.path + " is refused: " + card.error().message);
  }
  model.card = *card;
  model.id = fleet::new_model_id(site.random);
  model.source = "imported";
  model.shared = in.shared.value_or(false);
  model.created = call.now();
  model.lineage.imported_from = in.path;
  model.lineage.code_version = site.version;
  model.arn = fleet::model_arn(model, site.region);
  TRY(call.commit([&](store::Txn& txn) { return fleet::register_model(txn, model); },
                  security::canonical_json(
                      json::object{{"model", model.name}, {"model_digest", model.digest}, {"shared", model.shared}})));
  return view_of(model, true);
}

struct ProgressRequest {
  std::string name;
  static void fields(wire::Fields<ProgressRequest>& f) {
    f("name", &ProgressRequest::name).path().required().pattern(kModelName);
  }
};

struct Point {
  int64_t step = 0, tokens = 0;
  double loss = 0, seconds = 0;
  std::optional<double> validation_loss;
  static void fields(wire::Fields<Point>& f) {
    f("loss", &Point::loss);
    f("seconds", &Point::seconds);
    f("step", &Point::step);
    f("tokens", &Point::tokens);
    f("validation_loss", &Point::validation_loss);
  }
};

struct ProgressResponse {
  std::string phase;
  int64_t step = 0, steps = 0, tokens = 0, peak_bytes = 0;
  double loss = 0, learning_rate = 0, tokens_per_second = 0, seconds_left = 0;
  std::optional<double> validation_loss;
  std::vector<Point> points;
  static void fields(wire::Fields<ProgressResponse>& f) {
    f("learning_rate", &ProgressResponse::learning_rate);
    f("loss", &ProgressResponse::loss);
    f("peak_bytes", &ProgressResponse::peak_bytes);
    f("phase", &ProgressResponse::phase);
    f("points", &ProgressResponse::points);
    f("seconds_left", &ProgressResponse::seconds_left);
    f("step", &ProgressResponse::step);
    f("steps", &ProgressResponse::steps);
    f("tokens", &ProgressResponse::tokens);
    f("tokens_per_second", &ProgressResponse::tokens_per_second);
    f("validation_loss", &ProgressResponse::validation_loss);
  }
};

std::optional<double> measured(double loss) { return loss < 0 ? std::nullopt : std::optional<double>(loss); }

Result<ProgressResponse> get_progress(Call& call, const ProgressRequest& in) {
  auto progress = TRY(call.site().jobs.progress(call.account(), in.name));
  ProgressResponse out;
  const auto& last = progress.last;
  out.phase = last.phase;
  out.step = last.step;
  out.steps = last.steps;
  out.tokens = last.tokens;
  out.peak_bytes = static_cast<int64_t>(last.peak_bytes);
  out.loss = last.loss;
  out.learning_rate = last.learning_rate;
  out.tokens_per_second = last.tokens_per_second;
  out.seconds_left = last.seconds_left;
  out.validation_loss = measured(last.validation_loss);
  for (const auto& p : progress.points)
    out.points.push_back({p.step, p.tokens, p.loss, p.seconds, measured(p.validation_loss)});
  return out;
}

}  // namespace

void add_models(Service& s) {
  s.add<ListModelsRequest, ListModelsResponse>(
      "ListModels", {"GET", "/holdfast/v1/models"}, Effect::read, list_models,
      [](const Call& call, const ListModelsRequest&) { return own_arn(call, "model/*"); });
  auto model = [](const Call& call, const auto& in) { return own_arn(call, "model/" + in.name); };
  s.add<ModelRequest, ModelView>("GetModel", {"GET", "/holdfast/v1/models/{name}"}, Effect::read, get_model, model);
  s.add<ModelRequest, ListFilesResponse>("ListModelFiles", {"GET", "/holdfast/v1/models/{name}/files"}, Effect::read,
                                         list_files, model);
  s.add<FileRequest, FileResponse>("GetModelFile", {"GET", "/holdfast/v1/models/{name}/files/{file}"},
                                   Effect::read_data, get_file, model)
      .pool = http::Pool::data;
  // The folder is one of the site's machine: for who runs it.
  s.add<ImportRequest, ModelView>("ImportModel", {"POST", "/holdfast/v1/models/import"}, Effect::write, import_model,
                                  [](const Call& call, const ImportRequest& in) {
                                    return site_arn(call, "import/" + call.account() + "/" + in.name);
                                  })
      .pool = http::Pool::data;
  s.add<ProgressRequest, ProgressResponse>(
      "GetTrainingProgress", {"GET", "/holdfast/v1/training-jobs/{name}/progress"}, Effect::read, get_progress,
      [](const Call& call, const ProgressRequest& in) { return own_arn(call, "training-job/" + in.name); });
}

}  // namespace hf::api::holdfast_api
