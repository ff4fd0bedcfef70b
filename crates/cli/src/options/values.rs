//! Values of single options, each with an error that lists what is known.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use fathom_model::perturbation::{Scope, Sites};

/// What makes trajectories differ, before its strength is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampler {
    /// Nothing.
    None,
    /// MC-dropout.
    Dropout,
    /// Additive Gaussian noise.
    Noise,
    /// Another initial state of a recurrent-depth model.
    State,
}

impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Dropout => "dropout",
            Self::Noise => "noise",
            Self::State => "state",
        })
    }
}

impl FromStr for Sampler {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "dropout" => Ok(Self::Dropout),
            "noise" => Ok(Self::Noise),
            "state" => Ok(Self::State),
            _ => Err(unknown("sampler", text, "none, dropout, noise, state")),
        }
    }
}

/// Parses `--sites`.
pub(super) fn sites(text: &str) -> Result<Sites, String> {
    match text {
        "resid" => Ok(Sites::Resid),
        "mlp" => Ok(Sites::Mlp),
        "resid+embd" => Ok(Sites::ResidEmbd),
        _ => Err(unknown("sites", text, "resid, mlp, resid+embd")),
    }
}

/// Parses `--scope`.
pub(super) fn scope(text: &str) -> Result<Scope, String> {
    match text {
        "full" => Ok(Scope::Full),
        "latent" => Ok(Scope::Latent),
        _ => Err(unknown("scope", text, "full, latent")),
    }
}

/// Parses `--dropout-p`: a probability p that leaves something, 0 ≤ p < 1.
pub(crate) fn probability(text: &str) -> Result<f32, String> {
    let p: f32 = text.trim().parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..1.0).contains(&p) { Ok(p) } else { Err("must lie in [0, 1)".to_owned()) }
}

/// Parses `--noise-std`: a finite σ ≥ 0.
pub(crate) fn deviation(text: &str) -> Result<f32, String> {
    let std: f32 = text.trim().parse().map_err(|_| "not a number".to_owned())?;
    if std >= 0.0 && std.is_finite() { Ok(std) } else { Err("must be finite and at least 0".to_owned()) }
}

/// The most of anything that is counted out in memory; beyond it a number is a slip of the keyboard.
const MOST: usize = 1 << 16;

/// Parses a whole number of at least 0.
pub(crate) fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "must be a whole number of at least 0, and not too large".to_owned())
}

/// Parses a count of at least 1.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n >= 1).ok_or_else(|| "must be a whole number of at least 1".to_owned())
}

/// Parses a count from 1 to 65536.
pub(crate) fn bounded_count(text: &str) -> Result<usize, String> {
    count(text).ok().filter(|&n| n <= MOST).ok_or_else(|| format!("must be a whole number from 1 to {MOST}"))
}

/// Parses a count from 0 to 65536; whether 0 steps make sense is the model's to say.
pub(crate) fn steps(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n <= MOST).ok_or_else(|| format!("must be a whole number from 0 to {MOST}"))
}

/// Parses a number of threads from 1 to 64, or to the number of cores where there are more.
pub(crate) fn threads(text: &str) -> Result<usize, String> {
    // Far more threads than cores spend their time waking each other.
    let most = std::thread::available_parallelism().map_or(1, usize::from).max(64);
    count(text).ok().filter(|&n| n <= most).ok_or_else(|| format!("must be a whole number from 1 to {most}"))
}

/// Parses `A..B`, both ends included, or one number for both.
pub(crate) fn range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let (start, end) = text.split_once("..").unwrap_or((text, text));
    let ends = start.parse().ok().zip(end.parse().ok());
    ends.map(|(start, end)| start..=end).ok_or_else(|| "must be A..B, both included, or a number".to_owned())
}

fn unknown(what: &str, text: &str, known: &str) -> String {
    format!("unknown {what} {text:?}; known: {known}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strengths_are_checked_at_their_borders() {
        assert_eq!(probability("0"), Ok(0.0));
        assert_eq!(probability("0.999"), Ok(0.999));
        for bad in ["1", "-0.1", "nan", "inf", "", "p"] {
            assert!(probability(bad).is_err(), "{bad}");
        }
        assert_eq!(deviation("0"), Ok(0.0));
        assert_eq!(deviation("1.5"), Ok(1.5));
        for bad in ["-1", "nan", "inf", "1e39", ""] {
            assert!(deviation(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_are_checked_at_their_borders() {
        assert_eq!(count("1"), Ok(1));
        assert_eq!(bounded_count("65536"), Ok(65536));
        assert_eq!(steps("0"), Ok(0));
        assert!(count("0").is_err() && count("-1").is_err() && count("1.5").is_err());
        assert!(bounded_count("65537").is_err() && steps("65537").is_err() && threads("1000000").is_err());
    }

    #[test]
    fn ranges_include_both_ends() {
        assert_eq!(range("1..3"), Ok(1..=3));
        assert_eq!(range("4"), Ok(4..=4));
        for bad in ["", "..", "1..", "..3", "1..=3", "-1..3", "1...3", "a..b", "1..4294967296"] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        assert!("sgld".parse::<Sampler>().unwrap_err().contains("none, dropout, noise, state"));
        assert!(sites("attn").unwrap_err().contains("resid+embd"));
        assert!(scope("all").unwrap_err().contains("full, latent"));
    }
}
