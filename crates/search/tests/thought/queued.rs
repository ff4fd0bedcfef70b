//! Launches that are held back, and lists of them that come again, on a card that queues as a real one does.

use fathom::{DType, Device, Emulated};
use fathom_model::{
    load::Network,
    perturbation::{Perturbation, Scope, Sites},
    reasoner::Reasoner,
};

use crate::devices::{load, trajectories};

const DROPOUT: Perturbation = Perturbation::Dropout { p: 0.2, sites: Sites::ResidEmbd, scope: Scope::Full };
const NOISE: Perturbation = Perturbation::Noise { std: 0.4, scope: Scope::Full };

/// Two questions in turn give what they give where each launch runs at once, to the bit; of the second most launches are
/// those of graphs.
fn check<R: Reasoner>(context: &str, queued: (&R, &Device), at_once: &R) {
    let (queued, Device::Gpu(card)) = queued else { panic!("{context}: a card") };
    for perturbation in [DROPOUT, NOISE] {
        let mut replayed = Vec::new();
        for _ in 0..3 {
            let ours = trajectories(queued, perturbation, &[0, 1, 2, 3, 4]);
            assert_eq!(ours, trajectories(at_once, perturbation, &[0, 1, 2, 3, 4]), "{context}");
            replayed.push(card.graphs().replayed);
        }
        println!("{context} {perturbation:?}: {replayed:?} {:?}", card.graphs());
        assert!(replayed[2] > replayed[1], "{context}: {replayed:?}");
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
