//! Beam search over a tree that is given, so that what it ought to find can be found by trying everything.

use fathom::{Device, random::Draw};
use fathom_model::{
    Result,
    latents::Latent,
    perturbation::Perturbation,
    reasoner::{Branch, Reasoner, Thought},
};
use fathom_search::{
    beam::{Width, beam_search, best},
    scorer::Scorer,
    trajectories::Thinking,
};

/// A thought is the path of candidate numbers that led to it, one a latent.
struct Path(Vec<Latent>);

impl Thought for Path {
    fn latents(&self) -> &[Latent] {
        &self.0
    }

    fn ended(&self) -> bool {
        false
    }
}

/// Draw d continues a path with candidate d mod C; from the root, with candidate d.
struct Tree {
    candidates: u32,
}

impl Reasoner for Tree {
    type Thought = Path;

    fn prefilled_steps(&self) -> usize {
        1
    }

    fn prefill(&self, _: &[u32], _: usize, draws: &[Draw], _: u64, _: Perturbation) -> Result<Vec<Path>> {
        Ok(draws.iter().map(|draw| Path(vec![latent(draw.trajectory)])).collect())
    }

    fn step(&self, branches: Vec<Branch<Path>>, _: Perturbation) -> Result<Vec<Vec<Path>>> {
        let child = |path: &Path, draw: &Draw| {
            let mut latents = path.0.clone();
            latents.push(latent(draw.trajectory % self.candidates));
            Path(latents)
        };
        let grow =
            |branch: Branch<Path>| branch.draws.iter().map(|draw| child(&branch.thought, draw)).collect();
        Ok(branches.into_iter().map(grow).collect())
    }

    fn read_out(&self, thoughts: Vec<Path>, _: usize, _: Perturbation) -> Result<Vec<Vec<u32>>> {
        Ok(thoughts.iter().map(|thought| numbers(&thought.0)).collect())
    }
}

/// Scores every node by a hash of its path; a number of `children` or more is no node of the tree.
struct Scores {
    seed: u64,
    children: u32,
}

const NOWHERE: f32 = -1e9;

impl Scores {
    fn node(&self, path: &[u32]) -> f32 {
        if path.iter().any(|&child| child >= self.children) {
            return NOWHERE;
        }
        let key = fathom::random::key(self.seed, path, fathom::random::Stream::Trajectory);
        (key % 1000) as f32 / 100.0
    }
}

impl Scorer for Scores {
    type State = Vec<u32>;

    fn begin(&self, _: &[u32], count: usize) -> Result<Vec<Vec<u32>>> {
        Ok(vec![Vec::new(); count])
    }

    fn fork(&self, state: Vec<u32>, count: usize) -> Vec<Vec<u32>> {
        vec![state; count]
    }

    fn score(&self, states: &mut [&mut Vec<u32>], latents: &[&[Latent]]) -> Result<Vec<Vec<f32>>> {
        let follow = |state: &mut Vec<u32>, latents: &[Latent]| -> Vec<f32> {
            let step = |number: u32| {
                state.push(number);
                self.node(state)
            };
            numbers(latents).into_iter().map(step).collect()
        };
        Ok(states.iter_mut().zip(latents).map(|(state, latents)| follow(state, latents)).collect())
    }
}

fn latent(number: u32) -> Latent {
    Latent::new(&Device::Cpu, vec![number as f32]).unwrap()
}

fn numbers(latents: &[Latent]) -> Vec<u32> {
    latents.iter().map(|latent| latent.to_vec().unwrap()[0] as u32).collect()
}

fn search(scores: &Scores, steps: usize, width: Width) -> (Vec<u32>, f32) {
    let thinking = Thinking { steps, perturbation: Perturbation::None, seed: 0 };
    let tree = Tree { candidates: width.candidates as u32 };
    let winner = best(beam_search(&tree, scores, &[1], thinking, width).unwrap()).unwrap();
    (numbers(winner.thought.latents()), winner.score)
}

