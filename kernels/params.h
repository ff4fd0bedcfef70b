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
    float direction;  // 1, or -1 to turn back
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

// x = 0 for rows of `words` words of 32 bits.
typedef struct {
    Rows x;
    uint32_t rows;
    uint32_t words;
} ClearParams;

// x += y: f32 [rows][width].
typedef struct {
    Rows x;
    Rows y;
    uint32_t rows;
    uint32_t width;
} AddParams;

// A weight [n][k] from f32 rows [n][k], or from their transpose [k][n]: f32, zeros behind a row's end.
typedef struct {
    Rows from;
    Rows out;
    uint32_t n;
    uint32_t k;
} WeightParams;

#define ACTIVATION_GELU_TANH 0u
#define ACTIVATION_GELU_ERF 1u
#define ACTIVATION_SWIGLU 2u

// out = f(x), or out = f'(x) dy: f32; f(x) and dy [rows][width], x [rows][width], or [rows][2 width] of SwiGLU.
typedef struct {
    Rows x;
    Rows dy;
    Rows out;
    uint32_t rows;
    uint32_t width;
    uint32_t kind;
    uint32_t padding;
} ActivationParams;

// dw += dy' x: x [rows][k], dy [rows][n], dw [n][k], f32.
typedef struct {
    Rows x;
    Rows dy;
    Rows dw;
    uint32_t rows;
    uint32_t k;
    uint32_t n;
    uint32_t padding;
} LinearBackwardParams;

// Sums of the rows of x, f32 [rows][width]: of blocks of rows to a row of out each, or of all added to out's only one.
typedef struct {
    Rows x;
    Rows out;
    uint32_t rows;
    uint32_t width;
} ColumnSumsParams;

// dx of a norm, f32 [rows][width], and the sums over blocks of rows of dy times the normalised x and, of LayerNorm, of dy.
typedef struct {
    Rows x;
    Rows dy;
    Rows dx;
    Rows dweight;  // f32 [blocks][width]
    Rows dbias;    // as dweight
    uint64_t weight;
    uint32_t rows;
    uint32_t width;
    float eps;
    uint32_t padding;
} NormBackwardParams;

// One row of a table, and which rows of the gradient go to it: order[first ... first + count - 1].
typedef struct {
    uint32_t id;
    uint32_t first;
    uint32_t count;
} EmbeddingEntry;

// table[id] += scale * dy[row] for the rows of each entry in turn: f32, dy [rows][width].
typedef struct {
    Rows dy;
    Rows table;
    uint64_t entries;  // EmbeddingEntry
    uint64_t order;    // u32 [rows]
    uint32_t count;    // entries
    uint32_t width;
    float scale;
    uint32_t padding;
} EmbeddingBackwardParams;

// Rows of queries, keys and values apart, f32: q [rows][queries], k and v [positions][keys] at rows `places`; and together,
// qkv [rows][queries + 2 keys].
typedef struct {
    Rows qkv;
    Rows q;
    Rows k;
    Rows v;
    uint64_t places;  // u32 [rows]
    uint32_t rows;
    uint32_t queries;
    uint32_t keys;
    uint32_t padding;
} HeadsParams;

// Up to 32 neighbouring rows whose windows begin at position `first`; `seen` positions by the one that sees most.
typedef struct {
    uint32_t first_row;
    uint32_t rows;
    uint32_t first;
    uint32_t seen;
} WindowTile;

// Up to 32 positions, and the tiles that see any of them: seers[first_seer ... first_seer + seers - 1].
typedef struct {
    uint32_t first;
    uint32_t count;
    uint32_t first_seer;
    uint32_t seers;
} WindowPositions;

// out = softmax(q k / sqrt(d)) v over each row's window, and its gradients: f32, q, out, dout, dq [rows][query_heads d],
// k, v, dk, dv [positions][kv_heads d].
typedef struct {
    Rows q;
    Rows k;
    Rows v;
    Rows out;
    Rows dout;
    Rows dq;
    Rows dk;
    Rows dv;
    uint64_t visible;     // u32 [rows]
    uint64_t tiles;       // WindowTile
    uint64_t positions;   // WindowPositions, of dk and dv
    uint64_t seers;       // u32: indices of tiles
    uint64_t statistics;  // float2 [rows][query_heads]: ln of the sum of e^score, and dout out; written with dq
    uint32_t query_heads;
    uint32_t kv_heads;
    uint32_t head_dim;
    float scale;  // 1 / sqrt(d)
} WindowAttentionParams;

#define NO_TARGET 0xffffffffu

// losses[i] = -ln softmax(logits[i])[targets[i]], and the logits become scale times its gradient; 0 without a target.
typedef struct {
    Rows logits;       // f32 [rows][width]
    uint64_t targets;  // u32 [rows]
    uint64_t losses;   // f32 [rows]
    uint32_t rows;
    uint32_t width;
    float scale;
    uint32_t padding;
} CrossEntropyParams;

// Of each row of x the sum of its squares, f64 [rows]; then of `rows` such numbers the sum, to out.
typedef struct {
    Rows x;
    uint64_t partials;
    uint64_t out;
    uint32_t rows;
    uint32_t width;
} SquareSumParams;

// A step of AdamW or ELLISAdam (src/ops/adam.rs): f32 [rows][width] each.
typedef struct {
    Rows parameter;
    Rows gradient;
    Rows first;
    Rows second;
    uint64_t partials;   // f64 [rows]: of ELLISAdam, sums of g^2 / v
    uint64_t total;      // f64: their sum
    uint32_t rows;
    uint32_t width;
    float factor;        // of the gradient
    float first_share;   // 1 - beta of both moments
    float second_share;
    float kept;          // of the parameter
    float step;
    float root;
    float eps;           // of ELLISAdam its square
    uint32_t padding;
} AdamParams;
