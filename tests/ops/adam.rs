//! Steps of AdamW and ELLISAdam.

use fathom::{
    Device, Tensor,
    ops::adam::{AdamW, EllisAdam, Moments, Step, adamw, ellis_adam},
};
use fathom_testkit::{compare::assert_same_bits, inputs::Inputs, tolerance::UNIT};

use crate::common::{devices, on_any_pool, tensor};

/// Gradients of `steps` steps, a tenth of the elements always 0.
fn gradients(count: usize, steps: usize) -> Vec<Vec<f32>> {
    let mut inputs = Inputs::new(1);
    let mut one = |step: usize| {
        let scale = [1e-3, 1.0, 30.0][step % 3];
        let values = inputs.bell(count);
        values.iter().enumerate().map(|(i, x)| if i % 10 == 3 { 0.0 } else { scale * x }).collect()
    };
    (0..steps).map(&mut one).collect()
}

/// Parameter and moments after each of the gradients.
fn run(
    device: &Device,
    start: &[f32],
    gradients: &[Vec<f32>],
    step: impl Fn(&mut Tensor, &Tensor, &mut Moments, u32),
) -> Vec<[Vec<f32>; 3]> {
    let mut parameter = tensor(device, 1, start.len(), start);
    let mut moments = Moments::of(&parameter).unwrap();
    let one = |(index, gradient): (usize, &Vec<f32>)| {
        step(&mut parameter, &tensor(device, 1, start.len(), gradient), &mut moments, index as u32 + 1);
        [&parameter, &moments.first, &moments.second].map(|x| x.to_vec().unwrap())
    };
    gradients.iter().enumerate().map(one).collect()
}

