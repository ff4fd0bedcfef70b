//! Whole steps of training: forward, backward, clipped, AdamW. Random weights and tokens.
//!
//! ```sh
//! cargo bench -p fathom-train            # the steps of `benches/peers/cpu --only train`, one thread and two
//! benches/peers/cpu --only train         # beside PyTorch's
//! ```
//!
//! With `--serve` it times the cases that it reads from its input, one a line, and answers each with the median seconds of a step:
//!
//! ```text
//! coconut LAYERS WIDTH HEADS VOCAB ROWS PROMPT THOUGHTS TAIL THREADS
//! recurrent WIDTH HEADS INNER PRELUDE CORE CODA VOCAB ROWS LENGTH WITHOUT WITH THREADS
//! ```

use std::{
    error::Error,
    io::{BufRead, Write},
    time::Instant,
};

use fathom::{Device, Tensor};
use fathom_model::config::{Config, Gpt2Config, HuginnConfig, SpecialIds};
use fathom_train::{
    initial::Initial,
    objective::{
        chain::{Chain, Example},
        recurrence::{Examples, Iterations, RecurrentDepth},
    },
    optimizer::{Optimizer, Rule},
    parameters::Gradients,
};
use rayon::ThreadPoolBuilder;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A step that can be taken again and again.
type Run = Box<dyn FnMut() -> Result<()> + Send>;

/// A case runs this long at least.
const SECONDS: f64 = 0.25;
const RULE: Rule = Rule::AdamW { betas: [0.9, 0.95], eps: 1e-8, weight_decay: 0.1 };
const RATE: f64 = 1e-4;

/// The shapes of `benches/peers/cpu`, without threads, and their tokens a step.
const STEPS: [(&str, &str); 4] = [
    ("COCONUT, GPT-2 small", "coconut 12 768 12 50260 4 58 6 6"),
    ("COCONUT, 3 layers of 128", "coconut 3 128 4 152 96 33 3 4"),
    ("recurrent depth, h = 768", "recurrent 768 8 2048 2 4 2 8192 2 128 8 8"),
    ("recurrent depth, h = 64", "recurrent 64 4 192 1 2 1 152 64 33 5 4"),
];

fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == "--serve") {
        return serve();
    }
    println!("| step | one thread, ms | two threads, ms |\n|---|--:|--:|");
    for (name, case) in STEPS {
        let [one, two] = [1, 2].map(|threads| time(&format!("{case} {threads}")).map(|s| 1e3 * s));
        println!("| {name} | {:.1} | {:.1} |", one?, two?);
    }
    Ok(())
}

