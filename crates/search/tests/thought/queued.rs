//! Launches that are held back, and lists of them that come again, on a card that queues as a real one does.

use fathom::{DType, Device, Emulated};
use fathom_model::{
    load::Network,
    perturbation::{Perturbation, Scope, Sites},
    reasoner::Reasoner,
};

use crate::{
    PROMPT,
    devices::{load, trajectories_of},
};

const DROPOUT: Perturbation = Perturbation::Dropout { p: 0.2, sites: Sites::ResidEmbd, scope: Scope::Full };
const NOISE: Perturbation = Perturbation::Noise { std: 0.4, scope: Scope::Full };

/// More than are decoded between two looks of the host.
const ANSWER: usize = 11;

/// Two questions in turn give what they give where each launch runs at once, to the bit: what differs between them stands in
/// tables and in memory of the same addresses. When both have come before, they add more replays than new graphs.
fn check<R: Reasoner>(context: &str, queued: (&R, &Device), at_once: &R) {
    let (queued, Device::Gpu(card)) = queued else { panic!("{context}: a card") };
    let other = PROMPT.map(|id| id + 1);
    for perturbation in [DROPOUT, NOISE] {
        let mut graphs = vec![card.graphs()];
        for _ in 0..4 {
            for prompt in [PROMPT, other] {
                let of = |model| trajectories_of(model, &prompt, perturbation, &[0, 1, 2, 3, 4], ANSWER);
                assert_eq!(of(queued), of(at_once), "{context}");
            }
            graphs.push(card.graphs());
        }
        let [third, fourth] = [&graphs[3], &graphs[4]];
        assert!(third.replayed > third.captured, "{context}: {graphs:?}");
        let [more, new] = [fourth.replayed - third.replayed, fourth.captured - third.captured];
        assert!(more > 2 * new && more > 2 * ANSWER as u64, "{context}: {graphs:?}");
        card.trim();
    }
}

#[test]
fn steps_that_come_again_are_replayed() {
    for name in ["coconut-tiny", "codi-tiny", "colar-tiny", "huginn-tiny"] {
        let device = Emulated::queued(Default::default()).device();
        let reference = Emulated::sm_80(Default::default()).device();
        let (ours, theirs) = (load(name, &device, DType::Bf16), load(name, &reference, DType::Bf16));
        match (&ours.network, &theirs.network) {
            (Network::Chain(ours), Network::Chain(theirs)) => check(name, (ours, &device), theirs),
            (Network::Huginn(ours), Network::Huginn(theirs)) => check(name, (ours, &device), theirs),
            _ => panic!("{name} is one network"),
        }
    }
}
