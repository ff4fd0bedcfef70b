//! Squares of all elements.

use fathom::ops::square_sum::square_sum;
use fathom_testkit::inputs::Inputs;

use crate::common::{devices, on_any_pool, tensor};

/// Squares of f32 are exact in double precision; their sums round n times at most.
#[test]
fn near_the_plain_sum_on_any_pool() {
    for (rows, width) in [(0, 5), (1, 1), (3, 31), (64, 64), (97, 129), (300, 161)] {
        let data: Vec<f32> = Inputs::new(width as u64).bell(rows * width).iter().map(|x| 1e3 * x).collect();
        for device in devices() {
            let x = tensor(&device, rows, width, &data);
            let got = || square_sum(&x).unwrap();
            let halves =
                |x: f64| [(x.to_bits() >> 32) as u32, x.to_bits() as u32].map(f32::from_bits).to_vec();
            on_any_pool("square_sum", || halves(got()));
            let exact: f64 = data.iter().map(|&x| f64::from(x).powi(2)).sum();
            let allowed = data.len() as f64 * f64::EPSILON * exact;
            assert!((got() - exact).abs() <= allowed, "{device} [{rows}, {width}]: {} {exact}", got());
        }
    }
    for device in devices() {
        assert_eq!(square_sum(&tensor(&device, 1, 2, &[3.0, -4.0])).unwrap(), 25.0);
        // Beyond the range of f32.
        assert_eq!(square_sum(&tensor(&device, 1, 1, &[2f32.powi(100)])).unwrap(), 2f64.powi(200));
    }
}
