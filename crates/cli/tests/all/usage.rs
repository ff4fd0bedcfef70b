//! Help, and options that cannot be.

use crate::binary::{fathom, refusal};

#[test]
fn no_arguments_show_help_and_succeed() {
    for arguments in [&[][..], &["--help"], &["help", "eval"], &["--version"]] {
        let output = fathom(arguments);
        assert!(output.status.success(), "{arguments:?}");
        assert!(output.stderr.is_empty() && !output.stdout.is_empty(), "{arguments:?}");
    }
    let help = String::from_utf8(fathom(&[]).stdout).unwrap();
    for command in ["solve", "eval", "merge", "generate", "score", "trace", "parity", "info"] {
        assert!(help.contains(command), "{command} is missing:\n{help}");
    }
}

#[test]
fn bad_options_are_one_line_that_names_option_and_value() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["-n", "0"], &["-n", "'0'", "from 1"]),
        (&["-n", "-3"], &["-n", "'-3'"]),
        (&["-n", "70000"], &["-n", "65536"]),
        (&["--dropout-p", "1"], &["--dropout-p", "[0, 1)"]),
        (&["--dropout-p", "-0.1"], &["--dropout-p", "[0, 1)"]),
        (&["--dropout-p", "nan"], &["--dropout-p", "[0, 1)"]),
        (&["--sampler", "noise", "--noise-std", "-1"], &["--noise-std", "at least 0"]),
        (&["--sampler", "noise", "--noise-std", "inf"], &["--noise-std", "finite"]),
        (&["--sampler", "sgld"], &["--sampler", "sgld", "none, dropout, noise, state"]),
        (&["--device", "tpu"], &["--device", "tpu", "cpu, cuda"]),
        (&["--device", "cuda:x"], &["--device", "cuda:x", "cpu, cuda"]),
        (&["--dtype", "f64"], &["--dtype", "f64", "f32, bf16"]),
        (&["--sites", "attn"], &["--sites", "attn", "resid, mlp, resid+embd"]),
        (&["--scope", "all"], &["--scope", "all", "full, latent"]),
        (&["--aggregate", "vote"], &["--aggregate", "vote", "majority, best-of-n, weighted, beam"]),
        (&["--aggregate", "beam"], &["--aggregate", "beam needs --reward"]),
        (&["--threads", "0"], &["--threads", "from 1"]),
        (&["--steps", "-1"], &["--steps", "from 0"]),
        (&["--steps", "many"], &["--steps", "many"]),
        (&["--beams", "0"], &["--beams", "from 1"]),
        (&["--candidates", "0"], &["--candidates", "from 1"]),
        (&["--seed", "-1"], &["--seed", "-1"]),
        (&["--max-answer-tokens", "0"], &["--max-answer-tokens", "from 1"]),
        (&["--sampler", "none,noise"], &["--sampler", "solve takes one value"]),
        (&["--temperature", "1"], &["--temperature"]),
    ];
    for (options, expected) in cases {
        let error = refusal(&[&["solve", "How many?"], *options].concat());
        for part in *expected {
            assert!(error.contains(part), "{options:?}: {part:?} is missing: {error}");
        }
    }
    assert!(refusal(&["solve"]).contains("<QUESTION>"));
    assert!(refusal(&["solve", " \n"]).contains("QUESTION: is blank"));
    assert!(refusal(&["slove"]).contains("slove"));
    assert!(refusal(&["parity"]).contains("<DIR>"));
    assert!(refusal(&["merge"]).contains("<DIR>"));
    assert!(refusal(&["info", "-n", "0"]).contains("from 1 to 65536"));
}