/// Answers cases from the input with seconds, or with why there are none.
fn serve() -> Result<()> {
    let mut newest: Option<(String, Run)> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let kept = newest
            .take()
            .filter(|(case, _)| *case == line)
            .map_or_else(|| prepare(&line), |(_, run)| Ok(run));
        match kept.and_then(|mut run| Ok((timed(&mut run)?, run))) {
            Ok((seconds, run)) => {
                println!("{seconds:e}");
                newest = Some((line, run));
            }
            Err(error) => println!("none: {error}"),
        }
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn time(case: &str) -> Result<f64> {
    timed(&mut prepare(case)?)
}

/// Median seconds.
fn timed(run: &mut Run) -> Result<f64> {
    let mut seconds = Vec::new();
    while seconds.iter().sum::<f64>() < SECONDS {
        let start = Instant::now();
        run()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok((seconds[(seconds.len() - 1) / 2] + seconds[seconds.len() / 2]) / 2.0)
}

/// A step that has run once, on threads of its own.
fn prepare(case: &str) -> Result<Run> {
    let mut words = case.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let numbers: Vec<usize> = words.map(str::parse).collect::<std::result::Result<_, _>>()?;
    let (mut step, threads): (Run, _) = match (kind, &numbers[..]) {
        ("coconut", &[layers, width, heads, vocab, rows, prompt, thoughts, tail, threads]) => {
            (coconut([layers, width, heads, vocab], rows, [prompt, thoughts, tail])?, threads)
        }
        (
            "recurrent",
            &[width, heads, inner, prelude, core, coda, vocab, rows, length, without, with, threads],
        ) => {
            let config = huginn([width, heads, inner, vocab], [prelude, core, coda], length);
            (recurrent(&config, [rows, length], Iterations { without, with })?, threads)
        }
        _ => return Err(format!("not a case: '{case}'").into()),
    };
    let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(&mut step)?;
    Ok(Box::new(move || pool.install(&mut step)))
}

fn coconut([layers, width, heads, vocab_size]: [usize; 4], rows: usize, lengths: [usize; 3]) -> Result<Run> {
    let [prompt, thoughts, tail] = lengths;
    let config = Config::Gpt2(Gpt2Config {
        vocab_size,
        width,
        layers,
        heads,
        inner: 4 * width,
        context: lengths.iter().sum(),
        norm_eps: 1e-5,
        projector_width: None,
        projector: false,
        ids: SpecialIds::default(),
    });
    let mut model = Chain::new(&config, &mut Initial { seed: 1 }, &Device::Cpu)?;
    let mut optimizer = Optimizer::new(RULE, RATE, Some(1.0), model.parameters())?;
    let mut gradients = model.parameters().gradients()?;
    let texts: Vec<Vec<u32>> = (0..rows).map(|row| tokens(row, prompt + tail, vocab_size)).collect();
    Ok(Box::new(move || {
        let examples: Vec<Example<'_>> =
            texts.iter().map(|text| Example { prompt: &text[..prompt], tail: &text[prompt..] }).collect();
        gradients.clear()?;
        model.loss(&examples, thoughts, None, Some(&mut gradients))?;
        Ok(model.update(|parameters| optimizer.step(parameters, &gradients, 1.0).map(drop))?)
    }))
}

fn huginn([width, heads, inner, vocab_size]: [usize; 4], layers: [usize; 3], context: usize) -> HuginnConfig {
    let [prelude, core, coda] = layers;
    HuginnConfig {
        vocab_size,
        width,
        heads,
        kv_heads: heads,
        inner,
        prelude,
        core,
        coda,
        mean_recurrence: 8,
        context,
        norm_eps: 1e-6,
        rope_base: 5e4,
        qk_bias: true,
        tied: true,
        embed_scale: (width as f32).sqrt(),
        init_std: (0.4 / width as f32).sqrt(),
        iterations: 1,
        ids: SpecialIds::default(),
    }
}

/// Every token is a target.
fn recurrent(config: &HuginnConfig, [rows, length]: [usize; 2], iterations: Iterations) -> Result<Run> {
    let mut model = RecurrentDepth::new(config, &mut Initial { seed: 1 }, &Device::Cpu)?;
    let mut optimizer = Optimizer::new(RULE, RATE, Some(1.0), model.parameters())?;
    let mut gradients: Gradients = model.parameters().gradients()?;
    let texts: Vec<Vec<u32>> = (0..rows).map(|row| tokens(row, length + 1, config.vocab_size)).collect();
    let targets: Vec<Option<u32>> =
        texts.iter().flat_map(|text| text[1..].iter().map(|&id| Some(id))).collect();
    let initial = Tensor::zeros(&Device::Cpu, rows * length, config.width)?;
    Ok(Box::new(move || {
        let inputs: Vec<&[u32]> = texts.iter().map(|text| &text[..length]).collect();
        gradients.clear()?;
        let examples = Examples { tokens: &inputs, targets: &targets, initial: initial.clone() };
        model.loss(examples, iterations, Some(&mut gradients))?;
        Ok(model.update(|parameters| optimizer.step(parameters, &gradients, 1.0).map(drop))?)
    }))
}

/// Tokens of a text, from a multiplicative hash: no two steps in the same order.
fn tokens(row: usize, count: usize, vocabulary: usize) -> Vec<u32> {
    (0..count).map(|at| ((row * count + at + 1) * 2_654_435_761 % (1 << 32) % vocabulary) as u32).collect()
}
