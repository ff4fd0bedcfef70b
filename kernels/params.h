// Parameters of the kernels, one struct a kernel, passed by value; C, so that bindgen makes the Rust side of it
// (src/gpu/params.rs). Addresses are device addresses as uint64_t, 0 where there is nothing. Pitches are in elements and
// multiples of 8: every row starts at a multiple of 16 bytes, whatever its width. What lies between width and pitch is
// unspecified, but for weights, where it is zero.
#pragma once
#include <stdint.h>

#define DTYPE_F32 0u
#define DTYPE_BF16 1u

// Rows of elements.
typedef struct {
    uint64_t data;
    uint32_t pitch;
    uint32_t dtype;
} Rows;

// Coordinates of one row's draws (src/random/mod.rs), its site and channels aside.
typedef struct {
    uint64_t key;
    uint32_t trajectory;
    uint32_t position;
    uint32_t iteration;
    uint32_t padding;
} RowCoordinates;

#define PERTURB_NONE 0u
#define PERTURB_DROPOUT 1u
#define PERTURB_NOISE 2u
#define PERTURB_SCALE 3u
#define PERTURB_ADD 4u

// A perturbation of rows (src/perturb.rs).
typedef struct {
    uint64_t rows;       // RowCoordinates[rows] of dropout and noise; f32 [rows][pitch] of recorded values
    uint64_t threshold;  // dropout keeps where a word is below this: up to 2^32
    float factor;        // dropout: 1/(1-p); noise: sigma
    uint32_t kind;
    uint32_t site;
    uint32_t pitch;
} Perturbation;

#define EPILOGUE_NONE 0u
#define EPILOGUE_GELU_TANH 1u
#define EPILOGUE_GELU_ERF 2u
#define EPILOGUE_RESIDUAL 3u  // out + perturb(x W + b)

// out = epilogue(x W + b): x [rows][k], weight [n][k], out [rows][n], or [rows][n/2] of linear_swiglu.
typedef struct {
    Rows x;
    Rows weight;
    Rows out;
    uint64_t bias;  // f32 [n]
    uint32_t epilogue;
    uint32_t rows;
    uint32_t k;
    uint32_t n;
    Perturbation perturbation;
} LinearParams;

// What linear_hopper.cu takes: `linear`, and the tensor maps of its operands in tiles of 64 channels, 64 or 128 columns of
// W and as many rows of x as the kernel's name says.
typedef struct __attribute__((aligned(64))) {
    uint64_t x_map[16];
    uint64_t weight_map[16];
    LinearParams linear;
    uint64_t padding[3];
} LinearHopperParams;

// out = W s' + injected with s' = perturb(s): state f32 [rows][k], weight [n][k], injected f32 [rows][n].
typedef struct {
    Rows state;
    Rows weight;
    Rows injected;
    Rows out;
    uint32_t rows;
    uint32_t k;
    uint32_t n;
    uint32_t padding;
    Perturbation perturbation;
} AdapterParams;

// Where the keys and values of one row go: slot s at keys + s * slot_stride bytes, and likewise values.
typedef struct {
    uint64_t keys;
    uint64_t values;
    uint64_t slot_stride;
} KvPlace;

#define ROTATE_NONE 0u
#define ROTATE_INTERLEAVED 1u
#define ROTATE_HALF_SPLIT 2u

// Queries to out [rows][query_heads * head_dim], keys and values to their slots in the dtype of the cache. With
// norm_weight, x is f32 and normalised on the way in: x / sqrt(mean(x^2) + eps) * norm_weight.
typedef struct {
    Rows x;
    Rows weight;
    Rows out;
    uint64_t bias;
    uint64_t norm_weight;  // f32 [k]
    uint64_t angles;       // f32 [rows][angles_pitch]: head_dim / 2 cosines, then as many sines
    uint64_t places;       // KvPlace [rows]
    uint32_t angles_pitch;
    uint32_t rotate;
    uint32_t rows;
    uint32_t k;
    uint32_t query_heads;
    uint32_t kv_heads;
    uint32_t head_dim;
    uint32_t slot;
    uint32_t kv_dtype;
    float eps;
} QkvParams;

// Consecutive positions of one segment: position start + i of slot s at keys + s * slot_stride bytes + i rows of
// kv_heads * head_dim elements, and likewise values.
typedef struct {
    uint64_t keys;
    uint64_t values;
    uint64_t slot_stride;
    uint32_t start;
    uint32_t count;
} KvSpan;

// Query rows of one sequence: row first_row + i sees positions below first_visible + i.
typedef struct {
    uint32_t first_row;
    uint32_t rows;
    uint32_t first_span;
    uint32_t spans;
    uint32_t first_visible;
    uint32_t padding;
} AttentionRun;

// A tile of a run: rows from `first` on, counted from the run's.
typedef struct {
    uint32_t run;
    uint32_t first;
} AttentionTile;

