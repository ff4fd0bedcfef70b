// out = softmax(q k / sqrt(d)) v over bf16: what products read, sums in f32, weights rounded to bf16.
//
// Prefill, grid (tiles, query heads): a block of four warps takes 64 query rows of one sequence, sixteen a warp, over tiles
// of 64 positions that all of them share; the next tile is copied while one is worked on. Keys and values are read once
// for 64 rows of a head, 4 d (T / 64) bytes a position of T and head against 4 d if they were read once; at 4 d T flops a row
// it is the tensor cores that count. Shared memory: two tiles of 64 keys and values, 512 d bytes.
//
// Decode, grid (groups, kv heads x ceil(heads a kv head / 16), ceil(members / members a block)): sixteen rows of an mma
// are the query heads of one kv head for as many members as fit. Eight warps go through tiles of sixteen positions, each
// by itself through a ring of two tiles: first the members' own, then every eighth of those that all share. Each position is
// read by one warp, so that no byte is read twice: 4 d a position and kv head, the fewest possible, of a shared one for
// all members together. Partial softmaxes are joined once, in an order that follows from positions alone. Shared memory: the
// rings, 1024 d bytes, and partial sums of the members' own positions, 256 d, and 1536.
//
// In f32, grid (rows, query heads): a warp takes a row and head over all its positions, 32 at a time: for parity, not speed.
//
// A row's result follows from its own positions: not from the other rows of a tile or group, nor from its place there.
#include "attention.h"

constexpr float LOG2_E = 1.44269504088896340736f;

constexpr uint32_t PREFILL_ROWS = 64, PREFILL_POSITIONS = 64, PREFILL_THREADS = 128;

template <uint32_t D> DEVICE void prefill(const AttentionParams& p, Arena& arena) {
    constexpr uint32_t stage = 2 * PREFILL_POSITIONS * D;
    const Shared<__nv_bfloat16> stages = arena.take<__nv_bfloat16>(2 * stage, 128);
    const AttentionTile part = global<const AttentionTile>(p.tiles)[blockIdx.x];
    const AttentionRun run = global<const AttentionRun>(p.runs)[part.run];
    const uint32_t lane = threadIdx.x % 32, group = p.query_heads / p.kv_heads, head = blockIdx.y;
    const uint32_t rows = min(run.rows - part.first, PREFILL_ROWS), warp_row = threadIdx.x / 32 * 16;
    const uint32_t visible = run.first_visible + part.first;  // of row 0
    const uint32_t width = p.kv_heads * p.head_dim, offset = head / group * p.head_dim;

    uint32_t row[2];
    bool there[2];
    Global<const __nv_bfloat16> from[2];
#pragma unroll
    for (uint32_t h = 0; h < 2; h++) {
        row[h] = warp_row + lane / 4 + 8 * h;
        there[h] = row[h] < rows;
        const size_t index = run.first_row + part.first + row[h];
        from[h] = global<const __nv_bfloat16>(p.q.data) + index * p.q.pitch + head * p.head_dim;
    }
    Queries<D> q;
    q.load(from, there, p.head_dim);
    Online<D> online;
    online.clear();

    Tiles<PREFILL_POSITIONS> tiles{p.spans + run.first_span * sizeof(KvSpan), run.spans, 0, 1, visible + rows - 1};
    Tile tile = tiles.next(p.slot, width, offset);
    copy_tile<D, PREFILL_POSITIONS, PREFILL_THREADS>(stages, tile, p.head_dim, width);
    cp_async_commit();
#pragma unroll 1
    for (uint32_t at = 0; tile.count; at = stage - at) {
        cp_async_wait<0>();
        __syncthreads();  // the tile is there, and the one before has been worked on
        const Tile ahead = tiles.next(p.slot, width, offset);
        if (ahead.count)
            copy_tile<D, PREFILL_POSITIONS, PREFILL_THREADS>(stages + (stage - at), ahead, p.head_dim, width);
        cp_async_commit();
        const int before = (int)visible - (int)tile.start;  // positions of the tile that row 0 sees
        if (warp_row < rows && before + (int)warp_row + 15 > 0) {
            int seen[2];
#pragma unroll
            for (uint32_t h = 0; h < 2; h++) seen[h] = min(before + (int)row[h], (int)tile.count);
            online.template add<PREFILL_POSITIONS>(q, stages + at, seen, p.scale * LOG2_E);
        }
        tile = ahead;
    }

#pragma unroll
    for (uint32_t h = 0; h < 2; h++) {
        const float factor = __frcp_rn(online.whole(h));
        if (!there[h]) continue;
        const size_t to = (size_t)(run.first_row + part.first + row[h]) * p.out.pitch + head * p.head_dim;
#pragma unroll
        for (uint32_t j = 0; j < D / 8; j++) {
            const uint32_t channel = 8 * j + lane % 4 * 2;
            if (channel < p.head_dim)
                store_pair(p.out.data, p.out.dtype, to + channel,
                           make_float2(online.sums[j][2 * h] * factor, online.sums[j][2 * h + 1] * factor));
        }
    }
}

