// Where a model's files are, as CreateModel and CreateModelPackage say it.
#pragma once

#include "api/sagemaker/common.h"

namespace hf::api::sagemaker_api {

struct S3ModelDataSource {
  std::string uri, type, compression;
  static void fields(wire::Fields<S3ModelDataSource>& f) {
    f("S3Uri", &S3ModelDataSource::uri).required().length(6, 1024);
    f("S3DataType", &S3ModelDataSource::type).required().one_of({"S3Prefix", "S3Object"});
    f("CompressionType", &S3ModelDataSource::compression).required().one_of({"None", "Gzip"});
    f.refused("ModelAccessConfig", "model hubs are not offered");
    f.refused("HubAccessConfig", "model hubs are not offered");
    f.refused("ManifestS3Uri", "manifests are not offered");
    f.refused("ETag", "the ETag that the training job wrote is what is checked");
    f.refused("ManifestEtag", "manifests are not offered");
  }
};
struct ModelDataSource {
  S3ModelDataSource s3;
  static void fields(wire::Fields<ModelDataSource>& f) { f("S3DataSource", &ModelDataSource::s3).required(); }
};

// The model of ModelDataUrl or ModelDataSource; nothing where neither is given.
template <class Container>
Result<std::optional<ModelData>> model_data_of(Call& call, const Container& c) {
  if (c.url && c.source) return invalid("expected ModelDataUrl or ModelDataSource, found both");
  if (c.url) return std::optional<ModelData>(TRY(model_data_at(call, *c.url, "ModelDataUrl")));
  if (!c.source) return std::optional<ModelData>();
  const S3ModelDataSource& s = c.source->s3;
  const bool object = s.type == "S3Object";
  if (object != (s.compression == "Gzip"))
    return invalid("ModelDataSource.S3DataSource: expected S3Object with Gzip, or S3Prefix with None");
  return std::optional<ModelData>(TRY(model_data_at(call, s.uri, "ModelDataSource.S3DataSource.S3Uri")));
}

// A package's model: its digest and name, of a package name, GROUP/VERSION or ARN. ValidationException.
Result<ModelData> model_of_package(Call& call, const std::string& package);

}  // namespace hf::api::sagemaker_api
