//! What tests hold an engine to: float64 references, inputs, shapes, comparers and the table of tolerances.
//!
//! It knows nothing of the engine: plain slices in, plain vectors out, so that no defect of a tensor layer can hide
//! in the reference that it is compared with.

pub mod compare;
pub mod differences;
pub mod inputs;
pub mod poison;
pub mod reference;
pub mod shapes;
pub mod tolerance;