constexpr uint32_t DECODE_WARPS = 8, DECODE_THREADS = 32 * DECODE_WARPS, DECODE_POSITIONS = 16;
// A member's own tiles are dealt out to as many warps: one for every four tiles, at most so many.
constexpr uint32_t SLICES = 4, SLICE_TILES = 4;
constexpr uint32_t PARTS = DECODE_WARPS + SLICES;

// Of each row and part the largest score and the total weight.
struct Parts {
    Shared<float2> of;
    DEVICE float2& at(uint32_t part, uint32_t row) const { return of[part * 16 + row]; }
};

// Leaves the softmax of rows `first` to `end` as part `part`: sums at `sums`, `pitch` a row.
template <uint32_t D>
DEVICE void leave(const Online<D>& online, uint32_t first, uint32_t end, Shared<float> sums, uint32_t pitch,
                  const Parts& parts, uint32_t part) {
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (uint32_t h = 0; h < 2; h++) {
        const uint32_t row = lane / 4 + 8 * h;
        const float total = online.whole(h);
        if (row < first || row >= end) continue;
        if (lane % 4 == 0) parts.at(part, row) = make_float2(online.largest[h], total);
#pragma unroll
        for (uint32_t j = 0; j < D / 8; j++)
            view<float2>(sums + (row * pitch + 8 * j + lane % 4 * 2))[0] =
                make_float2(online.sums[j][2 * h], online.sums[j][2 * h + 1]);
    }
}

