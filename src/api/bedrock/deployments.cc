#include "api/bedrock/deployments.h"

#include "api/listing.h"
#include "api/model_folders.h"
#include "fleet/deployments.h"
#include "fleet/jobs.h"

namespace hf::api::bedrock_api {
namespace {

using fleet::Deployment;

const char* status_of(const Deployment& d) {
  switch (d.state) {
    case Deployment::State::creating:
      return "Creating";
    case Deployment::State::active:
      return "Active";
    case Deployment::State::failed:
      return "Failed";
  }
  return "Failed";
}

std::optional<std::string> unless_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string>(text);
}

Result<std::optional<Deployment>> find(store::Txn& txn, const std::string& account, const std::string& identifier) {
  if (identifier.rfind("arn:", 0) != 0) return fleet::find_deployment_by_name(txn, account, identifier);
  auto found =
      TRY(fleet::find_deployment(txn, fleet::kCustomDeployment, account, identifier.substr(identifier.rfind('/') + 1)));
  if (found && found->arn != identifier) found.reset();
  return found;
}

Result<Deployment> own_deployment(Call& call, const std::string& identifier) {
  std::optional<Deployment> found;
  TRY(call.read([&](store::Txn& txn) -> Status {
    found = TRY(find(txn, call.account(), identifier));
    return {};
  }));
  if (found) return std::move(*found);
  return not_found("no custom model deployment of this account is called " + identifier.substr(0, 300));
}

Result<CreateDeploymentResponse> create(Call& call, const CreateDeploymentRequest& in) {
  const fleet::Model model = TRY(own_model(call, in.model_arn));
  Deployment d;
  d.kind = fleet::kCustomDeployment;
  d.account = call.account();
  d.name = in.name;
  d.id = fleet::new_model_id(call.site().random);
  d.arn = call.arn("bedrock", "custom-model-deployment/" + d.id);
  d.digest = model.digest;
  d.model_name = model.name;
  d.model_arn = model.arn;
  d.principal = call.who().arn;
  d.config = in.description.value_or("");
  d.token = in.token.value_or("");
  for (const Tag& tag : in.tags) d.tags[tag.key] = tag.value;
  d.created = d.updated = call.now();
  TRY(call.commit([&](store::Txn& txn) -> Status {
    auto before = TRY(fleet::find_deployment_by_name(txn, d.account, d.name));
    if (!before) return fleet::insert_deployment(txn, d);
    // The same request again: the same answer.
    if (d.token.empty() || before->token != d.token || before->model_arn != d.model_arn)
      return fail(Code::conflict, "ConflictException", "a deployment named " + d.name + " exists");
    d.arn = before->arn;
    return {};
  }));
  call.site().jobs.deployments().wake();
  return CreateDeploymentResponse{d.arn};
}

Result<GetDeploymentResponse> get(Call& call, const DeploymentIdentifierRequest& in) {
  const Deployment d = TRY(own_deployment(call, in.id));
  return GetDeploymentResponse{d.arn,
                               d.name,
                               d.model_arn,
                               status_of(d),
                               Timestamp{d.created},
                               Timestamp{d.updated},
                               unless_empty(d.config),
                               unless_empty(d.failure)};
}

Result<Empty> remove(Call& call, const DeploymentIdentifierRequest& in) {
  const Deployment d = TRY(own_deployment(call, in.id));
  TRY(call.commit([&](store::Txn& txn) -> Status {
    (void)TRY(fleet::delete_deployment(txn, d));
    return {};
  }));
  release_model(call, d.digest);
  return Empty{};
}

Result<ListDeploymentsResponse> list(Call& call, const ListDeploymentsRequest& in) {
  std::vector<Deployment> all;
  TRY(call.read([&](store::Txn& txn) -> Status {
    all = TRY(fleet::deployments_of(txn, fleet::kCustomDeployment, call.account()));
    return {};
  }));
  std::erase_if(all, [&](const Deployment& d) {
    const auto us = [](const std::optional<Timestamp>& t) { return t ? std::optional<Micros>(t->us) : std::nullopt; };
    return !within(d.created, us(in.after), us(in.before)) || (in.name && d.name.find(*in.name) == std::string::npos) ||
           (in.status && *in.status != status_of(d)) || (in.model && *in.model != d.model_arn);
  });
  ListDeploymentsResponse out;
  out.token = TRY(take_page(
      all, [](const Deployment& d) { return time_key(d.created) + d.name; },
      in.order.value_or("Descending") == "Descending", in.most.value_or(100), in.token));
  for (const Deployment& d : all)
    out.deployments.push_back({d.arn, d.name, d.model_arn, status_of(d), Timestamp{d.created}, Timestamp{d.updated},
                               unless_empty(d.failure)});
  return out;
}

std::string model_resource(const Call& call, const CreateDeploymentRequest& in) {
  return own_model_arn(call, in.model_arn);
}
std::string deployment_resource(const Call& call, const DeploymentIdentifierRequest& in) {
  if (in.id.rfind("arn:", 0) == 0) return in.id;
  std::optional<Deployment> found;
  (void)call.site().db.read([&](store::Txn& txn) -> Status {  // an error: the handler meets it again
    found = TRY(find(txn, call.account(), in.id));
    return {};
  });
  return found ? found->arn : call.arn("bedrock", "custom-model-deployment/" + in.id);
}
std::string everything(const Call&, const ListDeploymentsRequest&) { return "*"; }

}  // namespace

void add_deployments(Service& s) {
  constexpr const char* kAll = "/model-customization/custom-model-deployments";
  constexpr const char* kOne = "/model-customization/custom-model-deployments/{customModelDeploymentIdentifier}";
  s.add<CreateDeploymentRequest, CreateDeploymentResponse>("CreateCustomModelDeployment", {"POST", kAll}, Effect::write,
                                                           create, model_resource)
      .success_status = 202;
  s.add<DeploymentIdentifierRequest, GetDeploymentResponse>("GetCustomModelDeployment", {"GET", kOne}, Effect::read,
                                                            get, deployment_resource);
  s.add<ListDeploymentsRequest, ListDeploymentsResponse>("ListCustomModelDeployments", {"GET", kAll}, Effect::read,
                                                         list, everything);
  s.add<DeploymentIdentifierRequest, Empty>("DeleteCustomModelDeployment", {"DELETE", kOne}, Effect::write, remove,
                                            deployment_resource);
}

}  // namespace hf::api::bedrock_api
