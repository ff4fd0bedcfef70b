//! The reasoners themselves, thinking freely, against the recorded greedy runs.

use fathom::{DType, Device, random::Draw};
use fathom_model::{
    checkpoint::Checkpoint,
    folder::Folder,
    load::{Model, Network},
    perturbation::Perturbation,
    reasoner::{Branch, Reasoner, Thought},
};

use crate::fixture;

const DRAW: Draw = Draw { key: 0, trajectory: 0 };

/// The latents agree within the recordings' tolerance, 10⁻⁴ + 10⁻⁵·|reference|, and the answers are equal. CoLaR is
/// recorded at its cap without the end token that is forced here, so its answer is another.
#[test]
fn free_thoughts_agree_with_the_recordings() {
    for name in ["coconut-tiny", "codi-tiny", "colar-tiny"] {
        let folder = Folder::open(fixture(name)).unwrap();
        let model = Model::load(&folder, &Device::Cpu, DType::F32).unwrap();
        let Network::Chain(chain) = &model.network else { panic!("{name} is a chain") };
        let reference = Checkpoint::open_file(&folder, "reference.safetensors").unwrap();
        let ids =
            |name| reference.integers(name).unwrap().into_iter().map(|id| id as u32).collect::<Vec<_>>();
        let shape = |name| reference.shape(name).unwrap().to_vec();
        let (prompts, mask, sequences) = (ids("input_ids"), ids("attention_mask"), ids("greedy.sequences"));
        let latents = reference.floats("greedy.latent_thoughts").unwrap();
        let (columns, total) = (shape("input_ids")[1], shape("greedy.sequences")[1]);
        let (steps, width) = (shape("greedy.latent_thoughts")[1], shape("greedy.latent_thoughts")[2]);
        for row in 0..2 {
            let of = |all: &[u32], width: usize| all[row * width..(row + 1) * width].to_vec();
            let kept = of(&prompts, columns).into_iter().zip(of(&mask, columns)).filter(|(_, m)| *m != 0);
            let prompt: Vec<u32> = kept.map(|(id, _)| id).collect();
            let mut thoughts = chain.prefill(&prompt, steps, &[DRAW], 0, Perturbation::None).unwrap();
            for _ in 1..steps {
                let branch = Branch { thought: thoughts.remove(0), draws: vec![DRAW] };
                thoughts = chain.step(vec![branch], Perturbation::None).unwrap().remove(0);
            }
            let expected = latents[row * steps * width..(row + 1) * steps * width].chunks(width);
            assert_eq!(thoughts[0].latents().len(), steps, "{name}");
            for (ours, theirs) in thoughts[0].latents().iter().zip(expected) {
                for (a, b) in ours.to_vec().unwrap().iter().zip(theirs) {
                    assert!((a - b).abs() <= 1e-4 + 1e-5 * b.abs(), "{name} row {row}: {a} against {b}");
                }
            }
            if name != "colar-tiny" {
                let recorded = of(&sequences, total).split_off(columns + steps + 1);
                let eos = recorded.iter().position(|id| model.ids.eos.contains(id)).unwrap_or(recorded.len());
                let answers = chain.read_out(thoughts, recorded.len(), Perturbation::None).unwrap();
                assert_eq!(answers, [&recorded[..eos]], "{name} row {row}");
            }
        }
    }
}
