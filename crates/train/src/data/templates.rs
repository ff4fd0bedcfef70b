//! Sentences with places to fill.
//!
//! | place | holds |
//! |---|---|
//! | `{p}` | who acts, or several persons |
//! | `{q}` | another person |
//! | `{n}` | a number |
//! | `{k}` | how many groups |
//! | `{i}` | what is counted, one or many as `{n}` says |
//! | `{items}` | the same, many |
//! | `{others}` | things that are not counted, many |
//! | `{o}` | the same, one or many as `{n}` says |

/// Templates of one meaning.
pub(super) type Sentences = &'static [&'static str];

pub(super) const START: Sentences =
    &["{p} has {n} {i}.", "{p} owns {n} {i}.", "{p} keeps {n} {i} in a box.", "{p} starts with {n} {i}."];

pub(super) const ADD: Sentences = &[
    "{p} buys {n} more {i}.",
    "then {p} finds {n} {i}.",
    "{p} collects {n} more {i}.",
    "{q} gives {p} {n} {i}.",
    "{p} gets {n} {i} from {q}.",
];
pub(super) const SUB: Sentences = &[
    "{p} sells {n} of the {items}.",
    "{p} loses {n} {i}.",
    "then {p} breaks {n} of the {items}.",
    "{p} gives {n} {i} to {q}.",
    "{p} throws {n} {i} away.",
];
pub(super) const MUL: Sentences = &[
    "then {p} has {n} times as many {items}.",
    "after some work {p} has {n} times as many {items}.",
    "the number of {items} of {p} grows to {n} times as many.",
];
pub(super) const TRIPLE: Sentences =
    &["the number of {items} of {p} triples.", "{p} triples the number of {items}."];
pub(super) const DOUBLE: Sentences = &[
    "the number of {items} of {p} doubles.",
    "{p} doubles the number of {items}.",
    "then {p} has twice as many {items}.",
];
pub(super) const HALF: Sentences = &[
    "half of the {items} of {p} break.",
    "{p} sells half of the {items}.",
    "{p} loses half of the {items}.",
    "{p} gives half of the {items} to {q}.",
];
pub(super) const DIVIDE: Sentences = &[
    "{p} puts the {items} in {n} equal parts and keeps one part.",
    "{p} keeps only one of {n} equal parts of the {items}.",
];
pub(super) const GROUPS_IN: Sentences = &[
    "{p} buys {k} boxes with {n} {i} each.",
    "{k} friends give {p} {n} {i} each.",
    "then {p} finds {k} bags with {n} {i} each.",
];
pub(super) const GROUPS_OUT: Sentences =
    &["{p} gives {n} {i} to each of {k} friends.", "{p} sells {k} bags with {n} {i} each."];

pub(super) const AS_MANY: Sentences = &["{q} has as many {items} as {p}."];
pub(super) const MORE: Sentences = &["{q} has {n} more {i} than {p}."];
pub(super) const FEWER: Sentences = &["{q} has {n} fewer {i} than {p}."];
pub(super) const TIMES: Sentences = &["{q} has {n} times as many {items} as {p}."];
pub(super) const TWICE: Sentences = &["{q} has twice as many {items} as {p}."];
pub(super) const HALF_AS_MANY: Sentences = &["{q} has half as many {items} as {p}."];

pub(super) const PASS: Sentences =
    &["{p} gives {n} {i} to {q}.", "{p} sells {n} {i} to {q}.", "{q} gets {n} {i} from {p}."];
pub(super) const PASS_HALF: Sentences =
    &["{p} gives half of the {items} to {q}.", "{q} gets half of the {items} of {p}."];
pub(super) const PASS_ALL: Sentences =
    &["{p} gives all of the {items} to {q}.", "{q} gets all of the {items} of {p}."];

pub(super) const AMOUNT: Sentences =
    &["how many {items} does {p} have now?", "what is the number of {items} of {p} now?"];
pub(super) const TOTAL: Sentences =
    &["how many {items} do {p} have together?", "how many {items} do {p} have in all?"];
pub(super) const DIFFERENCE: Sentences = &[
    "how many more {items} does {p} have than {q} now?",
    "how many fewer {items} does {q} have than {p} now?",
];

/// About `{p}`, who is counted.
pub(super) const ASIDE: Sentences = &[
    "{p} also has {n} {o}.",
    "{p} also buys {n} {o}.",
    "{p} likes {others}.",
    "{p} shows the {items} to {q}.",
];
/// About `{q}`, who is not.
pub(super) const APART: Sentences = &["{q} has {n} {i}.", "{q} loses {n} {o}.", "{q} counts {others}."];

/// All of them.
pub(super) const ALL: &[Sentences] = &[
    START,
    ADD,
    SUB,
    MUL,
    TRIPLE,
    DOUBLE,
    HALF,
    DIVIDE,
    GROUPS_IN,
    GROUPS_OUT,
    AS_MANY,
    MORE,
    FEWER,
    TIMES,
    TWICE,
    HALF_AS_MANY,
    PASS,
    PASS_HALF,
    PASS_ALL,
    AMOUNT,
    TOTAL,
    DIFFERENCE,
    ASIDE,
    APART,
];

/// A kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Item {
    /// One of it.
    pub(super) one: &'static str,
    /// More than one, or none.
    pub(super) many: &'static str,
}

impl Item {
    fn counted(self, n: u32) -> &'static str {
        if n == 1 { self.one } else { self.many }
    }
}

/// What the places hold.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filling<'a> {
    /// `{p}`.
    pub(super) p: &'a str,
    /// `{q}`.
    pub(super) q: &'a str,
    /// `{n}`.
    pub(super) n: u32,
    /// `{k}`.
    pub(super) k: u32,
    /// `{i}` and `{items}`.
    pub(super) item: Item,
    /// `{o}` and `{others}`.
    pub(super) other: Item,
}

/// A sentence.
pub(super) fn fill(template: &str, with: &Filling<'_>) -> String {
    let mut out = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (place, behind) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        match place {
            "p" => out.push_str(with.p),
            "q" => out.push_str(with.q),
            "n" => out.push_str(&with.n.to_string()),
            "k" => out.push_str(&with.k.to_string()),
            "i" => out.push_str(with.item.counted(with.n)),
            "o" => out.push_str(with.other.counted(with.n)),
            "items" => out.push_str(with.item.many),
            "others" => out.push_str(with.other.many),
            unknown => out.push_str(unknown),
        }
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_every_template_is_known() {
        let known = ["p", "q", "n", "k", "i", "o", "items", "others"];
        for template in ALL.iter().copied().flatten() {
            for place in template.split('{').skip(1) {
                let (place, _) = place.split_once('}').unwrap_or((place, ""));
                assert!(known.contains(&place), "{template}");
            }
        }
    }

    #[test]
    fn things_agree_with_their_number() {
        let item = Item { one: "pen", many: "pens" };
        let other = Item { one: "book", many: "books" };
        let said = |template, n| fill(template, &Filling { p: "Ann", q: "Ben", n, k: 3, item, other });
        assert_eq!(said("{p} buys {n} more {i}.", 1), "Ann buys 1 more pen.");
        assert_eq!(said("{p} buys {n} more {i}.", 12), "Ann buys 12 more pens.");
        assert_eq!(said("{p} sells {n} of the {items}.", 1), "Ann sells 1 of the pens.");
        assert_eq!(
            said("{k} friends give {q} {n} {o} each, not {others}", 2),
            "3 friends give Ben 2 books each, not books"
        );
    }
}