template <uint32_t D> DEVICE void decode(const AttentionParams& p, Arena& arena) {
    constexpr uint32_t stage = 2 * DECODE_POSITIONS * D;  // elements of a tile
    constexpr uint32_t pitch = D + 8;                     // of a warp's sums, which take the place of its ring
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const uint32_t group_heads = p.query_heads / p.kv_heads, heads = min(group_heads, 16u);
    const uint32_t head_blocks = (group_heads + 15) / 16, kv_head = blockIdx.y / head_blocks;
    const uint32_t first_head = blockIdx.y % head_blocks * 16, block_members = 16 / heads;
    const AttentionGroup group = global<const AttentionGroup>(p.groups)[blockIdx.x];
    const uint32_t first_member = blockIdx.z * block_members;
    if (first_member >= group.members) return;
    const uint32_t members = min(group.members - first_member, block_members);
    const uint32_t width = p.kv_heads * p.head_dim, offset = kv_head * p.head_dim;
    const Global<const KvSpan> spans = global<const KvSpan>(p.spans);

    const Shared<__nv_bfloat16> rings = arena.take<__nv_bfloat16>(DECODE_WARPS * 2 * stage, 128);
    const Shared<__nv_bfloat16> ring = rings + warp * 2 * stage;
    const Shared<float> own_sums = arena.take<float>(SLICES * 16 * D, 16);
    const Parts parts{arena.take<float2>(PARTS * 16)};

    // Lane i knows member i.
    AttentionMember member = {};
    uint32_t slices = 0;
    if (lane < members) {
        member = global<const AttentionMember>(p.members)[group.first_member + first_member + lane];
        uint32_t tiles = 0;
        for (uint32_t i = 0; i < member.spans; i++)
            tiles += (spans[member.first_span + i].count + DECODE_POSITIONS - 1) / DECODE_POSITIONS;
        slices = min((tiles + SLICE_TILES - 1) / SLICE_TILES, SLICES);
    }

    // Row r of the sixteen: head r % heads of member r / heads.
    bool there[2];
    Global<const __nv_bfloat16> from[2];
#pragma unroll
    for (uint32_t h = 0; h < 2; h++) {
        const uint32_t row = lane / 4 + 8 * h, head = first_head + row % heads;
        const uint32_t index = __shfl_sync(FULL_WARP, member.row, row / heads);
        there[h] = row / heads < members && head < group_heads;
        from[h] = global<const __nv_bfloat16>(p.q.data) + (size_t)index * p.q.pitch +
                  (kv_head * group_heads + head) * p.head_dim;
    }
    Queries<D> q;
    q.load(from, there, p.head_dim);

    // The warp's tasks: its slices of the members' own positions by rising member, then its share of the shared ones.
    uint32_t opened = 0;  // tasks
    Tiles<DECODE_POSITIONS> tiles{p.spans, 0, 0, 1, UINT32_MAX};
    const auto next = [&](uint32_t& task) {
        Tile tile = tiles.next(p.slot, width, offset);
        task = opened;
#pragma unroll 1
        while (!tile.count && opened <= members) {
            if (opened == members) {
                tiles = {p.spans + group.first_span * sizeof(KvSpan), group.spans, warp, DECODE_WARPS, UINT32_MAX};
            } else {
                const uint32_t slice = (warp - opened) % DECODE_WARPS, of = __shfl_sync(FULL_WARP, slices, opened);
                const uint32_t first = __shfl_sync(FULL_WARP, member.first_span, opened);
                const uint32_t count = __shfl_sync(FULL_WARP, member.spans, opened);
                tiles = {p.spans + first * sizeof(KvSpan), slice < of ? count : 0, slice, of, UINT32_MAX};
            }
            opened++;
            tile = tiles.next(p.slot, width, offset);
            task = opened;
        }
        return tile;
    };

    Online<D> online;
    online.clear();
    uint32_t task;
    Tile tile = next(task);
    copy_tile<D, DECODE_POSITIONS, 32>(ring, tile, p.head_dim, width);
    cp_async_commit();
#pragma unroll 1
    for (uint32_t at = 0; tile.count; at = stage - at) {
        uint32_t next_task;
        const Tile ahead = next(next_task);
        if (ahead.count) copy_tile<D, DECODE_POSITIONS, 32>(ring + (stage - at), ahead, p.head_dim, width);
        cp_async_commit();
        cp_async_wait<1>();
        __syncwarp();
        const int seen[2] = {(int)tile.count, (int)tile.count};
        online.template add<DECODE_POSITIONS>(q, ring + at, seen, p.scale * LOG2_E);
        if (task <= members && (!ahead.count || next_task != task)) {
            const uint32_t of = task - 1, slice = (warp - of) % DECODE_WARPS;
            leave(online, of * heads, (of + 1) * heads, own_sums + slice * 16 * D, D, parts, DECODE_WARPS + slice);
            online.clear();
        }
        tile = ahead;
        task = next_task;
    }
    // Shared memory of 16-bit elements, reread as sums: all copies into it have been waited for.
    leave(online, 0, 16, view<float>(ring), pitch, parts, warp);
    __syncthreads();

    // Joins the parts of eight channels of a row.
    constexpr uint32_t row_threads = D / 8;
    if (threadIdx.x >= 16 * row_threads) return;
    const uint32_t row = threadIdx.x / row_threads, channel = threadIdx.x % row_threads * 8;
    const uint32_t of = row / heads, head = first_head + row % heads;
    const uint32_t end = DECODE_WARPS + __shfl_sync(FULL_WARP, slices, of);
    const uint32_t index = __shfl_sync(FULL_WARP, member.row, of);
    if (of >= members || head >= group_heads || channel >= p.head_dim) return;
    float largest = NOTHING_SEEN, total = 0.0f, sums[8] = {};
    for (uint32_t part = 0; part < end; part++) largest = fmaxf(largest, parts.at(part, row).x);
    for (uint32_t part = 0; part < end; part++) {
        const float2 of_part = parts.at(part, row);
        const float weight = exp2f(of_part.x - largest);
        const Shared<const float> from =
            part < DECODE_WARPS ? view<const float>(rings + part * 2 * stage) + (row * pitch + channel)
                                : Shared<const float>(own_sums) + (((part - DECODE_WARPS) * 16 + row) * D + channel);
        const float4 low = view<const float4>(from)[0], high = view<const float4>(from)[1];
        const float values[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
        total = fmaf(of_part.y, weight, total);
#pragma unroll
        for (uint32_t i = 0; i < 8; i++) sums[i] = fmaf(values[i], weight, sums[i]);
    }
    const float factor = __frcp_rn(total);
#pragma unroll
    for (uint32_t i = 0; i < 8; i++) sums[i] *= factor;
    const size_t to = (size_t)index * p.out.pitch + (kv_head * group_heads + head) * p.head_dim + channel;
    if (p.out.dtype == DTYPE_F32) {
        const Global<float4> out = view<float4>(global<float>(p.out.data) + to);
        out[0] = make_float4(sums[0], sums[1], sums[2], sums[3]);
        out[1] = make_float4(sums[4], sums[5], sums[6], sums[7]);
    } else {
        view<uint4>(global<__nv_bfloat16>(p.out.data) + to)[0] =
            make_uint4(bf16_pair(sums[0], sums[1]), bf16_pair(sums[2], sums[3]), bf16_pair(sums[4], sums[5]),
                       bf16_pair(sums[6], sums[7]));
    }
}

// Heads of up to so many channels.
#define ATTENTION(dim)                                                      \
    KERNEL(attention_prefill_bf16_##dim, AttentionParams, PREFILL_THREADS) { \
        DYNAMIC_SHARED(arena);                                              \
        prefill<dim>(p, arena);                                             \
    }                                                                       \
    KERNEL(attention_decode_bf16_##dim, AttentionParams, DECODE_THREADS, 1) { \
        DYNAMIC_SHARED(arena);                                              \
        decode<dim>(p, arena);                                              \
    }
ATTENTION(16)
ATTENTION(32)
ATTENTION(64)
ATTENTION(96)
ATTENTION(128)

constexpr uint32_t F32_CHANNELS = 256;  // of a head, at most

KERNEL(attention_f32, AttentionParams, 32) {
    const AttentionMember member = global<const AttentionMember>(p.members)[blockIdx.x];
    const Global<const KvSpan> spans = global<const KvSpan>(p.spans) + member.first_span;
    const uint32_t lane = threadIdx.x, head = blockIdx.y, dim = p.head_dim, width = p.kv_heads * dim;
    const uint32_t offset = head / (p.query_heads / p.kv_heads) * dim;
    const Global<const float> q = global<const float>(p.q.data) + ((size_t)member.row * p.q.pitch + head * dim);
    float largest = NOTHING_SEEN, total = 0.0f, sums[F32_CHANNELS / 32] = {};
#pragma unroll 1
    for (uint32_t i = 0; i < member.spans; i++) {
        const KvSpan span = spans[i];
        const uint64_t to_slot = p.slot * span.slot_stride;
        const Global<const float> keys = global<const float>(span.keys + to_slot) + offset;
        const Global<const float> values = global<const float>(span.values + to_slot) + offset;
#pragma unroll 1
        for (uint32_t first = 0; first < span.count; first += 32) {
            const uint32_t count = min(span.count - first, 32u);
            float score = NOTHING_SEEN;
            if (lane < count) {
                const size_t row = (size_t)(first + lane) * width;
                float dot = 0.0f;
                for (uint32_t c = 0; c < dim; c++) dot = fmaf(q[c], keys[row + c], dot);
                score = dot * p.scale;
            }
            float top = fmaxf(largest, score);
#pragma unroll
            for (int apart = 16; apart > 0; apart /= 2) top = fmaxf(top, __shfl_xor_sync(FULL_WARP, top, apart));
            const float weight = expf(score - top), factor = expf(largest - top);
            float weights = weight;
#pragma unroll
            for (int apart = 16; apart > 0; apart /= 2) weights += __shfl_xor_sync(FULL_WARP, weights, apart);
            largest = top;
            total = fmaf(total, factor, weights);
#pragma unroll
            for (uint32_t j = 0; j < F32_CHANNELS / 32; j++) sums[j] *= factor;
            for (uint32_t at = 0; at < count; at++) {
                const float share = __shfl_sync(FULL_WARP, weight, at);
                const size_t row = (size_t)(first + at) * width;
#pragma unroll
                for (uint32_t j = 0; j < F32_CHANNELS / 32; j++)
                    if (32 * j + lane < dim) sums[j] = fmaf(share, values[row + 32 * j + lane], sums[j]);
            }
        }
    }
    const Global<float> out = global<float>(p.out.data) + ((size_t)member.row * p.out.pitch + head * dim);
#pragma unroll
    for (uint32_t j = 0; j < F32_CHANNELS / 32; j++)
        if (32 * j + lane < dim) out[32 * j + lane] = sums[j] / total;
}
