use super::*;
use crate::Error;

/// What ran: a launch of its own, or one of a graph, each by its parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ran {
    Alone(u8),
    InGraph(u8),
}

/// Records what it is given.
#[derive(Default)]
struct Recorder {
    ran: Vec<Ran>,
    captures: usize,
    /// The launches that cannot be captured.
    uncapturable: Vec<u8>,
    refuses: Option<u8>,
}

fn error(what: &str) -> Error {
    Error::Device { device: "recorder".into(), what: what.into() }
}

impl Submit for Recorder {
    type Graph = Vec<u8>;

    fn submit(&mut self, launch: &Launch<'_>) -> Result<()> {
        if self.refuses == Some(launch.params[0]) {
            return Err(error("refused"));
        }
        self.ran.push(Ran::Alone(launch.params[0]));
        Ok(())
    }

    fn capture(&mut self, list: &List) -> Result<Vec<u8>> {
        self.captures += 1;
        let params = || list.iter().map(|launch| launch.params[0]);
        if let Some(param) = params().find(|param| self.uncapturable.contains(param)) {
            return Err(error(&format!("no capture of {param}")));
        }
        Ok(params().collect())
    }

    fn replay(&mut self, graph: &Vec<u8>) -> Result<()> {
        self.ran.extend(graph.iter().map(|&param| Ran::InGraph(param)));
        Ok(())
    }
}

fn launch(params: &[u8]) -> Launch<'_> {
    Launch { kernel: Kernel { file: "file", name: "name" }, params, grid: [1; 3], block: 32, shared: 0 }
}

/// Flushes launches with parameters `params`; what ran.
fn flush(queue: &mut Queue<Vec<u8>>, recorder: &mut Recorder, params: &[u8]) -> Vec<Ran> {
    for param in params {
        queue.push(&launch(&[*param]), recorder).expect("a launch that waits");
    }
    queue.flush(recorder).expect("launches that run");
    std::mem::take(&mut recorder.ran)
}

fn alone(params: &[u8]) -> Vec<Ran> {
    params.iter().map(|&param| Ran::Alone(param)).collect()
}

fn in_graph(params: &[u8]) -> Vec<Ran> {
    params.iter().map(|&param| Ran::InGraph(param)).collect()
}

#[test]
fn a_list_becomes_a_graph_at_second_sight_and_keeps_its_order() {
    let (mut queue, mut recorder) = (Queue::default(), Recorder::default());
    let list = [3, 1, 2, 1];
    assert_eq!(flush(&mut queue, &mut recorder, &list), alone(&list));
    for _ in 0..3 {
        assert_eq!(flush(&mut queue, &mut recorder, &list), in_graph(&list));
    }
    assert_eq!(recorder.captures, 1);
    assert_eq!(queue.report(), Graphs { captured: 1, replayed: 3, failure: None });
}

#[test]
fn nothing_runs_before_a_flush_and_nothing_twice() {
    let (mut queue, mut recorder) = (Queue::default(), Recorder::default());
    for param in [5, 6, 7] {
        queue.push(&launch(&[param]), &mut recorder).expect("a launch that waits");
    }
    assert_eq!(recorder.ran, []);
    queue.flush(&mut recorder).expect("launches that run");
    queue.flush(&mut recorder).expect("no launches");
    assert_eq!(recorder.ran, alone(&[5, 6, 7]));
}

#[test]
fn only_exact_repeats_are_replayed() {
    let (mut queue, mut recorder) = (Queue::default(), Recorder::default());
    let same = launch(&[1, 2]);
    let other_name = Kernel { name: "other", ..same.kernel };
    let other_file = Kernel { file: "other", ..same.kernel };
    let others = [
        Launch { kernel: other_name, ..same },
        Launch { kernel: other_file, ..same },
        Launch { params: &[1, 3], ..same },
        Launch { params: &[1], ..same },
        Launch { grid: [1, 2, 1], ..same },
        Launch { block: 64, ..same },
        Launch { shared: 4, ..same },
    ];
    let mut captures = |last: &Launch<'_>| {
        for launch in [&same, &same, last] {
            queue.push(launch, &mut recorder).expect("a launch that waits");
        }
        queue.flush(&mut recorder).expect("launches that run");
        recorder.captures
    };
    assert_eq!([captures(&same), captures(&same)], [0, 1]);
    for (index, other) in others.iter().enumerate() {
        assert_eq!([captures(other), captures(other)], [index + 1, index + 2], "{other:?}");
    }
    assert_eq!(flush(&mut queue, &mut recorder, &[]).len(), 3 * (2 + 2 * others.len()));
    // Bytes that belong to another launch are other parameters.
    for pair in [[&[8u8, 9][..], &[7][..]], [&[8][..], &[9, 7][..]]] {
        for _ in 0..2 {
            for params in [pair[0], pair[1], &[0]] {
                queue.push(&launch(params), &mut recorder).expect("a launch that waits");
            }
            queue.flush(&mut recorder).expect("launches that run");
        }
    }
    assert_eq!(recorder.captures, 1 + others.len() + 2);
}

#[test]
fn short_lists_run_one_by_one_and_long_ones_before_they_are_complete() {
    let (mut queue, mut recorder) = (Queue::default(), Recorder::default());
    for _ in 0..3 {
        assert_eq!(flush(&mut queue, &mut recorder, &[1, 2]), alone(&[1, 2]));
    }
    for _ in 0..LONGEST {
        queue.push(&launch(&[9]), &mut recorder).expect("a launch that waits");
    }
    assert_eq!(recorder.ran.len(), LONGEST);
    assert_eq!(recorder.captures, 0);
}

