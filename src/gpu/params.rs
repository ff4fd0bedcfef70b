// The Rust side of kernels/params.h, made by bindgen: scripts/params writes this file anew.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::undocumented_unsafe_blocks)]

pub const DTYPE_F32: u32 = 0;
pub const DTYPE_BF16: u32 = 1;
pub const PERTURB_NONE: u32 = 0;
pub const PERTURB_DROPOUT: u32 = 1;
pub const PERTURB_NOISE: u32 = 2;
pub const PERTURB_SCALE: u32 = 3;
pub const PERTURB_ADD: u32 = 4;
pub const EPILOGUE_NONE: u32 = 0;
pub const EPILOGUE_GELU_TANH: u32 = 1;
pub const EPILOGUE_GELU_ERF: u32 = 2;
pub const EPILOGUE_RESIDUAL: u32 = 3;
pub const ROTATE_NONE: u32 = 0;
pub const ROTATE_INTERLEAVED: u32 = 1;
pub const ROTATE_HALF_SPLIT: u32 = 2;
pub const TOKEN_CHOSEN: u32 = 2147483648;
pub const ACTIVATION_GELU_TANH: u32 = 0;
pub const ACTIVATION_GELU_ERF: u32 = 1;
pub const ACTIVATION_SWIGLU: u32 = 2;
pub const NO_TARGET: u32 = 4294967295;
#[doc = " Rows of elements."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct Rows {
    pub data: u64,
    pub pitch: u32,
    pub dtype: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of Rows"][::core::mem::size_of::<Rows>() - 16usize];
    ["Alignment of Rows"][::core::mem::align_of::<Rows>() - 8usize];
    ["Offset of field: Rows::data"][::core::mem::offset_of!(Rows, data) - 0usize];
    ["Offset of field: Rows::pitch"][::core::mem::offset_of!(Rows, pitch) - 8usize];
    ["Offset of field: Rows::dtype"][::core::mem::offset_of!(Rows, dtype) - 12usize];
};
#[doc = " Coordinates of one row's draws (src/random/mod.rs), its site and channels aside."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct RowCoordinates {
    pub key: u64,
    pub trajectory: u32,
    pub position: u32,
    pub iteration: u32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of RowCoordinates"][::core::mem::size_of::<RowCoordinates>() - 24usize];
    ["Alignment of RowCoordinates"][::core::mem::align_of::<RowCoordinates>() - 8usize];
    ["Offset of field: RowCoordinates::key"][::core::mem::offset_of!(RowCoordinates, key) - 0usize];
    ["Offset of field: RowCoordinates::trajectory"]
        [::core::mem::offset_of!(RowCoordinates, trajectory) - 8usize];
    ["Offset of field: RowCoordinates::position"]
        [::core::mem::offset_of!(RowCoordinates, position) - 12usize];
    ["Offset of field: RowCoordinates::iteration"]
        [::core::mem::offset_of!(RowCoordinates, iteration) - 16usize];
    ["Offset of field: RowCoordinates::padding"][::core::mem::offset_of!(RowCoordinates, padding) - 20usize];
};
#[doc = " A perturbation of rows (src/perturb.rs)."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct Perturbation {
    #[doc = " RowCoordinates[rows] of dropout and noise; f32 [rows][pitch] of recorded values"]
    pub rows: u64,
    #[doc = " dropout keeps where a word is below this: up to 2^32"]
    pub threshold: u64,
    #[doc = " dropout: 1/(1-p); noise: sigma"]
    pub factor: f32,
    pub kind: u32,
    pub site: u32,
    pub pitch: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of Perturbation"][::core::mem::size_of::<Perturbation>() - 32usize];
    ["Alignment of Perturbation"][::core::mem::align_of::<Perturbation>() - 8usize];
    ["Offset of field: Perturbation::rows"][::core::mem::offset_of!(Perturbation, rows) - 0usize];
    ["Offset of field: Perturbation::threshold"][::core::mem::offset_of!(Perturbation, threshold) - 8usize];
    ["Offset of field: Perturbation::factor"][::core::mem::offset_of!(Perturbation, factor) - 16usize];
    ["Offset of field: Perturbation::kind"][::core::mem::offset_of!(Perturbation, kind) - 20usize];
    ["Offset of field: Perturbation::site"][::core::mem::offset_of!(Perturbation, site) - 24usize];
    ["Offset of field: Perturbation::pitch"][::core::mem::offset_of!(Perturbation, pitch) - 28usize];
};
#[doc = " out = epilogue(x W + b): x [rows][k], weight [n][k], out [rows][n], or [rows][n/2] of linear_swiglu."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct LinearParams {
    pub x: Rows,
    pub weight: Rows,
    pub out: Rows,
    #[doc = " f32 [n]"]
    pub bias: u64,
    pub epilogue: u32,
    pub rows: u32,
    pub k: u32,
    pub n: u32,
    pub perturbation: Perturbation,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of LinearParams"][::core::mem::size_of::<LinearParams>() - 104usize];
    ["Alignment of LinearParams"][::core::mem::align_of::<LinearParams>() - 8usize];
    ["Offset of field: LinearParams::x"][::core::mem::offset_of!(LinearParams, x) - 0usize];
    ["Offset of field: LinearParams::weight"][::core::mem::offset_of!(LinearParams, weight) - 16usize];
    ["Offset of field: LinearParams::out"][::core::mem::offset_of!(LinearParams, out) - 32usize];
    ["Offset of field: LinearParams::bias"][::core::mem::offset_of!(LinearParams, bias) - 48usize];
    ["Offset of field: LinearParams::epilogue"][::core::mem::offset_of!(LinearParams, epilogue) - 56usize];
    ["Offset of field: LinearParams::rows"][::core::mem::offset_of!(LinearParams, rows) - 60usize];
    ["Offset of field: LinearParams::k"][::core::mem::offset_of!(LinearParams, k) - 64usize];
    ["Offset of field: LinearParams::n"][::core::mem::offset_of!(LinearParams, n) - 68usize];
    ["Offset of field: LinearParams::perturbation"]
        [::core::mem::offset_of!(LinearParams, perturbation) - 72usize];
};
#[doc = " What linear_hopper.cu takes: `linear`, and the tensor maps of its operands in tiles of 64 channels, 64 or 128 columns of\n W and as many rows of x as the kernel's name says."]
#[repr(C)]
#[repr(align(64))]
#[derive(Debug, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct LinearHopperParams {
    pub x_map: [u64; 16usize],
    pub weight_map: [u64; 16usize],
    pub linear: LinearParams,
    pub padding: [u64; 3usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of LinearHopperParams"][::core::mem::size_of::<LinearHopperParams>() - 384usize];
    ["Alignment of LinearHopperParams"][::core::mem::align_of::<LinearHopperParams>() - 64usize];
    ["Offset of field: LinearHopperParams::x_map"]
        [::core::mem::offset_of!(LinearHopperParams, x_map) - 0usize];
    ["Offset of field: LinearHopperParams::weight_map"]
        [::core::mem::offset_of!(LinearHopperParams, weight_map) - 128usize];
    ["Offset of field: LinearHopperParams::linear"]
        [::core::mem::offset_of!(LinearHopperParams, linear) - 256usize];
    ["Offset of field: LinearHopperParams::padding"]
        [::core::mem::offset_of!(LinearHopperParams, padding) - 360usize];
};
impl Default for LinearHopperParams {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[doc = " out = W s' + injected with s' = perturb(s): state f32 [rows][k], weight [n][k], injected f32 [rows][n]."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct AdapterParams {
    pub state: Rows,
    pub weight: Rows,
    pub injected: Rows,
    pub out: Rows,
    pub rows: u32,
    pub k: u32,
    pub n: u32,
    pub padding: u32,
    pub perturbation: Perturbation,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of AdapterParams"][::core::mem::size_of::<AdapterParams>() - 112usize];
    ["Alignment of AdapterParams"][::core::mem::align_of::<AdapterParams>() - 8usize];
    ["Offset of field: AdapterParams::state"][::core::mem::offset_of!(AdapterParams, state) - 0usize];
    ["Offset of field: AdapterParams::weight"][::core::mem::offset_of!(AdapterParams, weight) - 16usize];
    ["Offset of field: AdapterParams::injected"][::core::mem::offset_of!(AdapterParams, injected) - 32usize];
    ["Offset of field: AdapterParams::out"][::core::mem::offset_of!(AdapterParams, out) - 48usize];
    ["Offset of field: AdapterParams::rows"][::core::mem::offset_of!(AdapterParams, rows) - 64usize];
    ["Offset of field: AdapterParams::k"][::core::mem::offset_of!(AdapterParams, k) - 68usize];
    ["Offset of field: AdapterParams::n"][::core::mem::offset_of!(AdapterParams, n) - 72usize];
    ["Offset of field: AdapterParams::padding"][::core::mem::offset_of!(AdapterParams, padding) - 76usize];
    ["Offset of field: AdapterParams::perturbation"]
        [::core::mem::offset_of!(AdapterParams, perturbation) - 80usize];
};
#[doc = " Where the keys and values of one row go: slot s at keys + s * slot_stride bytes, and likewise values."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct KvPlace {
    pub keys: u64,
    pub values: u64,
    pub slot_stride: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of KvPlace"][::core::mem::size_of::<KvPlace>() - 24usize];
    ["Alignment of KvPlace"][::core::mem::align_of::<KvPlace>() - 8usize];
    ["Offset of field: KvPlace::keys"][::core::mem::offset_of!(KvPlace, keys) - 0usize];
    ["Offset of field: KvPlace::values"][::core::mem::offset_of!(KvPlace, values) - 8usize];
    ["Offset of field: KvPlace::slot_stride"][::core::mem::offset_of!(KvPlace, slot_stride) - 16usize];
};
#[doc = " Queries to out [rows][query_heads * head_dim], keys and values to their slots in the dtype of the cache. With\n norm_weight, x is f32 and normalised on the way in: x / sqrt(mean(x^2) + eps) * norm_weight."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct QkvParams {
    pub x: Rows,
    pub weight: Rows,
    pub out: Rows,
    pub bias: u64,
    #[doc = " f32 [k]"]
    pub norm_weight: u64,
    #[doc = " f32 [rows][angles_pitch]: head_dim / 2 cosines, then as many sines"]
    pub angles: u64,
    #[doc = " KvPlace [rows]"]
    pub places: u64,
    pub angles_pitch: u32,
    pub rotate: u32,
    pub rows: u32,
    pub k: u32,
    pub query_heads: u32,
    pub kv_heads: u32,
    pub head_dim: u32,
    pub slot: u32,
    pub kv_dtype: u32,
    pub eps: f32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of QkvParams"][::core::mem::size_of::<QkvParams>() - 120usize];
    ["Alignment of QkvParams"][::core::mem::align_of::<QkvParams>() - 8usize];
    ["Offset of field: QkvParams::x"][::core::mem::offset_of!(QkvParams, x) - 0usize];
    ["Offset of field: QkvParams::weight"][::core::mem::offset_of!(QkvParams, weight) - 16usize];
    ["Offset of field: QkvParams::out"][::core::mem::offset_of!(QkvParams, out) - 32usize];
    ["Offset of field: QkvParams::bias"][::core::mem::offset_of!(QkvParams, bias) - 48usize];
    ["Offset of field: QkvParams::norm_weight"][::core::mem::offset_of!(QkvParams, norm_weight) - 56usize];
    ["Offset of field: QkvParams::angles"][::core::mem::offset_of!(QkvParams, angles) - 64usize];
    ["Offset of field: QkvParams::places"][::core::mem::offset_of!(QkvParams, places) - 72usize];
    ["Offset of field: QkvParams::angles_pitch"][::core::mem::offset_of!(QkvParams, angles_pitch) - 80usize];
    ["Offset of field: QkvParams::rotate"][::core::mem::offset_of!(QkvParams, rotate) - 84usize];
    ["Offset of field: QkvParams::rows"][::core::mem::offset_of!(QkvParams, rows) - 88usize];
    ["Offset of field: QkvParams::k"][::core::mem::offset_of!(QkvParams, k) - 92usize];
    ["Offset of field: QkvParams::query_heads"][::core::mem::offset_of!(QkvParams, query_heads) - 96usize];
    ["Offset of field: QkvParams::kv_heads"][::core::mem::offset_of!(QkvParams, kv_heads) - 100usize];
    ["Offset of field: QkvParams::head_dim"][::core::mem::offset_of!(QkvParams, head_dim) - 104usize];
    ["Offset of field: QkvParams::slot"][::core::mem::offset_of!(QkvParams, slot) - 108usize];
    ["Offset of field: QkvParams::kv_dtype"][::core::mem::offset_of!(QkvParams, kv_dtype) - 112usize];
    ["Offset of field: QkvParams::eps"][::core::mem::offset_of!(QkvParams, eps) - 116usize];
};
#[doc = " Consecutive positions of one segment: position start + i of slot s at keys + s * slot_stride bytes + i rows of\n kv_heads * head_dim elements, and likewise values."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct KvSpan {
    pub keys: u64,
    pub values: u64,
    pub slot_stride: u64,
    pub start: u32,
    pub count: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of KvSpan"][::core::mem::size_of::<KvSpan>() - 32usize];
    ["Alignment of KvSpan"][::core::mem::align_of::<KvSpan>() - 8usize];
    ["Offset of field: KvSpan::keys"][::core::mem::offset_of!(KvSpan, keys) - 0usize];
    ["Offset of field: KvSpan::values"][::core::mem::offset_of!(KvSpan, values) - 8usize];
    ["Offset of field: KvSpan::slot_stride"][::core::mem::offset_of!(KvSpan, slot_stride) - 16usize];
    ["Offset of field: KvSpan::start"][::core::mem::offset_of!(KvSpan, start) - 24usize];
    ["Offset of field: KvSpan::count"][::core::mem::offset_of!(KvSpan, count) - 28usize];
};
#[doc = " Query rows of one sequence: row first_row + i sees positions below first_visible + i."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct AttentionRun {
    pub first_row: u32,
    pub rows: u32,
    pub first_span: u32,
    pub spans: u32,
    pub first_visible: u32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of AttentionRun"][::core::mem::size_of::<AttentionRun>() - 24usize];
    ["Alignment of AttentionRun"][::core::mem::align_of::<AttentionRun>() - 4usize];
    ["Offset of field: AttentionRun::first_row"][::core::mem::offset_of!(AttentionRun, first_row) - 0usize];
    ["Offset of field: AttentionRun::rows"][::core::mem::offset_of!(AttentionRun, rows) - 4usize];
    ["Offset of field: AttentionRun::first_span"][::core::mem::offset_of!(AttentionRun, first_span) - 8usize];
    ["Offset of field: AttentionRun::spans"][::core::mem::offset_of!(AttentionRun, spans) - 12usize];
    ["Offset of field: AttentionRun::first_visible"]
        [::core::mem::offset_of!(AttentionRun, first_visible) - 16usize];
    ["Offset of field: AttentionRun::padding"][::core::mem::offset_of!(AttentionRun, padding) - 20usize];
};
#[doc = " A tile of a run: rows from `first` on, counted from the run's."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct AttentionTile {
    pub run: u32,
    pub first: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of AttentionTile"][::core::mem::size_of::<AttentionTile>() - 8usize];
    ["Alignment of AttentionTile"][::core::mem::align_of::<AttentionTile>() - 4usize];
    ["Offset of field: AttentionTile::run"][::core::mem::offset_of!(AttentionTile, run) - 0usize];
    ["Offset of field: AttentionTile::first"][::core::mem::offset_of!(AttentionTile, first) - 4usize];
};
#[doc = " One query row that continues what its group shares; all its spans are visible to it."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct AttentionMember {
    pub row: u32,
    pub first_span: u32,
    pub spans: u32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of AttentionMember"][::core::mem::size_of::<AttentionMember>() - 16usize];
    ["Alignment of AttentionMember"][::core::mem::align_of::<AttentionMember>() - 4usize];
    ["Offset of field: AttentionMember::row"][::core::mem::offset_of!(AttentionMember, row) - 0usize];
    ["Offset of field: AttentionMember::first_span"]
        [::core::mem::offset_of!(AttentionMember, first_span) - 4usize];
    ["Offset of field: AttentionMember::spans"][::core::mem::offset_of!(AttentionMember, spans) - 8usize];
    ["Offset of field: AttentionMember::padding"]
        [::core::mem::offset_of!(AttentionMember, padding) - 12usize];
};
#[doc = " Up to 16 members with the same shared spans, all visible to each; spans may be none."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct AttentionGroup {
    pub first_member: u32,
    pub members: u32,
    pub first_span: u32,
    pub spans: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of AttentionGroup"][::core::mem::size_of::<AttentionGroup>() - 16usize];
    ["Alignment of AttentionGroup"][::core::mem::align_of::<AttentionGroup>() - 4usize];
    ["Offset of field: AttentionGroup::first_member"]
        [::core::mem::offset_of!(AttentionGroup, first_member) - 0usize];
    ["Offset of field: AttentionGroup::members"][::core::mem::offset_of!(AttentionGroup, members) - 4usize];
    ["Offset of field: AttentionGroup::first_span"]
        [::core::mem::offset_of!(AttentionGroup, first_span) - 8usize];
    ["Offset of field: AttentionGroup::spans"][::core::mem::offset_of!(AttentionGroup, spans) - 12usize];
};
#[doc = " out = softmax(q k / sqrt(d)) v: q [rows][q.pitch], query heads first; out [rows][query_heads * head_dim]."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct AttentionParams {
    pub q: Rows,
    pub out: Rows,
    #[doc = " KvSpan"]
    pub spans: u64,
    #[doc = " AttentionRun, of prefill"]
    pub runs: u64,
    #[doc = " AttentionTile, of prefill"]
    pub tiles: u64,
    #[doc = " AttentionGroup, of decode"]
    pub groups: u64,
    #[doc = " AttentionMember, of decode"]
    pub members: u64,
    pub query_heads: u32,
    pub kv_heads: u32,
    pub head_dim: u32,
    pub slot: u32,
    #[doc = " 1 / sqrt(d)"]
    pub scale: f32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of AttentionParams"][::core::mem::size_of::<AttentionParams>() - 96usize];
    ["Alignment of AttentionParams"][::core::mem::align_of::<AttentionParams>() - 8usize];
    ["Offset of field: AttentionParams::q"][::core::mem::offset_of!(AttentionParams, q) - 0usize];
    ["Offset of field: AttentionParams::out"][::core::mem::offset_of!(AttentionParams, out) - 16usize];
    ["Offset of field: AttentionParams::spans"][::core::mem::offset_of!(AttentionParams, spans) - 32usize];
    ["Offset of field: AttentionParams::runs"][::core::mem::offset_of!(AttentionParams, runs) - 40usize];
    ["Offset of field: AttentionParams::tiles"][::core::mem::offset_of!(AttentionParams, tiles) - 48usize];
    ["Offset of field: AttentionParams::groups"][::core::mem::offset_of!(AttentionParams, groups) - 56usize];
    ["Offset of field: AttentionParams::members"]
        [::core::mem::offset_of!(AttentionParams, members) - 64usize];
    ["Offset of field: AttentionParams::query_heads"]
        [::core::mem::offset_of!(AttentionParams, query_heads) - 72usize];
    ["Offset of field: AttentionParams::kv_heads"]
        [::core::mem::offset_of!(AttentionParams, kv_heads) - 76usize];
    ["Offset of field: AttentionParams::head_dim"]
        [::core::mem::offset_of!(AttentionParams, head_dim) - 80usize];
    ["Offset of field: AttentionParams::slot"][::core::mem::offset_of!(AttentionParams, slot) - 84usize];
    ["Offset of field: AttentionParams::scale"][::core::mem::offset_of!(AttentionParams, scale) - 88usize];
    ["Offset of field: AttentionParams::padding"]
        [::core::mem::offset_of!(AttentionParams, padding) - 92usize];
};
#[doc = " first = norm(x) f32, out = norm(first): out alone where first.data is 0, from x itself. Biases are LayerNorm's."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct NormParams {
    pub x: Rows,
    pub first: Rows,
    pub out: Rows,
    pub first_weight: u64,
    pub weight: u64,
    pub bias: u64,
    pub rows: u32,
    pub width: u32,
    pub eps: f32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of NormParams"][::core::mem::size_of::<NormParams>() - 88usize];
    ["Alignment of NormParams"][::core::mem::align_of::<NormParams>() - 8usize];
    ["Offset of field: NormParams::x"][::core::mem::offset_of!(NormParams, x) - 0usize];
    ["Offset of field: NormParams::first"][::core::mem::offset_of!(NormParams, first) - 16usize];
    ["Offset of field: NormParams::out"][::core::mem::offset_of!(NormParams, out) - 32usize];
    ["Offset of field: NormParams::first_weight"]
        [::core::mem::offset_of!(NormParams, first_weight) - 48usize];
    ["Offset of field: NormParams::weight"][::core::mem::offset_of!(NormParams, weight) - 56usize];
    ["Offset of field: NormParams::bias"][::core::mem::offset_of!(NormParams, bias) - 64usize];
    ["Offset of field: NormParams::rows"][::core::mem::offset_of!(NormParams, rows) - 72usize];
    ["Offset of field: NormParams::width"][::core::mem::offset_of!(NormParams, width) - 76usize];
    ["Offset of field: NormParams::eps"][::core::mem::offset_of!(NormParams, eps) - 80usize];
    ["Offset of field: NormParams::padding"][::core::mem::offset_of!(NormParams, padding) - 84usize];
};
#[doc = " out[i] = scale * table[ids[i]] + position_table[positions[i]], f32; without the second where its data is 0. A latent\n takes the first's place where its address is not 0."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct EmbeddingParams {
    pub table: Rows,
    pub position_table: Rows,
    pub out: Rows,
    #[doc = " u32 [rows]"]
    pub ids: u64,
    #[doc = " u32: ids that arg_max left on the device; 0: none"]
    pub chosen: u64,
    #[doc = " u64 [rows]: addresses of f32 [width], or 0; 0: none"]
    pub latents: u64,
    #[doc = " u32 [rows]"]
    pub positions: u64,
    pub rows: u32,
    pub width: u32,
    pub scale: f32,
    pub vocabulary: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of EmbeddingParams"][::core::mem::size_of::<EmbeddingParams>() - 96usize];
    ["Alignment of EmbeddingParams"][::core::mem::align_of::<EmbeddingParams>() - 8usize];
    ["Offset of field: EmbeddingParams::table"][::core::mem::offset_of!(EmbeddingParams, table) - 0usize];
    ["Offset of field: EmbeddingParams::position_table"]
        [::core::mem::offset_of!(EmbeddingParams, position_table) - 16usize];
    ["Offset of field: EmbeddingParams::out"][::core::mem::offset_of!(EmbeddingParams, out) - 32usize];
    ["Offset of field: EmbeddingParams::ids"][::core::mem::offset_of!(EmbeddingParams, ids) - 48usize];
    ["Offset of field: EmbeddingParams::chosen"][::core::mem::offset_of!(EmbeddingParams, chosen) - 56usize];
    ["Offset of field: EmbeddingParams::latents"]
        [::core::mem::offset_of!(EmbeddingParams, latents) - 64usize];
    ["Offset of field: EmbeddingParams::positions"]
        [::core::mem::offset_of!(EmbeddingParams, positions) - 72usize];
    ["Offset of field: EmbeddingParams::rows"][::core::mem::offset_of!(EmbeddingParams, rows) - 80usize];
    ["Offset of field: EmbeddingParams::width"][::core::mem::offset_of!(EmbeddingParams, width) - 84usize];
    ["Offset of field: EmbeddingParams::scale"][::core::mem::offset_of!(EmbeddingParams, scale) - 88usize];
    ["Offset of field: EmbeddingParams::vocabulary"]
        [::core::mem::offset_of!(EmbeddingParams, vocabulary) - 92usize];
};
#[doc = " out[i] = *from[i] for `rows` rows of f32, each at an address of its own."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct GatherParams {
    pub out: Rows,
    #[doc = " u64 [rows]"]
    pub from: u64,
    pub rows: u32,
    pub width: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of GatherParams"][::core::mem::size_of::<GatherParams>() - 32usize];
    ["Alignment of GatherParams"][::core::mem::align_of::<GatherParams>() - 8usize];
    ["Offset of field: GatherParams::out"][::core::mem::offset_of!(GatherParams, out) - 0usize];
    ["Offset of field: GatherParams::from"][::core::mem::offset_of!(GatherParams, from) - 16usize];
    ["Offset of field: GatherParams::rows"][::core::mem::offset_of!(GatherParams, rows) - 24usize];
    ["Offset of field: GatherParams::width"][::core::mem::offset_of!(GatherParams, width) - 28usize];
};
#[doc = " x *= factor: f32 [rows][width]."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct ScaleParams {
    pub x: Rows,
    pub rows: u32,
    pub width: u32,
    pub factor: f32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of ScaleParams"][::core::mem::size_of::<ScaleParams>() - 32usize];
    ["Alignment of ScaleParams"][::core::mem::align_of::<ScaleParams>() - 8usize];
    ["Offset of field: ScaleParams::x"][::core::mem::offset_of!(ScaleParams, x) - 0usize];
    ["Offset of field: ScaleParams::rows"][::core::mem::offset_of!(ScaleParams, rows) - 16usize];
    ["Offset of field: ScaleParams::width"][::core::mem::offset_of!(ScaleParams, width) - 20usize];
    ["Offset of field: ScaleParams::factor"][::core::mem::offset_of!(ScaleParams, factor) - 24usize];
    ["Offset of field: ScaleParams::padding"][::core::mem::offset_of!(ScaleParams, padding) - 28usize];
};
#[doc = " out = x: f32 to bf16."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct RoundParams {
    pub x: Rows,
    pub out: Rows,
    pub rows: u32,
    pub width: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of RoundParams"][::core::mem::size_of::<RoundParams>() - 40usize];
    ["Alignment of RoundParams"][::core::mem::align_of::<RoundParams>() - 8usize];
    ["Offset of field: RoundParams::x"][::core::mem::offset_of!(RoundParams, x) - 0usize];
    ["Offset of field: RoundParams::out"][::core::mem::offset_of!(RoundParams, out) - 16usize];
    ["Offset of field: RoundParams::rows"][::core::mem::offset_of!(RoundParams, rows) - 32usize];
    ["Offset of field: RoundParams::width"][::core::mem::offset_of!(RoundParams, width) - 36usize];
};
#[doc = " x = perturb(x), f32 [rows][width]."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct PerturbParams {
    pub x: Rows,
    pub rows: u32,
    pub width: u32,
    pub perturbation: Perturbation,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of PerturbParams"][::core::mem::size_of::<PerturbParams>() - 56usize];
    ["Alignment of PerturbParams"][::core::mem::align_of::<PerturbParams>() - 8usize];
    ["Offset of field: PerturbParams::x"][::core::mem::offset_of!(PerturbParams, x) - 0usize];
    ["Offset of field: PerturbParams::rows"][::core::mem::offset_of!(PerturbParams, rows) - 16usize];
    ["Offset of field: PerturbParams::width"][::core::mem::offset_of!(PerturbParams, width) - 20usize];
    ["Offset of field: PerturbParams::perturbation"]
        [::core::mem::offset_of!(PerturbParams, perturbation) - 24usize];
};
#[doc = " Rotates the first `heads` heads of each row of x, f32, in place."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct RopeParams {
    pub x: Rows,
    pub angles: u64,
    pub angles_pitch: u32,
    pub rows: u32,
    pub heads: u32,
    pub head_dim: u32,
    pub rotate: u32,
    #[doc = " 1, or -1 to turn back"]
    pub direction: f32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of RopeParams"][::core::mem::size_of::<RopeParams>() - 48usize];
    ["Alignment of RopeParams"][::core::mem::align_of::<RopeParams>() - 8usize];
    ["Offset of field: RopeParams::x"][::core::mem::offset_of!(RopeParams, x) - 0usize];
    ["Offset of field: RopeParams::angles"][::core::mem::offset_of!(RopeParams, angles) - 16usize];
    ["Offset of field: RopeParams::angles_pitch"]
        [::core::mem::offset_of!(RopeParams, angles_pitch) - 24usize];
    ["Offset of field: RopeParams::rows"][::core::mem::offset_of!(RopeParams, rows) - 28usize];
    ["Offset of field: RopeParams::heads"][::core::mem::offset_of!(RopeParams, heads) - 32usize];
    ["Offset of field: RopeParams::head_dim"][::core::mem::offset_of!(RopeParams, head_dim) - 36usize];
    ["Offset of field: RopeParams::rotate"][::core::mem::offset_of!(RopeParams, rotate) - 40usize];
    ["Offset of field: RopeParams::direction"][::core::mem::offset_of!(RopeParams, direction) - 44usize];
};
#[doc = " The largest element of each row of x W and its column: of each tile of columns to partials [rows][tiles], then of all\n to out."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct ArgMaxParams {
    pub x: Rows,
    pub weight: Rows,
    #[doc = " ArgMaxPartial [rows][tiles]"]
    pub partials: u64,
    #[doc = " u32 [rows]"]
    pub out: u64,
    pub rows: u32,
    pub k: u32,
    pub n: u32,
    pub tiles: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of ArgMaxParams"][::core::mem::size_of::<ArgMaxParams>() - 64usize];
    ["Alignment of ArgMaxParams"][::core::mem::align_of::<ArgMaxParams>() - 8usize];
    ["Offset of field: ArgMaxParams::x"][::core::mem::offset_of!(ArgMaxParams, x) - 0usize];
    ["Offset of field: ArgMaxParams::weight"][::core::mem::offset_of!(ArgMaxParams, weight) - 16usize];
    ["Offset of field: ArgMaxParams::partials"][::core::mem::offset_of!(ArgMaxParams, partials) - 32usize];
    ["Offset of field: ArgMaxParams::out"][::core::mem::offset_of!(ArgMaxParams, out) - 40usize];
    ["Offset of field: ArgMaxParams::rows"][::core::mem::offset_of!(ArgMaxParams, rows) - 48usize];
    ["Offset of field: ArgMaxParams::k"][::core::mem::offset_of!(ArgMaxParams, k) - 52usize];
    ["Offset of field: ArgMaxParams::n"][::core::mem::offset_of!(ArgMaxParams, n) - 56usize];
    ["Offset of field: ArgMaxParams::tiles"][::core::mem::offset_of!(ArgMaxParams, tiles) - 60usize];
};
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct ArgMaxPartial {
    pub value: f32,
    pub column: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of ArgMaxPartial"][::core::mem::size_of::<ArgMaxPartial>() - 8usize];
    ["Alignment of ArgMaxPartial"][::core::mem::align_of::<ArgMaxPartial>() - 4usize];
    ["Offset of field: ArgMaxPartial::value"][::core::mem::offset_of!(ArgMaxPartial, value) - 0usize];
    ["Offset of field: ArgMaxPartial::column"][::core::mem::offset_of!(ArgMaxPartial, column) - 4usize];
};
#[doc = " What arg_max_hopper.cu takes; as LinearHopperParams."]
#[repr(C)]
#[repr(align(64))]
#[derive(Debug, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct ArgMaxHopperParams {
    pub x_map: [u64; 16usize],
    pub weight_map: [u64; 16usize],
    pub arg_max: ArgMaxParams,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of ArgMaxHopperParams"][::core::mem::size_of::<ArgMaxHopperParams>() - 320usize];
    ["Alignment of ArgMaxHopperParams"][::core::mem::align_of::<ArgMaxHopperParams>() - 64usize];
    ["Offset of field: ArgMaxHopperParams::x_map"]
        [::core::mem::offset_of!(ArgMaxHopperParams, x_map) - 0usize];
    ["Offset of field: ArgMaxHopperParams::weight_map"]
        [::core::mem::offset_of!(ArgMaxHopperParams, weight_map) - 128usize];
    ["Offset of field: ArgMaxHopperParams::arg_max"]
        [::core::mem::offset_of!(ArgMaxHopperParams, arg_max) - 256usize];
};
impl Default for ArgMaxHopperParams {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[doc = " Of each row, f32 to out [rows][4]: |x - y|, |x|, |y| and x y, all in Euclidean norms (spec huginn 3.2)."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct DistanceParams {
    pub x: Rows,
    pub y: Rows,
    pub out: Rows,
    pub rows: u32,
    pub width: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of DistanceParams"][::core::mem::size_of::<DistanceParams>() - 56usize];
    ["Alignment of DistanceParams"][::core::mem::align_of::<DistanceParams>() - 8usize];
    ["Offset of field: DistanceParams::x"][::core::mem::offset_of!(DistanceParams, x) - 0usize];
    ["Offset of field: DistanceParams::y"][::core::mem::offset_of!(DistanceParams, y) - 16usize];
    ["Offset of field: DistanceParams::out"][::core::mem::offset_of!(DistanceParams, out) - 32usize];
    ["Offset of field: DistanceParams::rows"][::core::mem::offset_of!(DistanceParams, rows) - 48usize];
    ["Offset of field: DistanceParams::width"][::core::mem::offset_of!(DistanceParams, width) - 52usize];
};
#[doc = " Of the softmax p of each row of logits and the softmax q of `before` (uniform where its data is 0): entropy\n -sum p ln(p + 1e-10) and KL(q | p), f32 to out [rows][2]. For the KL, probabilities below min_p of the row's largest count\n as 1/width and both distributions are renormalised (spec huginn 3.2)."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct EntropyParams {
    pub logits: Rows,
    pub before: Rows,
    pub out: Rows,
    pub rows: u32,
    pub width: u32,
    pub min_p: f32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of EntropyParams"][::core::mem::size_of::<EntropyParams>() - 64usize];
    ["Alignment of EntropyParams"][::core::mem::align_of::<EntropyParams>() - 8usize];
    ["Offset of field: EntropyParams::logits"][::core::mem::offset_of!(EntropyParams, logits) - 0usize];
    ["Offset of field: EntropyParams::before"][::core::mem::offset_of!(EntropyParams, before) - 16usize];
    ["Offset of field: EntropyParams::out"][::core::mem::offset_of!(EntropyParams, out) - 32usize];
    ["Offset of field: EntropyParams::rows"][::core::mem::offset_of!(EntropyParams, rows) - 48usize];
    ["Offset of field: EntropyParams::width"][::core::mem::offset_of!(EntropyParams, width) - 52usize];
    ["Offset of field: EntropyParams::min_p"][::core::mem::offset_of!(EntropyParams, min_p) - 56usize];
    ["Offset of field: EntropyParams::padding"][::core::mem::offset_of!(EntropyParams, padding) - 60usize];
};
#[doc = " out[i][j] = x_i x_j / (|x_i| |x_j|), 0 where a row is zero: f32 [rows][rows]."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct CosineParams {
    pub x: Rows,
    pub out: Rows,
    pub rows: u32,
    pub width: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of CosineParams"][::core::mem::size_of::<CosineParams>() - 40usize];
    ["Alignment of CosineParams"][::core::mem::align_of::<CosineParams>() - 8usize];
    ["Offset of field: CosineParams::x"][::core::mem::offset_of!(CosineParams, x) - 0usize];
    ["Offset of field: CosineParams::out"][::core::mem::offset_of!(CosineParams, out) - 16usize];
    ["Offset of field: CosineParams::rows"][::core::mem::offset_of!(CosineParams, rows) - 32usize];
    ["Offset of field: CosineParams::width"][::core::mem::offset_of!(CosineParams, width) - 36usize];
};
#[doc = " x = 0 for rows of `words` words of 32 bits."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct ClearParams {
    pub x: Rows,
    pub rows: u32,
    pub words: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of ClearParams"][::core::mem::size_of::<ClearParams>() - 24usize];
    ["Alignment of ClearParams"][::core::mem::align_of::<ClearParams>() - 8usize];
    ["Offset of field: ClearParams::x"][::core::mem::offset_of!(ClearParams, x) - 0usize];
    ["Offset of field: ClearParams::rows"][::core::mem::offset_of!(ClearParams, rows) - 16usize];
    ["Offset of field: ClearParams::words"][::core::mem::offset_of!(ClearParams, words) - 20usize];
};
#[doc = " x += y: f32 [rows][width]."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct AddParams {
    pub x: Rows,
    pub y: Rows,
    pub rows: u32,
    pub width: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of AddParams"][::core::mem::size_of::<AddParams>() - 40usize];
    ["Alignment of AddParams"][::core::mem::align_of::<AddParams>() - 8usize];
    ["Offset of field: AddParams::x"][::core::mem::offset_of!(AddParams, x) - 0usize];
    ["Offset of field: AddParams::y"][::core::mem::offset_of!(AddParams, y) - 16usize];
    ["Offset of field: AddParams::rows"][::core::mem::offset_of!(AddParams, rows) - 32usize];
    ["Offset of field: AddParams::width"][::core::mem::offset_of!(AddParams, width) - 36usize];
};
#[doc = " A weight [n][k] from f32 rows [n][k], or from their transpose [k][n]: f32, zeros behind a row's end."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct WeightParams {
    pub from: Rows,
    pub out: Rows,
    pub n: u32,
    pub k: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of WeightParams"][::core::mem::size_of::<WeightParams>() - 40usize];
    ["Alignment of WeightParams"][::core::mem::align_of::<WeightParams>() - 8usize];
    ["Offset of field: WeightParams::from"][::core::mem::offset_of!(WeightParams, from) - 0usize];
    ["Offset of field: WeightParams::out"][::core::mem::offset_of!(WeightParams, out) - 16usize];
    ["Offset of field: WeightParams::n"][::core::mem::offset_of!(WeightParams, n) - 32usize];
    ["Offset of field: WeightParams::k"][::core::mem::offset_of!(WeightParams, k) - 36usize];
};
#[doc = " out = f(x), or out = f'(x) dy: f32; f(x) and dy [rows][width], x [rows][width], or [rows][2 width] of SwiGLU."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct ActivationParams {
    pub x: Rows,
    pub dy: Rows,
    pub out: Rows,
    pub rows: u32,
    pub width: u32,
    pub kind: u32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of ActivationParams"][::core::mem::size_of::<ActivationParams>() - 64usize];
    ["Alignment of ActivationParams"][::core::mem::align_of::<ActivationParams>() - 8usize];
    ["Offset of field: ActivationParams::x"][::core::mem::offset_of!(ActivationParams, x) - 0usize];
    ["Offset of field: ActivationParams::dy"][::core::mem::offset_of!(ActivationParams, dy) - 16usize];
    ["Offset of field: ActivationParams::out"][::core::mem::offset_of!(ActivationParams, out) - 32usize];
    ["Offset of field: ActivationParams::rows"][::core::mem::offset_of!(ActivationParams, rows) - 48usize];
    ["Offset of field: ActivationParams::width"][::core::mem::offset_of!(ActivationParams, width) - 52usize];
    ["Offset of field: ActivationParams::kind"][::core::mem::offset_of!(ActivationParams, kind) - 56usize];
    ["Offset of field: ActivationParams::padding"]
        [::core::mem::offset_of!(ActivationParams, padding) - 60usize];
};
#[doc = " dw += dy' x: x [rows][k], dy [rows][n], dw [n][k], f32."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct LinearBackwardParams {
    pub x: Rows,
    pub dy: Rows,
    pub dw: Rows,
    pub rows: u32,
    pub k: u32,
    pub n: u32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of LinearBackwardParams"][::core::mem::size_of::<LinearBackwardParams>() - 64usize];
    ["Alignment of LinearBackwardParams"][::core::mem::align_of::<LinearBackwardParams>() - 8usize];
    ["Offset of field: LinearBackwardParams::x"][::core::mem::offset_of!(LinearBackwardParams, x) - 0usize];
    ["Offset of field: LinearBackwardParams::dy"]
        [::core::mem::offset_of!(LinearBackwardParams, dy) - 16usize];
    ["Offset of field: LinearBackwardParams::dw"]
        [::core::mem::offset_of!(LinearBackwardParams, dw) - 32usize];
    ["Offset of field: LinearBackwardParams::rows"]
        [::core::mem::offset_of!(LinearBackwardParams, rows) - 48usize];
    ["Offset of field: LinearBackwardParams::k"][::core::mem::offset_of!(LinearBackwardParams, k) - 52usize];
    ["Offset of field: LinearBackwardParams::n"][::core::mem::offset_of!(LinearBackwardParams, n) - 56usize];
    ["Offset of field: LinearBackwardParams::padding"]
        [::core::mem::offset_of!(LinearBackwardParams, padding) - 60usize];
};
#[doc = " Sums of the rows of x, f32 [rows][width]: of blocks of rows to a row of out each, or of all added to out's only one."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct ColumnSumsParams {
    pub x: Rows,
    pub out: Rows,
    pub rows: u32,
    pub width: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of ColumnSumsParams"][::core::mem::size_of::<ColumnSumsParams>() - 40usize];
    ["Alignment of ColumnSumsParams"][::core::mem::align_of::<ColumnSumsParams>() - 8usize];
    ["Offset of field: ColumnSumsParams::x"][::core::mem::offset_of!(ColumnSumsParams, x) - 0usize];
    ["Offset of field: ColumnSumsParams::out"][::core::mem::offset_of!(ColumnSumsParams, out) - 16usize];
    ["Offset of field: ColumnSumsParams::rows"][::core::mem::offset_of!(ColumnSumsParams, rows) - 32usize];
    ["Offset of field: ColumnSumsParams::width"][::core::mem::offset_of!(ColumnSumsParams, width) - 36usize];
};
#[doc = " dx of a norm, f32 [rows][width], and the sums over blocks of rows of dy times the normalised x and, of LayerNorm, of dy."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct NormBackwardParams {
    pub x: Rows,
    pub dy: Rows,
    pub dx: Rows,
    #[doc = " f32 [blocks][width]"]
    pub dweight: Rows,
    #[doc = " as dweight"]
    pub dbias: Rows,
    pub weight: u64,
    pub rows: u32,
    pub width: u32,
    pub eps: f32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of NormBackwardParams"][::core::mem::size_of::<NormBackwardParams>() - 104usize];
    ["Alignment of NormBackwardParams"][::core::mem::align_of::<NormBackwardParams>() - 8usize];
    ["Offset of field: NormBackwardParams::x"][::core::mem::offset_of!(NormBackwardParams, x) - 0usize];
    ["Offset of field: NormBackwardParams::dy"][::core::mem::offset_of!(NormBackwardParams, dy) - 16usize];
    ["Offset of field: NormBackwardParams::dx"][::core::mem::offset_of!(NormBackwardParams, dx) - 32usize];
    ["Offset of field: NormBackwardParams::dweight"]
        [::core::mem::offset_of!(NormBackwardParams, dweight) - 48usize];
    ["Offset of field: NormBackwardParams::dbias"]
        [::core::mem::offset_of!(NormBackwardParams, dbias) - 64usize];
    ["Offset of field: NormBackwardParams::weight"]
        [::core::mem::offset_of!(NormBackwardParams, weight) - 80usize];
    ["Offset of field: NormBackwardParams::rows"]
        [::core::mem::offset_of!(NormBackwardParams, rows) - 88usize];
    ["Offset of field: NormBackwardParams::width"]
        [::core::mem::offset_of!(NormBackwardParams, width) - 92usize];
    ["Offset of field: NormBackwardParams::eps"][::core::mem::offset_of!(NormBackwardParams, eps) - 96usize];
    ["Offset of field: NormBackwardParams::padding"]
        [::core::mem::offset_of!(NormBackwardParams, padding) - 100usize];
};
#[doc = " One row of a table, and which rows of the gradient go to it: order[first ... first + count - 1]."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct EmbeddingEntry {
    pub id: u32,
    pub first: u32,
    pub count: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of EmbeddingEntry"][::core::mem::size_of::<EmbeddingEntry>() - 12usize];
    ["Alignment of EmbeddingEntry"][::core::mem::align_of::<EmbeddingEntry>() - 4usize];
    ["Offset of field: EmbeddingEntry::id"][::core::mem::offset_of!(EmbeddingEntry, id) - 0usize];
    ["Offset of field: EmbeddingEntry::first"][::core::mem::offset_of!(EmbeddingEntry, first) - 4usize];
    ["Offset of field: EmbeddingEntry::count"][::core::mem::offset_of!(EmbeddingEntry, count) - 8usize];
};
#[doc = " table[id] += scale * dy[row] for the rows of each entry in turn: f32, dy [rows][width]."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct EmbeddingBackwardParams {
    pub dy: Rows,
    pub table: Rows,
    #[doc = " EmbeddingEntry"]
    pub entries: u64,
    #[doc = " u32 [rows]"]
    pub order: u64,
    #[doc = " entries"]
    pub count: u32,
    pub width: u32,
    pub scale: f32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of EmbeddingBackwardParams"][::core::mem::size_of::<EmbeddingBackwardParams>() - 64usize];
    ["Alignment of EmbeddingBackwardParams"][::core::mem::align_of::<EmbeddingBackwardParams>() - 8usize];
    ["Offset of field: EmbeddingBackwardParams::dy"]
        [::core::mem::offset_of!(EmbeddingBackwardParams, dy) - 0usize];
    ["Offset of field: EmbeddingBackwardParams::table"]
        [::core::mem::offset_of!(EmbeddingBackwardParams, table) - 16usize];
    ["Offset of field: EmbeddingBackwardParams::entries"]
        [::core::mem::offset_of!(EmbeddingBackwardParams, entries) - 32usize];
    ["Offset of field: EmbeddingBackwardParams::order"]
        [::core::mem::offset_of!(EmbeddingBackwardParams, order) - 40usize];
    ["Offset of field: EmbeddingBackwardParams::count"]
        [::core::mem::offset_of!(EmbeddingBackwardParams, count) - 48usize];
    ["Offset of field: EmbeddingBackwardParams::width"]
        [::core::mem::offset_of!(EmbeddingBackwardParams, width) - 52usize];
    ["Offset of field: EmbeddingBackwardParams::scale"]
        [::core::mem::offset_of!(EmbeddingBackwardParams, scale) - 56usize];
    ["Offset of field: EmbeddingBackwardParams::padding"]
        [::core::mem::offset_of!(EmbeddingBackwardParams, padding) - 60usize];
};
#[doc = " Rows of queries, keys and values apart, f32: q [rows][queries], k and v [positions][keys] at rows `places`; and together,\n qkv [rows][queries + 2 keys]."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct HeadsParams {
    pub qkv: Rows,
    pub q: Rows,
    pub k: Rows,
    pub v: Rows,
    #[doc = " u32 [rows]"]
    pub places: u64,
    pub rows: u32,
    pub queries: u32,
    pub keys: u32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of HeadsParams"][::core::mem::size_of::<HeadsParams>() - 88usize];
    ["Alignment of HeadsParams"][::core::mem::align_of::<HeadsParams>() - 8usize];
    ["Offset of field: HeadsParams::qkv"][::core::mem::offset_of!(HeadsParams, qkv) - 0usize];
    ["Offset of field: HeadsParams::q"][::core::mem::offset_of!(HeadsParams, q) - 16usize];
    ["Offset of field: HeadsParams::k"][::core::mem::offset_of!(HeadsParams, k) - 32usize];
    ["Offset of field: HeadsParams::v"][::core::mem::offset_of!(HeadsParams, v) - 48usize];
    ["Offset of field: HeadsParams::places"][::core::mem::offset_of!(HeadsParams, places) - 64usize];
    ["Offset of field: HeadsParams::rows"][::core::mem::offset_of!(HeadsParams, rows) - 72usize];
    ["Offset of field: HeadsParams::queries"][::core::mem::offset_of!(HeadsParams, queries) - 76usize];
    ["Offset of field: HeadsParams::keys"][::core::mem::offset_of!(HeadsParams, keys) - 80usize];
    ["Offset of field: HeadsParams::padding"][::core::mem::offset_of!(HeadsParams, padding) - 84usize];
};
#[doc = " Up to 32 neighbouring rows whose windows begin at position `first`; `seen` positions by the one that sees most."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct WindowTile {
    pub first_row: u32,
    pub rows: u32,
    pub first: u32,
    pub seen: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of WindowTile"][::core::mem::size_of::<WindowTile>() - 16usize];
    ["Alignment of WindowTile"][::core::mem::align_of::<WindowTile>() - 4usize];
    ["Offset of field: WindowTile::first_row"][::core::mem::offset_of!(WindowTile, first_row) - 0usize];
    ["Offset of field: WindowTile::rows"][::core::mem::offset_of!(WindowTile, rows) - 4usize];
    ["Offset of field: WindowTile::first"][::core::mem::offset_of!(WindowTile, first) - 8usize];
    ["Offset of field: WindowTile::seen"][::core::mem::offset_of!(WindowTile, seen) - 12usize];
};
#[doc = " Up to 32 positions, and the tiles that see any of them: seers[first_seer ... first_seer + seers - 1]."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct WindowPositions {
    pub first: u32,
    pub count: u32,
    pub first_seer: u32,
    pub seers: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of WindowPositions"][::core::mem::size_of::<WindowPositions>() - 16usize];
    ["Alignment of WindowPositions"][::core::mem::align_of::<WindowPositions>() - 4usize];
    ["Offset of field: WindowPositions::first"][::core::mem::offset_of!(WindowPositions, first) - 0usize];
    ["Offset of field: WindowPositions::count"][::core::mem::offset_of!(WindowPositions, count) - 4usize];
    ["Offset of field: WindowPositions::first_seer"]
        [::core::mem::offset_of!(WindowPositions, first_seer) - 8usize];
    ["Offset of field: WindowPositions::seers"][::core::mem::offset_of!(WindowPositions, seers) - 12usize];
};
#[doc = " out = softmax(q k / sqrt(d)) v over each row's window, and its gradients: f32, q, out, dout, dq [rows][query_heads d],\n k, v, dk, dv [positions][kv_heads d]."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct WindowAttentionParams {
    pub q: Rows,
    pub k: Rows,
    pub v: Rows,
    pub out: Rows,
    pub dout: Rows,
    pub dq: Rows,
    pub dk: Rows,
    pub dv: Rows,
    #[doc = " u32 [rows]"]
    pub visible: u64,
    #[doc = " WindowTile"]
    pub tiles: u64,
    #[doc = " WindowPositions, of dk and dv"]
    pub positions: u64,
    #[doc = " u32: indices of tiles"]
    pub seers: u64,
    #[doc = " float2 [rows][query_heads]: ln of the sum of e^score, and dout out; written with dq"]
    pub statistics: u64,
    pub query_heads: u32,
    pub kv_heads: u32,
    pub head_dim: u32,
    #[doc = " 1 / sqrt(d)"]
    pub scale: f32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of WindowAttentionParams"][::core::mem::size_of::<WindowAttentionParams>() - 184usize];
    ["Alignment of WindowAttentionParams"][::core::mem::align_of::<WindowAttentionParams>() - 8usize];
    ["Offset of field: WindowAttentionParams::q"][::core::mem::offset_of!(WindowAttentionParams, q) - 0usize];
    ["Offset of field: WindowAttentionParams::k"]
        [::core::mem::offset_of!(WindowAttentionParams, k) - 16usize];
    ["Offset of field: WindowAttentionParams::v"]
        [::core::mem::offset_of!(WindowAttentionParams, v) - 32usize];
    ["Offset of field: WindowAttentionParams::out"]
        [::core::mem::offset_of!(WindowAttentionParams, out) - 48usize];
    ["Offset of field: WindowAttentionParams::dout"]
        [::core::mem::offset_of!(WindowAttentionParams, dout) - 64usize];
    ["Offset of field: WindowAttentionParams::dq"]
        [::core::mem::offset_of!(WindowAttentionParams, dq) - 80usize];
    ["Offset of field: WindowAttentionParams::dk"]
        [::core::mem::offset_of!(WindowAttentionParams, dk) - 96usize];
    ["Offset of field: WindowAttentionParams::dv"]
        [::core::mem::offset_of!(WindowAttentionParams, dv) - 112usize];
    ["Offset of field: WindowAttentionParams::visible"]
        [::core::mem::offset_of!(WindowAttentionParams, visible) - 128usize];
    ["Offset of field: WindowAttentionParams::tiles"]
        [::core::mem::offset_of!(WindowAttentionParams, tiles) - 136usize];
    ["Offset of field: WindowAttentionParams::positions"]
        [::core::mem::offset_of!(WindowAttentionParams, positions) - 144usize];
    ["Offset of field: WindowAttentionParams::seers"]
        [::core::mem::offset_of!(WindowAttentionParams, seers) - 152usize];
    ["Offset of field: WindowAttentionParams::statistics"]
        [::core::mem::offset_of!(WindowAttentionParams, statistics) - 160usize];
    ["Offset of field: WindowAttentionParams::query_heads"]
        [::core::mem::offset_of!(WindowAttentionParams, query_heads) - 168usize];
    ["Offset of field: WindowAttentionParams::kv_heads"]
        [::core::mem::offset_of!(WindowAttentionParams, kv_heads) - 172usize];
    ["Offset of field: WindowAttentionParams::head_dim"]
        [::core::mem::offset_of!(WindowAttentionParams, head_dim) - 176usize];
    ["Offset of field: WindowAttentionParams::scale"]
        [::core::mem::offset_of!(WindowAttentionParams, scale) - 180usize];
};
#[doc = " losses[i] = -ln softmax(logits[i])[targets[i]], and the logits become scale times its gradient; 0 without a target."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct CrossEntropyParams {
    #[doc = " f32 [rows][width]"]
    pub logits: Rows,
    #[doc = " u32 [rows]"]
    pub targets: u64,
    #[doc = " f32 [rows]"]
    pub losses: u64,
    pub rows: u32,
    pub width: u32,
    pub scale: f32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of CrossEntropyParams"][::core::mem::size_of::<CrossEntropyParams>() - 48usize];
    ["Alignment of CrossEntropyParams"][::core::mem::align_of::<CrossEntropyParams>() - 8usize];
    ["Offset of field: CrossEntropyParams::logits"]
        [::core::mem::offset_of!(CrossEntropyParams, logits) - 0usize];
    ["Offset of field: CrossEntropyParams::targets"]
        [::core::mem::offset_of!(CrossEntropyParams, targets) - 16usize];
    ["Offset of field: CrossEntropyParams::losses"]
        [::core::mem::offset_of!(CrossEntropyParams, losses) - 24usize];
    ["Offset of field: CrossEntropyParams::rows"]
        [::core::mem::offset_of!(CrossEntropyParams, rows) - 32usize];
    ["Offset of field: CrossEntropyParams::width"]
        [::core::mem::offset_of!(CrossEntropyParams, width) - 36usize];
    ["Offset of field: CrossEntropyParams::scale"]
        [::core::mem::offset_of!(CrossEntropyParams, scale) - 40usize];
    ["Offset of field: CrossEntropyParams::padding"]
        [::core::mem::offset_of!(CrossEntropyParams, padding) - 44usize];
};
#[doc = " Of each row of x the sum of its squares, f64 [rows]; then of `rows` such numbers the sum, to out."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct SquareSumParams {
    pub x: Rows,
    pub partials: u64,
    pub out: u64,
    pub rows: u32,
    pub width: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of SquareSumParams"][::core::mem::size_of::<SquareSumParams>() - 40usize];
    ["Alignment of SquareSumParams"][::core::mem::align_of::<SquareSumParams>() - 8usize];
    ["Offset of field: SquareSumParams::x"][::core::mem::offset_of!(SquareSumParams, x) - 0usize];
    ["Offset of field: SquareSumParams::partials"]
        [::core::mem::offset_of!(SquareSumParams, partials) - 16usize];
    ["Offset of field: SquareSumParams::out"][::core::mem::offset_of!(SquareSumParams, out) - 24usize];
    ["Offset of field: SquareSumParams::rows"][::core::mem::offset_of!(SquareSumParams, rows) - 32usize];
    ["Offset of field: SquareSumParams::width"][::core::mem::offset_of!(SquareSumParams, width) - 36usize];
};
#[doc = " A step of AdamW or ELLISAdam (src/ops/adam.rs): f32 [rows][width] each."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, bytemuck :: Pod, bytemuck :: Zeroable)]
pub struct AdamParams {
    pub parameter: Rows,
    pub gradient: Rows,
    pub first: Rows,
    pub second: Rows,
    #[doc = " f64 [rows]: of ELLISAdam, sums of g^2 / v"]
    pub partials: u64,
    #[doc = " f64: their sum"]
    pub total: u64,
    pub rows: u32,
    pub width: u32,
    #[doc = " of the gradient"]
    pub factor: f32,
    #[doc = " 1 - beta of both moments"]
    pub first_share: f32,
    pub second_share: f32,
    #[doc = " of the parameter"]
    pub kept: f32,
    pub step: f32,
    pub root: f32,
    #[doc = " of ELLISAdam its square"]
    pub eps: f32,
    pub padding: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of AdamParams"][::core::mem::size_of::<AdamParams>() - 120usize];
    ["Alignment of AdamParams"][::core::mem::align_of::<AdamParams>() - 8usize];
    ["Offset of field: AdamParams::parameter"][::core::mem::offset_of!(AdamParams, parameter) - 0usize];
    ["Offset of field: AdamParams::gradient"][::core::mem::offset_of!(AdamParams, gradient) - 16usize];
    ["Offset of field: AdamParams::first"][::core::mem::offset_of!(AdamParams, first) - 32usize];
    ["Offset of field: AdamParams::second"][::core::mem::offset_of!(AdamParams, second) - 48usize];
    ["Offset of field: AdamParams::partials"][::core::mem::offset_of!(AdamParams, partials) - 64usize];
    ["Offset of field: AdamParams::total"][::core::mem::offset_of!(AdamParams, total) - 72usize];
    ["Offset of field: AdamParams::rows"][::core::mem::offset_of!(AdamParams, rows) - 80usize];
    ["Offset of field: AdamParams::width"][::core::mem::offset_of!(AdamParams, width) - 84usize];
    ["Offset of field: AdamParams::factor"][::core::mem::offset_of!(AdamParams, factor) - 88usize];
    ["Offset of field: AdamParams::first_share"][::core::mem::offset_of!(AdamParams, first_share) - 92usize];
    ["Offset of field: AdamParams::second_share"]
        [::core::mem::offset_of!(AdamParams, second_share) - 96usize];
    ["Offset of field: AdamParams::kept"][::core::mem::offset_of!(AdamParams, kept) - 100usize];
    ["Offset of field: AdamParams::step"][::core::mem::offset_of!(AdamParams, step) - 104usize];
    ["Offset of field: AdamParams::root"][::core::mem::offset_of!(AdamParams, root) - 108usize];
    ["Offset of field: AdamParams::eps"][::core::mem::offset_of!(AdamParams, eps) - 112usize];
    ["Offset of field: AdamParams::padding"][::core::mem::offset_of!(AdamParams, padding) - 116usize];
};