// One query row that continues what its group shares; all its spans are visible to it.
typedef struct {
    uint32_t row;
    uint32_t first_span;
    uint32_t spans;
    uint32_t padding;
} AttentionMember;

// Up to 16 members with the same shared spans, all visible to each; spans may be none.
typedef struct {
    uint32_t first_member;
    uint32_t members;
    uint32_t first_span;
    uint32_t spans;
} AttentionGroup;

// out = softmax(q k / sqrt(d)) v: q [rows][q.pitch], query heads first; out [rows][query_heads * head_dim].
typedef struct {
    Rows q;
    Rows out;
    uint64_t spans;    // KvSpan
    uint64_t runs;     // AttentionRun, of prefill
    uint64_t tiles;    // AttentionTile, of prefill
    uint64_t groups;   // AttentionGroup, of decode
    uint64_t members;  // AttentionMember, of decode
    uint32_t query_heads;
    uint32_t kv_heads;
    uint32_t head_dim;
    uint32_t slot;
    float scale;  // 1 / sqrt(d)
    uint32_t padding;
} AttentionParams;

// first = norm(x) f32, out = norm(first): out alone where first.data is 0, from x itself. Biases are LayerNorm's.
typedef struct {
    Rows x;
    Rows first;
    Rows out;
    uint64_t first_weight;
    uint64_t weight;
    uint64_t bias;
    uint32_t rows;
    uint32_t width;
    float eps;
    uint32_t padding;
} NormParams;

// Marks an id that is the index of one in `chosen`.
#define TOKEN_CHOSEN 0x80000000u

// out[i] = scale * table[ids[i]] + position_table[positions[i]], f32; without the second where its data is 0. A latent
// takes the first's place where its address is not 0.
typedef struct {
    Rows table;
    Rows position_table;
    Rows out;
    uint64_t ids;        // u32 [rows]
    uint64_t chosen;     // u32: ids that arg_max left on the device; 0: none
    uint64_t latents;    // u64 [rows]: addresses of f32 [width], or 0; 0: none
    uint64_t positions;  // u32 [rows]
    uint32_t rows;
    uint32_t width;
    float scale;
    uint32_t vocabulary;
} EmbeddingParams;

// out[i] = *from[i] for `rows` rows of f32, each at an address of its own.
typedef struct {
    Rows out;
    uint64_t from;  // u64 [rows]
    uint32_t rows;
    uint32_t width;
} GatherParams;

// x *= factor: f32 [rows][width].
typedef struct {
    Rows x;
    uint32_t rows;
    uint32_t width;
    float factor;
    uint32_t padding;
} ScaleParams;

// out = x: f32 to bf16.
typedef struct {
    Rows x;
    Rows out;
    uint32_t rows;
    uint32_t width;
} RoundParams;

// x = perturb(x), f32 [rows][width].
typedef struct {
    Rows x;
    uint32_t rows;
    uint32_t width;
    Perturbation perturbation;
} PerturbParams;

// Rotates the first `heads` heads of each row of x, f32, in place.
typedef struct {
    Rows x;
    uint64_t angles;
    uint32_t angles_pitch;
    uint32_t rows;
    uint32_t heads;
    uint32_t head_dim;
    uint32_t rotate;
    uint32_t padding;
} RopeParams;

// The largest element of each row of x W and its column: of each tile of columns to partials [rows][tiles], then of all
// to out.
typedef struct {
    Rows x;
    Rows weight;
    uint64_t partials;  // ArgMaxPartial [rows][tiles]
    uint64_t out;       // u32 [rows]
    uint32_t rows;
    uint32_t k;
    uint32_t n;
    uint32_t tiles;
} ArgMaxParams;

typedef struct {
    float value;
    uint32_t column;
} ArgMaxPartial;

// What arg_max_hopper.cu takes; as LinearHopperParams.
typedef struct __attribute__((aligned(64))) {
    uint64_t x_map[16];
    uint64_t weight_map[16];
    ArgMaxParams arg_max;
} ArgMaxHopperParams;

// Of each row, f32 to out [rows][4]: |x - y|, |x|, |y| and x y, all in Euclidean norms (spec huginn 3.2).
typedef struct {
    Rows x;
    Rows y;
    Rows out;
    uint32_t rows;
    uint32_t width;
} DistanceParams;

// Of the softmax p of each row of logits and the softmax q of `before` (uniform where its data is 0): entropy
// -sum p ln(p + 1e-10) and KL(q | p), f32 to out [rows][2]. For the KL, probabilities below min_p of the row's largest count
// as 1/width and both distributions are renormalised (spec huginn 3.2).
typedef struct {
    Rows logits;
    Rows before;
    Rows out;
    uint32_t rows;
    uint32_t width;
    float min_p;
    uint32_t padding;
} EntropyParams;

// out[i][j] = x_i x_j / (|x_i| |x_j|), 0 where a row is zero: f32 [rows][rows].
typedef struct {
    Rows x;
    Rows out;
    uint32_t rows;
    uint32_t width;
} CosineParams;
