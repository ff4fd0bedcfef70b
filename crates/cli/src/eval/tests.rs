//! Runs with a synthetic model: killed, resumed, refused, sharded, merged.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use fathom_model::perturbation::{Perturbation, Scope};

use super::setup::Shard;
use super::testing::{questions, setup, solve, without_times};
use super::*;

fn run(setup: &Setup, all: &[Question], folder: &Path) -> Result<Report> {
    let questions: Vec<&Question> = setup.indices().map(|i| &all[i]).collect();
    evaluate(setup, &questions, Some(folder), &ProgressBar::hidden(), 1, solve)
}

/// Runs until `count` questions are solved, then fails as an interrupted process would stop.
fn run_some(setup: &Setup, all: &[Question], folder: &Path, count: usize) {
    let questions: Vec<&Question> = all.iter().collect();
    let begun = AtomicUsize::new(0);
    let error = evaluate(setup, &questions, Some(folder), &ProgressBar::hidden(), 1, |question: &str| {
        if begun.fetch_add(1, Ordering::Relaxed) < count {
            solve(question).map_err(|_| "refused")
        } else {
            Err("stopped")
        }
    })
    .unwrap_err();
    assert_eq!(error.to_string(), format!("question {count}: stopped"));
}

fn same_but_for_times(a: &Path, b: &Path) {
    for name in ["questions.jsonl", "report.json", "run.json"] {
        assert_eq!(without_times(&a.join(name)), without_times(&b.join(name)), "{name}");
    }
    assert_eq!(fs::read(a.join("coverage.svg")).unwrap(), fs::read(b.join("coverage.svg")).unwrap());
}

#[test]
fn a_run_cut_anywhere_in_a_line_and_resumed_equals_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let (setup, all) = (setup(12), questions(12));
    let straight = folder.path().join("straight");
    folder::claim(&straight, false).unwrap();
    run(&setup, &all, &straight).unwrap();
    let lines = fs::read(straight.join("questions.jsonl")).unwrap();

    let torn = folder.path().join("torn");
    folder::claim(&torn, false).unwrap();
    run_some(&setup, &all, &torn, 5);
    assert_eq!(fs::read_to_string(torn.join("questions.jsonl")).unwrap().lines().count(), 5);
    // Where a line ends depends on its time: cut where these do.
    let breaks: Vec<usize> = (0..lines.len()).filter(|&i| lines[i] == b'\n').collect();
    let (fifth, sixth) = (breaks[4] + 1, breaks[5]);
    // Nothing of the sixth line, its first byte, half of it, all of it but the line break.
    for cut in [fifth, fifth + 1, (fifth + sixth) / 2, sixth - 1, sixth] {
        fs::write(torn.join("questions.jsonl"), &lines[..cut]).unwrap();
        let solved = AtomicUsize::new(0);
        let questions: Vec<&Question> = all.iter().collect();
        folder::claim(&torn, true).unwrap();
        evaluate(&setup, &questions, Some(&torn), &ProgressBar::hidden(), 1, |question: &str| {
            solved.fetch_add(1, Ordering::Relaxed);
            solve(question)
        })
        .unwrap();
        assert_eq!(solved.into_inner(), 7, "five lines were whole");
        same_but_for_times(&straight, &torn);
    }
}

#[test]
fn a_panic_among_questions_side_by_side_keeps_those_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (setup, all) = (setup(12), questions(12));
    let questions: Vec<&Question> = all.iter().collect();
    let [straight, broken] = ["straight", "broken"].map(|name| folder.path().join(name));
    for path in [&straight, &broken] {
        folder::claim(path, false).unwrap();
    }
    run(&setup, &all, &straight).unwrap();
    let side_by_side = |refused: &str| {
        evaluate(&setup, &questions, Some(&broken), &ProgressBar::hidden(), 3, |question: &str| {
            if question == refused {
                resume_unwind(Box::new("a defect"));
            }
            solve(question)
        })
    };
    catch_unwind(AssertUnwindSafe(|| side_by_side("5"))).unwrap_err();
    let kept = fs::read_to_string(broken.join("questions.jsonl")).unwrap();
    assert_eq!(kept.lines().count(), 5);
    side_by_side("none").unwrap();
    same_but_for_times(&straight, &broken);
}

