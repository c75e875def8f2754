#include "api/openai/openai.h"
#include "fleet/registry.h"

namespace hf::api::openai_api {
namespace {

constexpr int64_t kMostModels = 10'000;  // of one account; the API has no pages

ModelAnswer answer_of(const fleet::Model& model) {
  ModelAnswer out;
  out.id = model.name;
  out.created = model.created / 1'000'000;
  out.owned_by = model.shared ? "holdfast" : model.account;
  return out;
}

}  // namespace

void GetModel::fields(wire::Fields<GetModel>& f) { f("model", &GetModel::model).path().required().length(1, 2048); }
void ModelAnswer::fields(wire::Fields<ModelAnswer>& f) {
  f("id", &ModelAnswer::id);
  f("object", &ModelAnswer::object);
  f("created", &ModelAnswer::created);
  f("owned_by", &ModelAnswer::owned_by);
}
void ModelList::fields(wire::Fields<ModelList>& f) {
  f("object", &ModelList::object);
  f("data", &ModelList::data);
}

// Own models first, then the site's shared ones that no own model hides.
Result<ModelList> list_models(Call& call, const ListModels&) {
  ModelList out;
  TRY(call.read([&](store::Txn& txn) -> Status {
    auto own = TRY(fleet::models_of(txn, call.account(), "", kMostModels));
    for (const auto& m : own) out.data.push_back(answer_of(m));
    for (const auto& m : TRY(fleet::shared_models(txn))) {
      bool hidden = false;
      for (const auto& o : own) hidden |= o.name == m.name;
      if (!hidden) out.data.push_back(answer_of(m));
    }
    return {};
  }));
  return out;
}

Result<ModelAnswer> get_model(Call& call, const GetModel& request) {
  const Target target = TRY(resolve_model(call, request.model));
  ModelAnswer out;
  out.id = request.model;
  out.owned_by = "holdfast";
  TRY(call.read([&](store::Txn& txn) -> Status {
    auto model = TRY(fleet::find_model(txn, call.account(), target.name));
    if (!model) model = TRY(fleet::find_shared_model(txn, target.name));
    if (!model) return {};
    out.created = model->created / 1'000'000;
    if (!model->shared) out.owned_by = model->account;
    return {};
  }));
  return out;
}

}  // namespace hf::api::openai_api
