// What a request holds beside its operation's members. Nothing of it is ignored in silence: what is not known is
// refused by its name, since an unknown sub-resource ("DELETE /bucket/key?novelty") must never become the plain
// operation of the same path.
#pragma once

#include "api/router.h"
#include "wire/codec.h"

namespace hf::api {

// The query of a routed request. Let through: members, signing (X-Amz-...), and names that begin with "x-" (x-id, which
// the SDKs add, and what S3 leaves to its users), but S3's own x-amz-*, which are headers in another place.
// `query`: decoded. kRefused names the parameter.
Status check_parameters(const Match& match, const wire::Pairs& query);

// S3: the headers together with the x-amz-* of the query, where presigned URLs carry them. A checksum in the query is
// left out: the SDKs put the empty body's there, whatever is sent later.
http::Headers s3_headers(const http::RequestHead& head, const wire::Pairs& query);

// S3: every x-amz-* is a member of the operation or belongs to no operation (signing, the SDK's own, checksums).
Status check_s3_headers(const Match& match, const http::Headers& headers);

}  // namespace hf::api
