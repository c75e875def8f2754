// The site's own authority and its server certificates: ECDSA P-256 with SHA-256, X.509 version 3 (RFC 5280).
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "crypto/crypto.h"
#include "crypto/openssl.h"

namespace hf::crypto {
namespace {

using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;

Error failed(const char* what) { return fail(Code::internal, std::string("certificate: OpenSSL failed to ") + what); }

// A clock that is a little behind must still accept what was made now.
constexpr Micros kBackdate = Micros{3600} * 1'000'000;

Status set_validity(X509* cert, Micros now, int days) {
  const auto from = static_cast<time_t>((now - kBackdate) / 1'000'000);
  const auto until = static_cast<time_t>(now / 1'000'000 + int64_t{days} * 86400);
  if (!ASN1_TIME_set(X509_getm_notBefore(cert), from) || !ASN1_TIME_set(X509_getm_notAfter(cert), until)) {
    return failed("set the dates");
  }
  return {};
}

Status set_serial(X509* cert) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return failed("draw a serial number");
  bytes[0] = (bytes[0] & 0x7f) | 0x40;  // positive, and of one length
  BIGNUM* number = BN_bin2bn(bytes, sizeof bytes, nullptr);
  const bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
  BN_free(number);
  if (!ok) return failed("set the serial number");
  return {};
}

Status set_subject(X509* cert, std::string_view common_name) {
  X509_NAME* name = X509_get_subject_name(cert);
  const auto* text = reinterpret_cast<const unsigned char*>(common_name.data());
  if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, static_cast<int>(common_name.size()), -1, 0) != 1) {
    return fail(Code::invalid, "certificate name: expected 1 to 64 characters, found " +
                                   std::to_string(common_name.size()) + " bytes");
  }
  return {};
}

Status extend(X509* cert, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  if (!extension || X509_add_ext(cert, extension.get(), -1) != 1) return failed("add an extension");
  return {};
}

// Built by hand, not from a text, so that no name can smuggle another one in.
Status add_names(X509* cert, const std::vector<std::string>& names) {
  NamesPtr all(GENERAL_NAMES_new());
  for (const auto& name : names) {
    GENERAL_NAME* one = GENERAL_NAME_new();
    if (ASN1_OCTET_STRING* address = a2i_IPADDRESS(name.c_str())) {
      GENERAL_NAME_set0_value(one, GEN_IPADD, address);
    } else {
      const bool plain = !name.empty() && name.size() <= 253 &&
                         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*") ==
                             std::string::npos;
      ASN1_IA5STRING* text = plain ? ASN1_IA5STRING_new() : nullptr;
      if (!text || ASN1_STRING_set(text, name.data(), static_cast<int>(name.size())) != 1) {
        GENERAL_NAME_free(one);
        return fail(Code::invalid, "certificate: expected a DNS name or an IP address, found '" + name + "'");
      }
      GENERAL_NAME_set0_value(one, GEN_DNS, text);
    }
    sk_GENERAL_NAME_push(all.get(), one);
  }
  if (X509_add1_ext_i2d(cert, NID_subject_alt_name, all.get(), 0, 0) != 1) return failed("add the names");
  return {};
}

Result<CertificateAndKey> to_pem(X509* cert, EVP_PKEY* key) {
  CertificateAndKey out;
  auto text = [](BIO* bio) {
    char* p = nullptr;
    long n = BIO_get_mem_data(bio, &p);
    return std::string(p, n > 0 ? static_cast<size_t>(n) : 0);
  };
  BioPtr cert_bio(BIO_new(BIO_s_mem())), key_bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_X509(cert_bio.get(), cert) != 1) return failed("write the certificate");
  if (PEM_write_bio_PKCS8PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return failed("write the key");
  }
  out.certificate_pem = text(cert_bio.get());
  out.key_pem = text(key_bio.get());
  return out;
}

Result<X509Ptr> start_certificate(EVP_PKEY* key, std::string_view common_name, Micros now, int days) {
  X509Ptr cert(X509_new());
  if (!cert || X509_set_version(cert.get(), X509_VERSION_3) != 1 || X509_set_pubkey(cert.get(), key) != 1) {
    return failed("start");
  }
  TRY(set_serial(cert.get()));
  TRY(set_validity(cert.get(), now, days));
  TRY(set_subject(cert.get(), common_name));
  return cert;
}

}  // namespace

Result<CertificateAndKey> make_authority(std::string_view common_name, Micros now, int days) {
  PkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  if (!key) return failed("make a key");
  X509Ptr cert = TRY(start_certificate(key.get(), common_name, now, days));
  X509_set_issuer_name(cert.get(), X509_get_subject_name(cert.get()));
  TRY(extend(cert.get(), cert.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  TRY(extend(cert.get(), cert.get(), NID_key_usage, "critical,keyCertSign,cRLSign"));
  TRY(extend(cert.get(), cert.get(), NID_subject_key_identifier, "hash"));
  if (X509_sign(cert.get(), key.get(), EVP_sha256()) == 0) return failed("sign");
  return to_pem(cert.get(), key.get());
}

Result<CertificateAndKey> make_server_certificate(const CertificateAndKey& authority,
                                                  const std::vector<std::string>& names, Micros now, int days) {
  const ClearErrors at_end;
  if (names.empty()) return fail(Code::invalid, "certificate: expected at least one name");
  BioPtr cert_bio(
      BIO_new_mem_buf(authority.certificate_pem.data(), static_cast<int>(authority.certificate_pem.size())));
  BioPtr key_bio(BIO_new_mem_buf(authority.key_pem.data(), static_cast<int>(authority.key_pem.size())));
  auto no_password = [](char*, int, int, void*) { return -1; };
  X509Ptr ca(PEM_read_bio_X509(cert_bio.get(), nullptr, no_password, nullptr));
  PkeyPtr ca_key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_password, nullptr));
  if (!ca || !ca_key || X509_check_private_key(ca.get(), ca_key.get()) != 1) {
    return fail(Code::invalid, "authority: expected a certificate and its own key, as PEM");
  }
  PkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  if (!key) return failed("make a key");
  const std::string common_name = names[0].size() <= 64 ? names[0] : names[0].substr(0, 64);
  X509Ptr cert = TRY(start_certificate(key.get(), common_name, now, days));
  X509_set_issuer_name(cert.get(), X509_get_subject_name(ca.get()));
  TRY(extend(cert.get(), ca.get(), NID_basic_constraints, "critical,CA:FALSE"));
  TRY(extend(cert.get(), ca.get(), NID_key_usage, "critical,digitalSignature"));
  TRY(extend(cert.get(), ca.get(), NID_ext_key_usage, "serverAuth"));
  TRY(extend(cert.get(), ca.get(), NID_subject_key_identifier, "hash"));
  TRY(extend(cert.get(), ca.get(), NID_authority_key_identifier, "keyid:always"));
  TRY(add_names(cert.get(), names));
  if (X509_sign(cert.get(), ca_key.get(), EVP_sha256()) == 0) return failed("sign");
  return to_pem(cert.get(), key.get());
}

}  // namespace hf::crypto