#[test]
fn a_torn_tail_of_zeros_with_a_line_break_is_cut_and_damage_further_up_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (setup, all) = (setup(3), questions(3));
    run(&setup, &all, folder.path()).unwrap();
    let file = folder.path().join("questions.jsonl");
    let whole = fs::read(&file).unwrap();
    let second = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let zeros = [&whole[..second], b"\0\0\0\0\n"].concat();
    fs::write(&file, zeros).unwrap();
    run(&setup, &all, folder.path()).unwrap();
    assert_eq!(without_times(&file).lines().count(), 3);

    let mut damaged = whole.clone();
    damaged[second] = b'?';
    fs::write(&file, &damaged).unwrap();
    let error = run(&setup, &all, folder.path()).unwrap_err().to_string();
    assert!(error.contains("questions.jsonl: line 2: not a record"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), damaged, "a refused folder is left as it was");
}

#[test]
fn a_finished_run_is_reported_again_without_solving() {
    let folder = tempfile::tempdir().unwrap();
    let (setup, all) = (setup(4), questions(4));
    let first = run(&setup, &all, folder.path()).unwrap();
    let questions: Vec<&Question> = all.iter().collect();
    let again = evaluate(&setup, &questions, Some(folder.path()), &ProgressBar::hidden(), 1, |_: &str| {
        Err::<Outcome, _>("nothing is left to solve")
    });
    assert_eq!(again.unwrap(), first, "times included");
}

#[test]
fn folders_that_hold_something_else_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, all) = (folder.path(), questions(4));
    run(&setup(4), &all, path).unwrap();

    let error = folder::claim(path, false).unwrap_err().to_string();
    assert!(error.contains("already holds run.json; name another folder"), "{error}");
    folder::claim(path, true).unwrap();

    let shard = Some(Shard { index: 1, count: 2 });
    let mut noisier = setup(4);
    noisier.search.perturbation = Perturbation::State;
    let mut edited = setup(4);
    edited.data.digest = "ff".to_owned();
    let others = [
        (Setup { model: "other".to_owned(), ..setup(4) }, "model differs: \"toy\" there, \"other\" here"),
        (Setup { limit: Some(2), ..setup(4) }, "limit differs: none there, 2 here"),
        (Setup { shard, ..setup(4) }, "shard differs: none there"),
        (edited, "data.digest differs: \"00\" there, \"ff\" here"),
        (noisier, "search.perturbation.sampler differs: \"noise\" there, \"state\" here"),
    ];
    for (other, expected) in others {
        let error = run(&other, &all, path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    let sweep_error = sweep::claim(path, &["none".to_owned()], false).unwrap_err().to_string();
    assert!(sweep_error.contains("holds a single run"), "{sweep_error}");
    fs::write(path.join("sweep.json"), "{}").unwrap();
    assert!(folder::claim(path, true).unwrap_err().to_string().contains("holds a sweep"));
}

#[test]
fn lines_of_other_questions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (setup, mut all) = (setup(4), questions(4));
    run(&setup, &all, folder.path()).unwrap();
    all[2].question = "another".to_owned();
    let error = run(&setup, &all, folder.path()).unwrap_err().to_string();
    assert!(error.contains("questions.jsonl: line 3: not question 2 of the data set"), "{error}");

    fs::remove_file(folder.path().join("run.json")).unwrap();
    let error = run(&setup, &all, folder.path()).unwrap_err().to_string();
    assert!(error.contains("holds questions.jsonl but no run.json"), "{error}");
}

#[test]
fn a_run_that_another_process_is_at_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (setup, all) = (setup(2), questions(2));
    let questions: Vec<&Question> = all.iter().collect();
    let opened = folder::open(folder.path(), &setup, &questions).unwrap();
    let error = folder::open(folder.path(), &setup, &questions).unwrap_err().to_string();
    assert!(error.contains("another process is writing it"), "{error}");
    drop(opened);
    folder::open(folder.path(), &setup, &questions).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = folder::claim(&file.join("run"), false).unwrap_err().to_string();
    assert!(error.starts_with("cannot create ") && error.contains("file/run"), "{error}");
}

fn shards(root: &Path, all: &[Question], count: usize) -> Vec<PathBuf> {
    (1..=count)
        .map(|index| {
            let path = root.join(format!("part{index}"));
            folder::claim(&path, false).unwrap();
            run(&Setup { shard: Some(Shard { index, count }), ..setup(all.len()) }, all, &path).unwrap();
            path
        })
        .collect()
}

#[test]
fn merged_shards_equal_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let all = questions(10);
    let whole = folder.path().join("whole");
    folder::claim(&whole, false).unwrap();
    run(&setup(10), &all, &whole).unwrap();
    // More shards than questions leaves empty ones, which are complete too.
    for count in [1, 3, 11] {
        let root = folder.path().join(format!("by{count}"));
        let mut parts = shards(&root, &all, count);
        parts.reverse();
        let merged = root.join("merged");
        merge::merge(&parts, Some(&merged)).unwrap();
        same_but_for_times(&whole, &merged);
    }
}

