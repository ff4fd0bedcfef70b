//! The committed Rust side of the kernels' parameters is what bindgen makes of the header.
#![cfg(feature = "bindgen")]

#[test]
fn bindings_are_those_of_the_header() {
    let made = include_str!(concat!(env!("OUT_DIR"), "/params.rs"));
    let committed = include_str!("../src/gpu/params.rs");
    let differs = made.lines().zip(committed.lines()).find(|(made, committed)| made != committed);
    assert!(
        made == committed,
        "scripts/params brings src/gpu/params.rs up to date; it differs in {differs:?}"
    );
}
