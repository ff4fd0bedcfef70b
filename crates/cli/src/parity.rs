//! `fathom parity`: every tensor of a reference beside ours.

use serde::Serialize;

use crate::args::ParityArgs;
use crate::error::Result;
use crate::table::{Align, Table};
use crate::{engine, output};

/// How one tensor compares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Check {
    /// Its name in reference.safetensors.
    pub(crate) name: String,
    /// Largest absolute difference; `None` where nothing was computed, or shapes differ.
    #[serde(rename = "max_abs_error")]
    pub(crate) max_error: Option<f32>,
    /// Whether that is within tolerance.
    pub(crate) verdict: Verdict,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Within tolerance.
    Pass,
    /// Beyond tolerance, or a name that nobody knows.
    Fail,
    /// A known tensor that is not computed here, or an input.
    Skip,
}

#[derive(Debug, Serialize)]
struct Parity<'a> {
    tensors: &'a [Check],
    passed: bool,
}

/// Compares and prints; whether nothing failed.
///
/// # Errors
/// A folder that cannot be used, a full standard output.
pub(crate) fn run(arguments: &ParityArgs) -> Result<bool> {
    let checks = engine::parity(&arguments.folder, &arguments.device)?;
    let passed = passed(&checks);
    output::print(&if arguments.json {
        output::json(&Parity { tensors: &checks, passed })?
    } else {
        table(&checks)
    })?;
    Ok(passed)
}

fn passed(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.verdict != Verdict::Fail)
}

fn table(checks: &[Check]) -> String {
    let mut table =
        Table::new([("tensor", Align::Left), ("max_abs_error", Align::Right), ("verdict", Align::Left)]);
    for check in checks {
        let error = check.max_error.map_or_else(|| "-".to_owned(), |error| format!("{error:.3e}"));
        let verdict = match check.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Skip => "skip",
        };
        table.row([check.name.as_str(), error.as_str(), verdict]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_the_whole_and_a_skip_does_not() {
        let check = |name: &str, max_error, verdict| Check { name: name.to_owned(), max_error, verdict };
        let mut checks =
            vec![check("logits_r4", Some(2.5e-6), Verdict::Pass), check("loss_n2_k2", None, Verdict::Skip)];
        assert!(passed(&checks));
        checks.push(check("exit_kl", Some(f32::NAN), Verdict::Fail));
        assert!(!passed(&checks));
        let expected = "\
tensor      max_abs_error  verdict
logits_r4        2.500e-6  pass
loss_n2_k2              -  skip
exit_kl               NaN  fail
";
        assert_eq!(table(&checks), expected);
        let json = output::json(&Parity { tensors: &checks, passed: false }).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["tensors"][2]["verdict"], "fail");
        assert!(value["tensors"][2]["max_abs_error"].is_null());
    }
}
