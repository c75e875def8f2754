// What SageMaker's operations share: tags, S3 URIs, records whose body holds the request as it was honoured.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/service.h"
#include "wire/codec.h"

namespace hf::api::sagemaker_api {

using wire::Timestamp;
using OptText = std::optional<std::string>;

struct Empty {
  static void fields(wire::Fields<Empty>&) {}
};

struct Tag {
  std::string key, value;
  static void fields(wire::Fields<Tag>& f) {
    f("Key", &Tag::key).required().length(1, 128);
    f("Value", &Tag::value).required().length(0, 256);
  }
};

inline constexpr const char* kEntityName = "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}";
inline constexpr const char* kRoleArn = "arn:aws[a-z-]*:iam::[0-9]{12}:role/?[a-zA-Z_0-9+=,.@/-]+";
inline constexpr const char* kInstanceType = "holdfast\\.local|ml\\.[a-z0-9-]+\\.[a-z0-9-]+";  // all are this machine
inline constexpr const char* kImage = "holdfast/decoder";

struct S3Uri {
  std::string bucket, key;
  std::string arn() const { return "arn:aws:s3:::" + bucket + "/" + key; }
};
// "s3://BUCKET/KEY". ValidationException names the member.
Result<S3Uri> parse_s3_uri(const std::string& uri, const char* member);
// The bucket exists and is the account's. ValidationException.
Status check_bucket(Call& call, const S3Uri& uri, const char* member);

// iam:PassRole on a role that the request names, told iam:PassedToService.
Status may_pass(Call& call, const std::string& role);

// SageMaker says what is not there with a ValidationException; the SDKs' waiters depend on it.
Error could_not_find(const std::string& what);
Error exists_already(const std::string& what);

// A named thing of an account: the request that made it, and what was found out then.
struct Thing {
  std::string name, arn;
  std::string request;                       // JSON of the request's structure
  std::map<std::string, std::string> facts;  // "digest", "model_name", ...
  Micros created = 0;
};
Status insert_thing(store::Txn& txn, const char* kind, const std::string& account, const Thing& thing);
Result<std::optional<Thing>> find_thing(store::Txn& txn, const char* kind, const std::string& account,
                                        const std::string& name);
Result<std::optional<Thing>> find_thing(Call& call, const char* kind, const std::string& name);
Result<std::vector<Thing>> things_of(store::Txn& txn, const char* kind, const std::string& account);

inline constexpr const char* kModels = "sagemaker-model";
inline constexpr const char* kConfigs = "endpoint-config";
inline constexpr const char* kGroups = "model-package-group";
inline constexpr const char* kPackages = "model-package";

template <class T>
std::string to_text(const T& in) {
  std::string out;
  wire::encode_json(wire::shape_of<T>(), wire::TimeFormat::epoch, &in, out);
  return out;
}
template <class T>
Result<T> from_text(const std::string& json) {
  T out;
  TRY(wire::decode_json(wire::shape_of<T>(), json, &out));
  return out;
}

// Which model a container means: digest and the name for receipts. ModelDataUrl, ModelDataSource or a package.
struct ModelData {
  std::string digest, model_name;
};
Result<ModelData> model_data_at(Call& call, const std::string& uri, const char* member);

template <class T>
std::optional<Micros> micros(const std::optional<T>& t) {
  return t ? std::optional<Micros>(t->us) : std::nullopt;
}

void add_training(Service& s);
void add_packages(Service& s);
void add_models(Service& s);
void add_endpoints(Service& s);

}  // namespace hf::api::sagemaker_api
