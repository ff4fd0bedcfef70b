//! Without a GPU, what its absence looks like; with one, what no operation's test sees: copies and graphs.

use super::*;
use crate::{Tensor, gpu::Buffer, ops::scale::scale};

/// The GPU that there may be; what is missing is to be said.
fn gpu() -> Option<Gpu> {
    match Device::cuda(0) {
        Ok(Device::Gpu(gpu)) => Some(gpu),
        Ok(device) => panic!("{device} is no GPU"),
        Err(Error::Unavailable { device, why }) => {
            assert_eq!(device, "cuda:0");
            assert!(why.contains("CUDA driver"), "{why}");
            eprintln!("skipped: {why}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_gpu_that_is_not_there_is_an_error() {
    let Err(Error::Unavailable { device, why }) = Device::cuda(4096) else { panic!("4097 GPUs") };
    assert_eq!(device, "cuda:4096");
    assert!(why.contains("CUDA driver"), "{why}");
    assert!(matches!(Device::cuda(usize::MAX), Err(Error::Unavailable { .. })));
    for stream in 0..3 {
        // SAFETY: default streams are refused.
        let opened = unsafe { Device::cuda_on(std::ptr::without_provenance_mut(stream)) };
        assert!(matches!(opened, Err(Error::Unavailable { why, .. }) if why.contains("default stream")));
    }
}

#[test]
fn all_kernel_files_are_in_the_build() {
    let files =
        std::fs::read_dir("kernels").expect("the kernels").map(|entry| entry.expect("an entry").path());
    for file in files.filter(|path| path.extension().is_some_and(|extension| extension == "cu")) {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        assert!(modules::FATBINS.iter().any(|(file, fatbin)| *file == stem && !fatbin.is_empty()), "{stem}");
    }
}

#[test]
fn uploads_take_bytes_as_they_are_at_the_call() {
    let Some(gpu) = gpu() else { return };
    // Longer than the ring of pinned memory, and not a multiple of anything in it.
    let mut bytes: Vec<u8> =
        (0..20_000_003u32).map(|at| (at.wrapping_mul(0x9E37_79B9) >> 24) as u8).collect();
    let before = bytes.clone();
    let buffer = Buffer::holding(&gpu, &bytes).expect("memory");
    bytes.fill(0);
    buffer.read(0, &mut bytes).expect("what was written");
    assert!(bytes == before);
}

#[test]
fn copies_keep_to_their_rows() {
    let Some(gpu) = gpu() else { return };
    let source: Vec<u8> = (0..60).collect();
    let from = Buffer::holding(&gpu, &source).expect("memory");
    // Pitches of a copy in two dimensions, then one that repeats a row.
    for (pitches, bytes) in [([10, 16], 7), ([0, 16], 7), ([7, 7], 7)] {
        let mut to = Buffer::holding(&gpu, &[0xFF; 80]).expect("memory");
        to.copy_from(&from, [3, 2], pitches, bytes, 5).expect("a copy");
        let mut expected = [0xFF; 80];
        for row in 0..5 {
            let [at, target] = [3 + row * pitches[0], 2 + row * pitches[1]];
            expected[target..target + bytes].copy_from_slice(&source[at..at + bytes]);
        }
        let mut copied = [0; 80];
        to.read(0, &mut copied).expect("what was copied");
        assert_eq!(copied, expected, "{pitches:?}");
    }
}

#[test]
fn launches_that_come_again_run_as_a_graph() {
    let Some(gpu) = gpu() else { return };
    let device = Device::Gpu(gpu.clone());
    let mut x = Tensor::new(&device, 2, 3, vec![1.0; 6]).expect("memory");
    for pass in 1..=4 {
        for _ in 0..4 {
            scale(&mut x, 2.0).expect("a launch");
        }
        assert_eq!(x.to_vec().expect("elements"), vec![f32::powi(16.0, pass); 6]);
    }
    assert_eq!(gpu.graphs(), Graphs { captured: 1, replayed: 3, failure: None });
}

#[test]
fn a_list_with_an_invalid_launch_keeps_no_other_from_becoming_a_graph() {
    let Some(gpu) = gpu() else { return };
    let kernel = crate::gpu::Kernel { file: "scale", name: "scale" };
    // More threads than a block may have: it is refused where it is launched, and nothing of it runs.
    let invalid = Launch { kernel, params: &[0; 64], grid: [1; 3], block: 4096, shared: 0 };
    for _ in 0..3 {
        for _ in 0..3 {
            // SAFETY: it cannot run.
            unsafe { gpu.executor().launch(&invalid) }.expect("a launch that waits");
        }
        gpu.flush().expect_err("an invalid launch");
    }
    assert!(gpu.graphs().failure.is_some());
    let mut x = Tensor::new(&Device::Gpu(gpu.clone()), 2, 3, vec![1.0; 6]).expect("memory");
    for pass in 1..=3 {
        for _ in 0..4 {
            scale(&mut x, 2.0).expect("a launch");
        }
        assert_eq!(x.to_vec().expect("elements"), vec![f32::powi(16.0, pass); 6]);
    }
    let Graphs { captured, replayed, .. } = gpu.graphs();
    assert_eq!((captured, replayed), (1, 2));
}

#[test]
fn a_kernel_that_is_not_there_is_named() {
    let Some(gpu) = gpu() else { return };
    for (file, name) in [("no_such_file", "scale"), ("scale", "no_such_kernel")] {
        let kernel = crate::gpu::Kernel { file, name };
        let launch = Launch { kernel, params: &[0; 64], grid: [1; 3], block: 32, shared: 0 };
        // SAFETY: nothing runs.
        let error = unsafe { gpu.executor().launch(&launch) }.expect_err("no such kernel").to_string();
        assert!(error.contains(file) && error.contains(name), "{error}");
    }
}