#[test]
fn shards_that_make_no_whole_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let all = questions(6);
    let parts = shards(folder.path(), &all, 3);
    let whole = folder.path().join("whole");
    folder::claim(&whole, false).unwrap();
    run(&setup(6), &all, &whole).unwrap();
    let refused = |folders: &[&PathBuf], expected: &str| {
        let folders: Vec<PathBuf> = folders.iter().map(|&path| path.clone()).collect();
        let Err(error) = merge::merge(&folders, None) else { panic!("joined, expected: {expected}") };
        assert!(error.to_string().contains(expected), "{error}");
    };
    refused(&[&parts[0], &parts[2]], "shard 2/3 is missing");
    refused(&[&parts[0], &parts[1], &parts[1]], "is shard 2/3, and so is");
    refused(&[&whole], "not a shard");
    refused(&[&folder.path().join("nowhere")], "nowhere/run.json");

    let other = folder.path().join("other");
    folder::claim(&other, false).unwrap();
    let shard = |index, count| Some(Shard { index, count });
    let mut seeded = Setup { shard: shard(2, 3), ..setup(6) };
    seeded.search.seed = 9;
    run(&seeded, &all, &other).unwrap();
    refused(&[&parts[0], &other, &parts[2]], "search.seed differs: 9 there, 0 in the first shard");

    let half = folder.path().join("half");
    folder::claim(&half, false).unwrap();
    run(&Setup { shard: shard(2, 2), ..setup(6) }, &all, &half).unwrap();
    refused(&[&parts[0], &half], "is shard 2/2, but");

    let file = parts[1].join("questions.jsonl");
    let lines = fs::read_to_string(&file).unwrap();
    fs::write(&file, &lines[..lines.len() - 2]).unwrap();
    refused(&[&parts[0], &parts[1], &parts[2]], "holds 1 of its 2 questions: finish it with --resume");
}

/// A sweep over two noises.
fn sweep_in(path: &Path, all: &[Question], shard: Option<Shard>) {
    let settings: Vec<Setup> = [0.3, 0.6]
        .map(|std| {
            let mut setup = Setup { shard, ..setup(all.len()) };
            setup.search.perturbation = Perturbation::Noise { std, scope: Scope::Full };
            setup
        })
        .into();
    let names = point_names(settings.iter().map(|setup| &setup.search));
    let folders = sweep::claim(path, &names, false).unwrap();
    let reports: Vec<Report> =
        settings.iter().zip(&folders).map(|(setup, folder)| run(setup, all, folder).unwrap()).collect();
    sweep::write(path, &reports).unwrap();
}

#[test]
fn merged_shards_of_a_sweep_equal_the_whole_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let all = questions(7);
    let [whole, first, second, merged] =
        ["whole", "first", "second", "merged"].map(|n| folder.path().join(n));
    sweep_in(&whole, &all, None);
    sweep_in(&first, &all, Some(Shard { index: 1, count: 2 }));
    sweep_in(&second, &all, Some(Shard { index: 2, count: 2 }));
    merge::merge(&[second.clone(), first.clone()], Some(&merged)).unwrap();
    for point in ["noise-std0.3", "noise-std0.6"] {
        same_but_for_times(&whole.join(point), &merged.join(point));
    }
    assert_eq!(without_times(&whole.join("sweep.json")), without_times(&merged.join("sweep.json")));
    assert_eq!(fs::read(whole.join("sweep.svg")).unwrap(), fs::read(merged.join("sweep.svg")).unwrap());

    assert!(folder::claim(&whole, true).unwrap_err().to_string().contains("holds a sweep"));
    fs::remove_file(merged.join("sweep.json")).unwrap();
    assert!(
        folder::claim(&merged, true).unwrap_err().to_string().contains("holds a sweep"),
        "as if interrupted"
    );
    let error = sweep::claim(&whole, &["none".to_owned()], false).unwrap_err().to_string();
    assert!(error.contains("already holds sweep.json"), "{error}");
    let other = ["noise-std0.3".to_owned(), "noise-std0.9".to_owned()];
    let error = sweep::claim(&whole, &other, true).unwrap_err().to_string();
    assert!(
        error.contains("holds a run of noise-std0.6"),
        "a resumed sweep has the settings it began with: {error}"
    );
    fs::write(second.join("sweep.json"), "{\"runs\": []}").unwrap();
    let error = merge::merge(&[first, second], None).unwrap_err().to_string();
    assert!(error.contains("not the same settings as"), "{error}");
}