/// The same in double precision, a vector at a time.
struct Exact {
    parameter: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Exact {
    fn new(start: &[f32]) -> Self {
        let zeros = vec![0.0; start.len()];
        Self { parameter: start.iter().map(|&x| f64::from(x)).collect(), first: zeros.clone(), second: zeros }
    }

    fn gather(&mut self, gradient: &[f64], [first, second]: [f64; 2]) {
        for (i, g) in gradient.iter().enumerate() {
            self.first[i] = first * self.first[i] + (1.0 - first) * g;
            self.second[i] = second * self.second[i] + (1.0 - second) * g * g;
        }
    }

    fn adamw(&mut self, gradient: &[f64], rule: AdamW, t: i32) {
        self.gather(gradient, rule.betas);
        let [first, second] = rule.betas.map(|beta| 1.0 - beta.powi(t));
        for i in 0..gradient.len() {
            let root = (self.second[i] / second).sqrt() + rule.eps;
            self.parameter[i] *= 1.0 - rule.lr * rule.weight_decay;
            self.parameter[i] -= rule.lr * (self.first[i] / first) / root;
        }
    }

    fn ellis_adam(&mut self, gradient: &[f64], rule: EllisAdam, t: i32) {
        if t == 1 {
            self.first = gradient.to_vec();
            self.second = gradient.iter().map(|g| g * g).collect();
        }
        self.gather(gradient, rule.betas);
        self.second.iter_mut().for_each(|v| *v = v.max(rule.eps * rule.eps));
        let ratios: f64 = gradient.iter().zip(&self.second).map(|(g, v)| g * g / v).sum();
        let ratio = (ratios / gradient.len() as f64).sqrt();
        let [first, second] = rule.betas.map(|beta| 1.0 - beta.powi(t));
        let step = rule.lr / ratio.max(1.0) / first;
        for i in 0..gradient.len() {
            self.parameter[i] *= 1.0 - rule.lr / rule.peak * rule.weight_decay;
            self.parameter[i] -= step * self.first[i].atan2((self.second[i] / second).sqrt());
        }
    }
}

const ADAMW: AdamW = AdamW { lr: 3e-2, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.1 };
const ELLIS: EllisAdam =
    EllisAdam { lr: 3e-2, peak: 4e-2, betas: [0.9, 0.95], eps: 1e-6, weight_decay: 0.04 };

/// Half a step's gradient comes in as its double.
const FACTOR: f32 = 0.5;

/// A moment takes three roundings a step and an update about twelve, of at most its learning rate; both forget slowly, so
/// that what k steps round adds up to k times that.
fn assert_steps_near(
    name: &str,
    got: &[[Vec<f32>; 3]],
    lr: f64,
    exact: &mut Exact,
    mut step: impl FnMut(&mut Exact, usize),
) {
    for (index, got) in got.iter().enumerate() {
        step(exact, index);
        let steps = (index + 1) as f64;
        for (what, got, exact, spread) in [
            ("parameter", &got[0], &exact.parameter, 2.0 * lr * 12.0),
            ("first moment", &got[1], &exact.first, 0.0),
            ("second moment", &got[2], &exact.second, 0.0),
        ] {
            let largest = exact.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
            let error = fathom_testkit::compare::largest_error(got, exact);
            let allowed = steps * UNIT * (3.0 * largest + spread);
            assert!(error <= allowed, "{name}, {what} after {steps} steps: {error:e}, allowed {allowed:e}");
        }
    }
}

#[test]
fn steps_near_float64() {
    for count in [1, 7, 33, 4099] {
        let (start, gradients) = (Inputs::new(2).bell(count), gradients(count, 7));
        let halves =
            |index: usize| gradients[index].iter().map(|&g| f64::from(g * FACTOR)).collect::<Vec<f64>>();
        for device in devices() {
            let got = run(&device, &start, &gradients, |p, g, m, t| {
                adamw(p, g, m, ADAMW, Step { t, factor: FACTOR }).unwrap()
            });
            let name = format!("{device}, AdamW");
            assert_steps_near(&name, &got, ADAMW.lr, &mut Exact::new(&start), |exact, index| {
                exact.adamw(&halves(index), ADAMW, index as i32 + 1);
            });
            let got = run(&device, &start, &gradients, |p, g, m, t| {
                ellis_adam(p, g, m, ELLIS, Step { t, factor: FACTOR }).unwrap()
            });
            let name = format!("{device}, ELLISAdam");
            assert_steps_near(&name, &got, ELLIS.lr, &mut Exact::new(&start), |exact, index| {
                exact.ellis_adam(&halves(index), ELLIS, index as i32 + 1);
            });
        }
    }
}

/// Sums over the tensor and tasks follow from its size alone.
#[test]
fn same_bits_on_any_pool() {
    let (start, gradients) = (Inputs::new(3).bell(20_000), gradients(20_000, 3));
    on_any_pool("AdamW", || {
        let at = |t| Step { t, factor: 1.0 };
        run(&Device::Cpu, &start, &gradients, |p, g, m, t| adamw(p, g, m, ADAMW, at(t)).unwrap())
            .concat()
            .concat()
    });
    on_any_pool("ELLISAdam", || {
        let at = |t| Step { t, factor: 1.0 };
        run(&Device::Cpu, &start, &gradients, |p, g, m, t| ellis_adam(p, g, m, ELLIS, at(t)).unwrap())
            .concat()
            .concat()
    });
}

/// A parameter of zero gradient only decays, and a step of Adam is the learning rate at first, whatever the gradient's size.
#[test]
fn known_steps() {
    let rule = AdamW { lr: 0.25, betas: [0.9, 0.999], eps: 0.0, weight_decay: 0.5 };
    for device in devices() {
        let got = run(&device, &[4.0, 4.0, 4.0], &[vec![1e-3, -70.0, 1e-9]], |p, g, m, t| {
            adamw(p, g, m, AdamW { eps: 0.0, ..rule }, Step { t, factor: 1.0 }).unwrap();
        });
        for (got, expected) in got[0][0].iter().zip([3.25, 3.75, 3.25]) {
            assert!((got - expected).abs() < 1e-5, "{device}: {got} for {expected}");
        }
        let got = run(&device, &[4.0], &[vec![0.0]], |p, g, m, t| {
            adamw(p, g, m, AdamW { eps: 1e-8, ..rule }, Step { t, factor: 1.0 }).unwrap();
        });
        assert_eq!(got[0][0], [3.5], "{device}");
    }
}

/// Rows of a matrix, of any number and width, are the elements of a vector; those of AdamW have the same bits on every device.
#[test]
fn rows_of_matrices() {
    for (rows, width) in [(1, 1), (7, 33), (70, 5), (3, 2100)] {
        let (start, gradients) = (Inputs::new(4).bell(rows * width), gradients(rows * width, 2));
        let of = |device: &Device, ellis: bool| {
            let mut parameter = tensor(device, rows, width, &start);
            let mut moments = Moments::of(&parameter).unwrap();
            for (index, gradient) in gradients.iter().enumerate() {
                let gradient = tensor(device, rows, width, gradient);
                let at = Step { t: index as u32 + 1, factor: FACTOR };
                match ellis {
                    true => ellis_adam(&mut parameter, &gradient, &mut moments, ELLIS, at).unwrap(),
                    false => adamw(&mut parameter, &gradient, &mut moments, ADAMW, at).unwrap(),
                }
            }
            [&parameter, &moments.first, &moments.second].map(|x| x.to_vec().unwrap()).concat()
        };
        for device in devices() {
            let context = format!("{device} [{rows}, {width}]");
            assert_same_bits(&context, &of(&device, false), &of(&Device::Cpu, false));
            // The mean over the tensor rounds in another order, and so does every update by it.
            for (got, expected) in of(&device, true).iter().zip(of(&Device::Cpu, true)) {
                assert!(
                    (got - expected).abs() <= 1e-6 * expected.abs().max(0.1),
                    "{context}: {got} {expected}"
                );
            }
        }
    }
}

/// The published optimizer's steps, five of them along a schedule of learning rates; recorded to seven digits.
#[test]
fn ellis_adam_as_published() {
    let start = [0.2483696, -0.07299829, -0.3905237, -0.05815113, 0.4568812, 0.07629871];
    let lrs = [0.01, 0.02, 0.04, 0.04, 0.04];
    let gradients: [[f32; 6]; 5] = [
        [0.04374118, -0.002840305, 0.0, -0.05316304, -0.0001730442, 0.005336797],
        [-0.05919287, 0.03330227, 0.0, -0.06991326, 0.05978874, 0.07648342],
        [0.02615713, 0.09093624, 0.0, -0.09447969, 0.09459706, 0.08514889],
        [-0.8039677, 0.7720177, 0.0, -1.473081, -0.9741325, -1.760333],
        [-0.08145239, 0.0356431, 0.0, 0.02571566, -0.09870467, -0.08980838],
    ];
    let after: [[f32; 6]; 5] = [
        [0.2238871, -0.05026951, -0.3866184, -0.03557082, 0.4743111, 0.05353694],
        [0.2117143, -0.05028231, -0.3788861, -0.02460011, 0.4602993, 0.04529544],
        [0.1886155, -0.0572467, -0.3637306, -0.003750201, 0.4301638, 0.02850194],
        [0.1844767, -0.06100405, -0.3491814, 0.003680623, 0.4176815, 0.03229363],
        [0.1908635, -0.08036182, -0.3352141, 0.02833162, 0.4192824, 0.04906863],
    ];
    let got = run(&Device::Cpu, &start, &gradients.map(|g| g.to_vec()), |p, g, m, t| {
        let rule = EllisAdam { lr: lrs[t as usize - 1], peak: 0.04, weight_decay: 0.04, ..ELLIS };
        ellis_adam(p, g, m, rule, Step { t, factor: 1.0 }).unwrap();
    });
    for (step, (got, after)) in got.iter().zip(after).enumerate() {
        for (got, expected) in got[0].iter().zip(after) {
            // Seven digits of numbers below a half, and as much for the rounding of either side.
            assert!((got - expected).abs() <= 1e-7, "step {}: {got} for {expected}", step + 1);
        }
    }
}
