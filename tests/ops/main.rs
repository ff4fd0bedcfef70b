//! Every operation against plain versions of itself: exact on integers, near float64 elsewhere, the same bits in any
//! batch and on any number of threads, and an error for every shape that does not fit.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod activation;
mod adam;
mod adapter;
mod arg_max;
mod attention;
mod attention_bounds;
mod attention_groups;
mod common;
mod cosine;
mod cross_entropy;
mod distance;
mod embedding;
mod entropy;
mod errors;
mod errors_training;
mod foreign;
mod gather;
mod heads;
mod kv;
mod layer_norm;
mod linear;
mod linear_backward;
mod norm_backward;
mod perturb;
mod qkv;
mod rms_norm;
mod rope;
mod sandwich;
mod scale;
mod square_sum;
mod statistics;
mod window_attention;