/// The best path of the tree by trying all, the first of equals in the order that candidates stand in.
fn exhaustive(scores: &Scores, steps: usize) -> (Vec<u32>, f32) {
    let mut best = (Vec::new(), f32::NEG_INFINITY);
    let leaves = scores.children.pow(steps as u32);
    for leaf in 0..leaves {
        let digit = |step: usize| leaf / scores.children.pow((steps - 1 - step) as u32) % scores.children;
        let path: Vec<u32> = (0..steps).map(digit).collect();
        let total = (1..=steps).map(|end| scores.node(&path[..end])).sum();
        if total > best.1 {
            best = (path, total);
        }
    }
    best
}

/// With room for every leaf nothing that exists is pruned.
#[test]
fn a_wide_enough_beam_is_exhaustive() {
    for seed in 0..50 {
        for (children, steps) in [(2, 1), (2, 4), (3, 3), (4, 2)] {
            let scores = Scores { seed, children };
            let width =
                Width { beams: children.pow(steps as u32) as usize, candidates: children as usize, every: 1 };
            assert_eq!(
                search(&scores, steps, width),
                exhaustive(&scores, steps),
                "seed {seed}, {children}^{steps}"
            );
        }
    }
}

/// A narrow beam follows the best candidates of each step, and may miss what a wide one finds.
#[test]
fn one_beam_is_greedy() {
    let mut missed = 0;
    for seed in 0..50 {
        let scores = Scores { seed, children: 4 };
        let mut path = Vec::new();
        let mut total = 0.0;
        for _ in 0..3 {
            let score = |child: u32| scores.node(&[path.as_slice(), &[child]].concat());
            let child = (0..4).rev().max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap();
            total += score(child);
            path.push(child);
        }
        let found = search(&scores, 3, Width { beams: 1, candidates: 4, every: 1 });
        assert_eq!(found, (path, total), "seed {seed}");
        missed += usize::from(found.1 < exhaustive(&scores, 3).1);
    }
    assert!(missed > 10, "the trees are such that greed often misses the best: {missed} of 50");
}

/// Every `every` steps, and at the end: between them a candidate of the beam at place b goes on by its own draw, b·C + c.
#[test]
fn pruning_waits_for_its_step() {
    let mut differ = 0;
    for seed in 0..50 {
        for (beams, candidates, steps, every) in [(2, 3, 6, 2), (3, 2, 7, 3), (2, 2, 5, 8), (2, 3, 4, 1)] {
            let scores = Scores { seed, children: (beams * candidates) as u32 };
            let score = |path: &[u32]| (1..=path.len()).map(|end| scores.node(&path[..end])).sum::<f32>();
            let mut paths: Vec<Vec<u32>> = vec![Vec::new()];
            for step in 0..steps {
                if step % every == 0 {
                    // The first candidates are draws of one root, whose numbers nothing reduces.
                    let ways = if step == 0 { beams * candidates } else { candidates };
                    let forked = paths
                        .iter()
                        .flat_map(|path| (0..ways).map(move |way| [path.as_slice(), &[way as u32]].concat()));
                    paths = forked.collect();
                } else {
                    for (draw, path) in paths.iter_mut().enumerate() {
                        path.push((draw % candidates) as u32);
                    }
                }
                if (step + 1) % every == 0 || step + 1 == steps {
                    let mut order: Vec<usize> = (0..paths.len()).collect();
                    order.sort_by(|&a, &b| score(&paths[b]).total_cmp(&score(&paths[a])));
                    order.truncate(beams);
                    order.sort_unstable();
                    paths = order.into_iter().map(|index| paths[index].clone()).collect();
                }
            }
            let best = paths.iter().rev().max_by(|a, b| score(a).total_cmp(&score(b))).unwrap().clone();
            let found = search(&scores, steps, Width { beams, candidates, every });
            assert_eq!(found.0, best, "seed {seed}, {beams} beams of {candidates}, every {every} of {steps}");
            differ += usize::from(found != search(&scores, steps, Width { beams, candidates, every: 1 }));
        }
    }
    assert!(differ > 50, "it matters when beams are pruned: {differ} of 150");
}
