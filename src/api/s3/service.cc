#include "api/s3/s3.h"

namespace hf::api {

Service s3() {
  Service s;
  s.name = s.signing_name = s.iam_prefix = "s3";
  s.protocol = Protocol::rest_xml;
  s.version = "2006-03-01";
  s.xml_namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
  s.check_body = s3_ops::check_body;
  s3_ops::add_buckets(s);
  s3_ops::add_bucket_policies(s);
  s3_ops::add_listings(s);
  s3_ops::add_reads(s);
  s3_ops::add_writes(s);
  s3_ops::add_deletes(s);
  s3_ops::add_multipart(s);
  s3_ops::add_missing(s);
  return s;
}

}  // namespace hf::api
