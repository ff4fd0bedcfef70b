//! Does a test notice when a barrier or a wait is missing?

use crate::{Counters, Options, Site};
use std::collections::BTreeSet;
use std::error::Error;

/// What a check says of one way to run: the counters if everything is right, or what it noticed.
pub type Verdict = Result<Counters, Box<dyn Error>>;

/// One site removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// What was removed.
    pub site: Site,
    /// What the first way that noticed said; none if no way did.
    pub noticed: Option<String>,
}

/// Runs `check` in each of `ways` as it is, and then with each barrier, arrival and wait that it executes removed in
/// turn. Removal happens as the kernels run; nothing is compiled again.
///
/// `check` launches kernels with the options it is given, adds up their counters and compares what they computed. It
/// should compare bits between ways where they must agree. Kernels that index global memory by what they read from
/// shared memory can be led astray by a removal; such a check belongs in a process of its own.
///
/// # Errors
/// What `check` said of a way in which nothing is removed.
pub fn survey(
    ways: &[Options],
    mut check: impl FnMut(&Options) -> Verdict,
) -> Result<Vec<Mutation>, Box<dyn Error>> {
    let mut sites = BTreeSet::new();
    for way in ways {
        sites.extend(check(way)?.sites.into_keys());
    }
    let mut survey = Vec::new();
    for site in sites {
        let mut without = |way: &Options| check(&Options { skip: Some(site.clone()), ..way.clone() }).err();
        let noticed = ways.iter().find_map(&mut without).map(|error| error.to_string());
        survey.push(Mutation { site, noticed });
    }
    Ok(survey)
}