#[test]
fn the_graph_that_was_used_longest_ago_goes_first() {
    let (mut queue, mut recorder) = (Queue::default(), Recorder::default());
    let list = |index: usize| [index as u8, 0, 0];
    for index in 0..GRAPHS {
        flush(&mut queue, &mut recorder, &list(index));
        flush(&mut queue, &mut recorder, &list(index));
    }
    flush(&mut queue, &mut recorder, &list(0));
    assert_eq!(recorder.captures, GRAPHS);
    flush(&mut queue, &mut recorder, &list(GRAPHS));
    flush(&mut queue, &mut recorder, &list(GRAPHS));
    flush(&mut queue, &mut recorder, &list(0));
    assert_eq!(recorder.captures, GRAPHS + 1, "the first was used since");
    // A list that lost its graph is no stranger: it gets another at once.
    assert_eq!(flush(&mut queue, &mut recorder, &list(1)), in_graph(&list(1)));
    assert_eq!(recorder.captures, GRAPHS + 2, "the second was not");
    assert_eq!(queue.graphs.len(), GRAPHS);
}

#[test]
fn what_is_remembered_of_lists_is_bounded() {
    let (mut queue, mut recorder) = (Queue::default(), Recorder::default());
    let list = |index: usize| [index as u8, (index >> 8) as u8, 0];
    for index in 0..=SEEN {
        flush(&mut queue, &mut recorder, &list(index));
    }
    assert_eq!(queue.seen.len(), SEEN);
    assert_eq!(flush(&mut queue, &mut recorder, &list(0)), alone(&list(0)), "forgotten");
    assert_eq!(flush(&mut queue, &mut recorder, &list(SEEN)), in_graph(&list(SEEN)), "remembered");
}

#[test]
fn a_list_that_cannot_be_captured_runs_one_by_one_and_others_become_graphs() {
    let (mut queue, mut recorder) = (Queue::default(), Recorder::default());
    recorder.uncapturable = vec![2, 8];
    for _ in 0..3 {
        assert_eq!(flush(&mut queue, &mut recorder, &[1, 2, 3]), alone(&[1, 2, 3]));
    }
    assert_eq!(recorder.captures, 1, "not tried again");
    let report = |captured, replayed, of| {
        let failure = Some(error(&format!("no capture of {of}")));
        Graphs { captured, replayed, failure }
    };
    assert_eq!(queue.report(), report(0, 0, 2));

    assert_eq!(flush(&mut queue, &mut recorder, &[4, 5, 6]), alone(&[4, 5, 6]));
    assert_eq!(flush(&mut queue, &mut recorder, &[4, 5, 6]), in_graph(&[4, 5, 6]));
    assert_eq!(queue.report(), report(1, 1, 2), "a graph takes no failure back");

    for _ in 0..2 {
        assert_eq!(flush(&mut queue, &mut recorder, &[7, 8, 9]), alone(&[7, 8, 9]));
    }
    assert_eq!(queue.report(), report(1, 1, 8), "the last failure");
    for params in [[1, 2, 3], [7, 8, 9]] {
        assert_eq!(flush(&mut queue, &mut recorder, &params), alone(&params));
    }
    assert_eq!(flush(&mut queue, &mut recorder, &[4, 5, 6]), in_graph(&[4, 5, 6]));
    assert_eq!(recorder.captures, 3);
}

#[test]
fn a_list_whose_capture_was_forgotten_is_tried_again() {
    let (mut queue, mut recorder) = (Queue::default(), Recorder::default());
    recorder.uncapturable = vec![2];
    let list = |index: usize| [index as u8, (index >> 8) as u8, 7];
    for _ in 0..2 {
        assert_eq!(flush(&mut queue, &mut recorder, &[2, 2, 2]), alone(&[2, 2, 2]));
    }
    recorder.uncapturable.clear();
    for index in 0..SEEN {
        flush(&mut queue, &mut recorder, &list(index));
    }
    assert_eq!(flush(&mut queue, &mut recorder, &[2, 2, 2]), alone(&[2, 2, 2]), "as at first sight");
    assert_eq!(flush(&mut queue, &mut recorder, &[2, 2, 2]), in_graph(&[2, 2, 2]));
}

#[test]
fn a_launch_that_is_refused_is_an_error_however_often_it_comes() {
    let (mut queue, mut recorder) = (Queue::default(), Recorder::default());
    (recorder.refuses, recorder.uncapturable) = (Some(2), vec![2]);
    for _ in 0..4 {
        for param in [1, 2, 3] {
            queue.push(&launch(&[param]), &mut recorder).expect("a launch that waits");
        }
        assert_eq!(queue.flush(&mut recorder), Err(error("refused")));
        assert_eq!(std::mem::take(&mut recorder.ran), alone(&[1]));
    }
    assert_eq!(recorder.captures, 1);
}

#[test]
fn after_an_error_nothing_waits() {
    let (mut queue, mut recorder) = (Queue::default(), Recorder::default());
    recorder.refuses = Some(2);
    for param in [1, 2, 3] {
        queue.push(&launch(&[param]), &mut recorder).expect("a launch that waits");
    }
    assert_eq!(queue.flush(&mut recorder), Err(error("refused")));
    queue.flush(&mut recorder).expect("no launches");
    assert_eq!(recorder.ran, alone(&[1]));
}
