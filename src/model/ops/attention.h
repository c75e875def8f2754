// Causal attention of one whole sequence, for training: forward, and backward that computes the scores again.
//
// Shapes: T positions, H query heads over K key heads (H a multiple of K), D head_dim. Row t of `kv` holds K keys, then
// K values, of D floats each (rotated already). Queries, outputs and their gradients exist for positions [from, T)
// only: position t is row t - from of `q` and `out`, H heads of D floats. Rows are q_row, kv_row floats apart (out_row
// for outputs). Scores are scaled by 1/sqrt(D). Memory: no (T, T) matrix, blocks of kQueryBlock rows. Source: the
// tiling of FlashAttention (Dao 2022), with whole rows of scores since T is small.
#pragma once

#include "tensor/buffer.h"
#include "tensor/kernels.h"

namespace hf::model {

struct AttentionShape {
  int64_t positions, from, heads, kv_heads, head_dim;
  int64_t q_row, kv_row, out_row;  // of the gradients too
};

// For one thread, kept between calls.
struct AttentionScratch {
  tensor::Floats keys, values, scores, gradients, delta;
};

// log_sum: (H, T - from), for the backward pass.
void attention_forward(const tensor::Kernels& k, const AttentionShape& shape, const float* q, const float* kv,
                       float* out, float* log_sum, AttentionScratch& scratch);
// dq and dkv become the gradients; what they held is lost.
void attention_backward(const tensor::Kernels& k, const AttentionShape& shape, const float* q, const float* kv,
                        const float* out, const float* log_sum, const float* dout, float* dq, float* dkv,
                        AttentionScratch& scratch);

}  // namespace hf::model
