#include <bit>
#include <cmath>

#include "tensor/kernels.h"

namespace hf::tensor {
namespace {

constexpr double kLn2High = 0x1.62e42fee00000p-1;  // 33 bits: n * high is exact for |n| < 2^20
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
constexpr double kHalfPiHigh = 0x1.921fb54400000p+0;
constexpr double kHalfPiMiddle = 0x1.0b4611a600000p-34;
constexpr double kHalfPiLow = 0x1.3198a2e037073p-69;

double power_of_two(int n) { return std::bit_cast<double>(static_cast<uint64_t>(n + 1023) << 52); }

// |x| <= pi/4: Taylor; the first term left out is below 1e-17.
double small_sin(double x) {
  const double y = x * x;
  double sum = 0;
  for (int i = 10; i >= 1; --i) sum = (1 + sum) * (-y / ((2.0 * i) * (2.0 * i + 1)));
  return x + x * sum;
}
double small_cos(double x) {
  const double y = x * x;
  double sum = 0;
  for (int i = 10; i >= 1; --i) sum = (1 + sum) * (-y / ((2.0 * i - 1) * (2.0 * i)));
  return 1 + sum;
}

double quarter_turns(double x, double* rest) {
  const double n = std::nearbyint(x * 0.63661977236758134308);
  *rest = ((x - n * kHalfPiHigh) - n * kHalfPiMiddle) - n * kHalfPiLow;
  return n;
}

}  // namespace

double exact_exp(double x) {
  if (x < -700) return 0;
  if (x > 700) x = 700;
  const double n = std::nearbyint(x * 1.44269504088896340736);
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double sum = 1;
  for (int i = 17; i >= 1; --i) sum = 1 + sum * (r / i);
  return sum * power_of_two(static_cast<int>(n));
}

double exact_log(double x) {
  check(x > 0 && x < 1e300, "log of a positive number");
  int n = 0;
  double m = std::frexp(x, &n);  // [0.5, 1)
  if (m < 0.70710678118654752440) {
    m *= 2;
    --n;
  }
  const double z = (m - 1) / (m + 1);  // log m = 2 atanh z, |z| < 0.172
  const double y = z * z;
  double sum = 0;
  for (int i = 12; i >= 1; --i) sum = (sum + 1.0 / (2 * i + 1)) * y;
  return n * kLn2High + (n * kLn2Low + 2 * z * (1 + sum));
}

double exact_sin(double x) {
  double r = 0;
  const auto n = static_cast<int64_t>(quarter_turns(x, &r)) & 3;
  const double v = n % 2 == 0 ? small_sin(r) : small_cos(r);
  return n < 2 ? v : -v;
}

double exact_cos(double x) {
  double r = 0;
  const auto n = static_cast<int64_t>(quarter_turns(x, &r)) & 3;
  const double v = n % 2 == 0 ? small_cos(r) : small_sin(r);
  return n == 0 || n == 3 ? v : -v;
}

}  // namespace hf::tensor
