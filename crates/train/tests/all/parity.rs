//! Losses and gradients of the published training code.

use std::path::Path;

use fathom::Device;
use fathom_model::{folder::Folder, parity::Verdict};
use fathom_train::parity::run;

/// Every loss and gradient that a fixture records is there and within tolerance; so many are recorded.
#[test]
fn losses_and_gradients_are_the_published_ones() {
    agree(&Device::Cpu);
}

/// And so they are in the kernels.
#[test]
fn losses_and_gradients_on_the_emulated_gpu() {
    agree(&Device::emulated().unwrap());
}

fn agree(device: &Device) {
    for (name, least) in [("huginn-tiny", 150), ("coconut-tiny", 31), ("codi-tiny", 37), ("colar-tiny", 23)] {
        let folder = Folder::open(Path::new("../../tests/fixtures").join(name)).unwrap();
        let lines = run(&folder, device).unwrap();
        assert!(lines.len() >= least, "{name}: {} lines", lines.len());
        for line in lines {
            assert_eq!(line.verdict, Verdict::Pass, "{name}: {line:?}");
        }
    }
}
