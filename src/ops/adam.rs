//! Steps of optimizers: AdamW (arXiv 1711.05101), and the variant of it that trained Huginn (arXiv 2502.05171).

use super::together;
use crate::{Device, Result, Tensor, cpu, error::check, gpu};

/// Running means of a parameter's gradient and of its square, of the parameter's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// m
    pub first: Tensor,
    /// v
    pub second: Tensor,
}

impl Moments {
    /// Zeros for `parameter`, on its device.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn of(parameter: &Tensor) -> Result<Self> {
        let zeros = || Tensor::zeros(parameter.device(), parameter.rows(), parameter.width());
        Ok(Self { first: zeros()?, second: zeros()? })
    }
}

/// Which step it is, and what becomes of the gradient first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Counted from 1.
    pub t: u32,
    /// Multiplies the gradient: what clips its norm.
    pub factor: f32,
}

/// AdamW as PyTorch has it: decay is decoupled, moments are corrected for their start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate of this step.
    pub lr: f64,
    /// Decay of the moments a step.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decay of the parameter a step, times the learning rate.
    pub weight_decay: f64,
}

/// One step with g = factor·gradient: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², then
/// p ← (1 − lr·decay)·p − lr/(1 − β₁ᵗ)·m/(√v/√(1 − β₂ᵗ) + ε).
///
/// # Errors
/// Shapes that differ; step 0; operands on different devices.
pub fn adamw(
    parameter: &mut Tensor,
    gradient: &Tensor,
    moments: &mut Moments,
    rule: AdamW,
    at: Step,
) -> Result<()> {
    fits("adamw", parameter, gradient, moments, at)?;
    let [first, second] = corrections(rule.betas, at.t);
    let rule = cpu::adam::AdamW {
        factor: at.factor,
        shares: rule.betas.map(|beta| (1.0 - beta) as f32),
        kept: (1.0 - rule.lr * rule.weight_decay) as f32,
        step: (rule.lr / first) as f32,
        root: second.sqrt() as f32,
        eps: rule.eps as f32,
    };
    match parameter.device().clone() {
        Device::Cpu => {
            let moments = [&mut moments.first, &mut moments.second].map(Tensor::data_mut);
            cpu::adam::adamw(parameter.data_mut(), gradient.data(), moments, rule);
            Ok(())
        }
        Device::Gpu(gpu) => gpu::adam::adamw(&gpu, parameter, gradient, moments, rule),
    }
}

/// ELLISAdam, Huginn's optimizer: updates are clipped as a tensor's, moments start at the first gradient, decay follows the
/// schedule alone, and the arc tangent of two numbers stands for their ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EllisAdam {
    /// Learning rate of this step.
    pub lr: f64,
    /// Its largest over the schedule.
    pub peak: f64,
    /// Decay of the moments a step.
    pub betas: [f64; 2],
    /// The root of the second moment at least.
    pub eps: f64,
    /// Decay of the parameter a step at the largest learning rate.
    pub weight_decay: f64,
}

/// One step with g = factor·gradient (spec huginn §4.5): at the first m = g and v = g², later moments as [`adamw`]'s;
/// v ← max(v, ε²), ρ = √mean(g²/v) over the tensor, then
/// p ← (1 − lr/peak·decay)·p − lr/max(1, ρ)/(1 − β₁ᵗ)·atan2(m, √v/√(1 − β₂ᵗ)).
///
/// # Errors
/// As [`adamw`]; a largest learning rate that is not positive.
pub fn ellis_adam(
    parameter: &mut Tensor,
    gradient: &Tensor,
    moments: &mut Moments,
    rule: EllisAdam,
    at: Step,
) -> Result<()> {
    fits("ellis_adam", parameter, gradient, moments, at)?;
    check("ellis_adam", rule.peak > 0.0, || format!("a largest learning rate of {}", rule.peak))?;
    let [first, second] = corrections(rule.betas, at.t);
    let started = at.t > 1;
    let rule = cpu::adam::EllisAdam {
        factor: at.factor,
        // The first moments are the gradient's own: a share of it more leaves them as they are.
        shares: rule.betas.map(|beta| if started { (1.0 - beta) as f32 } else { 1.0 }),
        least: (rule.eps * rule.eps) as f32,
        kept: (1.0 - rule.lr / rule.peak * rule.weight_decay) as f32,
        step: (rule.lr / first) as f32,
        root: second.sqrt() as f32,
    };
    match parameter.device().clone() {
        Device::Cpu => {
            let moments = [&mut moments.first, &mut moments.second].map(Tensor::data_mut);
            cpu::adam::ellis_adam(parameter.data_mut(), gradient.data(), moments, rule);
            Ok(())
        }
        Device::Gpu(gpu) => gpu::adam::ellis_adam(&gpu, parameter, gradient, moments, rule),
    }
}

/// 1 − βᵗ of both moments.
fn corrections(betas: [f64; 2], t: u32) -> [f64; 2] {
    betas.map(|beta| 1.0 - libm::pow(beta, f64::from(t)))
}

fn fits(
    name: &'static str,
    parameter: &Tensor,
    gradient: &Tensor,
    moments: &Moments,
    at: Step,
) -> Result<()> {
    let shape = |x: &Tensor| [x.rows(), x.width()];
    let others = [gradient, &moments.first, &moments.second];
    let alike = others.iter().all(|other| shape(other) == shape(parameter));
    check(name, alike, || {
        format!("a parameter {:?}, gradient and moments {:?}", shape(parameter), others.map(shape))
    })?;
    check(name, at.t > 0, || "steps count from 1".into())?;
    together(name, parameter.device(), &others.map(Tensor::device))
}
